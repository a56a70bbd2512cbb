"""Compares runs at the same number of trials: hypervolume, and accuracy at equal operations, with intervals."""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import cast

import numpy as np
import pandas as pd

from analysis.findings.facts import RunFacts, run_facts, section
from analysis.findings.front import front
from analysis.findings.growth import hypervolume_data
from analysis.measures.intervals import Interval, mean_interval
from analysis.measures.pareto import Floats
from analysis.measures.verdicts import Effect, holm, paired_effect
from analysis.runs.layout import RunError
from analysis.runs.trials import numbers, run_paths
from analysis.stages import competing, of_stage
from spaces.errors import listed

LEVELS = 4  # operations at which accuracies are compared


@dataclass(frozen=True)
class RunResult:
    """What one run reached with as many trials as all runs have.

    `hypervolume` is the share, 0 to 1, of the box that the runs share; `front` the number of trials on the front,
    `best` the highest accuracy (NaN without a finished trial), `reached` the best accuracy at each of the comparison's
    levels of OPs (NaN where the run has no network that cheap).
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


@dataclass(frozen=True)
class GroupDifference:
    """What a second group of runs gains in hypervolume over a first, over the seeds that both have; `adjusted` is its p
    among all pairs of groups, after Holm's correction."""

    first: str
    second: str
    hypervolume: Effect
    adjusted: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several runs at the same number of trials.

    Each run is judged by the first `trials` trials of its search, which `frames` has by the run's name. `levels` are
    the OPs at which accuracies are compared, `reference` and `ideal` the corners of the box (OPs, accuracy), None
    without a finished trial. `differences` says what groups gain over others in hypervolume, over the seeds that both
    have. `notes` says what makes the runs hard to compare.
    """

    trials: int
    levels: tuple[float, ...]
    reference: tuple[float, float] | None
    ideal: tuple[float, float] | None
    runs: tuple[RunResult, ...]
    groups: tuple[GroupResult, ...]
    differences: tuple[GroupDifference, ...]
    notes: tuple[str, ...]
    frames: Mapping[str, pd.DataFrame]


def compare(runs: Sequence[str | os.PathLike[str]]) -> Comparison:
    """Compare runs by their folders; raises `RunError` where one cannot be read or fewer than two are given."""
    return compare_runs(facts_of(runs))


def facts_of(runs: Sequence[str | os.PathLike[str]]) -> list[RunFacts]:
    """What is known about runs that are to be compared; raises as `compare` does."""
    paths = run_paths(list(runs))
    if len(paths) < 2:
        raise RunError(f"a comparison needs two different runs or more; got {len(paths)}")
    return [run_facts(path, name) for name, path in paths.items()]


def compare_runs(runs: Sequence[RunFacts]) -> Comparison:
    """Compare runs that were read already."""
    ordered = {run.name: _searched(run.trials) for run in runs}
    # an empty run does not count, as it would leave no trial to compare the others by
    budget = min((len(frame) for frame in ordered.values() if len(frame)), default=0)
    frames = {name: frame.head(budget) for name, frame in ordered.items()}
    volumes = hypervolume_data(frames)
    labels = _group_names(runs)
    levels = _levels(frames)
    results = tuple(
        _result(run, labels[run.name], len(ordered[run.name]), frames[run.name], volumes.curves[run.name], levels)
        for run in runs
    )
    groups = tuple(_group(name, [r for r in results if r.group == name]) for name in dict.fromkeys(labels.values()))
    notes = tuple(_notes(runs, ordered, budget))
    differences = _differences(results)
    return Comparison(budget, levels, volumes.reference, volumes.ideal, results, groups, differences, notes, frames)


def _result(
    run: RunFacts, group: str, trials: int, frame: pd.DataFrame, curve: Floats, levels: Sequence[float]
) -> RunResult:
    states = frame["state"].astype("str").tolist()
    accuracy = _finite(frame)[:, 1]
    return RunResult(
        name=run.name,
        group=group,
        seed=run.seed,
        trials=trials,
        finished=states.count("finished"),
        failed=states.count("failed"),
        front=len(front(frame)),
        hypervolume=float(curve[-1]) if len(curve) else 0.0,
        best=float(accuracy.max()) if len(accuracy) else math.nan,
        reached=tuple(_reached(frame, level) for level in levels),
    )


def _searched(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials of the search itself that have ended, in their order; later trainings are left out."""
    chosen = of_stage(trials)
    return chosen[chosen["state"] != "running"].sort_values("number", kind="stable").reset_index(drop=True)


