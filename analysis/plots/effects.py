"""Draws what genes do to accuracy at equal operations, and how much each matters."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.importance import Importance

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def plot_gene_effects(effects: pd.DataFrame, most: int = 20) -> Figure:
    """The effects of `analysis.effects.gene_effects`: one row a gene, one dot a value, with intervals."""
    raise NotImplementedError


def plot_importance(data: Importance, most: int = 15) -> Figure:
    """The importances of `analysis.importance`, with intervals."""
    raise NotImplementedError
