"""What several runs attain: median surface and quartiles, and how their hypervolume grows, as values and drawn."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from dataclasses import dataclass
from typing import overload

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.findings.front import front_points
from analysis.findings.groups import Groups, as_groups
from analysis.findings.growth import Corner, hypervolume_curves
from analysis.measures.attainment import attainment_surface
from analysis.measures.intervals import student
from analysis.measures.pareto import Direction, Directions, Floats
from analysis.plots import style
from analysis.runs.trials import directions_of
from analysis.units import axis_scale, plural

SHARES = (0.25, 0.5, 0.75)  # of the runs: quartile, median, quartile


@dataclass(frozen=True, eq=False)
class AttainmentData:
    """What `plot_attainment` draws, in the schema's units.

    `surfaces` has, for every group of runs, the corners, of shape (points, 2) and sorted by x, of what a quarter, half
    and three quarters of its runs attain; `runs` the number of runs of each group.
    """

    x: str
    y: str
    directions: tuple[Direction, Direction]
    runs: dict[str, int]
    surfaces: dict[str, dict[float, Floats]]

    def table(self) -> pd.DataFrame:
        """One row per corner: `group`, `runs`, `share` (of the runs that attain it), x and y."""
        rows = [
            (name, self.runs[name], share, x, y)
            for name, shares in self.surfaces.items()
            for share, surface in shares.items()
            for x, y in surface.tolist()
        ]
        return pd.DataFrame(rows, columns=["group", "runs", "share", self.x, self.y])


def attainment_data(
    groups: Groups, x: str = "ops", y: str = "accuracy", directions: Directions | None = None
) -> AttainmentData:
    """Gather what `plot_attainment` shows.

    `groups` is a frame with a column `run`, a list of frames, one per run, or such lists by the name of what is
    compared; instead of a frame, all that `load_trials` takes. `directions` are "min" or "max" for x and y, where
    neither the schema nor a study says which way is better. Raises `ValueError` where nothing does.
    """
    frames = as_groups(groups)
    every = [run for runs in frames.values() for run in runs] or [pd.DataFrame()]
    one, other = directions_of(every[0], (x, y), directions)
    directions = (one, other)
    fronts = {name: [front_points(run, x, y, directions) for run in runs] for name, runs in frames.items()}
    surfaces = {
        name: {share: attainment_surface(runs, directions, share) for share in SHARES} for name, runs in fronts.items()
    }
    return AttainmentData(x, y, directions, {name: len(runs) for name, runs in frames.items()}, surfaces)


@overload
def plot_attainment(
    data: AttainmentData | Groups,
    *,
    x: str = "ops",
    y: str = "accuracy",
    directions: Directions | None = None,
    ax: None = None,
) -> Figure: ...
@overload
def plot_attainment(
    data: AttainmentData | Groups,
    *,
    x: str = "ops",
    y: str = "accuracy",
    directions: Directions | None = None,
    ax: Axes,
) -> Axes: ...
def plot_attainment(
    data: AttainmentData | Groups,
    *,
    x: str = "ops",
    y: str = "accuracy",
    directions: Directions | None = None,
    ax: Axes | None = None,
) -> Figure | Axes:
    """The median surface of every group as stairs, and the quartiles of its runs as a band.

    Half of a group's runs reach its stairs or beyond. A group of one run has no band: its stairs are that run's front.

    Instead of the data, takes trials as `attainment_data` does, with its columns `x` and `y`. On `ax` where it is
    given, which is then returned.
    """
    if not isinstance(data, AttainmentData):
        data = attainment_data(data, x=x, y=y, directions=directions)
    figure, axes = style.on(ax, height=4.2)
    every = np.concatenate([np.empty((0, 2)), *(s for shares in data.surfaces.values() for s in shares.values())])
    across, up = (axis_scale(name, float(every[:, i].max(initial=0.0))) for i, name in enumerate((data.x, data.y)))
    title = "the best within a cost: median of the runs, and their middle half as a band"
    style.label_axes(axes, across.label, up.label, title)
    if len(every) == 0:
        style.say_instead(axes, "no run with a finished trial to show")
        return style.drawn(figure, ax)
    scales = np.array([across.factor, up.factor])
    xs = _positions(every[:, 0], data.directions[0])
    step = "post" if data.directions[0] == "min" else "pre"
    for index, (name, shares) in enumerate(data.surfaces.items()):
        look = style.LINES[index % len(style.LINES)]
        worst, middle, best = (
            _heights(shares[share], xs, data.directions[0]) / scales[1] for share in reversed(SHARES)
        )
        if data.runs[name] > 1:
            axes.fill_between(xs / scales[0], worst, best, step=step, color=look[0], alpha=0.18, linewidth=0)
            # the best quarter also shows where the others attain nothing yet, so that the band is open there
            axes.plot(xs / scales[0], best, color=look[0], alpha=0.5, linewidth=0.6, drawstyle=f"steps-{step}")
        words = f"median of {plural(data.runs[name], 'run')}" if data.runs[name] > 1 else "front of one run"
        label = style.plain(f"{name}: {words}" if name else words)
        style.curve(axes, xs / scales[0], middle, look, drawstyle=f"steps-{step}", linewidth=1.6, label=label)
    empty = [name or "the runs" for name, shares in data.surfaces.items() if not len(shares[SHARES[0]])]
    if empty:
        style.add_note(axes, style.plain(f"nothing finished in {', '.join(empty)}"))
    style.legend_below(figure, axes, 3)
    return style.drawn(figure, ax)


def _positions(values: Floats, direction: Direction) -> Floats:
    """Every x where a surface may step, and one more at the open end, where the last step holds on."""
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
        """One row per group and number of trials: `group`, `runs`, `trials`, `hypervolume`, `low`, `high`."""
        rows = [
            (name, self.runs[name], trials, *values)
            for name in self.mean
            for trials, values in enumerate(zip(self.mean[name], self.low[name], self.high[name], strict=True), 1)
        ]
        return pd.DataFrame(rows, columns=["group", "runs", "trials", "hypervolume", "low", "high"])


def seeds_data(
    groups: Groups,
    x: str = "ops",
    y: str = "accuracy",
    reference: Corner | None = None,
    stage: str | None = None,
    directions: Directions | None = None,
) -> SeedsData:
    """Groups as for `attainment_data`; each is cut to the number of trials of its shortest run.

    The interval is Student's over the runs of a group, cut off at 0 and 1.
    """
    curves = hypervolume_curves(groups, x, y, stage, reference, directions)
    counts = {name: len(runs) for name, runs in curves.items()}
    mean = {name: runs.mean(axis=0) if len(runs) else np.empty(0) for name, runs in curves.items()}
    half = {
        name: student(counts[name] - 1) * runs.std(axis=0, ddof=1) / np.sqrt(counts[name])
        if counts[name] > 1
        else mean[name] * np.nan
        for name, runs in curves.items()
    }
    low = {name: np.maximum(mean[name] - half[name], 0) for name in curves}
    return SeedsData(x, y, counts, mean, low, {name: np.minimum(mean[name] + half[name], 1) for name in curves})


@overload
def plot_seeds(data: SeedsData, *, ax: None = None) -> Figure: ...
@overload
def plot_seeds(data: SeedsData, *, ax: Axes) -> Axes: ...
def plot_seeds(data: SeedsData, *, ax: Axes | None = None) -> Figure | Axes:
    """One line per group, its interval as a band; a note names the groups without a finished trial.

    On `ax` where it is given, which is then returned.
    """
    figure, axes = style.on(ax, height=3.8)
    title = f"{data.y} and {data.x}: mean of the runs, with its 95 % interval as a band"
    style.label_axes(axes, "trials", "hypervolume (% of the box)", title)
    shown = {name: mean for name, mean in data.mean.items() if mean.any()}
    if not shown:
        style.say_instead(axes, "no run with a finished trial to measure")
        return style.drawn(figure, ax)
    for index, (name, mean) in enumerate(shown.items()):
        look = style.LINES[index % len(style.LINES)]
        trials, runs = np.arange(1, len(mean) + 1), plural(data.runs[name], "run")
        label = style.plain(f"{name} ({runs})" if name else runs)
        style.curve(axes, trials, 100 * mean, look, drawstyle="steps-post", linewidth=1.6, label=label)
        low, high = 100 * data.low[name], 100 * data.high[name]
        axes.fill_between(trials, low, high, step="post", color=look[0], alpha=0.18, linewidth=0)
    notes = [f"nothing finished in {name or 'a run'}" for name in data.mean if name not in shown]
    notes += ["one run has no interval"] if 1 in (data.runs[name] for name in shown) else []
    if notes:
        style.add_note(axes, style.plain("; ".join(notes)))
    style.legend_below(figure, axes, 3)
    return style.drawn(figure, ax)