def _finite(frame: pd.DataFrame) -> Floats:
    """Operations and accuracy of the finished trials, shape (trials, 2)."""
    values = numbers(frame[competing(frame)], "ops", "accuracy")
    return values[np.isfinite(values).all(axis=1)]


def _levels(frames: Mapping[str, pd.DataFrame]) -> tuple[float, ...]:
    """Operations, two digits each, evenly spaced on a logarithmic scale over the range that every run has reached."""
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


def _differences(results: Sequence[RunResult]) -> tuple[GroupDifference, ...]:
    """Every two groups that share seeds, by the means of their runs of a seed."""
    volumes: dict[str, dict[int, list[float]]] = {}
    for result in results:
        if result.seed is not None:
            volumes.setdefault(result.group, {}).setdefault(result.seed, []).append(result.hypervolume)
    found: list[tuple[str, str, Effect]] = []
    for first, second in combinations(volumes, 2):
        one, other = volumes[first], volumes[second]
        gains = [fmean(other[seed]) - fmean(one[seed]) for seed in one if seed in other]
        found += [(first, second, paired_effect(gains))] if gains else []
    adjusted = holm([effect.p for *_, effect in found])
    return tuple(GroupDifference(*each, p) for each, p in zip(found, adjusted, strict=True))


def _group_names(runs: Sequence[RunFacts]) -> dict[str, str]:
    """Every run's group: the runs whose configurations differ in the seed and the execution only.

    Its name is the settings in which groups differ, or its first run's name where these are too long or not unique.
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
        return json.dumps({"run": run.name})  # nothing is known about it: it is a group of its own
    kept = {name: value for name, value in run.config.items() if name not in ("seed", "execution")}
    # the length of a search does not matter: all are judged at the same number of trials
    search = section(run.config, "search")
    kept["search"] = {name: value for name, value in search.items() if name not in ("trials", "seed")}
    # a setting of null counts as absent: configurations of older runs lack the settings that were added later
    return json.dumps(_without_null(kept), sort_keys=True, default=str)


def _without_null(value: object) -> object:
    if not isinstance(value, dict):
        return value
    settings = cast("dict[str, object]", value)
    return {name: _without_null(own) for name, own in settings.items() if own is not None}


def _flat(value: object, prefix: str = "") -> dict[str, object]:
    """Settings by their names with dots, such as search.trials."""
    if not isinstance(value, dict):
        return {prefix: value}
    found: dict[str, object] = {}
    for name, own in cast("dict[str, object]", value).items():
        found |= _flat(own, f"{prefix}.{name}" if prefix else name)
    return found


def _notes(runs: Sequence[RunFacts], ordered: Mapping[str, pd.DataFrame], budget: int) -> Iterator[str]:
    """What makes the runs hard to compare, as clauses without a full stop."""
    longer = [f"{name} has {len(frame):,}" for name, frame in ordered.items() if len(frame) > budget]
    if longer:
        yield f"every run is judged by its first {budget:,} trials; {listed(longer)}"
    empty = [name for name, frame in ordered.items() if not len(frame)]
    if empty:
        yield f"no trial has ended in {listed(empty)}"
    yield from _data_notes(runs)
    if len({repr(run.space) for run in runs}) > 1:
        yield "the runs searched different spaces"
    unfinished = [run.name for run in runs if not run.finished]
    if unfinished:
        yield f"not finished yet: {listed(unfinished)}"


def _data_notes(runs: Sequence[RunFacts]) -> Iterator[str]:
    data = {(str(run.data.get("name")), run.data.get("validation")) for run in runs}
    prints = {(str(run.data.get("fingerprint")), run.seed) for run in runs}
    if len(data) > 1 or len(prints) > len({run.seed for run in runs}):
        yield "the runs were measured on different data or different splits of them, so their accuracies hardly compare"
    elif len({fingerprint for fingerprint, _ in prints}) > 1:
        yield "every seed has its own validation split, whose images are part of the spread over seeds"
