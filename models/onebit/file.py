"""The `.bnn` file: a program, its weights and what its images and classes are, in one file that holds no code.

Layout, little-endian, without gaps:

    8 bytes   magic
    uint32    version
    uint32    bytes of the header, h
    uint64    bytes of the weights, w
    32 bytes  SHA-256 of the whole file but these 32 bytes
    h bytes   header: JSON, compressed by zlib
    w bytes   weights: the arrays that the header lists, one behind the other, in its order

A binary weight takes one bit, a layer ends with its last byte; 8-bit weights take a byte and floats four.
"""

import dataclasses
import hashlib
import json
import math
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.files import write_atomically
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
    Program,
    ProgramError,
    Reduction,
    Shape,
    Zero,
)

MAGIC = b"\x89BNN\r\n\x1a\n"  # as PNG's: a transfer that changes line ends or cuts the eighth bit is noticed
VERSION = 1
_START = struct.Struct("<8sIIQ")
_DIGEST = 32
_LARGEST_HEADER = 2**20
"""Bytes of a header, compressed or not: many times what a network needs, few enough to parse at once."""
_TYPES = {"float32": "<f4", "int8": "|i1", "uint8": "|u1"}


class BnnFileError(ValueError):
    """A file that is no `.bnn` file that can be read: names the file, what is wrong with it and what to do."""


@dataclass(frozen=True, eq=False)
class Model:
    """What a `.bnn` file holds.

    `mean` and `std` are those of the training images' pixels scaled to 0..1, a channel each: what the program reads is
    (pixel - mean) / std. An image is resized so that its shorter side is the program's image over `centre_crop`, whose
    centre is taken. `facts` are words for people, such as the architecture's text.
    """

    program: Program
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    centre_crop: float = 1.0

    def __post_init__(self) -> None:
        channels, classes = self.program.image.channels, self.program.classes
        if len(self.class_names) != classes or not all(type(name) is str for name in self.class_names):
            raise ProgramError(f"a model of {classes} classes needs as many names, got {len(self.class_names)}")
        for what, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != channels or not all(type(v) is float and math.isfinite(v) for v in values):
                raise ProgramError(f"{what} must be {channels} finite numbers, one a channel of the images")
        if min(self.std) <= 0:
            raise ProgramError("std must be positive, as images are divided by it")
        if type(self.centre_crop) is not float or not 0.1 <= self.centre_crop <= 1:
            raise ProgramError("the centre crop must be a share of the image, from 0.1 to 1.0")
        if not all(type(word) is str for pair in self.facts.items() for word in pair):
            raise ProgramError("the facts of a model must be words")


def write_model(path: Path | str, model: Model) -> int:
    """Write a file, whole or not at all; returns its size in bytes. Raises `OSError` where the disk refuses."""
    data = encode(model)
    write_atomically(path, data)
    return len(data)


def read_model(path: Path | str) -> Model:
    """Read a file. Raises `BnnFileError` for anything that is not whole, of another version or not ours."""
    path = Path(path)
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise BnnFileError(f"cannot read {path}: {error.strerror}") from error
    except BnnFileError as error:
        raise BnnFileError(f"{path}: {error}") from error.__cause__


def encode(model: Model) -> bytes:
    """The bytes of a file."""
    arrays: list[npt.NDArray[Any]] = []
    header = {
        "image": list(model.program.image),
        "operations": [_encode(operation, arrays) for operation in model.program.operations],
        "class_names": list(model.class_names),
        "mean": list(model.mean),
        "std": list(model.std),
        "facts": dict(model.facts),
        "centre_crop": model.centre_crop,
    }
    head = zlib.compress(json.dumps(header, separators=(",", ":")).encode(), 9)
    weights = b"".join(array.astype(_TYPES[array.dtype.name]).tobytes() for array in arrays)
    return sign_file(_START.pack(MAGIC, VERSION, len(head), len(weights)), head + weights)


