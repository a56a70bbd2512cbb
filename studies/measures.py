"""What is measured of a finished run, in points of accuracy or as it is said; and of a table of networks."""

import json
import math
import random
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.findings.facts import run_facts, whole
from analysis.findings.front import load_front
from analysis.findings.sweep import layer_shares
from analysis.measures.ranks import rank_correlation
from analysis.runs.events import load_epochs
from analysis.runs.layout import REFERENCES_FILE
from analysis.runs.trials import numbers
from analysis.stages import search_stage
from analysis.tables.table import load_table
from spaces import Architecture

STRATA = 3


def seconds(folder: Path) -> float:
    """How long a run took in all, pauses left out: the epochs of its supernet, and its trials one after another."""
    run, epochs = run_facts(folder), load_epochs(folder)
    speeds = numbers(epochs[epochs["phase"] == "supernet"], "images_per_second")[:, 0]
    images = whole(run.data, "train") or 0
    return float(np.nansum(images / speeds) + np.nansum(numbers(run.trials, "seconds")))


def _of(run: Path, stage: str | None, column: str = "accuracy") -> pd.Series:
    """A column of the finished trials of a stage (None: of the search itself), by the candidates' ids."""
    trials = run_facts(run).trials
    done = trials[(trials["stage"] == (stage or search_stage(trials))) & (trials["state"] == "finished")]
    return pd.Series(numbers(done, column)[:, 0], index=done["id"].astype("str").tolist())


def candidates(run: Path) -> float:
    """Mean validation accuracy of all candidates of the search."""
    return 100 * float(_of(run, None).mean())


def final(run: Path) -> float:
    """Mean validation accuracy after the final training."""
    return 100 * float(_of(run, "final").mean())


def finetuned(run: Path) -> float:
    """Mean validation accuracy of the finetuned networks."""
    return 100 * float(_of(run, "finetuned").mean())


def inherited(run: Path) -> float:
    """Mean validation accuracy of the finetuned networks, before they were finetuned."""
    return 100 * float(_of(run, None)[_of(run, "finetuned").index].mean())


def log_operations(run: Path) -> float:
    """Mean logarithm (base 2) of the operations of the last generation's candidates."""
    trials = run_facts(run).trials
    own = trials[trials["stage"] == search_stage(trials)]
    last = own[own["generation"] == own["generation"].max()]
    return float(np.log2(numbers(last, "ops")[:, 0]).mean())


def convolutions(run: Path) -> float:
    """Share of the genotype's edges, in percent, that are convolutions: layers with weights to learn."""
    trials = run_facts(run).trials
    facts = trials.loc[trials["stage"] == "searched", "facts"].dropna().tolist()
    return float(np.mean([100 * layer_shares(json.loads(each)["genotype"])["convolutions"] for each in facts]))


def zeroise(run: Path) -> float:
    """Share of the genotype's edges, in percent, that are Zeroise."""
    trials = run_facts(run).trials
    facts = trials.loc[trials["stage"] == "searched", "facts"].dropna().tolist()
    return float(np.mean([100 * layer_shares(json.loads(each)["genotype"])["zeroise"] for each in facts]))


def _stratum(run: Path, place: int) -> float:
    accuracy, ops = _of(run, None), _of(run, None, "ops")
    parts = np.array_split(np.argsort(ops.to_numpy(), kind="stable"), STRATA)
    return 100 * float(accuracy.to_numpy()[parts[place]].mean())


def cheapest(run: Path) -> float:
    """Mean validation accuracy of the third of the candidates that has the fewest operations."""
    return _stratum(run, 0)


def dearest(run: Path) -> float:
    """Mean validation accuracy of the third of the candidates that has the most operations."""
    return _stratum(run, STRATA - 1)


def _uniform(run: Path, ratio: str) -> pd.Series:
    found = pd.read_csv(run / REFERENCES_FILE)
    return found[found["operator"] == f"uniform {ratio}x"].iloc[0]


def _searched(run: Path, ratio: str) -> float:
    """Test accuracy of the network that validation prefers among those that cost no more than the uniform one."""
    return _within(run, float(_uniform(run, ratio)["ops"]))


def _within(run: Path, most: float) -> float:
    """Test accuracy of the network that validation prefers among those of the front with at most so many operations."""
    front = load_front(run)
    allowed = front[numbers(front, "ops")[:, 0] <= most]
    if not len(allowed):
        return math.nan
    best = allowed.iloc[int(np.argmax(numbers(allowed, "accuracy")[:, 0]))]
    return 100 * float(best["test_accuracy"])


def _at(of: Callable[[Path, str], float], ratio: str) -> Callable[[Path], float]:
    return lambda run: of(run, ratio)


