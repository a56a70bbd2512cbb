"""Compares runs at the same budget: hypervolume, what is reached at equal operations, and how sure that is."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from analysis.findings.facts import RunFacts, run_facts, section
from analysis.findings.front import front
from analysis.findings.growth import hypervolume_data
from analysis.measures.intervals import Interval, mean_interval
from analysis.measures.pareto import Floats
from analysis.runs.layout import RunError
from analysis.runs.trials import numbers, run_paths
from analysis.stages import competing, of_stage

if TYPE_CHECKING:
    import pandas as pd

LEVELS = 4  # operations at which accuracies are compared


@dataclass(frozen=True)
class RunResult:
    """What one run reached with the trials that all runs have.

    `hypervolume` is the share, 0 to 1, of the box that the runs share; `front` how many trials are on the front, `best`
    the highest accuracy (NaN without a finished trial), `reached` the best accuracy at each of the comparison's levels
    of OPs (NaN where the run has no network as cheap).
    """

    name: str
    group: str
    seed: int | None
    trials: int
    finished: int
    failed: int
    front: int
    hypervolume: float
    best: float
    reached: tuple[float, ...]


@dataclass(frozen=True)
class GroupResult:
    """Runs of one configuration that differ in their seeds: means with Student's 95 % intervals (NaN for one run)."""

    name: str
    runs: tuple[str, ...]
    hypervolume: Interval
    best: Interval
    reached: tuple[Interval, ...]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several runs at the same number of trials.

    `trials` is how many trials of its search each run is judged by, `levels` the OPs at which accuracies are compared,
    `reference` and `ideal` the corners of the box (OPs, accuracy), None without any finished trial. `frames` holds
    those trials by the runs' names; `notes` says what makes the runs hard to compare.
    """

    trials: int
    levels: tuple[float, ...]
    reference: tuple[float, float] | None
    ideal: tuple[float, float] | None
    runs: tuple[RunResult, ...]
    groups: tuple[GroupResult, ...]
    notes: tuple[str, ...]
    frames: Mapping[str, pd.DataFrame]


def compare(runs: Sequence[str | os.PathLike[str]]) -> Comparison:
    """Compare runs by their folders; raises `RunError` where one cannot be read or fewer than two are given."""
    paths = run_paths(list(runs))
    if len(paths) < 2:
        raise RunError(f"a comparison needs two different runs or more; got {len(paths)}")
    return compare_runs([run_facts(path, name) for name, path in paths.items()])


def compare_runs(runs: Sequence[RunFacts]) -> Comparison:
    """Compare runs that have been read already."""
    ordered = {run.name: _searched(run.trials) for run in runs}
    # a run that has only begun would leave nothing to compare the others by
    budget = min((len(frame) for frame in ordered.values() if len(frame)), default=0)
    frames = {name: frame.head(budget) for name, frame in ordered.items()}
    volumes = hypervolume_data(frames)
    labels = _group_names(runs)
    levels = _levels(frames)
    results: list[RunResult] = []
    for run in runs:
        frame, curve = frames[run.name], volumes.curves[run.name]
        states = frame["state"].astype("str").tolist()
        accuracy = _finite(frame)[:, 1]
        results.append(
            RunResult(
                name=run.name,
                group=labels[run.name],
                seed=run.seed,
                trials=len(ordered[run.name]),
                finished=states.count("finished"),
                failed=states.count("failed"),
                front=len(front(frame)),
                hypervolume=float(curve[-1]) if len(curve) else 0.0,
                best=float(accuracy.max()) if len(accuracy) else math.nan,
                reached=tuple(_reached(frame, level) for level in levels),
            )
        )
    groups = [_group(name, [r for r in results if r.group == name]) for name in dict.fromkeys(labels.values())]
    return Comparison(
        budget, levels, volumes.reference, volumes.ideal, tuple(results), tuple(groups), _notes(runs, ordered, budget),
        frames,
    )  # fmt: skip


def _searched(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials of the search itself that have ended, in their order; what was trained on later is left out."""
    chosen = of_stage(trials)
    return chosen[chosen["state"] != "running"].sort_values("number", kind="stable").reset_index(drop=True)


def _finite(frame: pd.DataFrame) -> Floats:
    """Operations and accuracy of the finished trials, shape (trials, 2)."""
    values = numbers(frame[competing(frame)], "ops", "accuracy")
    return values[np.isfinite(values).all(axis=1)]


