"""A program as the native engine takes it: an array of C structures, places in memory, arranged weights."""

import ctypes
from enum import IntEnum
from itertools import accumulate, pairwise
from typing import NamedTuple, Self, TypeVar, assert_never

import numpy as np
import numpy.typing as npt

from models.onebit.operations import (
    Activation,
    BinaryConvolution,
    Concatenate,
    Encoding,
    Epilogue,
    FloatConvolution,
    Floats,
    Geometry,
    GlobalAverage,
    Linear,
    Operation,
    Pointwise,
    Pool,
    Product,
    Reduction,
    Shape,
    Zero,
    inputs_of,
)
from models.onebit.program import Program

_INT, _LONG, _FLOAT, _POINTER = ctypes.c_int32, ctypes.c_int64, ctypes.c_float, ctypes.c_void_p
_COLUMNS = 16
_PIXEL = Geometry(1)
_SLACK = 256
ALIGNMENT = 64
Number = TypeVar("Number", bound=np.generic)

FLOAT_CONVOLUTION, BINARY_CONVOLUTION, POINTWISE, MAX_POOL, MEAN_POOL, GLOBAL_AVERAGE, COPY, ZERO, PRODUCT = range(9)
_ENCODINGS = {Encoding.SIGNS: 0, Encoding.ZERO_ONE: 1}
_ACTIVATIONS = {Activation.NONE: 0, Activation.RELU: 1, Activation.RPRELU: 2, Activation.CLIP: 3}


class Level(IntEnum):
    """Which instructions the kernels may use: `Level` of engine.c."""

    PLAIN = 0
    AVX2 = 1
    AVX512 = 2
    NEON = 3


_FUSED_LANES = {Level.AVX2: 8, Level.AVX512: 16}
"""Channels that the fused epilogues take at once; levels that are not here fuse none."""
_FILLED = 8
"""Channels come in multiples of so many where epilogues are fused."""


class NativeOperation(ctypes.Structure):
    """`Operation` of engine.c, field by field."""

    _fields_ = (
        *((name, _INT) for name in ("kind", "encoding", "activation", "kernel")),
        *((name, _INT) for name in ("in_channels", "in_height", "in_width")),
        *((name, _INT) for name in ("out_channels", "out_height", "out_width")),
        *((name, _INT) for name in ("size", "stride", "padding", "dilation", "groups")),
        *((name, _INT) for name in ("shortcut_channels", "shortcut_stride", "channel", "packs", "packed", "step")),
        *((name, _FLOAT) for name in ("low", "high")),
        *((name, _LONG) for name in ("input", "output", "shortcut", "by")),
        *((name, _POINTER) for name in ("threshold", "weight", "factor", "constant", "slope", "shift", "fused")),
        *((name, _POINTER) for name in ("arranged", "base")),
    )


def aligned(count: int, dtype: type[Number]) -> npt.NDArray[Number]:
    """Zeros at an address that vector instructions and caches like."""
    size = np.dtype(dtype).itemsize
    memory = np.zeros(count * size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + count * size].view(dtype)


class Outline(NamedTuple):
    """A program's native operations but for the weights and what depends on the processor, and where tensors lie.

    `operations` are those of each operation of the program; `tensors` is the size of a thread's memory, in floats.
    """

    operations: list[list[NativeOperation]]
    tensors: int

    @classmethod
    def of(cls, program: Program) -> Self:
        """Shapes, places and what is packed for the next operation; no pointers."""
        places, tensors = place_tensors(program)
        made: list[list[NativeOperation]] = []
        for number, operation in enumerate(program.operations):
            natives = _translate(operation, number, program.shapes, places)
            for native in natives:
                _outline_epilogue(native, operation.epilogue, program.shapes, places)
            follows = made and made[-1][-1].kind not in (COPY, ZERO, GLOBAL_AVERAGE)
            if follows and isinstance(operation, BinaryConvolution) and operation.input == number:
                made[-1][-1].packs = natives[0].packed = 1
            made.append(natives)
        return cls(made, tensors)


