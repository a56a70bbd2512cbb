"""What can be done with networks of cells."""

from models.cell.lowering import lower_cells
from models.cell.network import CellNetwork, CellOptions
from models.cell.supernet import MixedOptions, MixedSupernet
from models.families import Family, SupernetTraining

FAMILY = Family(
    network=CellNetwork,
    network_options=CellOptions,
    lower=lower_cells,
    supernet=MixedSupernet,
    supernet_options=MixedOptions,
    supernet_training=SupernetTraining.BILEVEL,
)
