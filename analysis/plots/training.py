"""Draws how trainings went: loss, learning rate and speed, epoch by epoch."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

import os
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plots import style
from analysis.runs.events import load_epochs
from analysis.runs.trials import numbers
from analysis.units import plural

_ROWS = {"loss": "loss (nats)", "learning_rate": "learning rate", "images_per_second": "images per second"}


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The epochs of a run, as `analysis.runs.events.load_epochs` gives them."""

    epochs: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """One row per epoch of a training."""
        return self.epochs

    def trainings(self) -> dict[str, dict[str, pd.DataFrame]]:
        """The epochs of each training, by phase (supernet, finetuned) and network (the supernet is "")."""
        found: dict[str, dict[str, pd.DataFrame]] = {}
        for phase, rows in self.epochs.groupby("phase", sort=False):
            names = rows["id"].fillna("").astype("str")
            found[str(phase)] = {str(name): part for name, part in rows.groupby(names, sort=False)}
        return found


def training_data(run: str | os.PathLike[str]) -> TrainingData:
    """The trainings of a run's folder, finished or not; none where the run has logged none."""
    return TrainingData(load_epochs(run))


def plot_training(data: TrainingData) -> Figure:
    """Loss, learning rate and speed over the epochs: those of the supernet, and beside them those of later networks."""
    trainings = data.trainings()
    if not trainings:
        return style.nothing("no epoch of a training is on record")
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
    going = [(at, end) for at, end in ends if at < end]  # false where a log does not say how many there are
    what = f"{phase}: {plural(len(networks), 'network')}" if phase != "supernet" else phase
    if not going:
        return what
    if len(networks) == 1:
        return f"{what}, {going[0][0]:.0f} of {going[0][1]:.0f} epochs so far"
    return f"{what}, {len(going)} of them not at the end"


def _draw(axes: Axes, networks: dict[str, pd.DataFrame], name: str) -> None:
    few = len(networks) <= len(style.LINES)
    drawn = False
    for index, (network, rows) in enumerate(networks.items()):
        look = style.LINES[index % len(style.LINES)] if few else (style.BLUE, "-")
        epochs, values = numbers(rows, "epoch", name).T
        # a single epoch is a dot: a line needs two
        dots = {"marker": "." if len(rows) < 30 else "", "markersize": 4, "alpha": 1 if few else 0.35}
        style.curve(axes, epochs, values, look, linewidth=1.3, label=style.plain(network) or None, **dots)
        drawn = drawn or bool(np.isfinite(values).any())
    last = np.concatenate([numbers(rows, "epochs")[:, 0] for rows in networks.values()])
    if np.isfinite(last).any():
        axes.set_xlim(0.5, float(np.nanmax(last)) + 0.5)
    style.whole_numbers(axes)
    if not drawn:
        style.say_instead(axes, "no value on record")
    elif name != "loss":
        axes.set_ylim(bottom=0)
