"""Search spaces: what may be built, as plain values, and what it costs. Loads neither torch nor ray."""

from spaces.cost import Cost, Costs, LayerCost
from spaces.limits import Limits, sample_within, steer
from spaces.named import SPACES, get_space
from spaces.nasbnn import Architecture, Layer, NasBnnSpace, Stage
from spaces.space import Membership, Space, SpaceError

__all__ = [
    "SPACES",
    "Architecture",
    "Cost",
    "Costs",
    "Layer",
    "LayerCost",
    "Limits",
    "Membership",
    "NasBnnSpace",
    "Space",
    "SpaceError",
    "Stage",
    "get_space",
    "sample_within",
    "steer",
]
