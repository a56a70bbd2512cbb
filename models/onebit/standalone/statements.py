"""The operations of a program in C: their constants, which stay in flash, and the calls of kernels.h in their order."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from models.onebit.operations import (
    BinaryConvolution,
    Concatenate,
    Encoding,
    Epilogue,
    FloatConvolution,
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
    signs_of,
)
from models.onebit.program import Program
from models.onebit.standalone import words
from models.onebit.standalone.placing import place

_TYPES = {"float32": "float", "int8": "int8_t", "uint32": "uint32_t"}
_WORD = 32
_PIXEL = Geometry(1)


class Statements:
    """`constants` and `calls` are C; `tensors`, `sums` and `bits` tell how many numbers of memory the calls need.

    `parts` names what they need of kernels.h. `flash` is the size of all constant arrays, in bytes; those that are
    alike are written once.
    """

    def __init__(self, program: Program) -> None:
        self.constants: list[str] = []
        self.calls: list[str] = []
        self.parts: set[str] = set()
        self.flash = 0
        self.sums = self.bits = 1
        self._shapes = program.shapes
        self._places, self.tensors = place(program)
        self._arrays: dict[tuple[str, bytes], str] = {}
        for number, operation in enumerate(program.operations):
            self._add(number, operation)

    def _add(self, number: int, operation: Operation) -> None:
        out, y = self._shapes[number + 1], self._tensor(number + 1)
        self.constants.append(f"/* {number}: {operation.kind}, {' x '.join(map(str, out))} */")
        match operation:
            case Concatenate(inputs):
                self.parts.add("concatenate")
                self._copy(inputs, out, y)
            case Zero():
                self.parts.add("zero")
                self.calls.append(f"zero({out.size}, {y});")
            case GlobalAverage():
                self.parts.add("global-average")
                given = self._shapes[operation.input]
                sizes = f"{given.height * given.width}, {given.channels}"
                self.calls.append(f"global_average({sizes}, {self._tensor(operation.input)}, {y});")
            case Pool(reduction=reduction, geometry=geometry):
                part = "mean-pool" if reduction is Reduction.MEAN else "max-pool"
                fields = [_braced(self._shapes[operation.input]), _braced(out), _braced(geometry)]
                self._define(number, part, "Pool", fields, [self._tensor(operation.input), y])
            case _:
                self._with_tail(number, operation, out, y)

    def _with_tail(
        self,
        number: int,
        operation: Pointwise | Product | Linear | FloatConvolution | BinaryConvolution,
        out: Shape,
        y: str,
    ) -> None:
        given = self._shapes[operation.input]
        shortcut = operation.epilogue.shortcut
        arguments = [self._tensor(operation.input), "NULL" if shortcut is None else self._tensor(shortcut), y]
        tail = self._tail(number, operation.epilogue, out)
        self.sums = max(self.sums, out.channels)
        match operation:
            case Pointwise():
                part, kind, fields = "pointwise", "Pointwise", [_braced(out)]
            case Product(by=by):
                step = 0 if self._shapes[by].size == out.channels else out.channels
                part, kind, fields = "product", "Product", [_braced(out), str(step)]
                arguments.append(self._tensor(by))
            case Linear(weight=weight):  # a convolution of one pixel
                part, kind = "float-convolution", "Convolution"
                fields = [_braced((given.size, 1, 1)), _braced(out), _braced(_PIXEL), *self._floats(number, weight)]
            case FloatConvolution(geometry=geometry, weight=weight):
                part, kind = "float-convolution", "Convolution"
                fields = [_braced(given), _braced(out), _braced(geometry), *self._floats(number, weight)]
            case BinaryConvolution(geometry=geometry):
                part, kind = "binary-convolution", "Binary"
                fields = [_braced(given), _braced(out), _braced(geometry), *self._binary(number, operation, given)]
                arguments.append("memory->bits")
        self._define(number, part, kind, [*fields, tail], [*arguments, "memory->sums"])

    def _define(self, number: int, part: str, kind: str, fields: Iterable[str], arguments: Iterable[str]) -> None:
        """An operation that is described by a structure, and the call that it is the first argument of."""
        self.parts.add(part)
        rows = "".join(f"    {field},\n" for field in fields)
        self.constants.append(f"static const {kind} operation_{number} = {{\n{rows}}};")
        self.calls.append(f"{part.replace('-', '_')}(&operation_{number}, {', '.join(arguments)});")

    def _copy(self, inputs: tuple[int, ...], out: Shape, y: str) -> None:
        channel = 0
        for tensor in inputs:
            channels = self._shapes[tensor].channels
            sizes = f"{out.height * out.width}, {channels}, {out.channels}"
            self.calls.append(f"copy_channels({sizes}, {self._tensor(tensor)}, {y} + {channel});")
            channel += channels

    def _tensor(self, tensor: int) -> str:
        """Where a tensor lies: the image and the logits are the caller's."""
        if tensor == 0:
            return "image"
        return "logits" if tensor == len(self._places) else f"tensors + {self._places[tensor]}"

    def _tail(self, number: int, epilogue: Epilogue, out: Shape) -> str:
        arrays = [
            self._array(what, number, getattr(epilogue, what)) for what in ("factor", "constant", "slope", "shift")
        ]
        channels = stride = 0
        if epilogue.shortcut is not None:
            given = self._shapes[epilogue.shortcut]
            channels, stride = given.channels, given.height // out.height
        bounds = (words.number(epilogue.low), words.number(epilogue.high))
        return _braced((*arrays, channels, stride, epilogue.activation.upper(), *bounds))

    def _floats(self, number: int, weight: npt.NDArray[Any]) -> tuple[str, str]:
        array = self._array("weights", number, weight)
        return ("NULL", array) if weight.dtype == np.int8 else (array, "NULL")

    def _binary(self, number: int, operation: BinaryConvolution, given: Shape) -> list[str]:
        """Weights as (group, word, output channel), each word 32 bits of a window."""
        groups = operation.geometry.groups
        signs = signs_of(operation, given.channels).reshape(operation.out_channels, -1)
        packed = np.packbits(np.pad(signs, ((0, 0), (0, -signs.shape[1] % _WORD))), axis=1, bitorder="little")
        windows = packed.view("<u4").reshape(groups, operation.out_channels // groups, -1).transpose(0, 2, 1)
        count, row = windows.shape[1], -(-given.width * (given.channels // groups) // _WORD)
        self.bits = max(self.bits, 2 * count + groups * given.height * row)
        threshold = self._array("threshold", number, operation.threshold)
        weights = self._array("weights", number, np.ascontiguousarray(windows, np.uint32))
        zero_one = int(operation.encoding is Encoding.ZERO_ONE)
        return [f"{zero_one}, {count}, {row}", threshold, weights]

    def _array(self, what: str, number: int, values: npt.NDArray[Any] | None) -> str:
        """The name of a constant array; NULL for none."""
        if values is None:
            return "NULL"
        key = values.dtype.name, values.tobytes()
        if key not in self._arrays:
            self._arrays[key] = f"{what}_{number}"
            self.flash += values.nbytes
            kind = _TYPES[values.dtype.name]
            self.constants.append(
                f"static const {kind} {what}_{number}[{values.size}] = {{\n{words.numbers(values)}\n}};"
            )
        return self._arrays[key]


def _braced(values: Iterable[object]) -> str:
    return f"{{{', '.join(map(str, values))}}}"
