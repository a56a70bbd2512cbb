"""Draws what several runs attain: the median surface and the quartiles."""

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
class AttainmentData:
    """`surfaces` holds for every group of runs the corners that a quarter, half and three quarters attain."""

    x: str
    y: str
    runs: dict[str, int]
    surfaces: dict[str, dict[float, Floats]]

    def table(self) -> pd.DataFrame:
        """The data as written beside the figure."""
        raise NotImplementedError


def attainment_data(groups: Groups, x: str = "ops", y: str = "accuracy") -> AttainmentData:
    """A frame with a column `run`, a list of frames, or lists of frames by the name of what was compared."""
    raise NotImplementedError


def plot_attainment(data: AttainmentData) -> Figure:
    """The median surface of every group as stairs, with the quartiles as a band."""
    raise NotImplementedError
