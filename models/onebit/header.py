"""The header of a `.bnn` file: operations as JSON and back, each array by its type and shape."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.onebit.program import (
    Activation,
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
    Reduction,
    Shape,
    Zero,
)

REMEDY = "export the network again, or copy the file anew"
TYPES = {"float32": "<f4", "int8": "|i1", "uint8": "|u1"}
"""The types that arrays may have, little-endian."""


class BnnFileError(ValueError):
    """A file that is no `.bnn` file that can be read: names the file, what is wrong with it and what to do."""


@dataclass
class Cursor:
    """Where reading of the weights is."""

    data: bytes
    at: int

    def take(self, dtype: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """The next array, as a view; checked against what is left before anything is made."""
        kind = np.dtype(TYPES[dtype])
        size = math.prod(shape) * kind.itemsize
        if size > len(self.data) - self.at:
            raise BnnFileError(f"an array of {size} bytes where {len(self.data) - self.at} are left; {REMEDY}")
        array = np.frombuffer(self.data, kind, math.prod(shape), self.at).reshape(shape)
        self.at += size
        return array


def as_list(value: object, length: int | None = None) -> list[Any]:
    """A list, of so many entries where a length is given. Raises `BnnFileError` for anything else."""
    if not isinstance(value, list) or (length is not None and len(value) != length):
        raise BnnFileError(f"the header has something else where a list should be; {REMEDY}")
    return value


def as_mapping(value: object) -> dict[str, Any]:
    """Names and values. Raises `BnnFileError` for anything else."""
    if not isinstance(value, dict):
        raise BnnFileError(f"the header has something else where names and values should be; {REMEDY}")
    return value


def encode_value(value: Any, arrays: list[npt.NDArray[Any]]) -> Any:
    """A value as JSON; an array as its type and shape, its numbers are appended to `arrays`."""
    if dataclasses.is_dataclass(value):
        fields = {f.name: encode_value(getattr(value, f.name), arrays) for f in dataclasses.fields(value)}
        kept = {name: entry for name, entry in fields.items() if entry is not None}
        kind = getattr(value, "kind", None)  # an epilogue is no operation and has none
        return {"kind": kind, **kept} if kind else kept
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return [value.dtype.name, list(value.shape)]
    return list(value) if isinstance(value, tuple) else value


def decode_operation(entry: object, cursor: Cursor) -> Operation:
    """An operation of its JSON, its arrays taken from where the cursor is. Raises `BnnFileError`."""
    entry = as_mapping(entry)
    kind = next((kind for kind in _KINDS if kind.kind == entry.get("kind")), None)
    if kind is None:
        raise BnnFileError(f"the header has an operation of an unknown kind; {REMEDY}")
    return _fill(kind, {name: value for name, value in entry.items() if name != "kind"}, cursor)


def _fill(kind: type[Any], entry: Mapping[str, Any], cursor: Cursor) -> Any:
    """A dataclass from its fields; arrays are taken in the order of the fields."""
    wanted = {f.name: f for f in dataclasses.fields(kind)}
    if unknown := next((name for name in entry if name not in wanted), None):
        raise BnnFileError(f"a {kind.__name__} has no field {unknown[:40]!r}; {REMEDY}")
    values: dict[str, Any] = {}
    for name, declared in wanted.items():
        if name in entry:
            values[name] = _READERS.get(name, _as_it_is)(entry[name], cursor)
        elif declared.default is dataclasses.MISSING:
            raise BnnFileError(f"a {kind.__name__} lacks its {name}; {REMEDY}")
    return kind(**values)


def _as_it_is(value: object, _cursor: Cursor) -> Any:
    """A number: its type and range are for `models.onebit.checks`."""
    return value if isinstance(value, int | float) else None


def _array(value: object, cursor: Cursor) -> npt.NDArray[Any]:
    dtype, shape = as_list(value, 2)
    sides = as_list(shape)
    if not isinstance(dtype, str) or dtype not in TYPES or not 1 <= len(sides) <= 4:
        raise BnnFileError(f"the header has an array of an unknown kind; {REMEDY}")
    if not all(type(side) is int and 0 < side < 2**32 for side in sides):
        raise BnnFileError(f"the header has an array of impossible shape; {REMEDY}")
    return cursor.take(dtype, tuple(sides))


def _choice(kind: type[Any]) -> Callable[[object, Cursor], Any]:
    def read(value: object, _cursor: Cursor) -> Any:
        try:
            return kind(value)
        except ValueError as error:
            raise BnnFileError(f"the header has an unknown {kind.__name__.lower()}; {REMEDY}") from error

    return read


_KINDS: tuple[type[Any], ...] = (
    FloatConvolution, BinaryConvolution, Linear, Pointwise, Pool, GlobalAverage, Concatenate, Zero,
)  # fmt: skip
_READERS: dict[str, Callable[[Any, Cursor], Any]] = {
    "geometry": lambda value, _: Geometry(*as_list(value, 5)),
    "shape": lambda value, _: Shape(*as_list(value, 3)),
    "inputs": lambda value, _: tuple(as_list(value)),
    "epilogue": lambda value, cursor: _fill(Epilogue, as_mapping(value), cursor),
    "encoding": _choice(Encoding),
    "activation": _choice(Activation),
    "reduction": _choice(Reduction),
    **dict.fromkeys(("weight", "bits", "threshold", "factor", "constant", "slope", "shift"), _array),
}
