"""Draws cells as graphs: states in a row, layers as arcs above it, the concatenation below."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path

from analysis.findings.cells import OUTPUT, CellData, cell_data, kind
from analysis.plots import layer_types, style

_RISE = 0.45  # how high an arc is for each state that it passes
_BELOW = 0.85  # room under the states, for the concatenation


def draw_cell(cells: CellData | str) -> Figure:
    """One row per cell: its two inputs and its nodes from left to right, an arc per layer, and the output on the right.

    An arc is as high as it is long, so that no two labels meet; layers that do nothing are grey and dashed.
    """
    data = cell_data(cells) if isinstance(cells, str) else cells
    widest = max((x for places in data.nodes.values() for x in places.values()), default=6.0) + 1
    heights = {name: _RISE * _top(data, name) + _BELOW + 0.55 for name in data.nodes}
    # a unit is an inch, or a little less where there are many nodes
    total = sum(heights.values()) or 1.0
    inch = min(1.0, 7.2 / widest)
    figure, axes = style.new_figure(width=max(widest * inch, 3.0), height=total * inch + 0.1)
    axes.set(xlim=(-0.5, widest - 0.5), ylim=(0, total))
    axes.set_axis_off()
    axes.set_aspect("equal")
    floor = total
    for name, height in heights.items():
        floor -= height
        axes.text(-0.45, floor + height - 0.1, style.plain(f"{name} cell"), va="top", fontsize=style.TEXT_SIZE)
        _draw(axes, data, name, floor + _BELOW)
    return figure


def _top(data: CellData, cell: str) -> float:
    return max((height for _, _, height, _ in data.arcs(cell)), default=1.0)


def _draw(axes: Axes, data: CellData, cell: str, level: float) -> None:
    """Draw one cell with its states at a height."""
    into: dict[float, int] = {}
    for start, end, height, layer in data.arcs(cell):
        into[end] = into.get(end, -1) + 1
        landing = end - 0.14 + 0.12 * into[end]  # arrows into one node do not share a head
        _arc(axes, (start + 0.12, landing), level, _RISE * height, layer)
    joined = data.joined(cell)
    if joined:
        end, bus = data.nodes[cell][OUTPUT], level - 0.5
        for x in joined:
            axes.plot([x, x], [level - 0.2, bus], color=style.GREY, linewidth=0.9)
        axes.plot([min(joined), end, end], [bus, bus, level - 0.14], color=style.GREY, linewidth=0.9)
        style.write(axes, (min(joined) + end) / 2, bus - 0.04, "concatenated", va="top", color=style.GREY)
    for name, x in data.nodes[cell].items():
        face = "#e8f1f8" if name.startswith("node") else "#f2f2f2"
        box = {"boxstyle": "round,pad=0.35", "facecolor": face, "edgecolor": style.GREY, "linewidth": 0.8}
        style.write(axes, x, level, name.replace(" ", "\n"), zorder=6, linespacing=0.95, bbox=box)


def _arc(axes: Axes, ends: tuple[float, float], level: float, rise: float, layer: str) -> None:
    start, end = ends
    foot = level + 0.2
    peak = foot + 4 / 3 * rise  # a cubic curve reaches three quarters of the way to its control points
    corners = [(start, foot), (start, peak), (end, peak), (end, foot)]
    path = Path(corners, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
    colour = layer_types.colour(layer)
    arrow = FancyArrowPatch(path=path, arrowstyle="-|>", mutation_scale=9, fill=False, color=colour, linewidth=1.3)
    arrow.set_linestyle("--" if kind(layer) == "none" else "-")
    axes.add_patch(arrow)
    box = {"facecolor": "white", "linewidth": 0, "pad": 1.2}
    style.write(axes, (start + end) / 2, foot + rise, style.plain(layer), color=colour, bbox=box, zorder=5)
