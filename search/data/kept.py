"""Splits that are decoded once: validation and test images of streamed data, at their final size, as mapped files."""

# torch is partly untyped
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from search.data.dataset import TensorSplit
from search.data.errors import DataError, refuse
from search.data.sources.decode import CHUNK, Fitting, decode_all
from search.data.stream import StreamSplit
from spaces.tools.files import replacing, write_atomically

FORMAT = 1


def kept(split: StreamSplit, folder: Path) -> TensorSplit:
    """The same images, decoded, from a folder that any number of runs share; decoded now where they are not there yet.

    Files are named by what they hold: names, sizes and classes of the images, and how they are brought to their size.
    Several processes may write the same ones. Raises `DataError` for images that cannot be decoded, where those may not
    be skipped, and where the folder cannot be written.
    """
    name = _key(split)
    try:
        if not _whole(folder, name):
            folder.mkdir(parents=True, exist_ok=True)
            _write(split, folder, name)
        facts = json.loads((folder / f"{name}.json").read_text("utf-8"))
        labels = np.asarray(facts["labels"], dtype=np.int64)
        shape = (len(labels), split.channels, split.image_size, split.image_size)
        pixels = np.memmap(folder / f"{name}.images", np.uint8, mode="c", shape=shape)  # "c": nothing is written back
    except OSError as error:
        raise DataError(f"data.cache is {folder}, which cannot be used: {error.strerror or error}") from error
    return TensorSplit(
        torch.from_numpy(pixels), torch.from_numpy(labels), split.normalisation, split.augmentation, resident=False
    )


def _key(split: StreamSplit) -> str:
    """A name for the decoded images of a split."""
    size = [FORMAT, split.image_size, split.channels, split.centre_crop, split.white]
    digest = hashlib.sha256(json.dumps(size).encode())
    for index, label in zip(split.members.tolist(), split.labels.tolist(), strict=True):
        digest.update(f"{split.images.facts(index)} {label}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:24]


def _whole(folder: Path, name: str) -> bool:
    """Whether a split is there, all of it."""
    try:
        facts = json.loads((folder / f"{name}.json").read_text("utf-8"))
        return facts["bytes"] == (folder / f"{name}.images").stat().st_size and isinstance(facts["labels"], list)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write(split: StreamSplit, folder: Path, name: str) -> None:
    """Decode a split into two files, the one that says what is in the other last."""
    fitting = Fitting(split.image_size, split.channels, split.centre_crop, split.white)
    members, labels, size = split.members.tolist(), list[int](), 0
    with replacing(folder / f"{name}.images") as temporary, temporary.open("wb") as file:
        for start in range(0, len(members), CHUNK):
            damaged: dict[int, str] = {}
            images = decode_all(split.images, members[start : start + CHUNK], fitting, [], damaged)
            if damaged and not split.skipping.allowed:
                refuse(list(damaged.values()))
            split.note_skipped(list(damaged.values()))
            found = split.labels[start : start + CHUNK].tolist()
            labels += [label for place, label in enumerate(found) if place not in damaged]
            size += file.write(images.numpy().tobytes())
    write_atomically(folder / f"{name}.json", json.dumps({"bytes": size, "labels": labels}))
