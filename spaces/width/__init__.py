"""The width search: a fixed network, and for each of its layers a ratio that makes it wider or narrower."""

from spaces.width.architecture import Widths
from spaces.width.bases import BASES, BaseNetwork, Convolution, End, Head, LayerKind, Pool, PoolKind
from spaces.width.plan import LayerPlan
from spaces.width.space import WidthSpace

__all__ = [
    "BASES",
    "BaseNetwork",
    "Convolution",
    "End",
    "Head",
    "LayerKind",
    "LayerPlan",
    "Pool",
    "PoolKind",
    "WidthSpace",
    "Widths",
]
