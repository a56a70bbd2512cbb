"""Draws how a differentiable search went: probabilities of layer types, their entropy, accuracy."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.findings.cells import words
from analysis.measures.pareto import Floats
from analysis.plots import layer_types, style
from analysis.runs.history import SOURCES, layer_probabilities, search_accuracy, search_entropy
from analysis.runs.trials import numbers
from analysis.units import plural

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_layer_probabilities(history: pd.DataFrame) -> Figure:
    """Mean probability of every layer type over the epochs: a row a cell, edges from its inputs and from its nodes.

    Takes a history as `load_history` gives it; the data behind it are `layer_probabilities(history)`.
    """
    if not len(history):
        return _nothing()
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
                values = numbers(own, "epoch", "probability")
                _line(axes, values[:, 0], 100 * values[:, 1], str(layer))
            axes.set_ylim(0, 1.06 * top)
            if not len(part):
                style.say_instead(axes, "no such edge")
    full = next((axes for row in panels for axes in row if axes.lines), panels[0][0])
    style.legend_below(figure, full, 7)
    return figure


def plot_entropy(history: pd.DataFrame) -> Figure:
    """Entropy of the layer types over the epochs: the mean over a cell's edges, and the range of its edges as a band.

    The data behind it are `search_entropy(history)`.
    """
    if not len(history):
        return _nothing()
    data = search_entropy(history)
    figure, axes = style.new_figure(height=3.4)
    style.label_axes(axes, "epoch", "entropy of an edge (nats)", "mean over the edges; band: least to most of any edge")
    uniform = float(data["uniform"].iloc[0])
    axes.axhline(uniform, color=style.GREY, linewidth=0.9, linestyle=":", label="all layer types alike", zorder=1)
    for index, (cell, part) in enumerate(data.groupby("cell", sort=False)):
        colour, line = style.LINES[index % len(style.LINES)]
        values = numbers(part, "epoch", "entropy", "least", "most")
        axes.fill_between(values[:, 0], values[:, 2], values[:, 3], color=colour, alpha=0.15, linewidth=0)
        marker = "." if len(values) < 2 else ""
        axes.plot(
            values[:, 0], values[:, 1], linestyle=line, marker=marker, color=colour, linewidth=1.5,
            label=style.plain(f"{cell} cell"),
        )  # fmt: skip
    axes.set_ylim(0, 1.06 * max(uniform, float(data["most"].max())))
    _whole_epochs(axes)
    style.legend_below(figure, axes)
    return figure


def plot_search_accuracy(history: pd.DataFrame) -> Figure:
    """Accuracy of the mixture over the epochs; the data behind it are `search_accuracy(history)`."""
    if not len(history):
        return _nothing()
    data = search_accuracy(history)
    figure, axes = style.new_figure(height=3.2)
    style.label_axes(axes, "epoch", "accuracy (%)", "the mixture of all layer types, as it searches")
    named = {"accuracy": "validation images", "architecture_accuracy": "images that move the architecture"}
    for (name, label), (colour, line) in zip(named.items(), style.LINES, strict=False):
        values = numbers(data, "epoch", name) if name in data.columns else np.empty((0, 2))
        if np.isfinite(values[:, 1:]).any():
            marker = "." if len(values) < 30 else ""
            axes.plot(
                values[:, 0], 100 * values[:, 1], linestyle=line, marker=marker, color=colour, linewidth=1.5,
                label=label,
            )  # fmt: skip
    if not axes.lines:
        style.say_instead(axes, "no accuracy was measured while it searched")
        return figure
    _whole_epochs(axes)
    style.legend_below(figure, axes)
    return figure


def _line(axes: Axes, epochs: Floats, values: Floats, layer: str) -> None:
    marker = "." if len(epochs) < 2 else ""
    axes.plot(
        epochs, values, linestyle=layer_types.line(layer), marker=marker, color=layer_types.colour(layer),
        linewidth=1.5, label=style.plain(words(layer)),
    )  # fmt: skip
    _whole_epochs(axes)


def _whole_epochs(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _nothing() -> Figure:
    figure, axes = style.new_figure(height=3)
    style.say_instead(axes, "the search has not ended an epoch yet")
    return figure
