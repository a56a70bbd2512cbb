"""What can be done with networks of the width search."""

from models.families import Family
from models.width.lowering import lower_width
from models.width.network import WidthNetwork, WidthOptions, inherit

FAMILY = Family(
    network=WidthNetwork,
    network_options=WidthOptions,
    lower=lower_width,
    inherit=inherit,
)
