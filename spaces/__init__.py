"""Search spaces: what may be built, as plain values, and what it costs. Loads neither torch nor ray."""

from spaces.cell import CellSpace, Genotype
from spaces.cost import Cost, Costs, LayerCost
from spaces.declared import space_from
from spaces.hyperparameters import Grid, Hyperparameters, HyperparameterSpace, Listed
from spaces.joint import Joint, JointSpace, OnlySpace, split
from spaces.limits import Limits, sample_within, steer
from spaces.named import SPACES, get_space
from spaces.nasbnn import Architecture, Layer, NasBnnSpace, Stage
from spaces.space import Membership, Space, SpaceError
from spaces.width import Widths, WidthSpace

__all__ = [
    "SPACES",
    "Architecture",
    "CellSpace",
    "Cost",
    "Costs",
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
    "Space",
    "SpaceError",
    "Stage",
    "WidthSpace",
    "Widths",
    "get_space",
    "sample_within",
    "space_from",
    "split",
    "steer",
]
