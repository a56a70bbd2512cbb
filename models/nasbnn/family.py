"""What can be done with networks of NAS-BNN."""

from models.families import Family, SupernetTraining
from models.nasbnn.lowering import lower_nasbnn, lower_part
from models.nasbnn.network import BinaryNetwork, NetworkOptions
from models.nasbnn.supernet import NasBnnSupernet, SupernetOptions

FAMILY = Family(
    network=BinaryNetwork,
    network_options=NetworkOptions,
    lower=lower_nasbnn,
    lower_part=lower_part,
    supernet=NasBnnSupernet,
    supernet_options=SupernetOptions,
    supernet_training=SupernetTraining.SANDWICH,
    candidates_deployable=True,
    engine_exact=True,
)
