"""The space of NAS-BNN (Table 1): depth, width, kernel and groups under a non-decreasing constraint on widths."""

from spaces.nasbnn.architecture import Architecture, Layer
from spaces.nasbnn.declaration import Stage
from spaces.nasbnn.space import NasBnnSpace

__all__ = ["Architecture", "Layer", "NasBnnSpace", "Stage"]
