"""Search spaces: what may be built, as plain values, and what it costs. Loads neither torch nor ray.

The names below and `spaces.conformance` are the public interface; everything else may move. They are loaded when they
are asked for, so that the command line, which needs few of them, answers at once.
"""

# ruff: noqa: F401 - these imports are what editors and type checkers know of the names
# pyright: reportUnusedImport=false
from typing import TYPE_CHECKING

from spaces.tools.public import public_names

if TYPE_CHECKING:
    from spaces.catalogue import SPACES, get_space
    from spaces.cell import CellSpace, Genotype
    from spaces.cost import Cost, Costs, LayerCost
    from spaces.cost.detector import DetectorCost, DetectorDesign, Precision, detector_cost
    from spaces.declarations import space_from
    from spaces.errors import SpaceError
    from spaces.hyperparameters import Between, Grid, Hyperparameters, HyperparameterSpace, Listed
    from spaces.joint import Joint, JointSpace, OnlySpace
    from spaces.limits import Limits, sample_within, steer
    from spaces.nasbnn import Architecture, Layer, NasBnnSpace, Stage
    from spaces.product import ProductSpace
    from spaces.space import BaseSpace, Candidate, Membership, Space
    from spaces.width import Widths, WidthSpace

if not TYPE_CHECKING:
    __all__, __getattr__ = public_names(
        "spaces",
        {
            "catalogue": "SPACES get_space",
            "cell": "CellSpace Genotype",
            "cost": "Cost Costs LayerCost",
            "cost.detector": "DetectorCost DetectorDesign Precision detector_cost",
            "declarations": "space_from",
            "errors": "SpaceError",
            "hyperparameters": "Between Grid Hyperparameters HyperparameterSpace Listed",
            "joint": "Joint JointSpace OnlySpace",
            "limits": "Limits sample_within steer",
            "nasbnn": "Architecture Layer NasBnnSpace Stage",
            "product": "ProductSpace",
            "space": "BaseSpace Candidate Membership Space",
            "width": "Widths WidthSpace",
        },
    )
