"""The program of an architecture without weights, and what the time of its operations depends on."""

from typing import TypeVar

import torch

from models.checkpoints.networks import fill
from models.families import build_network
from models.onebit.lowering.lower import lower
from models.onebit.operations import (
    BinaryConvolution,
    Concatenate,
    FloatConvolution,
    Linear,
    Operation,
    Pool,
    Product,
    Shape,
    Zero,
    inputs_of,
)
from models.onebit.program import Program
from spaces import Space

A = TypeVar("A")


def program_of(space: Space[A], architecture: A) -> Program:
    """The program of a member of a space of networks. All weights are one, and take neither memory nor training."""
    with torch.device("meta"):
        network = build_network(space, architecture)
    ones = {name: torch.ones((), dtype=value.dtype).expand(value.shape) for name, value in network.state_dict().items()}
    return lower(fill(network, ones))


def shape_key(operation: Operation, shapes: tuple[Shape, ...]) -> str:
    """What an operation's time depends on, in words. `shapes` are those of its program's tensors."""
    if isinstance(operation, Zero):
        return f"zero {_words(operation.shape)}"
    parts = [operation.kind, " + ".join(_words(shapes[tensor]) for tensor in _operands(operation))]
    if isinstance(operation, FloatConvolution | BinaryConvolution | Linear):
        parts.append(f"-> {operation.out_channels}")
    if isinstance(operation, FloatConvolution | BinaryConvolution | Pool):
        kernel, stride, padding, dilation, groups = operation.geometry
        parts.append(f"k{kernel} s{stride} p{padding} d{dilation} g{groups}")
    parts += [str(getattr(operation, name)) for name in ("encoding", "reduction") if hasattr(operation, name)]
    if isinstance(operation, FloatConvolution):
        parts.append(str(operation.weight.dtype))
    epilogue = operation.epilogue
    parts += [] if epilogue.activation == "none" else [str(epilogue.activation)]
    parts += [] if epilogue.shortcut is None else [f"shortcut {_words(shapes[epilogue.shortcut])}"]
    return " ".join(parts)


def _operands(operation: Operation) -> tuple[int, ...]:
    if isinstance(operation, Product):
        return operation.input, operation.by
    return operation.inputs if isinstance(operation, Concatenate) else inputs_of(operation)[:1]


def _words(shape: Shape) -> str:
    return "x".join(map(str, shape))
