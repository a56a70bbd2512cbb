"""Images in folders, one folder per class: train/CLASS/*, val/CLASS/*, test/CLASS/*, or just CLASS/*."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from search.data.errors import DataError, refuse
from search.data.sources.decode import caught
from search.data.sources.names import IMAGE_SUFFIXES, is_image, split_of, visible_folders
from search.data.sources.source import Source, names_of_classes
from spaces.errors import listed
from spaces.tools.files import one_line


@dataclass(frozen=True)
class FolderImages:
    """The image files of one split, sorted by path; `names` are relative to `root`, with forward slashes; `sizes` in
    bytes, where they are known already."""

    root: Path
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    sizes: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> bytes:
        """The file's bytes."""
        try:
            return (self.root / self.names[index]).read_bytes()
        except OSError as error:
            raise DataError(
                f"{self.where(index)}: the file cannot be read ({error.strerror}): take it out, or set on_damage: skip."
            ) from error

    def where(self, index: int) -> str:
        """The file's path."""
        return str(self.root / self.names[index])

    def key(self, index: int) -> str:
        """The path below the data set's folder."""
        return self.names[index]

    def facts(self, index: int) -> str:
        """Name and size in bytes."""
        return f"{self.names[index]} {self.size(index)}"

    def size(self, index: int) -> int:
        """The file's bytes."""
        if self.sizes is not None:
            return int(self.sizes[index])
        try:
            return (self.root / self.names[index]).stat().st_size
        except OSError:  # said, or skipped, where it is read
            return 0

    def blocks(self, positions: Tensor) -> None:
        """Files are read one by one."""

    def read_block(self, indices: Sequence[int]) -> list[bytes | DataError]:
        """The bytes of some files."""
        return [caught(self.read, index) for index in indices]


def folder_source(folder: Path) -> Source:
    """List a folder of images; reads names only.

    Raises `DataError` for a missing folder, no class, a class without images, validation or test images without
    training images, or splits whose classes differ.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} does not exist; path must be a folder of images.")
    parts = _parts(folder)
    skipped = _Skipped()
    if parts["train"] != folder:
        for other in visible_folders(folder):
            if other not in parts.values():
                skipped.below(other, f"in {other.name}/ (its name says neither train, validation nor test)")
        skipped.files(folder, "beside the splits' folders")
    problems: list[str] = []
    names = [child.name for child in visible_folders(parts["train"])]
    if len(names) < 2:
        problems.append(_too_few_classes(parts["train"], names))
    splits: dict[str, FolderImages] = {}
    for split, place in parts.items():
        found = {child.name: child for child in visible_folders(place)}
        problems += [
            f"{found[name]}: unknown class '{name}': remove it, or add it to {parts['train']}."
            for name in sorted(found.keys() - set(names))
        ]
        skipped.files(place, "outside of the folders of classes")
        files: list[str] = []
        labels: list[int] = []
        for label, name in enumerate(names):
            if name not in found:
                problems.append(f"{place}: class '{name}' is missing: add the folder {place / name} with its images.")
                continue
            images = skipped.images_of(found[name])
            if not images:
                problems.append(_no_images(found[name]))
            relative = found[name].relative_to(folder).as_posix()
            files += [f"{relative}/{image}" for image in images]
            labels += [label] * len(images)
        splits[split] = FolderImages(folder, tuple(files), np.array(labels, np.int64))
    refuse(problems)
    return Source(one_line(folder.name), names_of_classes(names), splits, skipped.phrases())


def _parts(folder: Path) -> dict[str, Path]:
    """The folder of every split; of a folder of classes the folder itself, as "train"."""
    children = visible_folders(folder)
    named = [(split, child) for child in children if (split := split_of(child.name))]
    shown = listed(f"{child.name}/" for _, child in named)
    within = [child for _, child in named if visible_folders(child)]
    if named and (within or len(named) == len(children)):
        if not any(split == "train" for split, _ in named):
            raise DataError(
                f"{folder} has {shown}, but no train/: put the training images into {folder / 'train'}, one folder for "
                "each class, or give a folder of classes."
            )
        twice = [split for split, count in Counter(split for split, _ in named).items() if count > 1]
        if twice:
            raise DataError(f"{folder} has {shown}, of which several mean the {twice[0]} split: leave one of them.")
        return dict(named)
    return {"train": folder}  # a class may be called test


def _too_few_classes(place: Path, names: Sequence[str]) -> str:
    deeper = [child for name in names for child in visible_folders(place / name)]
    hint = f" Its classes may be those of {place / names[0]}: give that folder." if deeper else ""
    return (
        f"{place}: a folder of images has one folder for each class, at least two, but here there "
        f"{'is 1' if names else 'are none'}.{hint}"
    )


def _no_images(place: Path) -> str:
    kinds = Counter(file.suffix.lower() or "no suffix" for file in place.iterdir() if file.is_file())
    there = f", but {listed(f'{count} {kind}' for kind, count in kinds.most_common(4))}" if kinds else ""
    return f"{place} has no images ({', '.join(IMAGE_SUFFIXES)}){there}: add some, or take the folder out."


@dataclass
class _Skipped:
    """Counts the files that are not used, by the reason."""

    counts: Counter[str] = field(default_factory=Counter[str])

    def files(self, folder: Path, why: str) -> None:
        """The images directly in a folder."""
        self.counts[why] += sum(is_image(file) and file.is_file() for file in folder.iterdir())

    def below(self, folder: Path, why: str) -> None:
        """The images in a folder and in the folders below it."""
        self.counts[why] += sum(is_image(file) for file in folder.rglob("*"))

    def images_of(self, place: Path) -> list[str]:
        """The names of the images of a class; what else lies there is counted."""
        images: list[str] = []
        for entry in os.scandir(place):  # which knows without a call for each file what is a folder
            if entry.name.startswith("."):
                continue
            path = Path(entry.path)
            if entry.is_dir():
                self.below(path, "in folders within those of classes (move them up)")
            elif is_image(path):
                images.append(entry.name)
            else:
                self.counts[f"of another kind ({path.suffix.lower() or 'no suffix'})"] += 1
        return sorted(images)

    def phrases(self) -> tuple[str, ...]:
        """What is not used and why, a phrase each."""
        return tuple(
            f"{count} {'file' if count == 1 else 'files'} {why}" for why, count in self.counts.items() if count
        )
