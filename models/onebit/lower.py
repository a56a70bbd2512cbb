"""From a trained network to a program: batch norms, scales and shifts folded into two numbers a channel."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from models.lsq import HIGH, LOW
from models.network import BinaryNetwork, ConvolutionUnit, Stem
from models.onebit.program import (
    Activation,
    BinaryConvolution,
    Encoding,
    Epilogue,
    FloatConvolution,
    Floats,
    Geometry,
    GlobalAverage,
    Linear,
    Operation,
    Program,
    Shape,
    pack_signs,
)
from models.tail import BATCH_NORM_EPSILON, Tail
from spaces import NasBnnSpace


class Builder:
    """Operations in the order in which they are added; `add` gives the number of the tensor that one makes."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def add(self, operation: Operation) -> int:
        """Append an operation."""
        self.operations.append(operation)
        return len(self.operations)


Lowering = Callable[[nn.Module, Builder], Shape]
LOWERINGS: dict[type[nn.Module], Lowering] = {}
"""For every kind of network a function that adds its operations, in evaluation mode, and gives the image's shape."""


@torch.no_grad()
def lower(network: nn.Module) -> Program:
    """The program of a network as it is in evaluation mode; its floats become float32.

    What is folded is rounded once more or once less than in the network's own forward pass, so a value that is within
    rounding of a threshold may fall on its other side: logits agree to about 1e-5 but for such values.

    Raises `TypeError` for a network of a kind that has no lowering.
    """
    lowering = LOWERINGS.get(type(network))
    if lowering is None:
        kinds = ", ".join(kind.__name__ for kind in LOWERINGS)
        raise TypeError(f"a {type(network).__name__} cannot be exported; a network is one of {kinds}")
    builder = Builder()
    image = lowering(network, builder)
    return Program(image, tuple(builder.operations))


def floats(values: Tensor) -> Floats:
    """A tensor as a float32 array of its own."""
    return np.array(values.detach().cpu().numpy(), np.float32, order="C")


def fold_tail(tail: Tail, scale: Tensor | None, shortcut: int | None) -> Epilogue:
    """Batch norm of scale * c, shortcut and RPReLU; the RPReLU's first shift is a part of the constant."""
    inverse = (tail.running_var + BATCH_NORM_EPSILON).rsqrt()
    mean = tail.running_mean
    if scale is not None:
        mean, inverse = mean / scale.clamp(min=1e-20), inverse * scale  # of the sums themselves, as in `Tail`
    factor = tail.weight * inverse
    constant = torch.addcmul(tail.bias, factor, mean, value=-1) + tail.shift_in
    return Epilogue(
        factor=floats(factor),
        constant=floats(constant),
        shortcut=shortcut,
        activation=Activation.RPRELU,
        slope=floats(tail.slope),
        shift=floats(tail.shift_out),
    )


def lower_nasbnn(network: nn.Module, builder: Builder) -> Shape:
    """A NAS-BNN network: stem, units, mean, classifier."""
    assert isinstance(network, BinaryNetwork)
    space: NasBnnSpace = network.space
    tensor = _stem(network.stem, builder)
    for block in network.blocks():
        tensor = _unit(block.kxk, tensor, builder)
        tensor = _unit(block.pointwise, tensor, builder)
    lower_classifier(network.classifier, builder.add(GlobalAverage(tensor)), builder)
    return Shape(space.channels, space.image_size, space.image_size)


def lower_classifier(classifier: nn.Linear, tensor: int, builder: Builder) -> int:
    """A linear layer with bias on a tensor of one pixel."""
    weight = floats(classifier.weight.T)
    return builder.add(
        Linear(tensor, classifier.out_features, weight, Epilogue(constant=floats(classifier.bias))),
    )


def _stem(stem: Stem, builder: Builder) -> int:
    step = stem.step
    levels = (stem.weight / step[:, None, None, None]).clamp(LOW, HIGH).round()
    kernel = stem.weight.shape[-1]
    geometry = Geometry(kernel, stem.stride, kernel // 2)
    weight = np.ascontiguousarray(levels.permute(2, 3, 1, 0).cpu().numpy().astype(np.int8))
    tail = fold_tail(stem.tail, None, None)
    assert tail.factor is not None
    tail = replace(tail, factor=tail.factor * floats(step))  # a learned step may be negative
    return builder.add(FloatConvolution(0, len(step), geometry, weight, tail))


def _unit(unit: ConvolutionUnit, tensor: int, builder: Builder) -> int:
    kernel = unit.kernel()
    out_channels, _, size, _ = kernel.weight.shape
    signs = kernel.weight.permute(0, 2, 3, 1) > 0
    assert kernel.scale is not None
    return builder.add(
        BinaryConvolution(
            input=tensor,
            out_channels=out_channels,
            geometry=Geometry(size, unit.stride, size // 2, groups=unit.groups),
            encoding=Encoding.SIGNS,
            threshold=floats(0.0 - unit.shift),  # x + shift >= 0
            bits=pack_signs(signs.cpu().numpy()),
            epilogue=fold_tail(unit.tail, kernel.scale, tensor),
        )
    )


LOWERINGS[BinaryNetwork] = lower_nasbnn
