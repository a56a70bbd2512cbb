"""Draws how trainings went: loss, learning rate and speed, epoch by epoch."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.plots import style
from analysis.runs.events import load_epochs
from analysis.runs.trials import numbers
from analysis.units import plural

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROWS = {"loss": "loss (nats)", "learning_rate": "learning rate", "images_per_second": "images a second"}


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The epochs of a run, as `analysis.runs.events.load_epochs` gives them."""

    epochs: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """One row an epoch of a training."""
        return self.epochs

    def trainings(self) -> dict[str, dict[str, pd.DataFrame]]:
        """The epochs of each training, by phase (supernet, finetuned) and network (the supernet is "")."""
        found: dict[str, dict[str, pd.DataFrame]] = {}
        for phase, rows in self.epochs.groupby("phase", sort=False):
            names = rows["id"].fillna("").astype("str")
            found[str(phase)] = {str(name): part for name, part in rows.groupby(names, sort=False)}
        return found


def training_data(run: str | os.PathLike[str]) -> TrainingData:
    """The trainings of a run's folder, finished or going on; none where the run has logged none."""
    return TrainingData(load_epochs(run))


def plot_training(data: TrainingData) -> Figure:
    """Loss, learning rate and speed over the epochs: the supernet's, and beside them those of the networks after it."""
    trainings = data.trainings()
    if not trainings:
        figure, axes = style.new_figure(height=3)
        style.say_instead(axes, "no epoch of a training is on record")
        return figure
    figure, panels = style.new_panels(3, len(trainings), height=5.2)
    for column, (phase, networks) in enumerate(trainings.items()):
        panels[0][column].set_title(style.plain(_title(phase, networks)), fontsize=style.TEXT_SIZE, loc="left")
        for (name, label), row in zip(_ROWS.items(), panels, strict=True):
            style.label_axes(row[column], "epoch" if row is panels[-1] else "", label if column == 0 else "")
            _draw(row[column], networks, name)
        if 1 < len(networks) <= len(style.LINES):
            style.legend_below(figure, panels[0][column])
    return figure


def _title(phase: str, networks: dict[str, pd.DataFrame]) -> str:
    ends = [numbers(rows, "epoch", "epochs").max(axis=0) for rows in networks.values()]
    going = [(at, end) for at, end in ends if at < end]  # false where a log does not say how many there are to be
    what = f"{phase}: {plural(len(networks), 'network')}" if phase != "supernet" else phase
    if not going:
        return what
    if len(networks) == 1:
        return f"{what}, {going[0][0]:.0f} of {going[0][1]:.0f} epochs so far"
    return f"{what}, {len(going)} of them not at the end"


def _draw(axes: Axes, networks: dict[str, pd.DataFrame], name: str) -> None:
    from matplotlib.ticker import MaxNLocator

    few = len(networks) <= len(style.LINES)
    drawn = False
    for index, (network, rows) in enumerate(networks.items()):
        colour, line = style.LINES[index % len(style.LINES)] if few else (style.BLUE, "-")
        values = numbers(rows, "epoch", name)
        # a single epoch is a dot: a line needs two
        marker = "." if len(rows) < 30 else ""
        axes.plot(
            values[:, 0], values[:, 1], linestyle=line, marker=marker, markersize=4, color=colour, linewidth=1.3,
            alpha=1 if few else 0.35, label=style.plain(network) or None,
        )  # fmt: skip
        drawn = drawn or bool(np.isfinite(values[:, 1]).any())
    last = np.concatenate([numbers(rows, "epochs")[:, 0] for rows in networks.values()])
    if np.isfinite(last).any():
        axes.set_xlim(0.5, float(np.nanmax(last)) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    if not drawn:
        style.say_instead(axes, "no value on record")
    elif name != "loss":
        axes.set_ylim(bottom=0)