def _levels(frames: Mapping[str, pd.DataFrame]) -> tuple[float, ...]:
    """Operations, two digits each, that divide the range which every run has reached evenly on a logarithmic scale."""
    ops = [_finite(frame)[:, 0] for frame in frames.values()]
    ops = [values[values > 0] for values in ops]
    if any(len(values) == 0 for values in ops):
        return ()
    low, high = max(values.min() for values in ops), min(values.max() for values in ops)
    if not low < high:
        return ()
    exact = np.geomspace(low, high, LEVELS + 1)[1:].tolist()
    return tuple(dict.fromkeys(float(f"{level:.2g}") for level in exact))


def _reached(frame: pd.DataFrame, level: float) -> float:
    values = _finite(frame)
    affordable = values[values[:, 0] <= level, 1]
    return float(affordable.max()) if len(affordable) else math.nan


def _group(name: str, results: Sequence[RunResult]) -> GroupResult:
    return GroupResult(
        name,
        tuple(result.name for result in results),
        mean_interval([result.hypervolume for result in results]),
        mean_interval([result.best for result in results]),
        tuple(mean_interval(column) for column in zip(*(result.reached for result in results), strict=True)),
    )


def _group_names(runs: Sequence[RunFacts]) -> dict[str, str]:
    """Every run's group: its configuration without the seed and without where it runs.

    A group is called by the settings in which groups differ, or by its first run's name where nothing says it shorter.
    """
    keys = {run.name: _configuration(run) for run in runs}
    flat = {key: _flat(json.loads(key)) for key in dict.fromkeys(keys.values())}
    settings = sorted({name for values in flat.values() for name in values})
    differing = [name for name in settings if len({repr(values.get(name)) for values in flat.values()}) > 1]
    names: dict[str, str] = {}
    for key, values in flat.items():
        words = ", ".join(f"{name.rpartition('.')[2]} {values[name]}" for name in differing if name in values)
        first = next(name for name, own in keys.items() if own == key)
        names[key] = words if words and len(words) <= 60 and words not in names.values() else first
    return {name: names[key] for name, key in keys.items()}


def _configuration(run: RunFacts) -> str:
    if not run.config:
        return json.dumps({"run": run.name})  # nothing is known of it, so it is alike to no other
    kept = {name: value for name, value in run.config.items() if name not in ("seed", "execution")}
    # how long a search lasts does not tell groups apart: all are judged at the same number of trials
    search = section(run.config, "search")
    kept["search"] = {name: value for name, value in search.items() if name not in ("trials", "seed")}
    # a setting that is left open is as good as absent: older runs do not know those that came later
    return json.dumps(_without_null(kept), sort_keys=True, default=str)


def _without_null(value: object) -> object:
    if not isinstance(value, dict):
        return value
    known = cast("dict[str, object]", value)
    return {name: _without_null(own) for name, own in known.items() if own is not None}


def _flat(values: object, prefix: str = "") -> dict[str, object]:
    if not isinstance(values, dict):
        return {prefix: values}
    found: dict[str, object] = {}
    for name, value in values.items():  # pyright: ignore[reportUnknownVariableType]
        found |= _flat(value, f"{prefix}.{name}" if prefix else str(name))  # pyright: ignore[reportUnknownArgumentType]
    return found


def _notes(runs: Sequence[RunFacts], ordered: Mapping[str, pd.DataFrame], budget: int) -> tuple[str, ...]:
    notes: list[str] = []
    longer = [f"{name} has {len(frame):,}" for name, frame in ordered.items() if len(frame) > budget]
    if longer:
        notes.append(f"every run is judged by its first {budget:,} trials; {', '.join(longer)}")
    empty = [name for name, frame in ordered.items() if not len(frame)]
    if empty:
        notes.append(f"no trial has ended in {', '.join(empty)}")
    data = {(str(run.data.get("name")), run.validation_images) for run in runs}
    prints = {(run.data.get("fingerprint"), run.seed) for run in runs}
    if len(data) > 1 or len(prints) > len({run.seed for run in runs}):
        notes.append(
            "the runs were measured on different data or different cuts of them, so that accuracies hardly compare"
        )
    elif len({fingerprint for fingerprint, _ in prints}) > 1:
        notes.append("every seed cuts a validation split of its own, whose images are part of the spread over seeds")
    spaces = {run.name: (repr(run.space) if run.space else None) for run in runs}
    if len(set(spaces.values())) > 1:
        notes.append("the runs searched different spaces")
    unfinished = [run.name for run in runs if not run.finished]
    if unfinished:
        notes.append(f"not finished yet: {', '.join(unfinished)}")
    return tuple(notes)
