"""From a trained network to a program: batch norms, scales and shifts folded into two numbers per channel."""

import torch
from torch import nn

from models.families import family_of
from models.network import Network
from models.onebit.lowering.folding import Builder
from models.onebit.operations import Shape
from models.onebit.program import Program


@torch.no_grad()
def lower(network: nn.Module) -> Program:
    """The program of a network as it is in evaluation mode; its floats become float32.

    Networks of NAS-BNN, and those of widths with gates, round as their programs do when they are run without gradients:
    every sign is the same. Of the others, what is folded is rounded once more or once less than in the network's own
    forward pass, so a value that is within rounding of a threshold may fall on its other side: logits agree to about
    1e-5 but for such values.

    Raises `TypeError` for a module that is no `Network`, or whose convolutions are not binary.
    """
    if not isinstance(network, Network):
        raise TypeError(f"a {type(network).__name__} cannot be exported; build a network of a space, or extract one")
    space, builder = network.space, Builder()
    family_of(space).lower(network, builder)
    return Program(Shape(space.channels, space.image_size, space.image_size), builder.needed())
