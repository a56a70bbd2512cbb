"""Draws the accuracy of architectures in one stage against that in another."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.pareto import Floats
from analysis.plots import style
from analysis.stages import WORDS
from analysis.statistics import Interval, RankCorrelation, paired_stages, rank_correlation, two_stages

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class StagesData:
    """What `plot_stages` draws: `pairs` of shape (architectures, 2), in the unit of `y`, and how their orders agree."""

    first: str
    second: str
    y: str
    pairs: Floats
    correlation: RankCorrelation

    def table(self) -> pd.DataFrame:
        """One row an architecture, one column a stage."""
        import pandas as pd

        return pd.DataFrame(self.pairs, columns=[self.first, self.second])


def stages_data(
    trials: pd.DataFrame, first: str | None = None, second: str | None = None, y: str = "accuracy"
) -> StagesData:
    """Architectures that finished in both stages (see `analysis.statistics.paired_stages`)."""
    first, second = two_stages(trials, first, second)
    pairs = paired_stages(trials, first, second, y)[[first, second]].to_numpy(dtype="float64")
    return StagesData(first, second, y, pairs, rank_correlation(pairs[:, 0], pairs[:, 1]))


def plot_stages(data: StagesData) -> Figure:
    """One dot an architecture; the line where both stages are equal; both rank correlations with their intervals."""
    figure, axes = style.new_figure(width=4.6, height=4.4)
    scale = style.axis_scale(data.y, float(data.pairs.max(initial=0.0)))
    labels = [f"{scale.label},\n{WORDS.get(stage, stage)}" for stage in (data.first, data.second)]
    style.label_axes(axes, *labels, title=style.plural(len(data.pairs), "architecture"))
    if len(data.pairs) == 0:
        style.say_instead(axes, f"no architecture finished both\n{data.first} and {data.second}")
        return figure
    points = data.pairs / scale.factor
    low, high = float(points.min()), float(points.max())
    room = 0.06 * (high - low) or 1.0
    ends = [low - room, high + room]
    axes.plot(ends, ends, color=style.GREY, linewidth=0.9, linestyle="--", zorder=1)
    axes.annotate(
        "equal in both", (ends[1], ends[1]), xytext=(-4, -7), textcoords="offset points", ha="right", va="top",
        rotation=45, rotation_mode="anchor", color=style.GREY, fontsize=style.SMALL_SIZE,
    )  # fmt: skip
    axes.scatter(*points.T, color=style.BLUE, s=26, alpha=0.8, linewidths=0, zorder=3)
    axes.set(xlim=ends, ylim=ends)
    axes.set_aspect("equal")
    words = (
        f"{_correlation('Spearman', data.correlation.spearman)}\n{_correlation('Kendall', data.correlation.kendall)}"
    )
    axes.text(
        0.98, 0.03, words, transform=axes.transAxes, ha="right", va="bottom", fontsize=style.SMALL_SIZE,
        bbox={"facecolor": "white", "alpha": 0.85, "linewidth": 0, "pad": 1.5}, zorder=4,
    )  # fmt: skip
    return figure


def _correlation(name: str, found: Interval) -> str:
    if not np.isfinite(found.value):
        return f"{name}: no order to compare"
    interval = f" [{found.low:.2f}, {found.high:.2f}]" if np.isfinite(found.low) else " (too few for an interval)"
    return f"{name} {found.value:.2f}{interval}"
