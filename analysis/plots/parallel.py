"""Draws trials as lines over parallel axes: what goes with what."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.pareto import Floats

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class ParallelData:
    """`values` has the shape (trials, columns), `front` tells which trials are on the front."""

    columns: tuple[str, ...]
    values: Floats
    front: tuple[bool, ...]
    colour: str
    missing: str

    def table(self) -> pd.DataFrame:
        """The data as written beside the figure."""
        raise NotImplementedError


def parallel_data(
    trials: pd.DataFrame, columns: Sequence[str] | None = None, x: str = "ops", y: str = "accuracy"
) -> ParallelData:
    """Columns are objectives, genes by name, or depth, width, kernel_size and groups (means over layers)."""
    raise NotImplementedError


def plot_parallel(data: ParallelData) -> Figure:
    """All trials lightly, the front's coloured by `y`."""
    raise NotImplementedError
