"""Figures: each is first a plain value, then drawn from it."""

from analysis.plots.frontier import plot_frontier
from analysis.plots.frontier_data import FrontierData, Reference, frontier_data
from analysis.plots.hypervolume import HypervolumeData, hypervolume_data, plot_hypervolume
from analysis.plots.style import save_figure

__all__ = [
    "FrontierData",
    "HypervolumeData",
    "Reference",
    "frontier_data",
    "hypervolume_data",
    "plot_frontier",
    "plot_hypervolume",
    "save_figure",
]
