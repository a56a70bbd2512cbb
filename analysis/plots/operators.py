"""Draws how many trials of each operator reached the front."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.plots import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def plot_operators(table: pd.DataFrame) -> Figure:
    """Draw the table of `analysis.statistics.operator_table`: how often each operator's trials are on the front."""
    figure, axes = style.new_figure(height=1.3 + 0.3 * max(len(table), 3))
    style.label_axes(axes, "trials that are on the front (%), with 95 % intervals")
    if len(table) == 0:
        style.say_instead(axes, "no trial to show")
        return figure
    at = np.arange(len(table))
    rate, low, high = (100 * table[name].to_numpy(dtype="float64") for name in ("rate", "low", "high"))
    axes.hlines(at, low, high, color=style.BLUE, linewidth=1.4)
    axes.plot(rate, at, "o", color=style.BLUE, markersize=5)
    names = [
        style.plain(f"{operator}\n{front:,} of {trials:,}") + (f", {failed:,} failed" if failed else "")
        for operator, front, trials, failed in zip(
            table["operator"], table["front"], table["trials"], table["failed"], strict=True
        )
    ]
    axes.set_yticks(at, names, fontsize=style.SMALL_SIZE)
    axes.set(ylim=(len(table) - 0.5, -0.5), xlim=(0, max(float(high.max()) * 1.04, 5)))
    axes.grid(visible=False, axis="y")
    return figure
