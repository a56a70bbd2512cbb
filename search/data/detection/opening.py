"""`open_pictures`: from a configuration to checked pictures in three splits."""

# torch is partly untyped
# pyright: reportUnknownMemberType=false

import hashlib

import numpy as np
import torch

from analysis.units import plural
from search.data.detection.coco import read_coco
from search.data.detection.config import DIGITS, PicturesConfig
from search.data.detection.digits import make_digits
from search.data.detection.pictures import Pictures, PictureSet, PictureSplit
from search.data.errors import DataError
from search.seeds import derive_seed

FEWEST = 3
SHARES = (0.7, 0.1, 0.2)
"""Of the built-in pictures: training, validation and test."""


def open_pictures(config: PicturesConfig, channels: int, seed: int) -> PictureSet:
    """Open and check pictures with `channels` channels; `seed` decides which are cut for validation and test.

    Raises `DataError` with everything that can be found wrong without decoding an image.
    """
    if config.name == DIGITS:
        return _digits(config, channels)
    assert config.path is not None, "the configuration checks that"
    found = read_coco(config.path, channels)
    return _cut(found.pictures, found.class_names, found.training, found.test, found.notes, found.digest, config, seed)


def _digits(config: PicturesConfig, channels: int) -> PictureSet:
    validation, test = (round(config.pictures * share) for share in SHARES[1:])
    counts = (config.pictures - validation - test, validation, test)
    pictures = make_digits(counts, config.picture_size, channels)
    ends = np.cumsum([0, *counts]).tolist()
    limits = (config.train_limit, config.validation_limit, config.test_limit)
    splits = [
        PictureSplit(pictures, torch.arange(start, min(end, start + (limit or end))))
        for start, end, limit in zip(ends[:-1], ends[1:], limits, strict=True)
    ]
    digest = hashlib.sha256(pictures.images[:, :1].contiguous().numpy().tobytes())
    for place in range(len(pictures)):
        target = pictures.target(place)
        digest.update(target.boxes.numpy().tobytes() + target.classes.numpy().tobytes())
    train, validation, test = splits
    names = tuple(map(str, range(10)))
    return PictureSet("digits in pictures", names, train, validation, test, digest.hexdigest())


def _cut(
    pictures: Pictures,
    class_names: tuple[str, ...],
    training: list[int],
    test: list[int] | None,
    notes: tuple[str, ...],
    digest: str,
    config: PicturesConfig,
    seed: int,
) -> PictureSet:
    """Test first, then validation, both from the training pictures; then the limits. Places stay ascending."""
    left = training
    if test is None:
        test, left = _drawn(left, max(1, round(len(left) * config.test_fraction)), seed, "test")
    validation, left = _drawn(left, max(1, round(len(left) * config.validation_fraction)), seed, "validation")
    if not left:
        raise DataError(
            f"{config.path} has {plural(len(training), 'picture')} that can be used, too few to cut validation and "
            f"test pictures from: at least {FEWEST} are needed"
        )
    splits: list[PictureSplit] = []
    limits = {"train": config.train_limit, "validation": config.validation_limit, "test": config.test_limit}
    for (part, limit), places in zip(limits.items(), (left, validation, test), strict=True):
        chosen = places if limit is None else _drawn(places, limit, seed, f"{part} limit")[0]
        splits.append(PictureSplit(pictures, torch.tensor(chosen, dtype=torch.int64), config.threads))
    train, *others = splits
    return PictureSet("coco", class_names, train, others[0], others[1], digest, notes)


def _drawn(places: list[int], count: int, seed: int, purpose: str) -> tuple[list[int], list[int]]:
    """So many of the places, and the others."""
    order = np.random.Generator(np.random.PCG64(derive_seed(seed, "pictures", purpose))).permutation(len(places))
    chosen = {places[int(at)] for at in order[:count]}
    return [place for place in places if place in chosen], [place for place in places if place not in chosen]