def sign_file(start: bytes, rest: bytes) -> bytes:
    """A file of its first fields and all behind the checksum, with the checksum between them."""
    return start + hashlib.sha256(start + rest).digest() + rest


def decode(data: bytes) -> Model:
    """The inverse of `encode`. Raises `BnnFileError`; weights are views of `data`, nothing is copied."""
    header_size = _check_frame(data)
    at = _START.size + _DIGEST
    header = _parse_header(data[at : at + header_size])
    cursor = _Cursor(data, at + header_size)
    try:
        image = Shape(*_list(header["image"], 3))
        operations = tuple(_decode(entry, cursor) for entry in _list(header["operations"]))
        if cursor.at != len(data):
            raise BnnFileError(f"{len(data) - cursor.at} bytes of weights belong to no operation; {_REMEDY}")
        return Model(
            Program(image, operations),
            tuple(_list(header["class_names"])),
            tuple(_list(header["mean"])),
            tuple(_list(header["std"])),
            _mapping(header["facts"]),
            header["centre_crop"],
        )
    except KeyError as error:
        raise BnnFileError(f"the header lacks {error}; {_REMEDY}") from error
    except ProgramError as error:
        raise BnnFileError(f"the network in it cannot be: {error}; {_REMEDY}") from error


_REMEDY = "export the network again, or copy the file anew"


def _check_frame(data: bytes) -> int:
    """The header's size, once magic, version, sizes and checksum are right."""
    if len(data) < _START.size + _DIGEST or data[: len(MAGIC)] != MAGIC:
        raise BnnFileError(f"this is no .bnn file, or its beginning is damaged; {_REMEDY}")
    _, version, header, weights = _START.unpack_from(data)
    if version != VERSION:
        raise BnnFileError(
            f"the file has version {version}, this binarynas reads version {VERSION}; use the binarynas that wrote it, "
            "or export the network again"
        )
    wanted = _START.size + _DIGEST + header + weights
    if len(data) != wanted:
        raise BnnFileError(f"the file has {len(data)} bytes where it says {wanted}; {_REMEDY}")
    digest = hashlib.sha256(data[: _START.size])
    digest.update(memoryview(data)[_START.size + _DIGEST :])
    if digest.digest() != data[_START.size : _START.size + _DIGEST]:
        raise BnnFileError(f"the file is not what was written: its checksum differs; {_REMEDY}")
    return header


def _parse_header(compressed: bytes) -> dict[str, Any]:
    if len(compressed) > _LARGEST_HEADER:
        raise BnnFileError(f"the header has more than {_LARGEST_HEADER} bytes; {_REMEDY}")
    try:
        stream = zlib.decompressobj()
        text = stream.decompress(compressed, _LARGEST_HEADER)
        if not stream.eof or stream.unused_data:
            raise BnnFileError(f"the header is cut, or has more than {_LARGEST_HEADER} bytes; {_REMEDY}")
        return _mapping(json.loads(text))
    except (zlib.error, ValueError, RecursionError) as error:
        if isinstance(error, BnnFileError):
            raise
        raise BnnFileError(f"the header is no JSON: {error}; {_REMEDY}") from error


