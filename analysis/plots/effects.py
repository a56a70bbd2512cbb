"""What genes do to accuracy at equal operations, how much each matters, and which operators reach the front."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.findings.importance import Importance
from analysis.plots import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def plot_gene_effects(effects: pd.DataFrame, most: int = 16, y: str = "accuracy") -> Figure:
    """Draw what `gene_effects` found for `y`: one row per gene, one dot per value, with 95 % intervals.

    Of many genes, those `most` whose values differ most are shown, in the order of the layers.
    """
    genes = list(dict.fromkeys(effects["gene"]))
    spread = {gene: float(np.ptp(effects.loc[effects["gene"] == gene, "effect"])) for gene in genes}
    chosen = sorted(sorted(genes, key=lambda gene: -spread[gene])[:most], key=genes.index)
    # a gene of many values is as high as their labels need
    heights = [max(1.0, 0.45 * int((effects["gene"] == gene).sum())) for gene in chosen]
    middles = [sum(heights[:row]) + height / 2 for row, height in enumerate(heights)]
    figure, axes = style.new_figure(height=1.5 + 0.27 * max(sum(heights), 4))
    scale, unit = (100, "percentage points") if y == "accuracy" else (1, y)
    title = "" if len(chosen) == len(genes) else f"the {len(chosen)} genes of {len(genes)} that do most"
    style.label_axes(axes, f"{y} against the mean of networks of equal cost ({unit})", title=title)
    if not chosen:
        style.say_instead(axes, "too few trials to tell what genes do")
        return figure
    axes.axvline(0, color=style.GREY, linewidth=0.8, zorder=1)
    for gene, row, height in zip(chosen, middles, heights, strict=True):
        values = [record for record in effects.to_dict("records") if record["gene"] == gene]
        colours = style.shades(len(values) + 1)[1:]  # the lightest is hard to see as a line
        reach = height / 2 - 0.28
        offsets = np.linspace(-reach, reach, len(values)).tolist()
        for offset, colour, record in zip(offsets, colours, values, strict=True):
            value, effect, low, high = (record[name] for name in ("value", "effect", "low", "high"))
            axes.plot([scale * low, scale * high], [row + offset] * 2, color=colour, linewidth=1.3, zorder=2)
            axes.plot(scale * effect, row + offset, "o", color=colour, markersize=4, zorder=3)
            axes.annotate(
                style.plain(f"{value:g}" if isinstance(value, float | int) else str(value)),
                (scale * high, row + offset), xytext=(3, 0), textcoords="offset points", va="center", fontsize=6,
                color=style.GREY,
            )  # fmt: skip
    axes.set_yticks(middles, [style.plain(gene) for gene in chosen], fontsize=style.SMALL_SIZE)
    axes.set_ylim(sum(heights) + 0.1, -0.1)
    axes.margins(x=0.12)  # room for the values beside their intervals
    axes.grid(visible=False, axis="y")
    for row, height in list(zip(middles, heights, strict=True))[1::2]:
        axes.axhspan(row - height / 2, row + height / 2, color=style.GREY, alpha=0.07, linewidth=0, zorder=0)
    return figure


def plot_importance(data: Importance, most: int = 15) -> Figure:
    """Draw the importances of `importance`, the most important first, with 95 % intervals over the folds."""
    rows = data.frame.head(most)
    figure, axes = style.new_figure(height=1.5 + 0.24 * max(len(rows), 4))
    title = f"{data.trials:,} trials" + (
        f"; the forest has an R² of {data.r2:.2f} on unseen ones" if data.r2 > 0 else ""
    )
    what = f" ({data.target})" if data.target else ""
    style.label_axes(axes, style.plain(f"importance: fall of R² when shuffled{what}"), title=title)
    if len(rows) == 0:
        style.say_instead(axes, data.note or "nothing to tell")
        return figure
    at = np.arange(len(rows))
    values = rows["importance"].to_numpy()
    errors = np.abs(np.stack([values - rows["low"].to_numpy(), rows["high"].to_numpy() - values]))
    colours = [style.BLUE if low > 0 else style.GREY for low in rows["low"]]
    axes.hlines(at, values - errors[0], values + errors[1], colors=colours, linewidth=1.4)
    axes.scatter(values, at, c=colours, s=22, zorder=3, linewidths=0)
    axes.axvline(0, color=style.GREY, linewidth=0.8, zorder=1)
    axes.set_yticks(at, [style.plain(name) for name in rows["feature"]], fontsize=style.SMALL_SIZE)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    notes = [data.note] if data.note else ["grey: not told apart from no importance"]
    notes += [f"{len(data.frame) - len(rows)} less important features left out"] if len(data.frame) > len(rows) else []
    style.add_note(axes, style.plain("\n".join(notes)))
    return figure


def plot_operators(table: pd.DataFrame) -> Figure:
    """Draw the table of `operator_table`: how often each operator's trials are on the front."""
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
