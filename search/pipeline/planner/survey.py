"""What there is: the images of a data set, of which only a sample is decoded, and the machine."""

# torch is partly untyped
# pyright: reportUnknownMemberType=false

import os
import time
from dataclasses import dataclass

import numpy as np
import torch

from search.data.config import DataConfig
from search.data.opening import listed_and_cut
from search.data.sources.decode import sample
from search.data.sources.source import DecodedImages

SAMPLE = 48


@dataclass(frozen=True)
class Survey:
    """What is known of a data set. `per_class` are the training images of every class, `shorter_side` is the median in
    pixels, `decoding` the seconds to read all images."""

    class_names: tuple[str, ...]
    per_class: tuple[int, ...]
    validation: int
    test: int
    shorter_side: int
    smallest_side: int
    largest_side: int
    channels: int
    decoding: float

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @property
    def train(self) -> int:
        """Training images."""
        return sum(self.per_class)

    @property
    def imbalance(self) -> float:
        """By how much the largest class is larger than the smallest."""
        return max(self.per_class) / max(min(self.per_class), 1)


@dataclass(frozen=True)
class Machine:
    """Processor cores that this process may use, memory in bytes, and whether there is a CUDA device."""

    cores: int
    memory: int
    cuda: bool


def survey(config: DataConfig, seed: int) -> Survey:
    """Look at a data set. Raises `DataError` as `open_data` does, but for damage outside the sample."""
    source, cut = listed_and_cut(config, seed)
    images, positions = cut["train"]
    total = sum(len(members) for _, members in cut.values())
    if isinstance(images, DecodedImages):
        shapes = np.array([tuple(images.images.shape[1:])])
        decoding = 0.0
    else:
        chosen = positions[np.linspace(0, len(positions) - 1, min(SAMPLE, len(positions))).astype(int)]
        found = sample(images, chosen.tolist(), [])
        shapes = np.array([tuple(image.shape) for image in found])
        neighbours = np.sort(positions)[:SAMPLE].tolist()  # as all are read: those of one block by one reading
        begun = time.perf_counter()
        sample(images, neighbours, [])
        decoding = (time.perf_counter() - begun) / len(neighbours) * total
    sides = shapes[:, 1:].min(axis=1)
    return Survey(
        class_names=tuple(source.class_names),
        per_class=tuple(np.bincount(images.labels[positions], minlength=len(source.class_names)).tolist()),
        validation=len(cut["validation"][1]),
        test=len(cut["test"][1]),
        shorter_side=int(np.median(sides)),
        smallest_side=int(sides.min()),
        largest_side=int(shapes[:, 1:].max()),
        channels=int(shapes[:, 0].max()),
        decoding=decoding,
    )


def machine() -> Machine:
    """This machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return Machine(cores, memory, torch.cuda.is_available())
