"""A `.bnn` file of several pieces of a network, each a program of maps with a name.

The frame is that of any `.bnn` file (`models.onebit.file`); the header lists `pieces`: name, image and operations of
each.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.onebit.file import close_file, open_file, version_for
from models.onebit.header import REMEDY, BnnFileError, as_list, as_mapping, decode_operation, encode_value
from models.onebit.operations import ProgramError, Shape
from models.onebit.program import MapProgram
from spaces.tools.files import write_atomically

Pieces = Mapping[str, MapProgram]


def write_pieces(path: Path | str, pieces: Pieces) -> int:
    """Write a file, whole or not at all; returns its size in bytes. Raises `OSError` where the disk refuses."""
    arrays: list[npt.NDArray[np.generic]] = []
    entries = [
        {
            "name": name,
            "image": list(program.image),
            "operations": [encode_value(operation, arrays) for operation in program.operations],
        }
        for name, program in pieces.items()
    ]
    operations = (operation for program in pieces.values() for operation in program.operations)
    data = close_file({"pieces": entries}, arrays, version_for(operations))
    write_atomically(path, data)
    return len(data)


def read_pieces(path: Path | str) -> dict[str, MapProgram]:
    """Read a file. Raises `BnnFileError` for anything that is not whole, of another version or no file of pieces."""
    path = Path(path)
    try:
        header, cursor = open_file(path.read_bytes())
        found: dict[str, MapProgram] = {}
        for entry in map(as_mapping, as_list(header["pieces"])):
            image = Shape(*as_list(entry["image"], 3))
            operations = tuple(decode_operation(each, cursor) for each in as_list(entry["operations"]))
            found[str(entry["name"])] = MapProgram(image, operations)
        if cursor.at != len(cursor.data):
            raise BnnFileError(f"{len(cursor.data) - cursor.at} bytes of weights belong to no operation; {REMEDY}")
        return found
    except OSError as error:
        raise BnnFileError(f"cannot read {path}: {error.strerror}") from error
    except KeyError as error:
        raise BnnFileError(f"{path} is no file of a detector's pieces: its header lacks {error}; {REMEDY}") from error
    except ProgramError as error:
        raise BnnFileError(f"{path}: the network in it cannot be: {error}; {REMEDY}") from error
    except BnnFileError as error:
        raise BnnFileError(f"{path}: {error}") from error.__cause__
