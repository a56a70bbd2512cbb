"""Draws which genes the networks of the front have, layer by layer and along the front."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class GenesData:
    """Shares of the front's networks by layer and value, and means by stage along the front.

    `shares` has the columns `gene` (width, kernel_size, groups), `layer`, `stage`, `value`, `share` (of the networks
    that have the layer), `networks`; `along` the columns `ops`, `stage`, `width`, `kernel_size`, `groups`, `depth`,
    `large_kernels` (share of the stage's layers with the largest kernel).
    """

    shares: pd.DataFrame
    along: pd.DataFrame
    networks: int
    missing: str

    def table(self) -> pd.DataFrame:
        """The data as written beside the figure."""
        raise NotImplementedError


def genes_data(trials: pd.DataFrame, x: str = "ops", y: str = "accuracy") -> GenesData:
    """Genes of the networks on the front of a run's finished trials."""
    raise NotImplementedError


def plot_gene_frequency(data: GenesData) -> Figure:
    """Stacked shares of widths, kernel sizes and groups for every layer."""
    raise NotImplementedError


def plot_genes_along_front(data: GenesData) -> Figure:
    """Width, share of large kernels and groups of every stage against operations, from the front's start to its end."""
    raise NotImplementedError
