"""The header of a `.bnn` file: operations as JSON and back, each array by its type and shape."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from models.onebit import operations as op
from spaces.errors import BinarynasError

T = TypeVar("T", bound=op.Operation | op.Epilogue)
REMEDY = "export the network again, or copy the file again"
TYPES = {"float32": "<f4", "int8": "|i1", "uint8": "|u1"}
"""The types that arrays may have, little-endian."""
DICTIONARY = (
    '{"image":[3,224,224],"operations":[{"kind":"zero","shape":[32,4,4]},{"kind":"concatenate","inputs":[5,7,9,11]},'
    '{"kind":"pool","input":2,"reduction":"mean","geometry":[3,2,1,1,1]},{"kind":"float-convolution","input":0,'
    '"out_channels":16,"geometry":[2,2,0,1,1],"weight":["float32",[2,2,32,64]],"epilogue":{"constant":["float32",[64]],'
    '"activation":"none","low":0.0,"high":0.0}},{"kind":"float-convolution","input":0,"out_channels":8,"geometry":'
    '[3,1,1,1,1],"weight":["int8",[3,3,1,8]],"epilogue":{"factor":["float32",[8]],"constant":["float32",[8]],'
    '"activation":"rprelu","slope":["float32",[8]],"shift":["float32",[8]],"low":0.0,"high":0.0}},{"kind":'
    '"binary-convolution","input":5,"out_channels":64,"geometry":[3,1,1,1,1],"encoding":"signs","threshold":["float32",'
    '[64]],"bits":["uint8",[4608]],"epilogue":{"factor":["float32",[64]],"activation":"relu","low":0.0,"high":0.0}},'
    '{"kind":"pointwise","input":12,"epilogue":{"shortcut":10,"activation":"none","low":0.0,"high":0.0}},{"kind":'
    '"binary-convolution","input":4,"out_channels":32,"geometry":[3,1,1,1,1],"encoding":"zero-one","threshold":'
    '["float32",[32],"same"],"bits":["uint8",[1152]],"epilogue":{"activation":"none","low":0.0,"high":0.0}},{"kind":'
    '"pool","input":5,"reduction":"max","geometry":[2,2,0,1,1]},{"kind":"pointwise","input":6,"epilogue":{"factor":'
    '["float32",[32]],"constant":["float32",[32]],"activation":"none","low":0.0,"high":0.0}},{"kind":"pointwise",'
    '"input":8,"epilogue":{"activation":"relu","low":0.0,"high":0.0}},{"kind":"binary-convolution","input":2,'
    '"out_channels":16,"geometry":[1,1,0,1,1],"encoding":"signs","threshold":["float32",[16]],"bits":["uint8",[128]],'
    '"epilogue":{"factor":["float32",[16]],"constant":["float32",[16]],"shortcut":2,"activation":"rprelu","slope":'
    '["float32",[16]],"shift":["float32",[16]],"low":0.0,"high":0.0}},{"kind":"global-average","input":9},{"kind":'
    '"linear","input":10,"out_channels":10,"weight":["float32",[64,10]],"epilogue":{"constant":["float32",[10]],'
    '"activation":"none","low":0.0,"high":0.0}}],"class_names":["0","1","2","3","4","5","6","7","8","9"],"mean":[0.4914,'
    '0.4822,0.4465],"std":[0.2471,0.2435,0.2616],"facts":{"space":"nasbnn-digits","architecture":"c16k3g1 | c24k3g1 '
    "c32k5g2 | c48k3g2 c64k5g1 | c96k3g4 c128k3g4 0.25-0.5-1-2-3-4 normal: dil3@0 conv3@1 ; max@0 none@2 | reduce: "
    'conv5@1 avg@0 ; dil5@0 conv3@1","id":"0123456789abcdef"},"centre_crop":1.0}'
)
"""The preset dictionary of zlib, which shortens what most headers say. It is a part of version 2 and never changes."""
_SAME = "same"
"""Marks an array of one number per channel in which all are equal: that number is kept."""


class BnnFileError(BinarynasError, ValueError):
    """A file that cannot be read as a `.bnn` file: names the file, what is wrong with it and what to do."""


@dataclass
class Cursor:
    """Where reading of the weights is."""

    data: bytes
    at: int

    def take(self, dtype: str, shape: tuple[int, ...]) -> npt.NDArray[np.generic]:
        """The next array, as a view; checked against what is left before anything is made."""
        kind = np.dtype(TYPES[dtype])
        size = math.prod(shape) * kind.itemsize
        if size > len(self.data) - self.at:
            raise BnnFileError(f"an array of {size} bytes where {len(self.data) - self.at} are left; {REMEDY}")
        array = np.frombuffer(self.data, kind, math.prod(shape), self.at).reshape(shape)
        self.at += size
        return array


def as_list(value: object, length: int | None = None) -> list[Any]:
    """A list, of the given length where there is one. Raises `BnnFileError` for anything else."""
    if not isinstance(value, list) or (length is not None and len(value) != length):
        raise BnnFileError(f"the header has something else where a list should be; {REMEDY}")
    return value


def as_mapping(value: object) -> dict[str, Any]:
    """Names and values. Raises `BnnFileError` for anything else."""
    if not isinstance(value, dict):
        raise BnnFileError(f"the header has something else where names and values should be; {REMEDY}")
    return value


def encode_value(value: object, arrays: list[npt.NDArray[np.generic]]) -> object:
    """A value as JSON; an array as its type and shape, its numbers (one, where all are the same) go to `arrays`."""
    if dataclasses.is_dataclass(value):
        fields = {f.name: encode_value(getattr(value, f.name), arrays) for f in dataclasses.fields(value)}
        kept = {name: entry for name, entry in fields.items() if entry is not None}
        kind = getattr(value, "kind", None)  # an epilogue has none
        return {"kind": kind, **kept} if kind else kept
    if isinstance(value, np.ndarray):
        same = _may_be_same(value.dtype.name, value.shape) and value.tobytes() == value[:1].tobytes() * len(value)
        arrays.append(value[:1] if same else value)
        return [value.dtype.name, list(value.shape), *([_SAME] if same else [])]
    return list(value) if isinstance(value, tuple) else value


def decode_operation(entry: object, cursor: Cursor) -> op.Operation:
    """An operation from its JSON, its arrays taken from where the cursor is. Raises `BnnFileError`."""
    entry = as_mapping(entry)
    kind = next((kind for kind in _KINDS if kind.kind == entry.get("kind")), None)
    if kind is None:
        raise BnnFileError(f"the header has an operation of an unknown kind; {REMEDY}")
    return _fill(kind, {name: value for name, value in entry.items() if name != "kind"}, cursor)


def _fill(kind: type[T], entry: Mapping[str, object], cursor: Cursor) -> T:
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


def _as_it_is(value: object, _cursor: Cursor) -> float | None:
    """A number: its type and range are for `models.onebit.checks`."""
    return value if isinstance(value, int | float) else None


def _may_be_same(dtype: str, shape: Sequence[int]) -> bool:
    return dtype == "float32" and len(shape) == 1 and 1 < shape[0] <= op.LARGEST_CHANNELS


def _array(value: object, cursor: Cursor) -> npt.NDArray[np.generic]:
    entry = as_list(value)
    same = len(entry) == 3 and entry[2] == _SAME
    dtype, shape = as_list(entry[:2] if same else entry, 2)
    sides = as_list(shape)
    if not isinstance(dtype, str) or dtype not in TYPES or not 1 <= len(sides) <= 4:
        raise BnnFileError(f"the header has an array of an unknown kind; {REMEDY}")
    if not all(type(side) is int and 0 < side < 2**32 for side in sides):
        raise BnnFileError(f"the header has an array of impossible shape; {REMEDY}")
    if not same:
        return cursor.take(dtype, tuple(sides))
    if not _may_be_same(dtype, sides):
        raise BnnFileError(f"the header has one number for an array that needs several; {REMEDY}")
    return np.broadcast_to(cursor.take(dtype, (1,)), tuple(sides))  # which takes no memory


def _choice(kind: type[StrEnum]) -> Callable[[object, Cursor], StrEnum]:
    def read(value: object, _cursor: Cursor) -> StrEnum:
        try:
            return kind(value)
        except ValueError as error:
            raise BnnFileError(f"the header has an unknown {kind.__name__.lower()}; {REMEDY}") from error

    return read


_KINDS: tuple[type[op.Operation], ...] = get_args(op.Operation)
_READERS: dict[str, Callable[[object, Cursor], object]] = {
    "geometry": lambda value, _: op.Geometry(*as_list(value, 5)),
    "shape": lambda value, _: op.Shape(*as_list(value, 3)),
    "inputs": lambda value, _: tuple(as_list(value)),
    "epilogue": lambda value, cursor: _fill(op.Epilogue, as_mapping(value), cursor),
    "encoding": _choice(op.Encoding),
    "activation": _choice(op.Activation),
    "reduction": _choice(op.Reduction),
    **dict.fromkeys(("weight", "bits", "threshold", "factor", "constant", "slope", "shift"), _array),
}
