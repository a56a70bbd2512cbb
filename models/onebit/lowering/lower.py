"""From a trained network to a program: batch norms, scales and shifts folded into two numbers a channel."""

from collections.abc import Callable

import torch
from torch import nn

from models.cell import CellNetwork, InheritedNetwork
from models.nasbnn.network import BinaryNetwork
from models.onebit.lowering.cell import lower_cells
from models.onebit.lowering.folding import Builder
from models.onebit.lowering.nasbnn import lower_nasbnn
from models.onebit.lowering.width import lower_width
from models.onebit.operations import Shape
from models.onebit.program import Program
from models.width.network import WidthNetwork

LOWERINGS: dict[type[nn.Module], Callable[..., None]] = {
    BinaryNetwork: lower_nasbnn,
    WidthNetwork: lower_width,
    CellNetwork: lower_cells,
    InheritedNetwork: lower_cells,
}
"""For every kind of network the function that adds its operations, as they are in evaluation mode, to a builder."""


@torch.no_grad()
def lower(network: nn.Module) -> Program:
    """The program of a network as it is in evaluation mode; its floats become float32.

    Networks of NAS-BNN, run without gradients, round as their programs do: every sign is the same. Of the others, what
    is folded is rounded once more or once less than in the network's own forward pass, so a value that is within
    rounding of a threshold may fall on its other side: logits agree to about 1e-5 but for such values.

    Raises `TypeError` for a network of a kind that has no lowering, or whose convolutions are not binary.
    """
    lowering = LOWERINGS.get(type(network))
    if lowering is None:
        kinds = ", ".join(kind.__name__ for kind in LOWERINGS)
        raise TypeError(f"a {type(network).__name__} cannot be exported; a network is one of {kinds}")
    builder = Builder()
    lowering(network, builder)
    space = network.space
    return Program(Shape(space.channels, space.image_size, space.image_size), builder.needed())  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
