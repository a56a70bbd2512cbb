"""Draws cells as graphs: states in a row, layers as arcs above it, the concatenation below."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.findings.cells import INPUTS, Cell, kind, parse_cells
from analysis.findings.genes import split_text
from analysis.plots import layer_types, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OUTPUT = "output"
_RISE = 0.45  # how high an arc is for each state that it passes
_BELOW = 0.85  # room under the states, for the concatenation


@dataclass(frozen=True, eq=False)
class CellData:
    """What `draw_cell` draws: where the states of each cell stand, and what joins them.

    `nodes` holds, by the cell's name, the place of every state by name; `edges` the source, target and layer type of
    every edge, those into the output without a layer.
    """

    nodes: dict[str, dict[str, tuple[float, float]]]
    edges: dict[str, tuple[tuple[str, str, str], ...]]

    def table(self) -> pd.DataFrame:
        """One row an edge: `cell`, `source`, `target`, `layer`."""
        import pandas as pd

        rows = [(cell, *edge) for cell, edges in self.edges.items() for edge in edges]
        return pd.DataFrame(rows, columns=["cell", "source", "target", "layer"])


def cell_data(text: str) -> CellData:
    """States and edges of the cells of a text form (see `analysis.findings.cells.parse_cells`, which also raises)."""
    cells = parse_cells(split_text(text)[0])
    return CellData({cell.name: _nodes(cell) for cell in cells}, {cell.name: _edges(cell) for cell in cells})


def draw_cell(cells: CellData | str) -> Figure:
    """One row a cell: its two inputs and its nodes from left to right, an arc a layer, and the output on the right.

    An arc is as high as it is long, so that no two labels meet; layers that do nothing are grey and dashed.
    """
    data = cell_data(cells) if isinstance(cells, str) else cells
    widest = max((x for places in data.nodes.values() for x, _ in places.values()), default=6.0) + 1
    heights = {name: _RISE * _top(data, name) + _BELOW + 0.55 for name in data.nodes}
    # a unit is an inch, or a little less where there are many nodes
    total = sum(heights.values()) or 1.0
    inch = min(1.0, 7.2 / widest)
    figure, axes = style.new_figure(width=max(widest * inch, 3.0), height=total * inch + 0.1)
    axes.set(xlim=(-0.5, widest - 0.5), ylim=(0, total))
    axes.set_axis_off()
    axes.set_aspect("equal")
    if not data.nodes:
        axes.text(0.5, 0.5, "no cell to show", transform=axes.transAxes, ha="center", color=style.GREY)
    floor = total
    for name, height in heights.items():
        floor -= height
        axes.text(-0.45, floor + height - 0.1, style.plain(f"{name} cell"), va="top", fontsize=style.TEXT_SIZE)
        _draw(axes, data, name, floor + _BELOW)
    return figure


def _state(index: int) -> str:
    return f"input {index}" if index < INPUTS else f"node {index - INPUTS + 1}"


def _nodes(cell: Cell) -> dict[str, tuple[float, float]]:
    count = INPUTS + len(cell.nodes)
    return {_state(index): (float(index), 0.0) for index in range(count)} | {OUTPUT: (count + 0.0, 0.0)}


def _edges(cell: Cell) -> tuple[tuple[str, str, str], ...]:
    layers = [
        (_state(edge.source), _state(target), edge.layer)
        for target, edges in enumerate(cell.nodes, INPUTS)
        for edge in edges
    ]
    return (*layers, *((_state(target), OUTPUT, "") for target in range(INPUTS, INPUTS + len(cell.nodes))))


def arcs(data: CellData, cell: str) -> list[tuple[float, float, float, str]]:
    """Both ends, the height and the layer of every arc; of two between the same states the second is higher."""
    places = data.nodes[cell]
    seen: dict[tuple[str, str], int] = {}
    arcs: list[tuple[float, float, float, str]] = []
    for source, target, layer in data.edges[cell]:
        if layer:
            seen[source, target] = seen.get((source, target), -1) + 1
            start, end = places[source][0], places[target][0]
            arcs.append((start, end, end - start + 0.5 * seen[source, target], layer))
    return arcs


def _top(data: CellData, cell: str) -> float:
    return max((height for _, _, height, _ in arcs(data, cell)), default=1.0)


def _draw(axes: Axes, data: CellData, cell: str, level: float) -> None:
    """Draw one cell with its states at a height."""
    places = data.nodes[cell]
    into: dict[float, int] = {}
    for start, end, height, layer in arcs(data, cell):
        into[end] = into.get(end, -1) + 1
        landing = end - 0.14 + 0.12 * into[end]  # arrows into one node do not share a head
        _arc(axes, start + 0.12, landing, level, _RISE * height, layer)
    joined = [places[source][0] for source, target, _ in data.edges[cell] if target == OUTPUT]
    if joined:
        end, bus = places[OUTPUT][0], level - 0.5
        for x in joined:
            axes.plot([x, x], [level - 0.2, bus], color=style.GREY, linewidth=0.9)
        axes.plot([min(joined), end, end], [bus, bus, level - 0.14], color=style.GREY, linewidth=0.9)
        axes.text(
            (min(joined) + end) / 2, bus - 0.04, "concatenated", ha="center", va="top", fontsize=style.SMALL_SIZE,
            color=style.GREY,
        )  # fmt: skip
    for name, (x, y) in places.items():
        face = "#e8f1f8" if name.startswith("node") else "#f2f2f2"
        axes.text(
            x, level + y, name.replace(" ", "\n"), ha="center", va="center", fontsize=style.SMALL_SIZE, zorder=6,
            linespacing=0.95,
            bbox={"boxstyle": "round,pad=0.35", "facecolor": face, "edgecolor": style.GREY, "linewidth": 0.8},
        )  # fmt: skip


def _arc(axes: Axes, start: float, end: float, level: float, rise: float, layer: str) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    colour = layer_types.colour(layer)
    foot = level + 0.2
    peak = foot + 4 / 3 * rise  # a cubic curve reaches three quarters of the way to its control points
    path = Path(
        [(start, foot), (start, peak), (end, peak), (end, foot)],
        [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
    )
    axes.add_patch(
        FancyArrowPatch(
            path=path, arrowstyle="-|>", mutation_scale=9, color=colour, linewidth=1.3, fill=False,
            linestyle="--" if kind(layer) == "none" else "-",
        )
    )  # fmt: skip
    axes.text(
        (start + end) / 2, foot + rise, style.plain(layer), ha="center", va="center", fontsize=style.SMALL_SIZE,
        color=colour, bbox={"facecolor": "white", "linewidth": 0, "pad": 1.2}, zorder=5,
    )  # fmt: skip
