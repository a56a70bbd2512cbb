"""Where and how trials run."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from search.config.sections import Section


class ExecutionConfig(Section):
    """Where and how trials run. It changes nothing that is proposed or measured on the CPU, except for `threads` and
    the settings of latencies."""

    executor: Literal["tune", "inline"] = Field(
        default="tune", description="Ray Tune, or one after another in this process"
    )
    workers: int | None = Field(
        default=None, ge=1, description="candidates in flight; the machine's cores where left out"
    )
    address: str | None = Field(
        default=None, description="a Ray cluster, auto or HOST:PORT; this machine where left out"
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(default=1, ge=1, description="torch threads of a candidate's evaluation")
    training_threads: int = Field(default=2, ge=1, description="torch threads of supernet training")
    candidates_per_task: int = Field(default=4, ge=1, description="cheap candidates share a Tune trial")
    callbacks: tuple[str, ...] = Field(
        default=(), description="your own, as package.module:Name; Tune's, or with methods phase, epoch, trial, result"
    )
    ray_output: bool = Field(default=False, description="let Ray and Tune print what they do, for finding faults")
    latency: Literal["table", "measured"] = Field(
        default="table", description="predicted from a table of operations, or each candidate measured by itself"
    )
    latency_table: Path | None = Field(
        default=None,
        description="a table that `binarynas latency-table` made here, or the program of `binarynas latency-kit` "
        "elsewhere; measured here where left out",
    )
    retries: int = Field(default=1, ge=0, description="how often a candidate that failed is tried again")
    timeout: float | None = Field(
        default=None, gt=0, description="seconds for one candidate's evaluation or one epoch; its worker is then killed"
    )
    gpu_share: float | None = Field(
        default=None, gt=0, le=1, description="of a GPU, per candidate; 1/workers on one machine, 1 on a cluster"
    )
