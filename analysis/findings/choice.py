"""The network of a run to take within limits on what it may cost."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.findings.front import load_front
from analysis.measures.pareto import Bools
from analysis.runs.layout import FRONT, MANIFEST_FILE, RunError
from analysis.runs.schema import LATENCY, TEST_ACCURACY
from analysis.runs.trials import load_trials, numbers
from analysis.stages import WORDS, competing
from analysis.units import cost_words, percent
from spaces.errors import BinarynasError


class LimitsError(BinarynasError, ValueError):
    """A limit that no network can have: says what was given and what is allowed."""


class NoCandidateError(BinarynasError, ValueError):
    """No network of a run is within the limits: names the nearest ones."""


@dataclass(frozen=True)
class Limits:
    """What the network may cost at most and must reach at least; None is no limit.

    `ops` are operations per image, `bytes` the size when deployed, `latency` milliseconds, `accuracy` a fraction.
    """

    ops: float | None = None
    accuracy: float | None = None
    latency: float | None = None
    params: float | None = None
    bytes: float | None = None

    def __post_init__(self) -> None:
        for name, value in self.most.items():
            if not (math.isfinite(value) and value > 0):
                raise LimitsError(f"the limit of {name} must be a positive number, got {value}")
        if self.accuracy is not None and not 0 <= self.accuracy <= 1:
            raise LimitsError(f"an accuracy is a fraction from 0 to 1, such as 0.95; got {self.accuracy:g}")

    @property
    def most(self) -> dict[str, float]:
        """The limits of costs, by column."""
        every = {"ops": self.ops, LATENCY: self.latency, "params": self.params, "bytes": self.bytes}
        return {column: value for column, value in every.items() if value is not None}

    def __str__(self) -> str:
        words = [f"at most {cost_words(column, value)}" for column, value in self.most.items()]
        if self.accuracy is not None:
            words.append(f"at least {percent(self.accuracy)} accuracy")
        return " and ".join(words) or "no limit"


@dataclass(frozen=True)
class Choice:
    """The network to take. Units as in the schema; `test_accuracy` and `latency_ms` are None where not measured.

    `folder` holds its weights as `models.load_network` reads them; None where the run has not written them, and then
    `weights` says how to get them.
    """

    architecture: str
    id: str
    stage: str
    number: int
    accuracy: float
    test_accuracy: float | None
    ops: float
    params: int
    bytes: int
    latency_ms: float | None
    folder: Path | None
    weights: str


def choose(run: str | os.PathLike[str], limits: Limits | None = None) -> Choice:
    """The best network of a run within limits.

    It is the most accurate one (on the validation split, as the search saw it), of equally accurate ones the cheapest
    in OPs. Where only an accuracy is asked for, it is the cheapest network that has it. All finished trials count, not
    only the front, as a network off the front of OPs may be the best by size; references do not.

    Raises `NoCandidateError` where no network is within the limits, `RunError` where the run cannot be read or lacks
    what the limits ask for.
    """
    limits = limits or Limits()
    path = Path(run)
    trials = load_trials(path)
    if LATENCY in limits.most and trials[LATENCY].isna().all():
        raise RunError(f"{path} has no latencies: its networks were not timed, so leave that limit out and use ops")
    done = trials[competing(trials)]
    usable: Bools = np.asarray(np.isfinite(numbers(done, "accuracy", "ops")).all(axis=1))
    done = done.loc[usable]
    if not len(done):
        raise NoCandidateError(f"no trial of {path} has finished, so there is no network to take yet")
    within = _within(done, limits)
    if not within.any():
        raise NoCandidateError(f"no network of {path} has {limits}; {_nearest(done, limits)}")
    cheapest = limits.accuracy is not None and not limits.most
    # of equals, one with weights of its own: they are in a file already
    chosen = done[within].assign(_inherited=done.loc[within, "stage"] == "inherited")
    first, rising = (["ops", "accuracy"], [True, False]) if cheapest else (["accuracy", "ops"], [False, True])
    best = chosen.sort_values([*first, "_inherited", "number"], ascending=[*rising, True, True], kind="stable")
    return _choice(path, best.head(1))


def _within(done: pd.DataFrame, limits: Limits) -> Bools:
    within = np.ones(len(done), dtype=np.bool_)
    for column, value in limits.most.items():
        within &= numbers(done, column)[:, 0] <= value  # NaN is not
    if limits.accuracy is not None:
        within &= numbers(done, "accuracy")[:, 0] >= limits.accuracy
    return within


def _nearest(done: pd.DataFrame, limits: Limits) -> str:
    """The two networks that miss the limits by the smallest share, and what they have."""
    done = done.sort_values("accuracy", ascending=False, kind="stable").drop_duplicates("id")
    missed = np.zeros(len(done))
    for column, value in limits.most.items():
        missed += np.maximum(numbers(done, column)[:, 0] / value - 1, 0)
    if limits.accuracy is not None:
        missed += np.maximum(limits.accuracy - numbers(done, "accuracy")[:, 0], 0)
    columns = ["accuracy", *(limits.most or {"ops": 0.0})]
    words: list[str] = []
    for at in np.argsort(missed, kind="stable").tolist()[:2]:
        values = numbers(done.iloc[[at]], *columns)[0].tolist()
        costs = " and ".join(cost_words(column, value) for column, value in zip(columns[1:], values[1:], strict=True))
        words.append(f"{done['id'].iloc[at]} with {costs} at {percent(values[0])}")
    return ("the nearest is " if len(words) == 1 else "the nearest are ") + " and ".join(words)


def _choice(path: Path, row: pd.DataFrame) -> Choice:
    """The choice of a frame's one row."""
    architecture, identity, stage = (str(row[name].iloc[0]) for name in ("architecture", "id", "stage"))
    accuracy, ops, latency = numbers(row, "accuracy", "ops", LATENCY)[0].tolist()
    number, params, size = map(int, numbers(row, "number", "params", "bytes")[0].tolist())
    folder, weights = _weights(path, identity, stage)
    return Choice(
        architecture=architecture,
        id=identity,
        stage=stage,
        number=number,
        accuracy=accuracy,
        test_accuracy=_test_accuracy(path, identity, stage),
        ops=ops,
        params=params,
        bytes=size,
        latency_ms=latency if math.isfinite(latency) else None,
        folder=folder,
        weights=weights,
    )


