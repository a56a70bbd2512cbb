"""What an architecture stands for: networks, supernets, their weights as files, and 1-bit deployment.

Names are loaded when they are asked for, so that `import models` alone loads no torch.
"""

# ruff: noqa: F401 - these imports are what editors and type checkers know of the names
from typing import TYPE_CHECKING

try:
    from spaces.tools.public import public_names
except ImportError as error:
    raise ImportError("another module named 'spaces' hides that of binarynas: write `import binarynas`") from error

if TYPE_CHECKING:
    from models.checkpoints.folder import CheckpointError
    from models.checkpoints.networks import load_network, load_supernet, save_network, save_supernet
    from models.conformance import check_binariser
    from models.detection.checkpoints import load_detector, save_detector
    from models.detection.detector import Detector, DetectorOptions, Seen
    from models.families import Family, SupernetTraining, build_network, family_of
    from models.layers.binarisers import BINARISERS, Binariser
    from models.layers.binary import BinaryConv2d, Sizes, set_mode
    from models.layers.modes import Mode
    from models.layers.norms.recalibration import recalibrate
    from models.nasbnn.published import import_checkpoint
    from models.network import Network, Supernet
    from models.onebit.engine import Backend, Engine, Layout
    from models.onebit.file import Model, read_model, write_model
    from models.onebit.lowering.lower import lower
    from models.onebit.standalone.page import wasm, write_page
    from models.onebit.standalone.source import write_c
    from models.onnx.export import Format, to_onnx, write_onnx
    from models.options import Options

if not TYPE_CHECKING:
    __all__, __getattr__ = public_names(
        "models",
        {
            "checkpoints.folder": "CheckpointError",
            "checkpoints.networks": "load_network load_supernet save_network save_supernet",
            "conformance": "check_binariser",
            "detection.checkpoints": "load_detector save_detector",
            "detection.detector": "Detector DetectorOptions Seen",
            "families": "Family SupernetTraining build_network family_of",
            "layers.binarisers": "BINARISERS Binariser",
            "layers.binary": "BinaryConv2d Sizes set_mode",
            "layers.modes": "Mode",
            "layers.norms.recalibration": "recalibrate",
            "nasbnn.published": "import_checkpoint",
            "network": "Network Supernet",
            "onebit.engine": "Backend Engine Layout",
            "onebit.file": "Model read_model write_model",
            "onebit.lowering.lower": "lower",
            "onebit.standalone.page": "wasm write_page",
            "onebit.standalone.source": "write_c",
            "onnx.export": "Format to_onnx write_onnx",
            "options": "Options",
        },
    )
