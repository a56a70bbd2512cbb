"""Images in tar shards as WebDataset writes them: `KEY.jpg` with `KEY.cls`, or with a `KEY.json` that has a label."""

# torch is partly untyped
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search.data.errors import DataError, refuse
from search.data.sources.blocks import runs_of
from search.data.sources.decode import Blocks, caught
from search.data.sources.members import Members, members_of
from search.data.sources.names import shards_of
from search.data.sources.source import Source, class_numbers, left_out, names_of_classes, shards_by_split
from spaces.tools.files import one_line, readable

BLOCK_BYTES = 8 * 2**20
"""How much of a shard is read at once."""
CLASSES_FILE = "classes.txt"
"""Beside the shards, where there is one: the names of the classes, one a line."""


@dataclass(frozen=True)
class Shard:
    """A tar file: its path below the data set's folder, with forward slashes, and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class TarImages:
    """The images of one split, in the order of their shards and of their places in these.

    `names` are those of the members; `numbers` say in which of the `shards` each lies, `offsets` where, and `sizes` how
    long it is, in bytes, all int64 (N,).
    """

    root: Path
    shards: tuple[Shard, ...]
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    numbers: NDArray[np.int64]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> bytes:
        """The image's bytes, found by their place."""
        return self._span(index, int(self.offsets[index]), int(self.sizes[index]))

    def read_block(self, indices: Sequence[int]) -> list[bytes | DataError]:
        """The bytes of images of one shard, whose part from the first to the last is read at once."""
        begin, last = int(self.offsets[indices[0]]), indices[-1]
        try:
            data = self._span(indices[0], begin, int(self.offsets[last] + self.sizes[last]) - begin)
        except DataError:  # of those whose bytes are there, each is given
            return [caught(self.read, index) for index in indices]
        begins, sizes = self.offsets[list(indices)] - begin, self.sizes[list(indices)]
        return [data[at : at + size] for at, size in zip(begins.tolist(), sizes.tolist(), strict=True)]

    def _span(self, index: int, begin: int, size: int) -> bytes:
        try:
            with self._shard(index).open("rb", buffering=0) as file:
                data = os.pread(file.fileno(), size, begin)
        except OSError as error:
            raise DataError(f"{self.where(index)}: the shard cannot be read ({error.strerror}).") from error
        if len(data) < size:
            raise DataError(f"{self.where(index)}: the shard ends before the image does: it was cut, get it anew.")
        return data

    def _shard(self, index: int) -> Path:
        return self.root / self.shards[self.numbers[index]].name

    def where(self, index: int) -> str:
        """The shard and the member in it."""
        return f"{self._shard(index)}: {readable(self.names[index])}"

    def key(self, index: int) -> str:
        """Shard and member; members of two shards may have one name."""
        return f"{self.shards[self.numbers[index]].name}/{self.names[index]}"

    def facts(self, index: int) -> str:
        """Shard, member and size in bytes."""
        return f"{self.key(index)} {self.size(index)}"

    def size(self, index: int) -> int:
        """The image's bytes."""
        return int(self.sizes[index])

    def blocks(self, positions: Tensor) -> Blocks:
        """The positions by parts of a shard of `BLOCK_BYTES`."""
        found = positions.numpy()
        numbers = self.numbers[found] * self._most_blocks + self.offsets[found] // BLOCK_BYTES
        return Blocks(runs_of(positions, torch.from_numpy(numbers)), float(self.sizes[found].mean()), singly=True)

    @cached_property
    def _most_blocks(self) -> int:
        return max(shard.size for shard in self.shards) // BLOCK_BYTES + 1

    def require_shards(self) -> None:
        """Raise `DataError` where this machine does not see the shards as they were when they were listed."""
        for shard in self.shards:
            file = self.root / shard.name
            if not file.is_file():
                raise DataError(f"{file} is not there: this machine does not see the images.")
            if (size := file.stat().st_size) != shard.size:
                raise DataError(f"{file} has {size} bytes where it had {shard.size} when the run began: put it back.")


def tar_source(path: Path) -> Source:
    """List the members of tar shards: a file (all of it training images), a folder of them, or a pattern of names.

    A shard belongs to the split that its name begins with, or that its folder is named; all are training images where
    none does. Classes are numbers, named by the lines of `classes.txt` where there is one. Raises `DataError` where
    shards are missing, cut, damaged or compressed, a sample lacks its label or its image, or labels are none.
    """
    shards, root = shards_of(path), root_of(path)
    if not shards:
        raise DataError(f"{path} has no tar files; path must be one, a folder with train*.tar, or a pattern of names.")
    by_split, rest = shards_by_split(path, shards)
    problems: list[str] = []
    others = 0
    splits: dict[str, TarImages] = {}
    for split, files in by_split.items():
        found = [members_of(file, problems) for file in files]
        others += sum(each.others for each in found)
        splits[split] = _joined(root, files, found)
        if not problems and not len(splits[split]):
            problems.append(f"{files[0]}: the {split} split has no images.")
    refuse(problems)
    names = _class_names(root) or class_numbers(path, splits["train"].labels)
    said = [f"{others} member{'s' if others > 1 else ''} of shards that belong to no image"] if others else []
    return Source(one_line(root.name), names, splits, (*left_out(rest), *said))


def root_of(path: Path) -> Path:
    """The folder that names of shards are relative to."""
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path


def _joined(root: Path, files: Sequence[Path], found: Sequence[Members]) -> TarImages:
    def joined(name: str) -> NDArray[np.int64]:
        return np.concatenate([getattr(each, name) for each in found])

    return TarImages(
        root,
        tuple(Shard(file.relative_to(root).as_posix(), each.size) for file, each in zip(files, found, strict=True)),
        tuple(name for each in found for name in each.names),
        joined("labels"),
        np.repeat(np.arange(len(found)), [len(each.names) for each in found]),
        joined("offsets"),
        joined("sizes"),
    )


def _class_names(root: Path) -> tuple[str, ...]:
    file = root / CLASSES_FILE
    if not file.is_file():
        return ()
    return names_of_classes(file.read_text("utf-8", "surrogateescape").splitlines())
