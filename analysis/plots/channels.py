"""Draws the channels of architectures, layer by layer."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class ChannelsData:
    """`widths` holds for every architecture one row (stage, layer, width) a layer, the stem as stage 0."""

    widths: dict[str, tuple[tuple[int, int, int], ...]]

    def table(self) -> pd.DataFrame:
        """The data as written beside the figure."""
        raise NotImplementedError


def channels_data(architectures: Mapping[str, str] | Iterable[str]) -> ChannelsData:
    """Text forms by name, or text forms alone. Raises `ValueError` for a text that is no architecture with widths."""
    raise NotImplementedError


def plot_channels(data: ChannelsData) -> Figure:
    """One line an architecture over the layers, stages side by side."""
    raise NotImplementedError
