"""Draws how the hypervolume of groups of runs grows with their trials, with intervals over the runs."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.pareto import Floats

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.attainment import Groups


@dataclass(frozen=True, eq=False)
class SeedsData:
    """Mean share of the common box that runs cover after 1, 2, ... trials, with the 95 % interval of that mean."""

    x: str
    y: str
    runs: dict[str, int]
    mean: dict[str, Floats]
    low: dict[str, Floats]
    high: dict[str, Floats]

    def table(self) -> pd.DataFrame:
        """The data as written beside the figure."""
        raise NotImplementedError


def seeds_data(
    groups: Groups, x: str = "ops", y: str = "accuracy", reference: tuple[float, float] | None = None
) -> SeedsData:
    """Groups as for `attainment_data`; of runs of different length, as many trials as the shortest of a group has."""
    raise NotImplementedError


def plot_seeds(data: SeedsData) -> Figure:
    """One line a group, its interval as a band."""
    raise NotImplementedError
