"""Draws how the hypervolume of one or several runs grows with their trials, which is how proposers are compared."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.findings.growth import HypervolumeData
from analysis.plots import style
from analysis.units import percent, quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_hypervolume(data: HypervolumeData) -> Figure:
    """Draw the hypervolume of runs over the number of trials; a run without a finished trial is named as such."""
    figure, axes = style.new_figure(height=3.6)
    for (name, curve), (colour, line) in zip(data.curves.items(), _looks(len(data.curves)), strict=True):
        if len(curve):
            count = np.arange(1, len(curve) + 1)
            axes.plot(
                count,
                100 * curve,
                line,
                color=colour,
                linewidth=1.6,
                drawstyle="steps-post",
                label=style.plain(name) or None,
            )
            axes.plot(count[-1], 100 * curve[-1], ".", color=colour)
    axes.set_xlabel("trials", fontsize=style.TEXT_SIZE)
    axes.set_ylabel("hypervolume (% of the box)", fontsize=style.TEXT_SIZE)
    axes.set_title(_title(data), fontsize=style.TEXT_SIZE, loc="left")
    empty = [name or "this run" for name, curve in data.curves.items() if not curve.any()]
    if empty:
        if len(empty) == len(data.curves):
            axes.set(xticks=[], yticks=[])
        axes.text(
            0.5, 0.5, style.plain(f"nothing to measure in {', '.join(empty)}"),
            transform=axes.transAxes, ha="center", va="center",
            color=style.GREY, fontsize=style.TEXT_SIZE,
        )  # fmt: skip
    if len(data.curves) > 1 and axes.lines:
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles, labels, fontsize=style.SMALL_SIZE, frameon=False, loc="lower right")
    return figure


def _looks(count: int) -> list[tuple[str, str]]:
    return [style.LINES[index % len(style.LINES)] for index in range(count)]


def _title(data: HypervolumeData) -> str:
    if data.reference is None or data.ideal is None:
        return "hypervolume"

    def corner(values: tuple[float, float]) -> str:
        return ", ".join(
            percent(value) if column == "accuracy" else quantity(value, "OPs" if column == "ops" else "")
            for column, value in zip((data.x, data.y), values, strict=True)
        )

    return f"box from {corner(data.reference)} to {corner(data.ideal)}"
