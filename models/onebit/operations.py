"""The operations of 1-bit programs: a closed list, with weights of one bit and folded floats.

Tensor 0 is the image; operation i makes tensor i + 1 and reads earlier ones; the last one holds the logits. Nothing in
a program names a layer of torch, so an engine needs numpy or C alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar, NamedTuple, assert_never

import numpy as np
import numpy.typing as npt

from spaces.errors import BinarynasError

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

LARGEST_SIDE = 8192
LARGEST_CHANNELS = 65536
LARGEST_TENSOR = 2**26
"""Numbers in one tensor of one image; with the limit of `LARGEST_PROGRAM` it bounds the memory an engine asks for."""
LARGEST_PROGRAM = 2**28
LARGEST_TERMS = 32767
"""Terms in one sum of a binary convolution, so that sums fit 16 bits."""


class ProgramError(BinarynasError, ValueError):
    """A program that cannot be run: names the operation, what is wrong with it and what is allowed."""


class Shape(NamedTuple):
    """Channels, height and width of a tensor of one image."""

    channels: int
    height: int
    width: int

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return self.channels * self.height * self.width


class Encoding(StrEnum):
    """What a bit of a binary convolution's input means: -1 and +1, or 0 and 1 (DoReFa)."""

    SIGNS = "signs"
    ZERO_ONE = "zero-one"


class Activation(StrEnum):
    """What follows the affine map and the shortcut: nothing; max(v, 0); PReLU and a shift; the nearest in a range."""

    NONE = "none"
    RELU = "relu"
    RPRELU = "rprelu"
    CLIP = "clip"


class Reduction(StrEnum):
    """What a pool does with a window; padding counts in neither."""

    MAX = "max"
    MEAN = "mean"


class Geometry(NamedTuple):
    """A convolution's or a pool's window: square, padded by the same number of zeros on every side."""

    kernel_size: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    def out_size(self, size: int) -> int:
        """Height or width of what comes out."""
        return (size + 2 * self.padding - self.dilation * (self.kernel_size - 1) - 1) // self.stride + 1


@dataclass(frozen=True, eq=False)
class Epilogue:
    """What follows an operation's sums c, number by number: v = factor * c + constant + shortcut, then the activation.

    `factor` and `constant` have one number per channel, or are None for 1 and 0. `shortcut` is the number of an earlier
    tensor: repeated along channels where it has fewer, cut where it has more, averaged over squares where its height
    and width are a multiple (NAS-BNN, Figure 1). RPRELU is `v > 0 ? v : slope * v`, plus `shift`, with one number per
    channel in both; CLIP keeps v within `low` and `high`.
    """

    factor: Floats | None = None
    constant: Floats | None = None
    shortcut: int | None = None
    activation: Activation = Activation.NONE
    slope: Floats | None = None
    shift: Floats | None = None
    low: float = 0.0
    high: float = 0.0


PLAIN = Epilogue()


@dataclass(frozen=True, eq=False)
class FloatConvolution:
    """Sums over the taps (ky, kx) and input channels, in this order, of float values times float or 8-bit weights.

    `weight` is (kernel, kernel, in / groups, out), float32 or int8; a scale of 8-bit weights stands in the epilogue.
    """

    kind: ClassVar[str] = "float-convolution"
    input: int
    out_channels: int
    geometry: Geometry
    weight: npt.NDArray[np.float32] | npt.NDArray[np.int8]
    epilogue: Epilogue = PLAIN


@dataclass(frozen=True, eq=False)
class BinaryConvolution:
    """Integer sums of bits times signs; a bit is set where the value is at least the `threshold` of its channel.

    `bits` are the weights' signs, 1 for +1, in the order (out, kernel, kernel, in / groups), eight per byte, the lowest
    bit first. Zero padding adds nothing to a sum, whatever the encoding.
    """

    kind: ClassVar[str] = "binary-convolution"
    input: int
    out_channels: int
    geometry: Geometry
    encoding: Encoding
    threshold: Floats
    bits: Bytes
    epilogue: Epilogue = PLAIN