def _translate(
    operation: Operation, number: int, shapes: tuple[Shape, ...], places: list[int]
) -> list[NativeOperation]:
    """The native operations of one operation, but for its epilogue."""

    def native(kind: int, source: int, geometry: Geometry = _PIXEL, given: Shape | None = None) -> NativeOperation:
        made = NativeOperation(kind=kind)
        made.in_channels, made.in_height, made.in_width = given or shapes[source]
        made.out_channels, made.out_height, made.out_width = shapes[number + 1]
        made.size, made.stride, made.padding, made.dilation, made.groups = geometry
        made.input, made.output = places[source], places[number + 1]
        return made

    match operation:
        case Concatenate():
            copies = [native(COPY, source) for source in operation.inputs]
            for before, copy in pairwise(copies):
                copy.channel = before.channel + before.in_channels
            return copies
        case Zero():
            return [native(ZERO, 0, given=operation.shape)]
        case Pool():
            kind = MAX_POOL if operation.reduction is Reduction.MAX else MEAN_POOL
            return [native(kind, operation.input, operation.geometry)]
        case GlobalAverage():
            return [native(GLOBAL_AVERAGE, operation.input)]
        case Pointwise():
            return [native(POINTWISE, operation.input)]
        case Product():
            made = native(PRODUCT, operation.input)
            made.by = places[operation.by]
            made.step = 0 if shapes[operation.by].size == made.in_channels else made.in_channels
            return [made]
        case Linear():  # a convolution of one pixel
            return [native(FLOAT_CONVOLUTION, operation.input, given=Shape(shapes[operation.input].size, 1, 1))]
        case FloatConvolution():
            return [native(FLOAT_CONVOLUTION, operation.input, operation.geometry)]
        case BinaryConvolution():
            made = native(BINARY_CONVOLUTION, operation.input, operation.geometry)
            made.encoding = _ENCODINGS[operation.encoding]
            return [made]
        case _:
            assert_never(operation)


def _outline_epilogue(
    native: NativeOperation, epilogue: Epilogue, shapes: tuple[Shape, ...], places: list[int]
) -> None:
    native.activation = _ACTIVATIONS[epilogue.activation]
    native.low, native.high = epilogue.low, epilogue.high
    if epilogue.shortcut is not None:
        given = shapes[epilogue.shortcut]
        native.shortcut = places[epilogue.shortcut]
        native.shortcut_channels = given.channels
        native.shortcut_stride = given.height // native.out_height


