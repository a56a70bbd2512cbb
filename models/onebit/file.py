"""The `.bnn` file: a program, its weights, and facts about its images and classes, in one file without code.

Layout, little-endian, without gaps:

    8 bytes   magic
    uint32    version
    uint32    bytes of the header, h
    uint64    bytes of the weights, w
    32 bytes  SHA-256 of the whole file but these 32 bytes
    h bytes   header: JSON, compressed by zlib with the preset dictionary `models.onebit.header.DICTIONARY`
    w bytes   weights: the arrays that the header lists, one after the other, in its order

A binary weight takes one bit, the weights of a layer whole bytes; 8-bit weights take a byte and floats four. Of an
array that the header marks as "same", in which all numbers are equal, that one number is stored.

Version 1 had no such arrays, and compressed its header without a dictionary; version 3 is version 2 with products. A
file has the least version that says what is in it, from 2 on, so that older engines run what they can.
"""

import hashlib
import json
import math
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.onebit.header import (
    DICTIONARY,
    REMEDY,
    TYPES,
    BnnFileError,
    Cursor,
    as_list,
    as_mapping,
    decode_operation,
    encode_value,
)
from models.onebit.operations import Operation, Product, ProgramError, Shape
from models.onebit.program import Program
from spaces.tools.files import write_atomically

MAGIC = b"\x89BNN\r\n\x1a\n"  # as PNG's: a transfer that changes line ends or cuts the eighth bit is noticed
VERSIONS = (1, 2, 3)
"""Those that are read."""
_START = struct.Struct("<8sIIQ")
_DIGEST = 32
_LARGEST_HEADER = 2**20
"""Bytes of a header, compressed or not: many times what a network needs, and quick to parse."""


@dataclass(frozen=True, eq=False)
class Model:
    """What a `.bnn` file holds.

    `mean` and `std` are those of the training images' pixels scaled to 0..1, one per channel: what the program reads is
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
                raise ProgramError(f"{what} must be {channels} finite numbers, one per channel of the images")
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
    arrays: list[npt.NDArray[np.generic]] = []
    header = {
        "image": list(model.program.image),
        "operations": [encode_value(operation, arrays) for operation in model.program.operations],
        "class_names": list(model.class_names),
        "mean": list(model.mean),
        "std": list(model.std),
        "facts": dict(model.facts),
        "centre_crop": model.centre_crop,
    }
    return close_file(header, arrays, version_for(model.program.operations))


def compress_header(header: bytes) -> bytes:
    """A header as it stands in a file."""
    stream = zlib.compressobj(9, zdict=DICTIONARY.encode())
    return stream.compress(header) + stream.flush()


def sign_file(start: bytes, rest: bytes) -> bytes:
    """A file from its first fields and all that follows the checksum."""
    return start + hashlib.sha256(start + rest).digest() + rest


def decode(data: bytes) -> Model:
    """The inverse of `encode`. Raises `BnnFileError`; weights are views of `data`, nothing is copied."""
    header, cursor = open_file(data)
    if "pieces" in header:
        raise BnnFileError("it holds parts of a detector, not a network; give binarynas the detector's folder")
    try:
        image = Shape(*as_list(header["image"], 3))
        operations = tuple(decode_operation(entry, cursor) for entry in as_list(header["operations"]))
        if cursor.at != len(data):
            raise BnnFileError(f"{len(data) - cursor.at} bytes of weights belong to no operation; {REMEDY}")
        return Model(
            Program(image, operations),
            tuple(as_list(header["class_names"])),
            tuple(as_list(header["mean"])),
            tuple(as_list(header["std"])),
            as_mapping(header["facts"]),
            header["centre_crop"],
        )
    except KeyError as error:
        raise BnnFileError(f"the header lacks {error}; {REMEDY}") from error
    except ProgramError as error:
        raise BnnFileError(f"the network in it cannot be: {error}; {REMEDY}") from error


def open_file(data: bytes) -> tuple[dict[str, Any], Cursor]:
    """The header of a file, and the place where its weights begin. Raises `BnnFileError`."""
    header_size, at = _check_frame(data), _START.size + _DIGEST
    return _parse_header(data[at : at + header_size]), Cursor(data, at + header_size)


def version_for(operations: Iterable[Operation]) -> int:
    """The least version whose engines run these operations."""
    return 3 if any(isinstance(operation, Product) for operation in operations) else 2


def close_file(header: Mapping[str, object], arrays: Sequence[npt.NDArray[np.generic]], version: int) -> bytes:
    """The inverse of `open_file`: a file of this header and these weights."""
    head = compress_header(json.dumps(header, separators=(",", ":")).encode())
    weights = b"".join(array.astype(TYPES[array.dtype.name]).tobytes() for array in arrays)
    return sign_file(_START.pack(MAGIC, version, len(head), len(weights)), head + weights)


def _check_frame(data: bytes) -> int:
    """The header's size, once magic, version, sizes and checksum are right."""
    if len(data) < _START.size + _DIGEST or data[: len(MAGIC)] != MAGIC:
        raise BnnFileError(f"this is not a .bnn file, or its beginning is damaged; {REMEDY}")
    _, version, header, weights = _START.unpack_from(data)
    if version not in VERSIONS:
        raise BnnFileError(
            f"the file has version {version}, this binarynas reads version 1, 2 or 3; use the binarynas "
            "that wrote it, or export the network again"
        )
    wanted = _START.size + _DIGEST + header + weights
    if len(data) != wanted:
        raise BnnFileError(f"the file has {len(data)} bytes where it says {wanted}; {REMEDY}")
    digest = hashlib.sha256(data[: _START.size])
    digest.update(memoryview(data)[_START.size + _DIGEST :])
    if digest.digest() != data[_START.size : _START.size + _DIGEST]:
        raise BnnFileError(f"the file is not what was written: its checksum differs; {REMEDY}")
    return header


def _parse_header(compressed: bytes) -> dict[str, Any]:
    if len(compressed) > _LARGEST_HEADER:
        raise BnnFileError(f"the header has more than {_LARGEST_HEADER} bytes; {REMEDY}")
    stream = zlib.decompressobj(zdict=DICTIONARY.encode())  # a stream without a dictionary is read as well
    try:
        text = stream.decompress(compressed, _LARGEST_HEADER)
        if stream.eof and not stream.unused_data:
            return as_mapping(json.loads(text))
    except BnnFileError:
        raise
    except (zlib.error, ValueError, RecursionError) as error:
        raise BnnFileError(f"the header is not JSON: {error}; {REMEDY}") from error
    raise BnnFileError(f"the header is cut, or has more than {_LARGEST_HEADER} bytes; {REMEDY}")
