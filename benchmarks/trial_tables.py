"""Seconds to load a million trials, and to find their front."""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.findings.front import front
from analysis.measures.hypervolume import hypervolume_history
from analysis.runs.schema import trial_schema
from analysis.runs.trials import load_trials
from spaces import SPACES


def make_trials(count: int, different: int) -> pa.Table:
    """Trials as a search writes them: so many architectures, tried again and again, better with time."""
    space, rng, draw = SPACES["nasbnn"], np.random.default_rng(0), random.Random(0)
    members = [space.sample(draw) for _ in range(different)]
    costs = space.costs(members)
    chosen = rng.integers(0, different, count)
    texts, ids = pa.array([str(member) for member in members]), pa.array([space.id(member) for member in members])
    ops = costs.ops[chosen]
    accuracy = 0.7 - 0.13 * np.exp(-(ops - 15e6) / 35e6) - np.abs(rng.normal(0, 0.02, count))
    accuracy[::50] = np.nan  # failed
    state = np.where(np.isnan(accuracy), "failed", "finished")
    columns = {
        "stage": pa.repeat("inherited", count),
        "number": np.arange(count),
        "state": state,
        "reason": pa.array(np.where(state == "failed", "out of memory", None)),
        "space": pa.repeat("nasbnn", count),
        "architecture": texts.take(pa.array(chosen)),
        "id": ids.take(pa.array(chosen)),
        "generation": (np.arange(count) // 64).astype("int32"),
        "proposer": pa.repeat("evolution", count),
        "operator": pa.array(np.where(np.arange(count) % 2, "mutation", "crossover")),
        "parents": pa.ListArray.from_arrays(
            pa.array(np.arange(count + 1, dtype="int32")), ids.take(pa.array(chosen[::-1].copy()))
        ),
        "accuracy": accuracy,
        "loss": 2 - accuracy,
        "flops": costs.flops[chosen],
        "int8_ops": costs.int8_ops[chosen],
        "bops": costs.bops[chosen],
        "ops": ops,
        "params": costs.params[chosen],
        "bits": costs.bits[chosen],
        "bytes": -(-costs.bits[chosen] // 8),
        "seed": rng.integers(0, 2**62, count),
        "attempt": np.ones(count, dtype="int32"),
        "started": pa.array(np.arange(count) * 1_000_000).cast(pa.timestamp("us", tz="UTC")),
        "seconds": rng.random(count),
        "host": pa.repeat("host", count),
        "worker": pa.array(np.arange(count) % 16).cast(pa.string()),
        "versions": pa.repeat('{"binarynas": "0.1.0"}', count),
    }
    schema = trial_schema()
    return pa.Table.from_arrays([_column(columns[field.name], field.type) for field in schema], schema=schema)


def _column(values: pa.Array | np.ndarray, wanted: pa.DataType) -> pa.Array:
    return (values if isinstance(values, pa.Array) else pa.array(values)).cast(wanted)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1_000_000)
    parser.add_argument("--architectures", type=int, default=100_000, help="different ones among the trials")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    table = make_trials(arguments.trials, arguments.architectures)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trials.parquet"
        pq.write_table(table, file, compression="zstd")
        size = file.stat().st_size
        trials: pd.DataFrame = load_trials(file)
        points = trials[["ops", "accuracy"]].to_numpy()
        tasks: dict[str, Callable[[], object]] = {
            "load": lambda: load_trials(file),
            "front": lambda: front(trials),
            "hypervolume trial by trial": lambda: hypervolume_history(points, (2e8, 0.4), ("min", "max")),
        }
        times: dict[str, list[float]] = {name: [] for name in tasks}
        for _ in range(arguments.repeats):  # interleaved, so that a busy spell of the machine meets all of them
            for name, work in tasks.items():
                times[name].append(seconds(work))
    print(f"{len(trials):,} trials, a file of {size / 1e6:.0f} MB, front of {len(front(trials)):,}")
    print(f"seconds: median (least to most) of {arguments.repeats}")
    for name, values in times.items():
        print(f"  {name:28} {statistics.median(values):6.2f}  ({min(values):.2f} to {max(values):.2f})")
    print(json.dumps({"trials": len(trials), "bytes": size, "seconds": times}))


if __name__ == "__main__":
    main()