def fused_lanes(native: NativeOperation, follower: NativeOperation, level: Level) -> int:
    """Channels that the epilogue of an operation, and the bits after it, take at once; 0 where they take two passes."""
    alike = bool(native.shortcut_stride) is (native.kind == BINARY_CONVOLUTION)
    if not alike or native.activation != _ACTIVATIONS[Activation.RPRELU]:
        return 0
    lanes = _FUSED_LANES.get(level, 0)
    filled = [native.out_channels, native.shortcut_channels]
    if level is Level.AVX2:
        filled.append(native.out_channels // follower.groups)
    begins_again = native.shortcut_stride and native.shortcut_channels < lanes
    return 0 if begins_again or any(channels % _FILLED for channels in filled) else lanes


class NativeProgram:
    """The native operations of a program and everything they point to, which lives as long as this.

    `tensors` is the size of a thread's memory for tensors, in floats; `numbers` says for every operation of the program
    which is its first native one.
    """

    def __init__(self, program: Program, library: ctypes.CDLL, level: Level) -> None:
        self._library = library
        self._level = level
        self._kept: list[npt.NDArray[np.generic]] = []
        made, self.tensors = Outline.of(program)
        self.numbers = list(accumulate(map(len, made[:-1]), initial=0))
        for operation, natives in zip(program.operations, made, strict=True):
            self._add_weights(operation, natives[0])
            for native in natives:
                for name, values in _numbers(operation.epilogue, native.out_channels).items():
                    setattr(native, name, self._keep(values))
        for (operation, follower), (natives, after) in zip(pairwise(program.operations), pairwise(made), strict=True):
            if natives[-1].packs and isinstance(follower, BinaryConvolution):
                self._fuse(operation.epilogue, natives[-1], follower, fused_lanes(natives[-1], after[0], level))
        operations = [native for natives in made for native in natives]
        self.operations = (NativeOperation * len(operations))(*operations)

    def _add_weights(self, operation: Operation, native: NativeOperation) -> None:
        match operation:
            case Linear():
                native.weight = self._float_weight(operation.weight[None, None], 1)
            case FloatConvolution():
                native.weight = self._float_weight(operation.weight, operation.geometry.groups)
            case BinaryConvolution():
                self._arrange(native, operation)
            case _:
                pass

    def _fuse(self, epilogue: Epilogue, native: NativeOperation, follower: BinaryConvolution, lanes: int) -> None:
        """Lay what an epilogue and the bits after it need side by side, a vector's channels of each, for one pass."""
        if lanes:
            rows = np.stack([*_numbers(epilogue, native.out_channels).values(), follower.threshold])
            rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % lanes)))
            native.fused = self._keep(rows.reshape(len(rows), -1, lanes).transpose(1, 0, 2))

    def _arrange(self, native: NativeOperation, operation: BinaryConvolution) -> None:
        native.threshold = self._keep(operation.threshold)
        native.kernel = self._library.bnn_choose_kernel(ctypes.byref(native), int(self._level))
        arranged = aligned(self._library.bnn_arranged_size(ctypes.byref(native)), np.uint8)
        base = aligned(self._library.bnn_base_size(ctypes.byref(native)), np.int16)
        bits = np.ascontiguousarray(operation.bits)
        pointers = (array.ctypes.data for array in (bits, arranged, base))
        self._library.bnn_arrange(ctypes.byref(native), *pointers)
        self._kept += [arranged, base]
        native.arranged, native.base = arranged.ctypes.data, base.ctypes.data

    def _float_weight(self, weight: npt.NDArray[np.generic], groups: int) -> int:
        """(k, k, in / groups, out) to (groups, blocks, taps, 16), filled up with zeros; its address."""
        taps, channels = weight[..., 0].size, weight.shape[3] // groups
        blocks = -(-channels // _COLUMNS)
        result = np.zeros((taps, groups, blocks * _COLUMNS), np.float32)
        result[:, :, :channels] = weight.reshape(taps, groups, channels)
        return self._keep(result.reshape(taps, groups, blocks, _COLUMNS).transpose(1, 2, 0, 3))

    def _keep(self, values: npt.NDArray[np.generic]) -> int:
        """The address of a copy as float32, with slack for vector loops."""
        kept: Floats = aligned(values.size + _SLACK, np.float32)
        kept[: values.size] = values.ravel()
        self._kept.append(kept)
        return kept.ctypes.data


def _numbers(epilogue: Epilogue, channels: int) -> dict[str, Floats]:
    """An epilogue's arrays, one number per channel; where it has none, numbers that change nothing."""
    neutral = {"factor": 1, "constant": 0, "slope": 0, "shift": 0}
    given = {name: getattr(epilogue, name) for name in neutral}
    return {
        name: np.full(channels, neutral[name], np.float32) if values is None else values
        for name, values in given.items()
    }


def place_tensors(program: Program) -> tuple[list[int], int]:
    """Where every tensor of one image lies, in floats, and how many floats that takes in all.

    Tensors that are needed at the same time lie apart; the place of one that nobody reads any more is used again. A
    binary convolution, whose bits are packed before anything else, writes to the place of its input where that is its
    shortcut and nobody else's: less memory passes through the caches.
    """
    last = list(range(len(program.shapes)))  # the operation after which a tensor may go
    for number, operation in enumerate(program.operations):
        for tensor in inputs_of(operation):
            last[tensor] = max(last[tensor], number)
    places: list[int] = []
    live: list[tuple[int, int, int]] = []  # begin, end, tensor
    for tensor, shape in enumerate(program.shapes):
        if tensor and (source := _replaced(program, tensor - 1, last)):
            places.append(places[source])
            live = [(begin, end, tensor if owner == source else owner) for begin, end, owner in live]
            continue
        live = [entry for entry in live if last[entry[2]] >= tensor - 1]  # this one is made by operation tensor - 1
        size = -(-(shape.size + _COLUMNS) // _COLUMNS) * _COLUMNS
        begin = 0
        for start, end, _ in sorted(live):
            if start - begin >= size:
                break
            begin = max(begin, end)
        places.append(begin)
        live.append((begin, begin + size, tensor))
    total = max(place + shape.size for place, shape in zip(places, program.shapes, strict=True))
    return places, total + _SLACK


def _replaced(program: Program, number: int, last: list[int]) -> int | None:
    """The tensor in whose place an operation may write its output; never the image."""
    operation = program.operations[number]
    if not isinstance(operation, BinaryConvolution) or operation.epilogue.shortcut != operation.input:
        return None
    same = program.shapes[operation.input] == program.shapes[number + 1]
    return operation.input if same and last[operation.input] == number else None
