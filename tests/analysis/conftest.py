"""Runs that never ran: rows of trials with plausible numbers, as fixtures."""

import datetime
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.schema import write_trials
from analysis.trials import load_trials


def fake_rows(count: int, seed: int = 0, proposer: str = "evolution") -> list[dict[str, object]]:
    """Trials of a search on the NAS-BNN space that gets better with its generations; one in fifty fails."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for number in range(count):
        generation = number // 64
        ops = float(rng.uniform(20e6, 190e6))
        best = 0.70 - 0.13 * np.exp(-(ops - 15e6) / 35e6)
        gain = 0.0 if proposer == "random" else min(generation, 5) * 0.15
        accuracy = float(best - abs(rng.normal(0.0, 0.025)) * (1 - gain) - (0.01 if proposer == "random" else 0.0))
        rows.append(fake_row(number, ops, accuracy, proposer=proposer, generation=generation))
        if number % 50 == 49:
            rows[-1] |= {"state": "failed", "reason": "CUDA out of memory", "accuracy": None, "loss": None}
    return rows


def fake_row(number: int, ops: float, accuracy: float | None, **more: object) -> dict[str, object]:
    """One finished trial."""
    row: dict[str, object] = {
        "stage": "inherited",
        "number": number,
        "state": "finished",
        "space": "nasbnn",
        "architecture": f"c24k3g1 | c48k3g1 c48k3g1 | number {number}",
        "id": f"{number:08x}",
        "generation": 0,
        "proposer": "evolution",
        "operator": "random",
        "parents": [],
        "accuracy": accuracy,
        "loss": 1.5,
        "flops": 769_000,
        "int8_ops": 8_128_512,
        "bops": int(ops * 64),
        "ops": ops,
        "params": 1_000_000 + int(ops / 100),
        "bits": int(ops / 4),
        "bytes": int(ops / 32),
        "seed": 2**62 + number,
        "attempt": 0,
        "started": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        "seconds": 12.5,
    }
    return row | more


@pytest.fixture
def make_row() -> Callable[..., dict[str, object]]:
    return fake_row


@pytest.fixture
def make_rows() -> Callable[..., list[dict[str, object]]]:
    return fake_rows


@pytest.fixture
def make_frame(tmp_path: Path) -> Callable[[list[dict[str, object]]], pd.DataFrame]:
    """Rows as they come back from a file."""

    def make(rows: list[dict[str, object]]) -> pd.DataFrame:
        file = tmp_path / "frame.parquet"
        write_trials(rows, file)
        return load_trials(file)

    return make
