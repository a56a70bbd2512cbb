"""The space of BNAS: cells of binary layers, repeated after a template with skips between cells."""

from spaces.cell.architecture import LAYER_TYPES, Cell, Edge, Genotype
from spaces.cell.plan import CellPlan, EdgePlan, LayerPlan, NetworkPlan
from spaces.cell.space import CellSpace

__all__ = ["LAYER_TYPES", "Cell", "CellPlan", "CellSpace", "Edge", "EdgePlan", "Genotype", "LayerPlan", "NetworkPlan"]
