"""Draws how much of a table's front several proposers have, against trials and against simulated time."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.measures.pareto import Floats
from analysis.plots import style
from analysis.tables.race import Entrant, Race
from analysis.units import quantity

_UNITS = ((3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
_LEAST = 1.5  # of a unit, that the longest search takes


def plot_race(race: Race) -> Figure:
    """Two panels, medians of the searches as lines and their quartiles as bands: the share of the table's own front
    after so many trials, and after so much simulated time."""
    figure, ((left, right),) = style.new_panels(1, 2, width=9.0, height=4.0)
    times = race.times()
    unit, name = next((pair for pair in _UNITS if times[-1] >= _LEAST * pair[0]), _UNITS[-1])
    for index, each in enumerate(race.entrants.values()):
        look = style.LINES[index % len(style.LINES)]
        trials: Floats = np.arange(1.0, each.curves.shape[1] + 1)
        _band(left, trials, each.curves, look, each)
        reached = times <= each.ends.max()
        _band(right, times[reached] / unit, each.at(times[reached]), look, each)
    least = min(float(np.quantile(each.after(0.25), 0.25)) for each in race.entrants.values())
    for axes, label in ((left, "trials"), (right, f"simulated {name}")):
        style.label_axes(axes, label, "share of the table's front (%)")
        axes.set_ylim(max(0.0, 100 * least - 15), 101)
    left.set_title(_title(race), fontsize=style.TEXT_SIZE, loc="left")
    style.legend_below(figure, left, 5)
    return figure


def _band(axes: Axes, x: Floats, rows: Floats, look: tuple[str, str], each: Entrant) -> None:
    """The median of some rows, and what half of them are within; drawn as steps."""
    low, middle, high = 100 * np.quantile(rows, (0.25, 0.5, 0.75), axis=0)
    if len(rows) > 1:
        axes.fill_between(x, low, high, step="post", color=look[0], alpha=0.15, linewidth=0)
    style.curve(axes, x, middle, look, drawstyle="steps-post", linewidth=1.6, label=style.plain(each.name))


def _title(race: Race) -> str:
    seeds = len(next(iter(race.entrants.values())).curves)
    corner = ", ".join(
        f"{100 * value:.1f} %" if name == "accuracy" else quantity(value, "OPs" if name == "ops" else "")
        for name, value in zip(race.yardstick.objectives, race.yardstick.reference, strict=True)
    )
    return f"{race.table}, {seeds} seeds; reference point {corner}"
