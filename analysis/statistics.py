"""How sure one can be: intervals, agreement of ranks between stages, spread over seeds, what made the front."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval, NaN where it cannot be told, from `count` values."""

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class RankCorrelation:
    """Agreement of two orders of the same `pairs` architectures: 1 the same order, 0 none, -1 reversed."""

    pairs: int
    spearman: Interval
    kendall: Interval


def mean_interval(values: npt.ArrayLike) -> Interval:
    """Mean of independent values, with the interval of Student's t; values that are not finite are left out."""
    raise NotImplementedError


def rank_correlation(first: npt.ArrayLike, second: npt.ArrayLike, seed: int = 0) -> RankCorrelation:
    """Spearman's rho and Kendall's tau-b of paired values, with bootstrap intervals (10,000 or fewer resamples)."""
    raise NotImplementedError


def paired_stages(
    trials: pd.DataFrame, first: str = "inherited", second: str = "finetuned", y: str = "accuracy"
) -> pd.DataFrame:
    """Architectures that finished in both stages: `id`, `architecture`, and `y` in columns named after the stages."""
    raise NotImplementedError


def stage_correlation(
    trials: pd.DataFrame, first: str = "inherited", second: str = "finetuned", y: str = "accuracy", seed: int = 0
) -> RankCorrelation:
    """Whether the second stage ranks architectures as the first did."""
    raise NotImplementedError


def seed_spread(trials: pd.DataFrame, y: str = "accuracy") -> pd.DataFrame:
    """Architectures measured more than once in a stage, over seeds and runs.

    Columns `id`, `architecture`, `stage`, `count`, `mean`, `low`, `high` (95 %), `deviation` (of one measurement).
    """
    raise NotImplementedError


def operator_table(trials: pd.DataFrame, x: str = "ops", y: str = "accuracy", stage: str = "inherited") -> pd.DataFrame:
    """Which operator made the front's networks.

    Columns `operator`, `trials`, `failed`, `front` (how many of the front), `rate` (front / trials), `low`, `high`
    (95 %, Wilson).
    """
    raise NotImplementedError


def split_runs(trials: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """A frame of several runs by name, in their order; a frame of one run under the name ""."""
    raise NotImplementedError
