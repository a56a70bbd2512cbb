"""A model as plain C11 in a folder of its own: no Python, no allocation, no operating system, the same bits."""

import re
from pathlib import Path
from typing import NamedTuple

from models.onebit.file import Model
from models.onebit.standalone import words
from models.onebit.standalone.statements import Statements
from spaces.errors import BinarynasError
from spaces.tools.files import write_atomically

TEMPLATES = Path(__file__).with_name("templates")
_FILES = ("bnn.h", "bnn.c", "kernels.h", "main.c", "bench.c", "Makefile", "CMakeLists.txt")


class FolderError(BinarynasError, ValueError):
    """A folder that C cannot be written into: says which and why."""


class Sizes(NamedTuple):
    """Bytes of constants, which stay in flash beside the code, and of the memory that the caller supplies."""

    flash: int
    ram: int


def write_c(folder: Path, model: Model) -> Sizes:
    """Write a model as C into a folder, which is made if need be and whose name the network has in C.

    Raises `FolderError` for a folder that is not empty; `OSError` where the disk refuses.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise FolderError(f"{folder} is not empty; C is written into a folder of its own: name a new one")
    if folder.exists() and not folder.is_dir():
        raise FolderError(f"{folder} is a file; C is written into a folder: name a new one")
    files, sizes = c_files(model, words.identifier(folder.resolve().name))
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_atomically(folder / name, text)
    return sizes


def c_files(model: Model, name: str) -> tuple[dict[str, str], Sizes]:
    """The files by their names, and the sizes that the header states. `name` is what the network is called in C."""
    program = model.program
    made = Statements(program)
    sizes = Sizes(
        made.flash
        + 8 * program.image.channels
        + sum(len(name.encode(errors="replace")) + 1 for name in model.class_names),
        4 * (made.tensors + made.sums + made.bits),
    )
    counts = {
        **dict(zip(("CHANNELS", "HEIGHT", "WIDTH"), program.image, strict=True)),
        "VALUES": program.image.size,
        "CLASSES": program.classes,
        "FLASH_BYTES": sizes.flash,
        "RAM_BYTES": sizes.ram,
    }
    blanks = {
        "FACTS": "".join(f" * {words.comment(f'{what}: {fact}')}\n" for what, fact in model.facts.items()),
        "SIZES": "\n".join(f"#define {name.upper()}_{what} {count}" for what, count in counts.items()),
        "TENSORS": str(made.tensors),
        "SUMS": str(made.sums),
        "BITS": str(made.bits),
        "CONSTANTS": "\n".join(made.constants),
        "CALLS": "\n".join(f"    {call}" for call in made.calls),
        "MEAN": ", ".join(map(words.number, model.mean)),
        "STD": ", ".join(map(words.number, model.std)),
        "NAMES": "\n".join(f"    {words.string(name)}," for name in model.class_names),
    }
    files: dict[str, str] = {}
    for file in _FILES:
        text = of_network((TEMPLATES / file).read_text("utf-8"), name)
        if file == "kernels.h":
            text = _parts(text, made.parts)
        files[of_network(file, name)] = re.sub("@([A-Z]+)@", lambda match: blanks[match[1]], text)
    return files, sizes


def of_network(text: str, name: str) -> str:
    """A template with the network's name for `bnn`."""
    text = re.sub(r"\bbnn(?![a-z0-9])", name, text)
    return re.sub(r"\bBNN(?![A-Z0-9])", name.upper(), text)


def _parts(kernels: str, needed: set[str]) -> str:
    """kernels.h with those of its parts that are needed."""

    def part(match: re.Match[str]) -> str:
        return match[2] if needed & {*match[1].split()} else ""

    kept = re.sub(r"/\* part: ([\w -]+) \*/\n(.*?)/\* end \*/\n", part, kernels, flags=re.DOTALL)
    return re.sub(r"\n{3,}", "\n\n", kept).rstrip() + "\n"
