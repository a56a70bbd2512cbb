"""Figures: each is first computed as a plain value (`*_data`), then drawn from it. `save_figure` writes both."""

from analysis.findings.cells import CellData, cell_data
from analysis.findings.frontier import Compared, FrontierData, Reference, frontier_data
from analysis.findings.growth import HypervolumeData, hypervolume_data
from analysis.plots.attainment import (
    AttainmentData,
    SeedsData,
    attainment_data,
    plot_attainment,
    plot_seeds,
    seeds_data,
)
from analysis.plots.cells import draw_cell
from analysis.plots.channels import ChannelsData, channels_data, plot_channels
from analysis.plots.effects import plot_gene_effects, plot_importance, plot_operators
from analysis.plots.frontier.draw import plot_frontier
from analysis.plots.genes import GenesData, genes_data, plot_gene_frequency, plot_genes_along_front
from analysis.plots.history import plot_entropy, plot_layer_probabilities, plot_search_accuracy
from analysis.plots.hypervolume import plot_hypervolume
from analysis.plots.parallel import ParallelData, parallel_data, plot_parallel
from analysis.plots.stages import StagesData, paired_data, plot_stages, stages_data
from analysis.plots.style import save_figure
from analysis.plots.training import TrainingData, plot_training, training_data

__all__ = [
    "AttainmentData",
    "CellData",
    "ChannelsData",
    "Compared",
    "FrontierData",
    "GenesData",
    "HypervolumeData",
    "ParallelData",
    "Reference",
    "SeedsData",
    "StagesData",
    "TrainingData",
    "attainment_data",
    "cell_data",
    "channels_data",
    "draw_cell",
    "frontier_data",
    "genes_data",
    "hypervolume_data",
    "paired_data",
    "parallel_data",
    "plot_attainment",
    "plot_channels",
    "plot_entropy",
    "plot_frontier",
    "plot_gene_effects",
    "plot_gene_frequency",
    "plot_genes_along_front",
    "plot_hypervolume",
    "plot_importance",
    "plot_layer_probabilities",
    "plot_operators",
    "plot_parallel",
    "plot_search_accuracy",
    "plot_seeds",
    "plot_stages",
    "plot_training",
    "save_figure",
    "seeds_data",
    "stages_data",
    "training_data",
]
