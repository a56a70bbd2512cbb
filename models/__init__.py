"""What an architecture stands for: networks, supernets, their weights as files, and 1-bit deployment.

Names are loaded when they are asked for, so that `import models` alone loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.checkpoints.networks import load_network, load_supernet, save_network, save_supernet
    from models.families import build_network

__all__ = ["build_network", "load_network", "load_supernet", "save_network", "save_supernet"]

_PLACES = {
    "build_network": "models.families",
    "load_network": "models.checkpoints.networks",
    "load_supernet": "models.checkpoints.networks",
    "save_network": "models.checkpoints.networks",
    "save_supernet": "models.checkpoints.networks",
}


def __getattr__(name: str) -> Any:
    """The public name, from the file that defines it."""
    if name not in _PLACES:
        raise AttributeError(f"module 'models' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
