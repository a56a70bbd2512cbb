"""Draws the accuracy of architectures in one stage against that in another."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.pareto import Floats
from analysis.statistics import RankCorrelation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class StagesData:
    """Pairs of shape (architectures, 2), in the unit of `y`, and how well their orders agree."""

    first: str
    second: str
    y: str
    pairs: Floats
    correlation: RankCorrelation

    def table(self) -> pd.DataFrame:
        """The data as written beside the figure."""
        raise NotImplementedError


def stages_data(
    trials: pd.DataFrame, first: str = "inherited", second: str = "finetuned", y: str = "accuracy"
) -> StagesData:
    """Architectures that finished in both stages."""
    raise NotImplementedError


def plot_stages(data: StagesData) -> Figure:
    """One dot an architecture; the line where both stages are equal; both correlations with their intervals."""
    raise NotImplementedError
