"""Searches of several proposers on one table, seed by seed: how much of its front each has when, and who is better."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.measures.intervals import Interval
from analysis.measures.pairs import Match, matches, median_interval
from analysis.measures.pareto import Floats
from analysis.tables.yardstick import Yardstick

LEVELS = (0.9, 0.95, 0.99)
"""Shares of the table's own front whose first trials are counted."""
PARTS = (0.25, 0.5, 1.0)
"""Of the trials after which hypervolumes are told."""
_GRID = 200  # points in time of a curve


@dataclass(frozen=True, eq=False)
class Entrant:
    """The searches of one proposer, one for every seed, in the order of the seeds.

    `curves` has the share of the table's own front after every trial, shape (seeds, trials); `ends` the simulated
    seconds when each trial had ended, of the same shape; `timed` that share in the order of these ends, which is
    another one where workers measure side by side. `milliseconds` is the proposer's own time per trial, shape (seeds,).
    """

    name: str
    curves: Floats
    timed: Floats
    ends: Floats
    milliseconds: Floats

    def after(self, part: float) -> Floats:
        """The shares after a part of the trials, 0 to 1; (seeds,)."""
        return self.curves[:, max(1, round(part * self.curves.shape[1])) - 1]

    def trials_to(self, share: float | Floats) -> Floats:
        """The trials after which each search had a share, one for all or one for each; infinite where it never had."""
        return _first(self.curves >= np.reshape(share, (-1, 1)))

    def at(self, seconds: npt.ArrayLike) -> Floats:
        """The shares at points in simulated time: (times,) to (seeds, times)."""
        counts = [np.searchsorted(np.sort(ends), seconds, side="right") for ends in self.ends]
        padded = np.column_stack([np.zeros(len(self.timed)), self.timed])
        return np.stack([row[count] for row, count in zip(padded, counts, strict=True)])


def entrant(
    name: str, searches: Iterable[tuple[npt.ArrayLike, npt.ArrayLike, int]], yardstick: Yardstick, own: Sequence[float]
) -> Entrant:
    """The searches of a proposer, each by the objectives of its trials, shape (trials, objectives), their ends in
    simulated seconds, shape (trials,), and the replicate of the table; `own` has its milliseconds per trial.

    Searches that ended with fewer trials, as a small space has no more, keep what they had.
    """
    curves, timed, ends = list[Floats](), list[Floats](), list[Floats]()
    for points, end, replicate in searches:
        values, times = np.asarray(points, dtype=np.float64), np.asarray(end, dtype=np.float64)
        curves.append(yardstick.history(values, replicate))
        timed.append(yardstick.history(values[np.argsort(times, kind="stable")], replicate))
        ends.append(times)
    longest = max(map(len, ends))
    stacked = (
        np.stack([np.pad(row, (0, longest - len(row)), "edge") for row in rows]) for rows in (curves, timed, ends)
    )
    return Entrant(name, *stacked, milliseconds=np.asarray(own, dtype=np.float64))


def _first(reached: npt.NDArray[np.bool_]) -> Floats:
    """The number of the first column that is true, from 1; infinite where none is."""
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, np.inf)


@dataclass(frozen=True)
class Standing:
    """What is said of a proposer; medians over seeds with their 95 % intervals.

    `hypervolumes` are shares of the table's own front after a quarter, a half and all of the trials, `regret` what is
    missing of it at the end, `trials` those that 90, 95 and 99 % of it took, and `trials_to_first` those that what the
    first entrant has at its end took, seed by seed; infinite where they were not enough.
    """

    name: str
    hypervolumes: tuple[Interval, ...]
    regret: Interval
    trials: tuple[Interval, ...]
    trials_to_first: Interval
    milliseconds: float


@dataclass(frozen=True, eq=False)
class Race:
    """Several proposers on one table, all with the same seeds and number of trials."""

    table: str
    yardstick: Yardstick
    entrants: Mapping[str, Entrant] = field(default_factory=dict[str, Entrant])

    @property
    def trials(self) -> int:
        """Of each search."""
        return max((each.curves.shape[1] for each in self.entrants.values()), default=0)

    def standings(self) -> list[Standing]:
        """What is said of each proposer, in the order in which they were named."""
        first = next(iter(self.entrants.values()))
        return [_standing(each, first) for each in self.entrants.values()]

    def matches(self) -> list[Match]:
        """Everyone against everyone else, by what each has at its end."""
        return matches({name: dict(enumerate(map(float, each.after(1)))) for name, each in self.entrants.items()})

    def times(self) -> Floats:
        """Points in simulated time, from the first end of a trial to the last one of all; (times,)."""
        ends = [each.ends for each in self.entrants.values()]
        return np.linspace(min(float(np.min(each)) for each in ends), max(float(np.max(each)) for each in ends), _GRID)

    def frame(self) -> pd.DataFrame:
        """One row per proposer, seed (counted from 0) and trial: `hypervolume`, share of the table's own front, and
        `seconds`, when the trial had ended."""
        parts: list[pd.DataFrame] = []
        for name, each in self.entrants.items():
            seeds, trials = len(each.curves), int(each.curves.shape[1])
            columns: dict[str, object] = {
                "proposer": name,
                "search": np.repeat(np.arange(seeds), trials),
                "trial": np.tile(np.arange(1, trials + 1), seeds),
                "hypervolume": each.curves.reshape(-1),
                "seconds": each.ends.reshape(-1),
            }
            parts.append(pd.DataFrame(columns))
        return pd.concat(parts, ignore_index=True)


def _standing(each: Entrant, first: Entrant) -> Standing:
    return Standing(
        name=each.name,
        hypervolumes=tuple(median_interval(each.after(part)) for part in PARTS),
        regret=median_interval(1 - each.after(1)),
        trials=tuple(median_interval(each.trials_to(level)) for level in LEVELS),
        trials_to_first=median_interval(each.trials_to(first.after(1))),
        milliseconds=float(np.median(each.milliseconds)),
    )
