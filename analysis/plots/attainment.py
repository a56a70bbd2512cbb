"""What several runs attain: median surface and quartiles, and how their hypervolume grows, as values and drawn."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.findings.front import front
from analysis.findings.groups import SHARES, as_groups
from analysis.findings.growth import hypervolume_curves
from analysis.measures.attainment import attainment_surface
from analysis.measures.intervals import student
from analysis.measures.pareto import Direction, Floats
from analysis.plots import style
from analysis.runs.schema import objective_direction
from analysis.runs.trials import numbers
from analysis.units import axis_scale, plural

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.findings.groups import Groups


@dataclass(frozen=True, eq=False)
class AttainmentData:
    """What `plot_attainment` draws, in the schema's units.

    `surfaces` holds for every group of runs the corners, of shape (points, 2) and sorted by x, of what a quarter, half
    and three quarters of its runs attain; `runs` how many runs there are of each.
    """

    x: str
    y: str
    directions: tuple[Direction, Direction]
    runs: dict[str, int]
    surfaces: dict[str, dict[float, Floats]]

    def table(self) -> pd.DataFrame:
        """One row a corner: `group`, `runs`, `share` (of the runs that attain it), x and y."""
        import pandas as pd

        rows = [
            {"group": name, "runs": self.runs[name], "share": share, self.x: x, self.y: y}
            for name, shares in self.surfaces.items()
            for share, surface in shares.items()
            for x, y in surface.tolist()
        ]
        return pd.DataFrame(rows, columns=["group", "runs", "share", self.x, self.y])


def attainment_data(groups: Groups, x: str = "ops", y: str = "accuracy") -> AttainmentData:
    """Gather what `plot_attainment` shows.

    `groups` is a frame with a column `run`, a list of frames, one a run, or such lists by the name of what was
    compared. Raises `ValueError` where `x` or `y` is no objective.
    """
    directions = (objective_direction(x), objective_direction(y))
    frames = as_groups(groups)
    fronts = {name: [numbers(front(run, x, y), x, y) for run in runs] for name, runs in frames.items()}
    return AttainmentData(
        x=x,
        y=y,
        directions=directions,
        runs={name: len(runs) for name, runs in frames.items()},
        surfaces={
            name: {share: attainment_surface(runs, directions, share) for share in SHARES}
            for name, runs in fronts.items()
        },
    )


def plot_attainment(data: AttainmentData) -> Figure:
    """The median surface of every group as stairs, and the quartiles of its runs as a band.

    Half of a group's runs reach its stairs or beyond. A group of one run has no band: its stairs are that run's front.
    """
    figure, axes = style.new_figure(height=4.2)
    every = np.concatenate([np.empty((0, 2)), *(s for shares in data.surfaces.values() for s in shares.values())])
    x, y = (axis_scale(name, float(every[:, i].max(initial=0.0))) for i, name in enumerate((data.x, data.y)))
    style.label_axes(
        axes, x.label, y.label, "the best within a cost: median of the runs, and their middle half as a band"
    )
    if len(every) == 0:
        style.say_instead(axes, "no run with a finished trial to show")
        return figure
    scales = np.array([x.factor, y.factor])
    xs = _positions(every[:, 0], data.directions[0])
    for index, (name, shares) in enumerate(data.surfaces.items()):
        colour, line = style.LINES[index % len(style.LINES)]
        runs = plural(data.runs[name], "run")
        if data.runs[name] > 1:
            _band(axes, data, [shares[SHARES[0]], shares[SHARES[2]]], xs, scales, colour)
        reached = _heights(shares[0.5], xs, data.directions[0])
        words = f"median of {runs}" if data.runs[name] > 1 else "front of one run"
        where = "steps-post" if data.directions[0] == "min" else "steps-pre"
        label = style.plain(f"{name}: {words}" if name else words)
        axes.plot(xs / scales[0], reached / scales[1], line, color=colour, drawstyle=where, linewidth=1.6, label=label)
    empty = [name or "the runs" for name, shares in data.surfaces.items() if not len(shares[SHARES[0]])]
    if empty:
        style.add_note(axes, style.plain(f"nothing finished in {', '.join(empty)}"))
    style.legend_below(figure, axes, 3)
    return figure


def _positions(values: Floats, direction: Direction) -> Floats:
    """Every x where a surface may step, and one beyond the last: what is reached there holds on."""
    xs = np.unique(values)
    beyond = 0.03 * (xs[-1] - xs[0]) or 0.03 * abs(float(xs[0])) or 1.0
    return np.append(xs, xs[-1] + beyond) if direction == "min" else np.insert(xs, 0, xs[0] - beyond)


def _heights(surface: Floats, xs: Floats, direction: Direction) -> Floats:
    """What a surface attains at every x: the value of the last corner up to there; NaN where it attains nothing yet."""
    if len(surface) == 0:
        return np.full(len(xs), np.nan)
    if direction == "max":  # there the corners further right hold
        place = np.searchsorted(surface[:, 0], xs, side="left")
        return np.where(place < len(surface), surface[np.minimum(place, len(surface) - 1), 1], np.nan)
    place = np.searchsorted(surface[:, 0], xs, side="right") - 1
    return np.where(place >= 0, surface[np.maximum(place, 0), 1], np.nan)


def _band(axes: Axes, data: AttainmentData, pair: list[Floats], xs: Floats, scales: Floats, colour: str) -> None:
    best, worst = (_heights(surface, xs, data.directions[0]) / scales[1] for surface in pair)
    step = "post" if data.directions[0] == "min" else "pre"
    axes.fill_between(
        xs / scales[0], worst, best, step=step, color=colour, alpha=0.18, linewidth=0
    )  # fmt: skip
    # the luckier quarter also shows where the other has nothing yet, so that the band is open there
    axes.plot(xs / scales[0], best, color=colour, alpha=0.5, linewidth=0.6, drawstyle=f"steps-{step}")


@dataclass(frozen=True, eq=False)
class SeedsData:
    """Mean share of the common box that runs cover after 1, 2, ... trials, with the 95 % interval of that mean.

    By group of runs; arrays of shape (trials,), shares from 0 to 1, the interval NaN for one run. `x` and `y` are the
    objectives.
    """

    x: str
    y: str
    runs: dict[str, int]
    mean: dict[str, Floats]
    low: dict[str, Floats]
    high: dict[str, Floats]

    def table(self) -> pd.DataFrame:
        """One row a group and number of trials: `group`, `runs`, `trials`, `hypervolume`, `low`, `high`."""
        import pandas as pd

        parts = [
            pd.DataFrame(
                {
                    "group": name, "runs": self.runs[name], "trials": np.arange(1, len(mean) + 1), "hypervolume": mean,
                    "low": self.low[name], "high": self.high[name],
                }
            )
            for name, mean in self.mean.items()
        ]  # fmt: skip
        columns = ["group", "runs", "trials", "hypervolume", "low", "high"]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def seeds_data(
    groups: Groups, x: str = "ops", y: str = "accuracy", reference: tuple[float, float] | None = None,
    stage: str | None = None,
) -> SeedsData:  # fmt: skip
    """Groups as for `attainment_data`; of runs of different length, as many trials as the shortest of a group has.

    The interval is Student's over the runs of a group, cut off at 0 and 1.
    """
    curves = hypervolume_curves(groups, x, y, stage, reference)
    mean: dict[str, Floats] = {}
    half: dict[str, Floats] = {}
    for name, runs in curves.items():
        count = len(runs)
        mean[name] = runs.mean(axis=0) if count else np.empty(0)
        enough = count > 1
        half[name] = student(count - 1) * runs.std(axis=0, ddof=1) / np.sqrt(count) if enough else mean[name] * np.nan
    return SeedsData(
        x,
        y,
        {name: len(runs) for name, runs in curves.items()},
        mean,
        {name: np.maximum(mean[name] - half[name], 0) for name in curves},
        {name: np.minimum(mean[name] + half[name], 1) for name in curves},
    )


def plot_seeds(data: SeedsData) -> Figure:
    """One line a group, its interval as a band; a group without a finished trial is named as such."""
    figure, axes = style.new_figure(height=3.8)
    style.label_axes(
        axes,
        "trials",
        "hypervolume (% of the box)",
        f"{data.y} and {data.x}: mean of the runs, with its 95 % interval as a band",
    )
    shown = {name: mean for name, mean in data.mean.items() if mean.any()}
    if not shown:
        style.say_instead(axes, "no run with a finished trial to measure")
        return figure
    for index, (name, mean) in enumerate(shown.items()):
        colour, line = style.LINES[index % len(style.LINES)]
        trials = np.arange(1, len(mean) + 1)
        runs = plural(data.runs[name], "run")
        axes.plot(
            trials, 100 * mean, line, color=colour, drawstyle="steps-post", linewidth=1.6,
            label=style.plain(f"{name} ({runs})" if name else runs),
        )  # fmt: skip
        axes.fill_between(
            trials, 100 * data.low[name], 100 * data.high[name], step="post", color=colour, alpha=0.18, linewidth=0
        )
    notes = [f"nothing finished in {name or 'a run'}" for name in data.mean if name not in shown]
    notes += ["one run has no interval"] if 1 in (data.runs[name] for name in shown) else []
    if notes:
        style.add_note(axes, style.plain("; ".join(notes)))
    style.legend_below(figure, axes, 3)
    return figure
