"""Draws how many trials of each operator reached the front."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def plot_operators(table: pd.DataFrame) -> Figure:
    """The table of `analysis.statistics.operator_table`: the rate of every operator, with its interval."""
    raise NotImplementedError
