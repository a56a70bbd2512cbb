"""Runs that never ran: rows of trials with plausible numbers, as fixtures."""

import datetime
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.findings.front import front, front_table
from analysis.runs.schema import write_trials
from analysis.runs.trials import load_trials
from spaces import get_space


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


def searched_rows(
    count: int, seed: int = 0, noise: float = 0.004, kernel_effect: float = 0.0, space: str = "nasbnn-digits"
) -> list[dict[str, object]]:
    """Finished trials whose accuracy is a cubic in log OPs, an effect of one kernel size, and noise."""
    chosen, rng, errors = get_space(space), random.Random(seed), np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for number in range(count):
        member = chosen.sample(rng)
        cost = chosen.cost(member)
        log = np.log(cost.ops / 1e5)
        large = member.stages[1][0].kernel_size == 5
        accuracy = 0.6 + 0.05 * log - 0.004 * log**3 + kernel_effect * large + noise * errors.normal()
        rows.append(
            {
                "stage": "inherited", "number": number, "state": "finished", "space": space,
                "architecture": str(member), "id": chosen.id(member), "generation": number // 32,
                "proposer": "evolution", "operator": "random" if number % 3 else "mutation", "parents": [],
                "accuracy": float(accuracy), "loss": float(2 - accuracy), "flops": cost.flops,
                "int8_ops": cost.int8_ops, "bops": cost.bops, "ops": cost.ops, "params": cost.params,
                "bits": cost.bits, "bytes": cost.bytes, "seed": 1000 * seed + number, "attempt": 1, "seconds": 1.0,
            }
        )  # fmt: skip
    return rows


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


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """A run's folder as a search leaves it, with pretended trials on the digits' space."""

    def make(
        name: str = "run",
        rows: list[dict[str, object]] | None = None,
        seed: int = 0,
        proposer: str = "evolution",
        finished: bool = True,
        **data: object,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        rows = digits_rows(60, seed, proposer) if rows is None else rows
        write_trials(rows, folder / "trials.parquet")
        search = f"{{proposer: {proposer}, trials: {len(rows)}, objectives: [accuracy, ops]}}"
        (folder / "config.yaml").write_text(
            f"version: 1\nseed: {seed}\nspace: {{name: nasbnn-digits}}\nsearch: {search}\n"
            "supernet: {epochs: 3, batch_size: 64, learning_rate: 0.0025}\nexecution: {executor: inline}\n"
        )
        described = {
            "name": "digits", "classes": 10, "class_names": [str(digit) for digit in range(10)], "image_size": 8,
            "channels": 1, "mean": [0.3], "std": [0.4], "train": 1000, "validation": 400, "test": 300,
            "fingerprint": "abc",
        }  # fmt: skip
        info = {"format": 1, "created": "2026-01-01T00:00:00+00:00", "host": "somewhere", "data": described | data,
                "versions": {"binarynas": "0.1.0"}}  # fmt: skip
        (folder / "run.json").write_text(json.dumps(info))
        if finished:
            found = front(load_trials(folder))
            table = front_table(found.assign(test_accuracy=found["accuracy"] - 0.01))
            (folder / "front.csv").write_text(table.to_csv(index=False))
        return folder

    return make


def digits_rows(count: int, seed: int = 0, proposer: str = "evolution") -> list[dict[str, object]]:
    """Trials of networks of the digits' space with their true costs; one in twenty fails."""
    space = get_space("nasbnn-digits")
    rng, draws = random.Random(f"{seed} {proposer}"), np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for number in range(count):
        member = space.sample(rng)
        cost = space.cost(member)
        gain = 0.03 if proposer == "evolution" else 0.0
        accuracy = 0.9 - 0.4 * np.exp(-cost.ops / 30e3) + gain + float(draws.normal(0, 0.01))
        rows.append(
            fake_row(
                number, cost.ops, accuracy, space=space.name, architecture=space.format(member), id=space.id(member),
                generation=number // 20, proposer=proposer, flops=cost.flops, int8_ops=cost.int8_ops, bops=cost.bops,
                params=cost.params, bits=cost.bits, bytes=cost.bytes,
            )
        )  # fmt: skip
        if number % 20 == 19:
            rows[-1] |= {"state": "failed", "reason": "out of memory", "accuracy": None, "loss": None}
    return rows


@pytest.fixture
def make_digits_rows() -> Callable[..., list[dict[str, object]]]:
    return digits_rows


@pytest.fixture
def make_search() -> Callable[..., list[dict[str, object]]]:
    return searched_rows
