"""Draws a frontier: all trials lightly, their front as stairs, and what the papers or another run reach."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from analysis.measures.pareto import Floats
from analysis.plots import style
from analysis.plots.frontier.data import FrontierData
from analysis.plots.frontier.names import label_points
from analysis.stages import WORDS
from analysis.units import axis_scale, cost_words, percent, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# colour, marker, size and opacity: the search's many trials lightly, the few that were trained on clearly
_STAGE_LOOKS = {
    "inherited": (style.SKY, "o", 12, 0.5),
    "finetuned": (style.ORANGE, "D", 18, 0.95),
    "scratch": (style.PURPLE, "s", 18, 0.95),
    "trained": (style.SKY, "o", 12, 0.6),
    "final": (style.ORANGE, "D", 18, 0.95),
}
_STAGE_WORDS = WORDS | {"inherited": "inherited weights"}
_DATASETS = {"imagenet": "ImageNet", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}


def plot_frontier(data: FrontierData, colour: Literal["stage", "generation"] = "stage") -> Figure:
    """Draw a frontier (see `frontier_data`), its trials coloured by stage or by generation.

    What the run measured for comparison is joined by a line of hollow squares; a twin in full precision is a level.
    References and published models are labelled where a label fits without covering another. Pruned trials are counted
    but not drawn, as their accuracy is that of a part of the budget. A run without a usable trial gives a figure that
    says so.
    """
    figure, axes = style.new_figure()
    x = axis_scale(data.x, _largest(data, 0))
    y = axis_scale(data.y, _largest(data, 1))
    scales = np.array([x.factor, y.factor])
    style.label_axes(axes, x.label, y.label, _title(data))

    if data.budget:
        low, high = np.array(data.budget) / x.factor
        axes.axvspan(low, high, color=style.GREY, alpha=0.08, linewidth=0, label="budget", zorder=0)
        for edge in (low, high):
            axes.axvline(edge, color=style.GREY, linewidth=0.7, linestyle=":", zorder=1)
    _draw_trials(figure, axes, data, data.points / scales, colour)
    if len(data.baseline_front):
        _stairs(
            axes, data, data.baseline_front / scales, style.plain(f"front of {data.baseline_name}"), style.GREEN, "--"
        )
    if len(data.front):
        _stairs(axes, data, data.front / scales, f"front ({plural(len(data.front), 'trial')})", style.BLUE, "-")
    if data.knee:
        knee = np.array(data.knee) / scales
        axes.plot(*knee, "*", color=style.BLACK, markersize=12, markeredgecolor="white", label="knee", zorder=6)
    _draw_compared(axes, data, scales)
    for design, marker in (("auto", "^"), ("manual", "v")):
        chosen = np.array([(r.x, r.y) for r in data.published if r.design == design]).reshape(-1, 2) / scales
        if len(chosen):
            words = f"published test accuracy, {'searched' if design == 'auto' else 'by hand'}"
            axes.plot(
                *chosen.T, marker, color=style.VERMILION if design == "auto" else style.BLACK, markersize=4.5,
                markerfacecolor="white", markeredgewidth=0.9, label=words, zorder=4,
            )  # fmt: skip
    _set_limits(axes, data)
    _say_what_is_missing(axes, data)
    style.legend_below(figure, axes)
    label_points(figure, axes, data, scales)
    return figure


def _largest(data: FrontierData, objective: int) -> float:
    columns = [data.points[:, objective], data.baseline_front[:, objective]]
    marks = [*data.published, *(c for c in data.compared if not c.full_precision)]
    columns.append(np.array([(mark.x, mark.y)[objective] for mark in marks]))
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
    from matplotlib.ticker import MaxNLocator

    if colour == "generation" and np.isfinite(data.generations).any():
        drawn = axes.scatter(
            *points.T, c=data.generations, cmap="viridis_r", s=12, alpha=0.7, linewidths=0, plotnonfinite=True,
        )  # fmt: skip
        bar = figure.colorbar(drawn, ax=axes, pad=0.01, aspect=30)
        bar.set_label("generation of the trial", fontsize=style.TEXT_SIZE)
        bar.ax.tick_params(labelsize=style.SMALL_SIZE)
        bar.locator = MaxNLocator(integer=True, nbins=6)
        bar.outline.set_visible(False)
        return
    for stage in _STAGE_LOOKS:
        chosen = points[np.array(data.stages) == stage]
        if len(chosen):
            ink, marker, size, alpha = _STAGE_LOOKS[stage]
            axes.scatter(
                *chosen.T, color=ink, marker=marker, s=size, alpha=alpha, linewidths=0, zorder=2,
                label=f"{_STAGE_WORDS[stage]} ({len(chosen):,})",
            )  # fmt: skip


def _stairs(axes: Axes, data: FrontierData, front: Floats, label: str, colour: str, line: str) -> None:
    # what is reached at an x holds until the next better point: towards more where less x is better
    where = "steps-post" if data.directions[0] == "min" else "steps-pre"
    axes.plot(*front.T, color=colour, linestyle=line, linewidth=1.8, drawstyle=where, label=label, zorder=3)
    axes.plot(*front.T, ".", color=colour, markersize=5, zorder=3)


def _draw_compared(axes: Axes, data: FrontierData, scales: Floats) -> None:
    """Uniform networks and other references as a line of hollow squares; full precision as a level with its cost."""
    twins = [c for c in data.compared if c.full_precision and data.y == "accuracy"]
    others = np.array([(c.x, c.y) for c in data.compared if c not in twins]).reshape(-1, 2) / scales
    if len(others):
        axes.plot(
            *others.T, "s-", color=style.BLACK, linewidth=0.9, markersize=5, markerfacecolor="white",
            markeredgewidth=1.0, alpha=0.8, label="for comparison, not searched", zorder=3.5,
        )  # fmt: skip
    for place, twin in enumerate(sorted(twins, key=lambda twin: -twin.y)):
        level = twin.y / scales[1]
        axes.axhline(level, color=style.GREY, linewidth=1.1, linestyle="--", zorder=1.5)
        words = f"{twin.name}: {percent(twin.y)}, {cost_words(data.x, twin.x)}"
        # the first above its line on the right, where no front rises, the next below, then the same on the left
        above, left = place % 2 == 0, place % 4 >= 2
        axes.annotate(
            style.plain(words), (0.01 if left else 0.99, level), xycoords=axes.get_yaxis_transform(),
            xytext=(0, 2 if above else -2), textcoords="offset points", ha="left" if left else "right",
            va="bottom" if above else "top", fontsize=style.SMALL_SIZE, color=style.GREY, zorder=7,
            bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.2},
        )  # fmt: skip


def _set_limits(axes: Axes, data: FrontierData) -> None:
    axes.margins(x=0.04, y=0.12 if data.published or data.compared else 0.06)  # labels need room
    if data.y == "accuracy":
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, 0.0) if len(data.points) or data.published or data.compared else 0.0, min(high, 100.0))


def _say_what_is_missing(axes: Axes, data: FrontierData) -> None:
    words: list[str] = []
    if len(data.points) == 0:
        words.append("no finished trial to show" if data.trials else "this run has no trials yet")
    for state, text in (("pruned", "pruned"), ("running", "still running")):
        if data.counts.get(state):
            words.append(f"{data.counts[state]:,} {text}")
    if data.unusable:
        words.append(f"{data.unusable:,} finished without finite values")
    if not words:
        return
    note = "; ".join(words)
    if len(data.points) == 0:
        if not data.published and not data.compared and not len(data.baseline_front):
            axes.set(xticks=[], yticks=[])  # numbers on the axes would mean nothing
        axes.text(0.5, 0.5, note, transform=axes.transAxes, ha="center", va="center", color=style.GREY)
        return
    axes.text(
        0.99, 0.015, f"not shown: {note}", transform=axes.transAxes, ha="right", va="bottom", color=style.GREY,
        fontsize=style.SMALL_SIZE,
    )  # fmt: skip