@dataclass
class _Cursor:
    """Where reading of the weights is."""

    data: bytes
    at: int

    def take(self, dtype: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """The next array, as a view; checked against what is left before anything is made."""
        kind = np.dtype(_TYPES[dtype])
        size = math.prod(shape) * kind.itemsize
        if size > len(self.data) - self.at:
            raise BnnFileError(f"an array of {size} bytes where {len(self.data) - self.at} are left; {_REMEDY}")
        array = np.frombuffer(self.data, kind, math.prod(shape), self.at).reshape(shape)
        self.at += size
        return array


def _list(value: object, length: int | None = None) -> list[Any]:
    if not isinstance(value, list) or (length is not None and len(value) != length):
        raise BnnFileError(f"the header has something else where a list should be; {_REMEDY}")
    return value


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BnnFileError(f"the header has something else where names and values should be; {_REMEDY}")
    return value


def _encode(value: Any, arrays: list[npt.NDArray[Any]]) -> Any:
    """A value as JSON; an array as its type and shape, its numbers are appended to `arrays`."""
    if dataclasses.is_dataclass(value):
        fields = {f.name: _encode(getattr(value, f.name), arrays) for f in dataclasses.fields(value)}
        kept = {name: entry for name, entry in fields.items() if entry is not None}
        kind = getattr(value, "kind", None)  # an epilogue is no operation and has none
        return {"kind": kind, **kept} if kind else kept
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return [value.dtype.name, list(value.shape)]
    return list(value) if isinstance(value, tuple) else value


def _decode(entry: object, cursor: _Cursor) -> Operation:
    entry = _mapping(entry)
    kind = next((kind for kind in _KINDS if kind.kind == entry.get("kind")), None)
    if kind is None:
        raise BnnFileError(f"the header has an operation of an unknown kind; {_REMEDY}")
    return _fill(kind, {name: value for name, value in entry.items() if name != "kind"}, cursor)


def _fill(kind: type[Any], entry: Mapping[str, Any], cursor: _Cursor) -> Any:
    """A dataclass from its fields; arrays are taken in the order of the fields."""
    wanted = {f.name: f for f in dataclasses.fields(kind)}
    if unknown := next((name for name in entry if name not in wanted), None):
        raise BnnFileError(f"a {kind.__name__} has no field {unknown[:40]!r}; {_REMEDY}")
    values: dict[str, Any] = {}
    for name, declared in wanted.items():
        if name in entry:
            values[name] = _READERS.get(name, _as_it_is)(entry[name], cursor)
        elif declared.default is dataclasses.MISSING:
            raise BnnFileError(f"a {kind.__name__} lacks its {name}; {_REMEDY}")
    return kind(**values)


def _as_it_is(value: object, _cursor: _Cursor) -> Any:
    """A number: its type and range are for `models.onebit.checks`."""
    return value if isinstance(value, int | float) else None


def _array(value: object, cursor: _Cursor) -> npt.NDArray[Any]:
    dtype, shape = _list(value, 2)
    sides = _list(shape)
    if not isinstance(dtype, str) or dtype not in _TYPES or not 1 <= len(sides) <= 4:
        raise BnnFileError(f"the header has an array of an unknown kind; {_REMEDY}")
    if not all(type(side) is int and 0 < side < 2**32 for side in sides):
        raise BnnFileError(f"the header has an array of impossible shape; {_REMEDY}")
    return cursor.take(dtype, tuple(sides))


def _choice(kind: type[Any]) -> Callable[[object, _Cursor], Any]:
    def read(value: object, _cursor: _Cursor) -> Any:
        try:
            return kind(value)
        except ValueError as error:
            raise BnnFileError(f"the header has an unknown {kind.__name__.lower()}; {_REMEDY}") from error

    return read


_KINDS: tuple[type[Any], ...] = (
    FloatConvolution, BinaryConvolution, Linear, Pointwise, Pool, GlobalAverage, Concatenate, Zero,
)  # fmt: skip
_READERS: dict[str, Callable[[Any, _Cursor], Any]] = {
    "geometry": lambda value, _: Geometry(*_list(value, 5)),
    "shape": lambda value, _: Shape(*_list(value, 3)),
    "inputs": lambda value, _: tuple(_list(value)),
    "epilogue": lambda value, cursor: _fill(Epilogue, _mapping(value), cursor),
    "encoding": _choice(Encoding),
    "activation": _choice(Activation),
    "reduction": _choice(Reduction),
    **dict.fromkeys(("weight", "bits", "threshold", "factor", "constant", "slope", "shift"), _array),
}
