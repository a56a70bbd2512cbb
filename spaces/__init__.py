"""Search spaces: what may be built, as plain values, and what it costs. Loads neither torch nor ray.

The names below and `spaces.conformance` are the public interface; everything else may move.
"""

from spaces.catalogue import SPACES, get_space
from spaces.cell import CellSpace, Genotype
from spaces.cost import Cost, Costs, LayerCost
from spaces.cost.detector import DetectorCost, DetectorDesign, Precision, detector_cost
from spaces.declarations import space_from
from spaces.errors import SpaceError
from spaces.hyperparameters import Between, Grid, Hyperparameters, HyperparameterSpace, Listed
from spaces.joint import Joint, JointSpace, OnlySpace
from spaces.limits import Limits, sample_within, steer
from spaces.nasbnn import Architecture, Layer, NasBnnSpace, Stage
from spaces.product import ProductSpace
from spaces.space import BaseSpace, Candidate, Membership, Space
from spaces.width import Widths, WidthSpace

__all__ = [
    "SPACES",
    "Architecture",
    "BaseSpace",
    "Between",
    "Candidate",
    "CellSpace",
    "Cost",
    "Costs",
    "DetectorCost",
    "DetectorDesign",
    "Genotype",
    "Grid",
    "HyperparameterSpace",
    "Hyperparameters",
    "Joint",
    "JointSpace",
    "Layer",
    "LayerCost",
    "Limits",
    "Listed",
    "Membership",
    "NasBnnSpace",
    "OnlySpace",
    "Precision",
    "ProductSpace",
    "Space",
    "SpaceError",
    "Stage",
    "WidthSpace",
    "Widths",
    "detector_cost",
    "get_space",
    "sample_within",
    "space_from",
    "steer",
]
