"""Draws what genes do to accuracy at equal operations, how much each matters, and the operators of the front."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from typing import overload

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.findings.importance import Importance
from analysis.plots import style
from analysis.runs.trials import numbers


@overload
def plot_gene_effects(effects: pd.DataFrame, most: int = 16, y: str = "accuracy", *, ax: None = None) -> Figure: ...
@overload
def plot_gene_effects(effects: pd.DataFrame, most: int = 16, y: str = "accuracy", *, ax: Axes) -> Axes: ...
def plot_gene_effects(
    effects: pd.DataFrame, most: int = 16, y: str = "accuracy", *, ax: Axes | None = None
) -> Figure | Axes:
    """Draw what `gene_effects` found for `y`: one row per gene, one dot per value, with 95 % intervals.

    Of many genes, the `most` whose values differ most are shown, in the order of the layers.

    On `ax` where it is given, which is then returned.
    """
    parts = {str(gene): part for gene, part in effects.groupby("gene", sort=False)}
    spread = {gene: float(np.ptp(part["effect"])) for gene, part in parts.items()}
    chosen = sorted(sorted(parts, key=lambda gene: -spread[gene])[:most], key=list(parts).index)
    # a gene of many values is as high as their labels need
    heights = [max(1.0, 0.45 * len(parts[gene])) for gene in chosen]
    middles = [sum(heights[:row]) + height / 2 for row, height in enumerate(heights)]
    figure, axes = style.on(ax, height=1.5 + 0.27 * max(sum(heights), 4))
    unit = "percentage points" if y == "accuracy" else y
    title = "" if len(chosen) == len(parts) else f"the {len(chosen)} genes of {len(parts)} that do most"
    style.label_axes(axes, f"{y} against the mean of networks of equal cost ({unit})", title=title)
    if not chosen:
        style.say_instead(axes, "too few trials to say what genes do")
        return style.drawn(figure, ax)
    axes.axvline(0, color=style.GREY, linewidth=0.8, zorder=1)
    for gene, row, height in zip(chosen, middles, heights, strict=True):
        _gene(axes, parts[gene], row, height / 2 - 0.28, 100 if y == "accuracy" else 1)
    axes.set_yticks(middles, list(map(style.plain, chosen)), fontsize=style.SMALL_SIZE)
    axes.set_ylim(sum(heights) + 0.1, -0.1)
    axes.margins(x=0.12)  # room for the values beside their intervals
    axes.grid(visible=False, axis="y")
    for row, height in list(zip(middles, heights, strict=True))[1::2]:
        axes.axhspan(row - height / 2, row + height / 2, color=style.GREY, alpha=0.07, linewidth=0, zorder=0)
    return style.drawn(figure, ax)


def _gene(axes: Axes, part: pd.DataFrame, row: float, reach: float, scale: float) -> None:
    """The values of one gene, spread over `reach` above and below its row."""
    colours = style.shades(len(part) + 1)[1:]  # the lightest is hard to see as a line
    offsets = np.linspace(-reach, reach, len(part)).tolist()
    ends = (scale * numbers(part, "effect", "low", "high")).tolist()
    for value, (effect, low, high), offset, colour in zip(part["value"].tolist(), ends, offsets, colours, strict=True):
        axes.plot([low, high], [row + offset] * 2, color=colour, linewidth=1.3, zorder=2)
        axes.plot(effect, row + offset, "o", color=colour, markersize=4, zorder=3)
        words = style.plain(f"{value:g}" if isinstance(value, float | int) else str(value))
        style.name_point(axes, words, (high, row + offset), (3, 0), fontsize=6, color=style.GREY)


@overload
def plot_importance(data: Importance, most: int = 15, *, ax: None = None) -> Figure: ...
@overload
def plot_importance(data: Importance, most: int = 15, *, ax: Axes) -> Axes: ...
def plot_importance(data: Importance, most: int = 15, *, ax: Axes | None = None) -> Figure | Axes:
    """Draw the importances of `importance`, the most important first, with 95 % intervals over the folds.

    On `ax` where it is given, which is then returned.
    """
    rows = data.frame.head(most)
    figure, axes = style.on(ax, height=1.5 + 0.24 * max(len(rows), 4))
    title = f"{data.trials:,} trials"
    title += f"; the forest has an R² of {data.r2:.2f} on unseen ones" if data.r2 > 0 else ""
    what = f" ({data.target})" if data.target else ""
    style.label_axes(axes, style.plain(f"importance: fall of R² when shuffled{what}"), title=title)
    if len(rows) == 0:
        style.say_instead(axes, data.note or "nothing to show")
        return style.drawn(figure, ax)
    at = np.arange(len(rows))
    values, low, high = numbers(rows, "importance", "low", "high").T
    colours = [style.BLUE if end > 0 else style.GREY for end in low]
    axes.hlines(at, low, high, colors=colours, linewidth=1.4)
    axes.scatter(values, at, c=colours, s=22, zorder=3, linewidths=0)
    axes.axvline(0, color=style.GREY, linewidth=0.8, zorder=1)
    axes.set_yticks(at, [style.plain(name) for name in rows["feature"]], fontsize=style.SMALL_SIZE)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    notes = [data.note] if data.note else ["grey: cannot be told from no importance"]
    notes += [f"{len(data.frame) - len(rows)} less important features left out"] if len(data.frame) > len(rows) else []
    style.add_note(axes, style.plain("\n".join(notes)))
    return style.drawn(figure, ax)


@overload
def plot_operators(table: pd.DataFrame, *, ax: None = None) -> Figure: ...
@overload
def plot_operators(table: pd.DataFrame, *, ax: Axes) -> Axes: ...
def plot_operators(table: pd.DataFrame, *, ax: Axes | None = None) -> Figure | Axes:
    """Draw the table of `operator_table`: how often each operator's trials are on the front.

    On `ax` where it is given, which is then returned.
    """
    figure, axes = style.on(ax, height=1.3 + 0.3 * max(len(table), 3))
    style.label_axes(axes, "trials that are on the front (%), with 95 % intervals")
    if len(table) == 0:
        style.say_instead(axes, "no trial to show")
        return style.drawn(figure, ax)
    at = np.arange(len(table))
    rate, low, high = 100 * numbers(table, "rate", "low", "high").T
    axes.hlines(at, low, high, color=style.BLUE, linewidth=1.4)
    axes.plot(rate, at, "o", color=style.BLUE, markersize=5)
    columns = (table[name] for name in ("operator", "front", "trials", "failed"))
    names = [
        style.plain(f"{operator}\n{front:,} of {trials:,}") + (f", {failed:,} failed" if failed else "")
        for operator, front, trials, failed in zip(*columns, strict=True)
    ]
    axes.set_yticks(at, names, fontsize=style.SMALL_SIZE)
    axes.set(ylim=(len(table) - 0.5, -0.5), xlim=(0, max(float(high.max()) * 1.04, 5)))
    axes.grid(visible=False, axis="y")
    return style.drawn(figure, ax)