@dataclass(frozen=True, eq=False)
class Linear:
    """Sums over all numbers of a tensor, in the order (height, width, channel), times `weight` (numbers, out)."""

    kind: ClassVar[str] = "linear"
    input: int
    out_channels: int
    weight: Floats
    epilogue: Epilogue = PLAIN


@dataclass(frozen=True, eq=False)
class Pointwise:
    """The epilogue alone: a batch norm, addition or activation without a convolution before it."""

    kind: ClassVar[str] = "pointwise"
    input: int
    epilogue: Epilogue


@dataclass(frozen=True, eq=False)
class Product:
    """A tensor times another one, number by number: one of its own shape, or a gate (C, 1, 1), a number per channel."""

    kind: ClassVar[str] = "product"
    input: int
    by: int
    epilogue: Epilogue = PLAIN


@dataclass(frozen=True, eq=False)
class Pool:
    """The largest number, or the mean, of every window, of those that are not padding."""

    kind: ClassVar[str] = "pool"
    epilogue: ClassVar[Epilogue] = PLAIN
    input: int
    reduction: Reduction
    geometry: Geometry


@dataclass(frozen=True, eq=False)
class GlobalAverage:
    """The mean of every channel: (C, H, W) -> (C, 1, 1)."""

    kind: ClassVar[str] = "global-average"
    epilogue: ClassVar[Epilogue] = PLAIN
    input: int


@dataclass(frozen=True, eq=False)
class Concatenate:
    """Tensors of one height and width, one after the other along channels."""

    kind: ClassVar[str] = "concatenate"
    epilogue: ClassVar[Epilogue] = PLAIN
    inputs: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Zero:
    """Zeros, for what a network computes from nothing."""

    kind: ClassVar[str] = "zero"
    epilogue: ClassVar[Epilogue] = PLAIN
    shape: Shape


Operation = (
    FloatConvolution | BinaryConvolution | Linear | Pointwise | Pool | GlobalAverage | Concatenate | Zero | Product
)


def inputs_of(operation: Operation) -> tuple[int, ...]:
    """The tensors that an operation reads, its shortcut last."""
    if isinstance(operation, Zero):
        return ()
    if isinstance(operation, Concatenate):
        return operation.inputs
    read = (operation.input, operation.by) if isinstance(operation, Product) else (operation.input,)
    shortcut = operation.epilogue.shortcut
    return read if shortcut is None else (*read, shortcut)


def reading(operation: Operation, numbers: Mapping[int, int]) -> Operation:
    """The same operation on other tensors: `numbers` says which for each that it reads."""
    match operation:
        case Zero():
            return operation
        case Concatenate():
            return Concatenate(tuple(numbers[tensor] for tensor in operation.inputs))
        case Pool() | GlobalAverage():
            return replace(operation, input=numbers[operation.input])
        case FloatConvolution() | BinaryConvolution() | Linear() | Pointwise() | Product():
            epilogue = operation.epilogue
            if epilogue.shortcut is not None:
                epilogue = replace(epilogue, shortcut=numbers[epilogue.shortcut])
            if isinstance(operation, Product):
                operation = replace(operation, by=numbers[operation.by])
            return replace(operation, input=numbers[operation.input], epilogue=epilogue)
        case _:
            assert_never(operation)


def signs_of(operation: BinaryConvolution, in_channels: int) -> npt.NDArray[np.bool_]:
    """The weights as (out, kernel, kernel, in / groups), True for +1."""
    kernel, groups = operation.geometry.kernel_size, operation.geometry.groups
    shape = (operation.out_channels, kernel, kernel, in_channels // groups)
    count = shape[0] * shape[1] * shape[2] * shape[3]
    return np.unpackbits(operation.bits, count=count, bitorder="little").astype(np.bool_).reshape(shape)


def pack_signs(signs: npt.NDArray[np.bool_]) -> Bytes:
    """The inverse of `signs_of`: any array of booleans, eight per byte."""
    return np.packbits(signs, bitorder="little")