def _weights(path: Path, identity: str, stage: str) -> tuple[Path | None, str]:
    """The folder with the weights of a network, if any, and words on where they are or how to get them."""
    deployed = path / FRONT / identity
    if (deployed / MANIFEST_FILE).is_file() and _test_accuracy(path, identity, stage) is not None:
        return deployed, "the folder holds its weights"
    trained = path / stage / identity / "network"
    if stage != "inherited" and (trained / MANIFEST_FILE).is_file():
        return trained, f"the folder holds its weights, {WORDS.get(stage, stage)}"
    if stage == "inherited":
        return None, (
            f"its weights are those of the supernet, in supernet/trained: `binarynas export {path} --architecture "
            f"{identity}` extracts them"
        )
    if stage == "trained":
        return None, "it was trained as a candidate only, and its weights were not kept: train it to the end"
    return None, "the run has not written them; continue it with `binarynas resume`"


def _test_accuracy(path: Path, identity: str, stage: str) -> float | None:
    """The accuracy on the test split of a network of the finished front, in the stage that was measured."""
    if not path.is_dir():
        return None
    front = load_front(path)
    found = front[(front["id"].astype("str") == identity) & (front["stage"].astype("str") == stage)]
    value = float(numbers(found, TEST_ACCURACY)[0, 0]) if len(found) else math.nan
    return value if math.isfinite(value) else None
