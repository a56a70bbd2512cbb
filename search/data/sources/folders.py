"""Images in folders, one folder per class: train/CLASS/*, val/CLASS/*, test/CLASS/*, or just CLASS/*."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from search.data.config import IMAGE_SUFFIXES, is_image, split_of
from search.data.errors import DataError, refuse
from search.data.sources.source import Source


@dataclass(frozen=True)
class FolderImages:
    """The image files of one split, sorted by path; `names` are relative to `root`, with forward slashes."""

    root: Path
    names: tuple[str, ...]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> bytes:
        """The file's bytes."""
        try:
            return (self.root / self.names[index]).read_bytes()
        except OSError as error:
            raise DataError(f"{self.where(index)}: the file cannot be read ({error.strerror}).") from error

    def where(self, index: int) -> str:
        """The file's path."""
        return str(self.root / self.names[index])

    def key(self, index: int) -> str:
        """The path below the data set's folder."""
        return self.names[index]

    def facts(self, index: int) -> str:
        """Name and size in bytes."""
        return f"{self.names[index]} {(self.root / self.names[index]).stat().st_size}"

    def blocks(self, positions: Tensor) -> None:
        """Files are read one by one."""


def folder_source(folder: Path) -> Source:
    """List a folder of images; reads names only.

    Raises `DataError` for a missing folder, no class, a class without images, or splits whose classes differ.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} does not exist; path must be a folder of images.")
    parts = {split: child for child in _folders(folder) if (split := split_of(child.name))}
    if "train" not in parts:
        parts = {"train": folder}
    problems: list[str] = []
    names = [child.name for child in _folders(parts["train"])]
    if len(names) < 2:
        problems.append(
            f"{parts['train']}: a folder of images has one folder for each class, at least two, but here there "
            f"{'is 1' if names else 'are none'}."
        )
    splits: dict[str, FolderImages] = {}
    for split, place in parts.items():
        found = {child.name: child for child in _folders(place)}
        problems += [
            f"{found[name]}: unknown class '{name}': remove it, or add it to {parts['train']}."
            for name in sorted(found.keys() - set(names))
        ]
        files: list[str] = []
        labels: list[int] = []
        for label, name in enumerate(names):
            if name not in found:
                problems.append(f"{place}: class '{name}' is missing: add the folder {place / name} with its images.")
                continue
            images = sorted(file.name for file in found[name].iterdir() if is_image(file))
            if not images:
                problems.append(f"{found[name]} has no images ({', '.join(IMAGE_SUFFIXES)}).")
            relative = found[name].relative_to(folder).as_posix()
            files += [f"{relative}/{image}" for image in images]
            labels += [label] * len(images)
        splits[split] = FolderImages(folder, tuple(files), np.array(labels, np.int64))
    refuse(problems)
    return Source(folder.name, tuple(names), splits)


def _folders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
