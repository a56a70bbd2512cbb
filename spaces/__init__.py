"""Search spaces: what may be built, as plain values, and what it costs. Loads neither torch nor ray."""

from spaces.catalogue import SPACES, get_space
from spaces.cell import CellSpace, Genotype
from spaces.cost import Cost, Costs, LayerCost
from spaces.declarations import space_from
from spaces.errors import SpaceError
from spaces.hyperparameters.space import Hyperparameters, HyperparameterSpace
from spaces.hyperparameters.values import Grid, Listed
from spaces.joint.fixed import OnlySpace
from spaces.joint.space import Joint, JointSpace, split
from spaces.limits import Limits, sample_within, steer
from spaces.nasbnn import Architecture, Layer, NasBnnSpace, Stage
from spaces.space import Membership, Space
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
