"""Draws how trainings went: loss, learning rate and speed, epoch by epoch."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The epochs of a run (see `analysis.events.load_epochs`)."""

    epochs: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """The data as written beside the figure."""
        raise NotImplementedError


def training_data(run: str | os.PathLike[str]) -> TrainingData:
    """The trainings of a run's folder."""
    raise NotImplementedError


def plot_training(data: TrainingData) -> Figure:
    """The supernet's loss, rate and speed above those of the networks that were trained on."""
    raise NotImplementedError
