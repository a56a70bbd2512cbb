"""Draws which genes the networks of the front have: layer by layer, and stage by stage along the front."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.front import numbers
from analysis.plots import style
from analysis.plots.genes import GENES, GenesData

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WORDS = {"width": "width", "kernel_size": "kernel size", "groups": "groups", "depth": "depth"}
_LEAST_TEXT = 0.14  # share of a bar that has room for a number


def plot_gene_frequency(data: GenesData) -> Figure:
    """Shares of widths, kernel sizes and groups for every layer, stacked, the larger values darker.

    A bar ends below 100 % where some networks of the front do without the layer.
    """
    if data.networks == 0:
        return _nothing(data)
    figure, panels = style.new_panels(3, 1, height=5.6)
    title = f"the {style.plural(data.networks, 'network')} on the front, layer by layer; darker: larger"
    figure.suptitle(title, fontsize=style.TEXT_SIZE, x=0.01, ha="left")
    stages, layers = data.shares["stage"].tolist(), data.shares["layer"].tolist()
    # a gap between stages, so that they are seen as such
    order = dict.fromkeys(zip(stages, layers, strict=True))
    at = {place: index + 0.7 * (place[0] - 1) for index, place in enumerate(order)}
    for gene, (axes,) in zip(GENES, panels, strict=True):
        style.label_axes(axes, y=f"{_WORDS[gene]}\n(% of networks)")
        _stack(axes, data.shares[data.shares["gene"] == gene], at)
        axes.set(ylim=(0, 100), xlim=(-0.8, max(at.values()) + 0.8), yticks=[0, 50, 100])
        axes.grid(visible=False, axis="x")
        axes.set_xticks(list(at.values()), [str(layer) for _, layer in order], fontsize=style.SMALL_SIZE)
        axes.tick_params(axis="x", length=0)
    for stage in sorted(set(stages)):
        own = [x for (other, _), x in at.items() if other == stage]
        panels[0][0].text(
            (min(own) + max(own)) / 2, 103, f"stage {stage}", ha="center", va="bottom", fontsize=style.SMALL_SIZE
        )  # fmt: skip
    style.label_axes(panels[-1][0], "layer of the stage", f"{_WORDS[GENES[-1]]}\n(% of networks)")
    _say_missing(figure, data)
    return figure


def plot_genes_along_front(data: GenesData) -> Figure:
    """Width, depth, kernels and groups of every stage of the front's networks, from the cheapest to the dearest.

    Colours tell where a value stands between the least and the greatest that any trial has in that stage (means over
    the stage's layers); a stage with one value alone is blank.
    """
    if data.networks == 0:
        return _nothing(data)
    figure, panels = style.new_panels(2, 2, height=4.6)
    title = f"stages of the {style.plural(data.networks, 'network')} on the front, from the cheapest to the dearest"
    figure.suptitle(title, fontsize=style.TEXT_SIZE, x=0.01, ha="left")
    flat = [axes for row in panels for axes in row]
    costs = numbers(data.along.drop_duplicates("network"), "cost")[:, 0]
    scale = style.axis_scale(data.x, float(costs.max()))
    marks = np.unique(np.linspace(0, len(costs) - 1, min(len(costs), 6)).round().astype(int))
    drawn = None
    for gene, axes in zip(("width", "depth", "kernel_size", "groups"), flat, strict=True):
        table = data.along.pivot(index="stage", columns="network", values=f"{gene}_place")
        drawn = axes.pcolormesh(
            np.arange(table.shape[1] + 1) - 0.5, np.arange(table.shape[0] + 1) + 0.5, 100 * table.to_numpy("float64"),
            cmap="Blues", vmin=0, vmax=100, edgecolors="white", linewidth=0.4,
        )  # fmt: skip
        axes.set_facecolor("#f0f0f0")  # a stage without a choice
        axes.grid(visible=False)
        axes.set_ylim(table.shape[0] + 0.5, 0.5)
        axes.set_yticks(range(1, table.shape[0] + 1))
        axes.set_xticks(marks.tolist(), [f"{costs[mark] / scale.factor:.3g}" for mark in marks])
        axes.tick_params(length=0, labelsize=style.SMALL_SIZE)
        axes.spines[["left", "bottom"]].set_visible(False)
        lower = axes in panels[1]
        style.label_axes(axes, scale.label if lower else "", "stage" if axes in (panels[0][0], panels[1][0]) else "")
        axes.set_title(_WORDS[gene], fontsize=style.TEXT_SIZE, loc="left")
    assert drawn is not None
    bar = figure.colorbar(drawn, ax=flat, pad=0.02, aspect=35)
    bar.set_label("from the stage's least to its most (%)", fontsize=style.TEXT_SIZE)
    bar.ax.tick_params(labelsize=style.SMALL_SIZE)
    bar.outline.set_visible(False)
    _say_missing(figure, data)
    return figure


def _nothing(data: GenesData) -> Figure:
    figure, axes = style.new_figure(height=3)
    style.say_instead(axes, data.missing)
    return figure


def _say_missing(figure: Figure, data: GenesData) -> None:
    if data.missing:
        figure.supxlabel(f"not shown: {data.missing}", fontsize=style.SMALL_SIZE, color=style.GREY)


def _stack(axes: Axes, shares: pd.DataFrame, at: dict[tuple[int, int], float]) -> None:
    bottoms = dict.fromkeys(at, 0.0)
    names = ("stage", "layer", "place", "places", "value", "share")
    for stage, layer, place, places, value, share in zip(*(shares[name].tolist() for name in names), strict=True):
        x, bottom = at[stage, layer], bottoms[stage, layer]
        colour = str(style.shades(int(places))[int(place)])
        axes.bar(x, 100 * share, 0.86, bottom=100 * bottom, color=colour, linewidth=0)
        if share >= _LEAST_TEXT:
            axes.text(
                x, 100 * (bottom + share / 2), str(value), ha="center", va="center", color=_ink(colour),
                fontsize=5.5 if value > 999 else 6.5,
            )  # fmt: skip
        bottoms[stage, layer] = bottom + share


def _ink(colour: str) -> str:
    """White on dark, black on light (luma of ITU-R BT.601)."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(colour)
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else style.BLACK
