"""Draws how the hypervolume of one or several runs grows with their trials, which is how proposers are compared."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from collections.abc import Mapping
from typing import overload

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.findings.growth import Corner, HypervolumeData, hypervolume_data
from analysis.measures.pareto import Directions
from analysis.plots import style
from analysis.runs.trials import Source
from analysis.units import percent, quantity


@overload
def plot_hypervolume(
    data: HypervolumeData | Source | Mapping[str, Source],
    *,
    x: str = "ops",
    y: str = "accuracy",
    directions: Directions | None = None,
    ax: None = None,
) -> Figure: ...
@overload
def plot_hypervolume(
    data: HypervolumeData | Source | Mapping[str, Source],
    *,
    x: str = "ops",
    y: str = "accuracy",
    directions: Directions | None = None,
    ax: Axes,
) -> Axes: ...
def plot_hypervolume(
    data: HypervolumeData | Source | Mapping[str, Source],
    *,
    x: str = "ops",
    y: str = "accuracy",
    directions: Directions | None = None,
    ax: Axes | None = None,
) -> Figure | Axes:
    """Draw the hypervolume of runs over the number of trials; the figure names runs without a finished trial.

    Instead of the data, takes trials as `hypervolume_data` does, with its columns `x` and `y`. On `ax` where it is
    given, which is then returned.
    """
    if not isinstance(data, HypervolumeData):
        data = hypervolume_data(data, x=x, y=y, directions=directions)
    figure, axes = style.on(ax, height=3.6)
    for index, (name, curve) in enumerate(data.curves.items()):
        look = style.LINES[index % len(style.LINES)]
        if len(curve):
            count, label = np.arange(1, len(curve) + 1), style.plain(name) or None
            style.curve(axes, count, 100 * curve, look, drawstyle="steps-post", linewidth=1.6, label=label)
            axes.plot(count[-1], 100 * curve[-1], ".", color=look[0])
    style.label_axes(axes, "trials", "hypervolume (% of the box)", _title(data))
    empty = [name or "this run" for name, curve in data.curves.items() if not curve.any()]
    if empty:
        if len(empty) == len(data.curves):
            axes.set(xticks=[], yticks=[])
        words = style.plain(f"nothing to measure in {', '.join(empty)}")
        style.write(axes, 0.5, 0.5, words, transform=axes.transAxes, color=style.GREY, fontsize=style.TEXT_SIZE)
    if len(data.curves) > 1 and axes.lines:
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles, labels, fontsize=style.SMALL_SIZE, frameon=False, loc="lower right")
    return style.drawn(figure, ax)


def _title(data: HypervolumeData) -> str:
    if data.reference is None or data.ideal is None:
        return "hypervolume"

    def corner(values: Corner) -> str:
        return ", ".join(
            percent(value) if column == "accuracy" else quantity(value, "OPs" if column == "ops" else "")
            for column, value in zip((data.x, data.y), values, strict=True)
        )

    return f"box from {corner(data.reference)} to {corner(data.ideal)}"
