"""Draws cells as graphs."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class CellData:
    """Where the states of each cell stand and what joins them: `nodes` and `edges` by the cell's name."""

    nodes: dict[str, dict[str, tuple[float, float]]]
    edges: dict[str, tuple[tuple[str, str, str], ...]]

    def table(self) -> pd.DataFrame:
        """The data as written beside the figure."""
        raise NotImplementedError


def cell_data(text: str) -> CellData:
    """Places of the cells of a text form (see `analysis.cells.parse_cells`)."""
    raise NotImplementedError


def draw_cell(cells: CellData | str) -> Figure:
    """Inputs on the left, nodes in order, the output on the right; an arrow a layer, with its type."""
    raise NotImplementedError
