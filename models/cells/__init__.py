"""Networks of the cell space: final ones, the mixture that searches, and candidates that inherit its weights."""

from models.cells.mixture import Mixture, mixed_edges, mixture_of
from models.cells.network import CellNetwork, CellOptions
from models.cells.supernet import InheritedNetwork, MixedNetwork, MixedOptions, MixedSupernet

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
