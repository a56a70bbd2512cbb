"""Networks of the cell space: final ones, the mixture that searches, and candidates that inherit its weights."""

from models.cell.mixture import Mixture, mixed_edges, mixture_of
from models.cell.network import CellNetwork, CellOptions
from models.cell.supernet import InheritedNetwork, MixedNetwork, MixedOptions, MixedSupernet

__all__ = [
    "CellNetwork",
    "CellOptions",
    "InheritedNetwork",
    "MixedNetwork",
    "MixedOptions",
    "MixedSupernet",
    "Mixture",
    "mixed_edges",
    "mixture_of",
]
