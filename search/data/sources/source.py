"""A data set as it is read, before anything is cut or resized: decoded arrays or lists of encoded images."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from search.data.errors import DataError, refuse
from search.data.sources.decode import EncodedImages
from search.data.sources.names import first_word, split_of
from spaces.errors import listed
from spaces.tools.files import one_line


@dataclass(frozen=True)
class DecodedImages:
    """Images that are read decoded: uint8 (N, C, H, W)."""

    images: Tensor
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def key(self, index: int) -> str:
        """The position, which is fixed in data sets of this kind."""
        return str(index)

    def where(self, index: int) -> str:
        """The position, for messages."""
        return f"image {index}"


def names_of_classes(names: Sequence[str]) -> tuple[str, ...]:
    """Names of classes that can be told apart on a line: those that stand twice, or are blank, get their number.

    >>> names_of_classes(["a", "b", "a", " "])
    ('a (0)', 'b', 'a (2)', '  (3)')
    """
    shown = [one_line(name) for name in names]
    counts = Counter(shown)
    return tuple(
        f"{name} ({label})" if counts[name] > 1 or not name.strip() else name for label, name in enumerate(shown)
    )


def shards_by_split(path: Path, shards: Sequence[Path]) -> tuple[dict[str, list[Path]], list[Path]]:
    """The shards of every split, by the first word of their names or by their folder's, and those that are of none.

    A single file is training images; so are all where no name says a split. Raises `DataError` where there are some of
    other splits and none to train on.
    """
    found: dict[str, list[Path]] = {}
    rest: list[Path] = []
    for shard in shards:
        split = None if path.is_file() else split_of(first_word(shard.stem)) or split_of(shard.parent.name)
        (rest if split is None else found.setdefault(split, [])).append(shard)
    if not found:
        return {"train": rest}, []
    if "train" not in found:
        shown = listed([*(shard.name for shard in shards[:5]), *(["..."] if len(shards) > 5 else [])])
        raise DataError(f"{path} has no train*{shards[0].suffix}, only {shown}.")
    return found, rest


def left_out(shards: Sequence[Path]) -> tuple[str, ...]:
    """What to say of shards that belong to no split."""
    if not shards:
        return ()
    count = f"{len(shards)} file{'s' if len(shards) > 1 else ''}"
    return (f"{count} whose name says neither train, validation nor test ({shards[0].name})",)


def class_numbers(path: Path, labels: NDArray[np.int64]) -> tuple[str, ...]:
    """The numbers from 0 to the largest label, as names of classes. Raises `DataError` where it cannot be meant."""
    largest = int(labels.max())
    if largest >= len(labels):  # a name for each number up to it might not fit into memory
        raise DataError(
            f"{path}: a label is {largest}, but there are {len(labels)} training images: number the classes from 0 "
            "without gaps."
        )
    return tuple(map(str, range(largest + 1)))


Images = DecodedImages | EncodedImages


@dataclass(frozen=True)
class Source:
    """A data set as it is: the splits that exist ("train" always, "validation", "test") and the class names.

    `left_out` says what of the data set is not used and why, a phrase each.
    """

    name: str
    class_names: tuple[str, ...]
    splits: Mapping[str, Images]
    left_out: tuple[str, ...] = ()

    def _numbering(self) -> str:
        """What helps where a class has no image: names that are numbers come from labels, which may leave some out."""
        numbers = self.class_names == tuple(map(str, range(len(self.class_names))))
        return "add some, or number the classes from 0 without gaps" if numbers else "add some"

    def check_classes(self) -> None:
        """Raise `DataError` for labels outside 0..classes-1 and for classes without an image in a split."""
        problems: list[str] = []
        for split, images in self.splits.items():
            outside = np.flatnonzero((images.labels < 0) | (images.labels >= len(self.class_names)))
            problems += [
                f"{images.where(index)}: label {images.labels[index]} is out of range: there are "
                f"{len(self.class_names)} classes, so labels are 0 to {len(self.class_names) - 1}."
                for index in outside.tolist()
            ]
            present = set(np.unique(images.labels).tolist())
            missing = [repr(name) for label, name in enumerate(self.class_names) if label not in present]
            if missing:
                shown = ", ".join(missing[:8]) + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
                problems.append(f"{self.name}: the {split} split has no image of class {shown}: {self._numbering()}.")
        refuse(problems)
