"""Where and how trials run."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from search.config.sections import Section


class ExecutionConfig(Section):
    """Where and how trials run. It changes nothing that is proposed or measured on the CPU, except for `precision`,
    `threads` and the settings of latencies."""

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
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="of convolutions in training: float32, or bfloat16 with exact binary sums; auto is bfloat16 on "
        "GPUs, and on processors with instructions for it where images have 16 pixels or more",
    )
    threads: int = Field(default=1, ge=1, description="torch threads of a candidate's evaluation")
    training_threads: int = Field(default=2, ge=1, description="torch threads of supernet training, of each worker")
    training_workers: int | str = Field(
        default=1,
        description="processes that train a supernet, parent, finetuned or final network together, each on its share "
        "of a batch: a number, a range such as 2..8 of which any number will do, or auto, one per GPU",
    )
    batch_norm: Literal["own", "synchronised"] = Field(
        default="own", description="statistics of each training worker's own images, or of those of all"
    )
    checkpoint_minutes: float = Field(default=10, gt=0, description="between checkpoints within an epoch")
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
        default=None,
        gt=0,
        le=1,
        description="of a GPU, per candidate; 1 on a cluster and where workers are few",
    )

    @model_validator(mode="after")
    def _check_training_workers(self) -> Self:
        text = str(self.training_workers)
        low, high = _range(text)
        if text != "auto" and not 1 <= low <= high:
            raise ValueError(
                f"training_workers is a number from 1, such as 4, a range such as 2..8, or auto, not {text!r}"
            )
        if high > 1 and self.executor == "inline":
            raise ValueError(
                f"training_workers is {text}, but the executor is inline, which runs in one process: leave one out"
            )
        if self.batch_norm == "synchronised" and self.several and low != high:
            raise ValueError(
                "batch_norm is synchronised, for which all training workers need as many images, but "
                f"training_workers is {text}: give one number"
            )
        return self

    @property
    def several(self) -> bool:
        """Whether trainings may be done by several processes."""
        return str(self.training_workers) != "1"

    def training_range(self, gpus: int) -> tuple[int, int]:
        """The fewest and the most processes of a training; `gpus` is how many there are."""
        if self.training_workers == "auto":
            return max(gpus, 1), max(gpus, 1)
        return _range(str(self.training_workers))


def _range(text: str) -> tuple[int, int]:
    """The ends of a number, or a range such as 2..8; (0, 0) for anything else."""
    low, dots, high = text.partition("..")
    if not low.isascii() or not low.isdigit() or (dots and not (high.isascii() and high.isdigit())):
        return 0, 0
    return int(low), int(high if dots else low)
