"""Draws the accuracy of architectures in one stage against that in another."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from dataclasses import dataclass
from typing import overload

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.findings.agreement import paired_stages, table_correlation, two_stages
from analysis.measures.intervals import Interval
from analysis.measures.pareto import Floats
from analysis.measures.ranks import RankCorrelation, rank_correlation
from analysis.plots import style
from analysis.runs.trials import numbers
from analysis.stages import WORDS
from analysis.units import axis_scale, plural

_WORDS = WORDS | {"one_shot": "one-shot: with the supernet's weights", "from_scratch": "trained from scratch"}


@dataclass(frozen=True, eq=False)
class StagesData:
    """What `plot_stages` draws: `pairs` of shape (architectures, 2), in the unit of `y`, and how their orders agree.

    `first` and `second` are the stages, or the paired columns of a table; `ids` are the architectures' own, empty
    where a table has none.
    """

    first: str
    second: str
    y: str
    pairs: Floats
    correlation: RankCorrelation
    ids: tuple[str, ...] = ()

    def table(self) -> pd.DataFrame:
        """One row per architecture: `id` where there are ids, and one column per stage."""
        pairs = pd.DataFrame(self.pairs, columns=[self.first, self.second])
        if self.ids:
            pairs.insert(0, "id", list(self.ids))
        return pairs


def stages_data(
    trials: pd.DataFrame, first: str | None = None, second: str | None = None, y: str = "accuracy"
) -> StagesData:
    """Architectures that finished in both stages (see `analysis.findings.agreement.paired_stages`)."""
    first, second = two_stages(trials, first, second)
    found = paired_stages(trials, first, second, y)
    pairs = found[[first, second]].to_numpy(dtype="float64")
    return StagesData(first, second, y, pairs, rank_correlation(pairs[:, 0], pairs[:, 1]), tuple(found["id"]))


def paired_data(
    table: pd.DataFrame, first: str = "one_shot", second: str = "from_scratch", y: str = "accuracy"
) -> StagesData:
    """Two columns of a table in the unit of `y`, one row per network (see `table_correlation`).

    Rows with a value that is not finite are left out.
    """
    correlation = table_correlation(table, first, second)
    pairs = numbers(table, first, second)
    return StagesData(first, second, y, pairs[np.isfinite(pairs).all(axis=1)], correlation)


@overload
def plot_stages(data: StagesData, *, ax: None = None) -> Figure: ...
@overload
def plot_stages(data: StagesData, *, ax: Axes) -> Axes: ...
def plot_stages(data: StagesData, *, ax: Axes | None = None) -> Figure | Axes:
    """One dot per architecture, and both rank correlations with their intervals.

    A line shows where both stages are equal, unless their values lie too far apart for one scale.

    On `ax` where it is given, which is then returned.
    """
    figure, axes = style.on(ax, width=4.6, height=4.4)
    scale = axis_scale(data.y, float(data.pairs.max(initial=0.0)))
    labels = [f"{scale.label},\n{_WORDS.get(stage, stage)}" for stage in (data.first, data.second)]
    style.label_axes(axes, *labels, title=plural(len(data.pairs), "architecture"))
    if len(data.pairs) == 0:
        style.say_instead(axes, style.plain(f"no architecture finished both\n{data.first} and {data.second}"))
        return style.drawn(figure, ax)
    points = data.pairs / scale.factor
    (low, other_low), (high, other_high) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    if max(low, other_low) <= min(high, other_high) or len(points) < 2:
        _equal_line(axes, min(low, other_low), max(high, other_high))
    else:  # one scale would leave two thirds of it empty
        axes.margins(0.06)
    axes.scatter(*points.T, color=style.BLUE, s=26, alpha=0.8, linewidths=0, zorder=3)
    found = {"Spearman": data.correlation.spearman, "Kendall": data.correlation.kendall}
    words = "\n".join(_correlation(name, interval) for name, interval in found.items())
    box = {"facecolor": "white", "alpha": 0.85, "linewidth": 0, "pad": 1.5}
    style.write(axes, 0.98, 0.03, words, transform=axes.transAxes, ha="right", va="bottom", bbox=box, zorder=4)
    return style.drawn(figure, ax)


def _equal_line(axes: Axes, low: float, high: float) -> None:
    """The line of equal values, on two axes of the same scale."""
    room = 0.06 * (high - low) or 1.0
    ends = [low - room, high + room]
    axes.plot(ends, ends, color=style.GREY, linewidth=0.9, linestyle="--", zorder=1)
    look = {"ha": "right", "va": "top", "rotation": 45, "rotation_mode": "anchor", "color": style.GREY}
    style.name_point(axes, "equal in both", (ends[1], ends[1]), (-4, -7), **look)
    axes.set(xlim=ends, ylim=ends)
    axes.set_aspect("equal")


def _correlation(name: str, found: Interval) -> str:
    if not np.isfinite(found.value):
        return f"{name}: no order to compare"
    interval = f" [{found.low:.2f}, {found.high:.2f}]" if found.known else " (too few for an interval)"
    return f"{name} {found.value:.2f}{interval}"
