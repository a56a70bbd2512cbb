"""Images of streamed data that are read many times, decoded once into mapped files: those of validation and test, and
the training images by which batch norms are recalibrated."""

# torch is partly untyped
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from search.data.dataset import Split, TensorSplit
from search.data.errors import DataError, refuse
from search.data.order import Order
from search.data.sources.decode import CHUNK, Fitting, decode_all
from search.data.stream import StreamSplit
from spaces.tools.files import replacing, write_atomically

FORMAT = 1
Chunk = tuple[Tensor, list[int]]
"""Images, uint8 (N, C, H, W), and numbers that are kept beside them."""


def kept(split: StreamSplit, folder: Path) -> TensorSplit:
    """The same images, decoded, from a folder that any number of runs share; decoded now where they are not there yet.

    Files are named by what they hold: names, sizes and classes of the images, and how they are brought to their size.
    Several processes may write the same ones. Raises `DataError` for images that cannot be decoded, where those may not
    be skipped, and where the folder cannot be written.
    """
    images, labels = _mapped(split, folder, _key(split), "labels", lambda: _decoded(split))
    return TensorSplit(
        images, torch.tensor(labels, dtype=torch.int64), split.normalisation, split.augmentation, resident=False
    )


def first_batches(split: Split, batch_size: int, count: int, *, order: Order, device: torch.device) -> Iterator[Tensor]:
    """The images of the first batches of an order, normalised; see `Split.batches`.

    Those of a streamed split that has a `cache` are decoded and augmented once, and kept there as `kept` does.
    """
    if isinstance(split, StreamSplit) and split.cache is not None:
        images, sizes = _kept_batches(split, split.cache, order, batch_size, count)
        yield from (split.normalisation(batch.to(device)) for batch in images.split(sizes))
    else:
        yield from (images for images, _ in islice(split.batches(batch_size, order=order, device=device), count))


@lru_cache(4)
def _kept_batches(
    split: StreamSplit, folder: Path, order: Order, batch_size: int, count: int
) -> tuple[Tensor, list[int]]:
    """The images of the first batches, as they are augmented, and how many each batch has."""

    def made() -> Iterator[Chunk]:
        batches = split.pixels(batch_size, order=order)
        return ((images, [len(images)]) for images, _ in islice(batches, count))

    positions = split.arranged(order)[0][: count * batch_size]
    how = [*astuple(split.augmentation), order.seed, batch_size, count, split.skipping.allowed]
    name = _key(split.subset(positions), "batches", *how, *positions.tolist())
    return _mapped(split, folder, name, "sizes", made)


def _key(split: StreamSplit, *more: object) -> str:
    """A name for the decoded images of a split, and of what else they depend on."""
    size = [FORMAT, split.image_size, split.channels, split.centre_crop, split.white, *more]
    digest = hashlib.sha256(json.dumps(size).encode())
    for index, label in zip(split.members.tolist(), split.labels.tolist(), strict=True):
        digest.update(f"{split.images.facts(index)} {label}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:24]


def _mapped(
    split: StreamSplit,
    folder: Path,
    name: str,
    numbers: Literal["labels", "sizes"],
    make: Callable[[], Iterable[Chunk]],
) -> tuple[Tensor, list[int]]:
    """The images of a file, and the numbers beside them; written first where they are not there."""
    try:
        if not _whole(folder, name, numbers):
            folder.mkdir(parents=True, exist_ok=True)
            _write(make(), folder, name, numbers)
        found: list[int] = json.loads((folder / f"{name}.json").read_text("utf-8"))[numbers]
        count = len(found) if numbers == "labels" else sum(found)
        shape = (count, split.channels, split.image_size, split.image_size)
        pixels = np.memmap(folder / f"{name}.images", np.uint8, mode="c", shape=shape)  # "c": nothing is written back
    except OSError as error:
        raise DataError(f"data.cache is {folder}, which cannot be used: {error.strerror or error}") from error
    return torch.from_numpy(pixels), found


def _whole(folder: Path, name: str, numbers: str) -> bool:
    """Whether a file is there, all of it."""
    try:
        facts = json.loads((folder / f"{name}.json").read_text("utf-8"))
        return facts["bytes"] == (folder / f"{name}.images").stat().st_size and isinstance(facts[numbers], list)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write(chunks: Iterable[Chunk], folder: Path, name: str, numbers: str) -> None:
    """Write images into two files, the one that says what is in the other last."""
    size, beside = 0, list[int]()
    with replacing(folder / f"{name}.images") as temporary, temporary.open("wb") as file:
        for images, found in chunks:
            size += file.write(images.numpy().tobytes())
            beside += found
    write_atomically(folder / f"{name}.json", json.dumps({"bytes": size, numbers: beside}))


def _decoded(split: StreamSplit) -> Iterator[Chunk]:
    """The images of a split as they are stored, with their labels."""
    fitting = Fitting(split.image_size, split.channels, split.centre_crop, split.white)
    members = split.members.tolist()
    for start in range(0, len(members), CHUNK):
        damaged: dict[int, str] = {}
        images = decode_all(split.images, members[start : start + CHUNK], fitting, [], damaged)
        if damaged and not split.skipping.allowed:
            refuse(list(damaged.values()))
        split.note_skipped(list(damaged.values()))
        labels = split.labels[start : start + CHUNK].tolist()
        yield images, [label for place, label in enumerate(labels) if place not in damaged]