MEASURES: dict[str, Callable[[Path], float]] = {
    "accuracy of candidates": candidates,
    "accuracy of candidates with the fewest operations": cheapest,
    "accuracy of candidates with the most operations": dearest,
    "accuracy when finetuned": finetuned,
    "accuracy before finetuning": inherited,
    "accuracy when trained": final,
    "log2 of operations": log_operations,
    "convolutions among layers": convolutions,
    "Zeroise among layers": zeroise,
    "test accuracy, searched, at most uniform 1x": _at(_searched, "1"),
    "test accuracy, searched, at most uniform 2x": _at(_searched, "2"),
    "test accuracy, at most 25 K OPs": lambda run: _within(run, 25e3),
    "test accuracy, uniform 1x": lambda run: 100 * float(_uniform(run, "1")["test_accuracy"]),
    "test accuracy, uniform 2x": lambda run: 100 * float(_uniform(run, "2")["test_accuracy"]),
}
"""Measures of one run, by the names that claims use."""
RANKS = "rank agreement"
"""The measure of two runs: Kendall's tau between the candidates of one and the final trainings of the reference."""


def rank_agreement(run: Path, reference: Path) -> float:
    """Kendall's tau between accuracies by shared weights and, in the reference, of training from nothing."""
    trained = _of(reference, "final")
    shared = _of(run, None).reindex(trained.index)
    return rank_correlation(shared, trained).kendall.value


# Tables -------------------------------------------------------------------------------------------------------------

NETWORKS = 400
"""Networks of a table that are looked at, with all their neighbours."""


class Change(NamedTuple):
    """A single change of a network: of what, in which stage (0 is the stem), by how much the logarithm of operations
    grows, and by how many points the accuracy, the mean over the table's supernets."""

    kind: str
    stage: int
    operations: float
    points: float


@cache
def changes_of(name: str) -> list[list[Change]]:
    """All single changes of each of some networks of a table, drawn at random but always the same."""
    table = load_table(name)
    places = np.random.default_rng(0).choice(table.places, NETWORKS, replace=False)
    accuracy = dict(zip(table.places.tolist(), (100 * table.values("accuracy")).tolist(), strict=True))
    ops = dict(zip(table.places.tolist(), np.log2(table.values("ops")).tolist(), strict=True))
    found: list[list[Change]] = []
    for place in places.tolist():
        member = table.space.unrank(place)
        near = [(each, table.space.rank(each)) for each in table.space.neighbours(member)]
        found.append(
            [
                Change(*_difference(member, each), ops[at] - ops[place], accuracy[at] - accuracy[place])
                for each, at in near
            ]
        )
    return found


def _difference(one: Architecture, other: Architecture) -> tuple[str, int]:
    """What two networks that differ by one change differ in, and in which stage."""
    for number, (ours, theirs) in enumerate(zip(one.stages, other.stages, strict=True), 1):
        if len(ours) != len(theirs):
            return "depth", number
        for layer, changed in zip(ours, theirs, strict=True):
            if layer != changed:
                return next(name for name in layer._fields if getattr(layer, name) != getattr(changed, name)), number
    return "stem", 0


def _slope(changes: Sequence[Change], kind: str, stage: int | None = None) -> float:
    """Points of accuracy per doubling of operations, over all changes of a kind; NaN where a network has none."""
    own = [each for each in changes if each.kind == kind and stage in (None, each.stage) and each.operations != 0]
    grown = sum(abs(each.operations) for each in own)
    return sum(math.copysign(1, each.operations) * each.points for each in own) / grown if grown else math.nan


def groups_rather_than(table: str, kind: str) -> list[float]:
    """How much less accuracy more groups lose than the other way does, for the operations that they save."""
    return [_slope(changes, kind) - _slope(changes, "groups") for changes in changes_of(table)]


def kernels_deep(table: str) -> list[float]:
    """How much more accuracy a 5x5 kernel adds in the last stage than in the second, for the operations it takes."""
    return [_slope(each, "kernel_size", 3) - _slope(each, "kernel_size", 2) for each in changes_of(table)]


def below_the_middle(table: str) -> list[float]:
    """By how many percentiles of the table's operations networks that are drawn gene by gene lie below the middle,
    where those drawn uniformly lie on average."""
    found, rng = load_table(table), random.Random(0)
    ops = np.sort(found.values("ops"))
    drawn = np.asarray([found.space.cost(found.space.sample_genes(rng)).ops for _ in range(NETWORKS)])
    ranks = (np.searchsorted(ops, drawn, "left") + np.searchsorted(ops, drawn, "right")) / 2
    return (50 - 100 * ranks / len(ops)).tolist()


TABLE_MEASURES: dict[str, Callable[[str], list[float]]] = {
    "groups rather than width": lambda table: groups_rather_than(table, "width"),
    "groups rather than depth": lambda table: groups_rather_than(table, "depth"),
    "kernels of 5 in deep stages": kernels_deep,
    "operations below the middle": below_the_middle,
}
"""Measures of a table by its name: a difference for each of some networks."""
