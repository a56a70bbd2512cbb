"""Search spaces: what may be built, as plain values, and what it costs. Loads neither torch nor ray."""

from spaces.cost import Cost, Costs, LayerCost
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
    "Membership",
    "NasBnnSpace",
    "Space",
    "SpaceError",
    "Stage",
    "get_space",
]
