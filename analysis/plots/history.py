"""Draws how a differentiable search went: probabilities of layer types, their entropy, accuracy."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from typing import overload

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.findings.cells import words
from analysis.plots import layer_types, style
from analysis.runs.history import SOURCES, layer_probabilities, search_accuracy, search_entropy
from analysis.runs.trials import numbers
from analysis.units import plural

_NOTHING = "the search has not ended an epoch yet"


def plot_layer_probabilities(history: pd.DataFrame) -> Figure:
    """Mean probability of every layer type over the epochs: a row per cell, edges from its inputs and from its nodes.

    Takes a history as `load_history` gives it, and draws `layer_probabilities(history)`.
    """
    if not len(history):
        return style.nothing(_NOTHING)
    data = layer_probabilities(history)
    cells = [str(cell) for cell in data["cell"].unique().tolist()]
    figure, panels = style.new_panels(len(cells), len(SOURCES), height=0.9 + 2.2 * len(cells))
    top = 100 * float(data["probability"].max())
    for cell, row in zip(cells, panels, strict=True):
        for source, axes in zip(SOURCES, row, strict=True):
            part = data[(data["cell"] == cell) & (data["source"] == source)]
            edges = int(part["edges"].max()) if len(part) else 0
            title = f"{cell} cell: {plural(edges, 'edge')} from {source}"
            last, first = cell == cells[-1], source == SOURCES[0]
            style.label_axes(axes, "epoch" if last else "", "probability (%)" if first else "", title)
            for layer, own in part.groupby("layer", sort=False):
                epochs, values = numbers(own, "epoch", "probability").T
                look = layer_types.colour(str(layer)), layer_types.line(str(layer))
                marker, label = "." if len(epochs) < 2 else "", style.plain(words(str(layer)))
                style.curve(axes, epochs, 100 * values, look, marker=marker, label=label)
                style.whole_numbers(axes)
            axes.set_ylim(0, 1.06 * top)
            if not len(part):
                style.say_instead(axes, "no such edge")
    full = next((axes for row in panels for axes in row if axes.lines), panels[0][0])
    style.legend_below(figure, full, 7)
    return figure


@overload
def plot_entropy(history: pd.DataFrame, *, ax: None = None) -> Figure: ...
@overload
def plot_entropy(history: pd.DataFrame, *, ax: Axes) -> Axes: ...
def plot_entropy(history: pd.DataFrame, *, ax: Axes | None = None) -> Figure | Axes:
    """Entropy of the layer types over the epochs: the mean over a cell's edges, and the range of its edges as a band.

    Draws `search_entropy(history)`.

    On `ax` where it is given, which is then returned.
    """
    if not len(history):
        return style.drawn(style.nothing(_NOTHING, ax=ax), ax)
    data = search_entropy(history)
    figure, axes = style.on(ax, height=3.4)
    style.label_axes(axes, "epoch", "entropy of an edge (nats)", "mean over the edges; band: least to most of any edge")
    uniform = float(data["uniform"].iloc[0])
    axes.axhline(uniform, color=style.GREY, linewidth=0.9, linestyle=":", label="all layer types alike", zorder=1)
    for index, (cell, part) in enumerate(data.groupby("cell", sort=False)):
        look = style.LINES[index % len(style.LINES)]
        epochs, entropy, least, most = numbers(part, "epoch", "entropy", "least", "most").T
        axes.fill_between(epochs, least, most, color=look[0], alpha=0.15, linewidth=0)
        marker, label = "." if len(epochs) < 2 else "", style.plain(f"{cell} cell")
        style.curve(axes, epochs, entropy, look, marker=marker, label=label)
    axes.set_ylim(0, 1.06 * max(uniform, float(data["most"].max())))
    style.whole_numbers(axes)
    style.legend_below(figure, axes)
    return style.drawn(figure, ax)


@overload
def plot_search_accuracy(history: pd.DataFrame, *, ax: None = None) -> Figure: ...
@overload
def plot_search_accuracy(history: pd.DataFrame, *, ax: Axes) -> Axes: ...
def plot_search_accuracy(history: pd.DataFrame, *, ax: Axes | None = None) -> Figure | Axes:
    """Accuracy of the mixture over the epochs: `search_accuracy(history)`.

    On `ax` where it is given, which is then returned.
    """
    if not len(history):
        return style.drawn(style.nothing(_NOTHING, ax=ax), ax)
    data = search_accuracy(history)
    figure, axes = style.on(ax, height=3.2)
    style.label_axes(axes, "epoch", "accuracy (%)", "the mixture of all layer types, as it searches")
    named = {"accuracy": "validation images", "architecture_accuracy": "images that move the architecture"}
    for (name, label), look in zip(named.items(), style.LINES, strict=False):
        epochs, values = (numbers(data, "epoch", name) if name in data.columns else np.empty((0, 2))).T
        if np.isfinite(values).any():
            style.curve(axes, epochs, 100 * values, look, marker="." if len(epochs) < 30 else "", label=label)
    if not axes.lines:
        style.say_instead(axes, "no accuracy was measured while it searched")
        return style.drawn(figure, ax)
    style.whole_numbers(axes)
    style.legend_below(figure, axes)
    return style.drawn(figure, ax)
