"""Draws a frontier: all trials lightly, their front as stairs, and what the papers or another run reach."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from typing import Literal, overload

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.findings.frontier import FrontierData, frontier_data
from analysis.measures.pareto import Directions, Floats
from analysis.plots import style
from analysis.plots.frontier.names import label_points
from analysis.runs.schema import MAP
from analysis.runs.trials import Source
from analysis.stages import WORDS
from analysis.units import axis_scale, cost_words, percent, plural

# colour, marker, size and opacity: the search's many trials lightly, the few that were trained further clearly
_STAGE_LOOKS = {
    "inherited": (style.SKY, "o", 12, 0.5),
    "finetuned": (style.ORANGE, "D", 18, 0.95),
    "scratch": (style.PURPLE, "s", 18, 0.95),
    "trained": (style.SKY, "o", 12, 0.6),
    "final": (style.ORANGE, "D", 18, 0.95),
    "trial": (style.SKY, "o", 12, 0.6),
}
_DATASETS = {"imagenet": "ImageNet", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}


@overload
def plot_frontier(
    data: FrontierData | Source,
    colour: Literal["stage", "generation"] = "stage",
    *,
    x: str = "ops",
    y: str = "accuracy",
    directions: Directions | None = None,
    ax: None = None,
) -> Figure: ...
@overload
def plot_frontier(
    data: FrontierData | Source,
    colour: Literal["stage", "generation"] = "stage",
    *,
    x: str = "ops",
    y: str = "accuracy",
    directions: Directions | None = None,
    ax: Axes,
) -> Axes: ...
def plot_frontier(
    data: FrontierData | Source,
    colour: Literal["stage", "generation"] = "stage",
    *,
    x: str = "ops",
    y: str = "accuracy",
    directions: Directions | None = None,
    ax: Axes | None = None,
) -> Figure | Axes:
    """Draw a frontier (see `frontier_data`), its trials coloured by stage or by generation.

    What the run measured for comparison is joined by a line of hollow squares; a twin in full precision is a level.
    References and published models are labelled where a label fits without covering another. Pruned trials are counted
    but not drawn, as they were trained for a part of the budget only. The figure of a run without a usable trial says
    so.

    Instead of the data, takes trials as `frontier_data` does, with its columns `x` and `y`. On `ax` where it is
    given, which is then returned.
    """
    if not isinstance(data, FrontierData):
        data = frontier_data(data, x=x, y=y, directions=directions)
    figure, axes = style.on(ax)
    across, up = axis_scale(data.x, _largest(data, 0)), axis_scale(data.y, _largest(data, 1))
    scales = np.array([across.factor, up.factor])
    style.label_axes(axes, across.label, up.label, _title(data))
    if data.budget:
        low, high = np.array(data.budget) / across.factor
        axes.axvspan(low, high, color=style.GREY, alpha=0.08, linewidth=0, label="budget", zorder=0)
        for edge in (low, high):
            axes.axvline(edge, color=style.GREY, linewidth=0.7, linestyle=":", zorder=1)
    _draw_trials(figure, axes, data, data.points / scales, colour)
    if len(data.baseline_front):
        words = style.plain(f"front of {data.baseline_name}")
        _stairs(axes, data, data.baseline_front / scales, words, (style.GREEN, "--"))
    if len(data.front):
        _stairs(axes, data, data.front / scales, f"front ({plural(len(data.front), 'trial')})", (style.BLUE, "-"))
    if data.knee:
        knee = np.array(data.knee) / scales
        axes.plot(*knee, "*", color=style.BLACK, markersize=12, markeredgecolor="white", label="knee", zorder=6)
    _draw_compared(axes, data, scales)
    _draw_trained(axes, data, scales)
    _draw_published(axes, data, scales)
    _set_limits(axes, data)
    _say_what_is_missing(axes, data)
    style.legend_below(figure, axes)
    label_points(figure, axes, data, scales)
    return style.drawn(figure, ax)


def _largest(data: FrontierData, objective: int) -> float:
    columns = [data.points[:, objective], data.baseline_front[:, objective]]
    columns.append(np.array([(mark.x, mark.y)[objective] for mark in data.placed]))
    if objective == 0 and data.budget:
        columns.append(np.array(data.budget))
    return float(np.concatenate(columns).max(initial=0.0))


def _title(data: FrontierData) -> str:
    parts = [data.space and f"space {data.space}", _DATASETS.get(data.dataset, data.dataset)]
    parts.append(plural(data.trials, "trial"))
    lost = data.counts.get("failed", 0)
    if lost:
        parts.append(f"{lost:,} failed")
    return style.plain(" · ".join(part for part in parts if part))


def _draw_trials(figure: Figure, axes: Axes, data: FrontierData, points: Floats, colour: str) -> None:
    if len(points) == 0:
        return
    if colour == "generation" and np.isfinite(data.generations).any():
        drawn = axes.scatter(*points.T, c=data.generations, cmap="viridis_r", s=12, linewidths=0, plotnonfinite=True)
        drawn.set_alpha(0.7)
        bar = style.colour_bar(figure, drawn, axes, "generation of the trial", pad=0.01)
        bar.locator = MaxNLocator(integer=True, nbins=6)
        return
    looks = {stage: _STAGE_LOOKS.get(stage, _STAGE_LOOKS["trial"]) for stage in (*_STAGE_LOOKS, *data.stages)}
    for stage, (ink, marker, size, alpha) in looks.items():
        chosen = points[np.array(data.stages) == stage]
        if len(chosen):
            drawn = axes.scatter(*chosen.T, color=ink, marker=marker, s=size, alpha=alpha, linewidths=0, zorder=2)
            drawn.set_label(style.plain(f"{WORDS.get(stage, stage)} ({len(chosen):,})"))


def _stairs(axes: Axes, data: FrontierData, front: Floats, label: str, look: tuple[str, str]) -> None:
    # what is reached at an x holds until the next better point: towards more where less x is better
    steps = "steps-post" if data.directions[0] == "min" else "steps-pre"
    x, y = front.T
    style.curve(axes, x, y, look, linewidth=1.8, drawstyle=steps, label=label, zorder=3)
    axes.plot(x, y, ".", color=look[0], markersize=5, zorder=3)


def _draw_published(axes: Axes, data: FrontierData, scales: Floats) -> None:
    """Published models as hollow triangles."""
    looks = {"auto": ("^", style.VERMILION, "searched"), "manual": ("v", style.BLACK, "by hand")}
    for design, (marker, colour, words) in looks.items():
        x, y = (np.array([(r.x, r.y) for r in data.published if r.design == design]).reshape(-1, 2) / scales).T
        if len(x):
            hollow = {"marker": marker, "markersize": 4.5, "markerfacecolor": "white", "markeredgewidth": 0.9}
            label = f"published mAP, {words}" if data.y == MAP else f"published test accuracy, {words}"
            style.curve(axes, x, y, (colour, ""), label=label, zorder=4, **hollow)


def _draw_trained(axes: Axes, data: FrontierData, scales: Floats) -> None:
    """Networks of papers that the run trained: rings around their points."""
    x, y = (np.array([(network.x, network.y) for network in data.trained]).reshape(-1, 2) / scales).T
    if len(x):
        hollow = {"marker": "o", "markersize": 8, "markerfacecolor": "none", "markeredgewidth": 1.1}
        label = f"networks of papers, trained here ({len(x)})"
        style.curve(axes, x, y, (style.BLACK, ""), label=label, zorder=3.8, **hollow)


def _draw_compared(axes: Axes, data: FrontierData, scales: Floats) -> None:
    """Uniform networks and other references as a line of hollow squares; full precision as a level with its cost."""
    twins = [c for c in data.compared if c.full_precision and data.y == "accuracy"]
    x, y = (np.array([(c.x, c.y) for c in data.compared if c not in twins]).reshape(-1, 2) / scales).T
    if len(x):
        hollow = {"marker": "s", "markersize": 5, "markerfacecolor": "white", "markeredgewidth": 1.0}
        look = {"linewidth": 0.9, "alpha": 0.8, "zorder": 3.5, "label": WORDS["reference"]}
        style.curve(axes, x, y, (style.BLACK, "-"), **look, **hollow)
    for place, twin in enumerate(sorted(twins, key=lambda twin: -twin.y)):
        level = twin.y / scales[1]
        axes.axhline(level, color=style.GREY, linewidth=1.1, linestyle="--", zorder=1.5)
        words = style.plain(f"{twin.name}: {percent(twin.y)}, {cost_words(data.x, twin.x)}")
        # the first above its line on the right, where no front rises, the next below, then the same on the left
        side, ha = (0.01, "left") if place % 4 >= 2 else (0.99, "right")
        away, va = (2, "bottom") if place % 2 == 0 else (-2, "top")
        look = {"ha": ha, "va": va, "color": style.GREY, "zorder": 7, "bbox": style.BACKED}
        label = style.name_point(axes, words, (side, level), (0, away), **look)
        label.xycoords = axes.get_yaxis_transform()


def _set_limits(axes: Axes, data: FrontierData) -> None:
    axes.margins(x=0.04, y=0.12 if data.published or data.compared else 0.06)  # labels need room
    if data.y == "accuracy" and _largest(data, 1) <= 1:
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, 0.0) if len(data.points) or data.published or data.compared else 0.0, min(high, 100.0))


def _say_what_is_missing(axes: Axes, data: FrontierData) -> None:
    words: list[str] = []
    if len(data.points) == 0:
        words.append("no finished trial to show" if data.trials else "this run has no trials yet")
    states = {"pruned": "pruned", "running": "still running"}
    words += [f"{data.counts[state]:,} {text}" for state, text in states.items() if data.counts.get(state)]
    if data.unusable:
        words.append(f"{data.unusable:,} finished without finite values")
    if len(data.points) == 0:
        if not data.published and not data.compared and not len(data.baseline_front):
            axes.set(xticks=[], yticks=[])  # numbers on the axes would mean nothing
        style.write(axes, 0.5, 0.5, "; ".join(words), transform=axes.transAxes, color=style.GREY, fontsize=10)
    elif words:
        style.add_note(axes, f"not shown: {'; '.join(words)}")
