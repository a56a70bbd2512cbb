"""`open_data`: from a configuration to a checked data set with its three splits, in memory or streamed."""

# torch is partly untyped
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import hashlib
from pathlib import Path

import numpy as np
from torch import Tensor

from search.data import listed
from search.data.cache import cache_key, load, store
from search.data.config import DataConfig
from search.data.contents import (
    SPLITS,
    Cut,
    decode_cut,
    decoded_once,
    in_memory,
    line,
    skipping_of,
    streamed,
    tensors_digest,
)
from search.data.dataset import DataSet, TensorSplit
from search.data.errors import refuse
from search.data.sources.decode import read_image
from search.data.sources.names import is_shards
from search.data.sources.source import DecodedImages, Images, Source
from search.data.splits import ClassRanking, Positions, shares

SHAPES = {"digits": (10, 1), "mnist": (10, 1), "fashion-mnist": (10, 1), "cifar10": (10, 3), "cifar100": (100, 3)}
"""Classes and channels of the known data sets."""


def open_data(
    config: DataConfig,
    *,
    image_size: int | None = None,
    channels: int | None = None,
    seed: int = 0,
    cache: Path | None = None,
) -> DataSet:
    """Open, check, cut and decode a data set.

    `image_size` and `channels` are those of the space, and None leaves the images as they are; those of `config` take
    precedence. `seed` decides which images are cut for validation, test and subsets. `cache` is a folder of the run
    that keeps decoded images for later processes, and of streamed files the list: changes of the source are not seen.

    Raises `DataError` with everything that can be found wrong with the data before training. Of streamed data only a
    sample is decoded; another image that is damaged raises it when its batch is read, or is skipped there and noted in
    `contents.SKIPPED_FILE` of the cache.
    """
    size, channels = config.image_size or image_size, config.channels or channels
    key = cache_key(config, size, channels, seed)
    decoded = load(cache, key) if cache else None
    if decoded is None and cache and (found := listed.load(cache, key, config, skipping_of(config, cache))):
        return decoded_once(found, config)
    if decoded is None:
        source = _source(config)
        source.check_classes()
        cut = _cut(source, config, seed)
        if not _fits(cut, config, size, channels):
            found = streamed(source, cut, config, size, channels, seed, cache)
            if cache:
                listed.keep(cache, key, found)
            return decoded_once(found, config)
        decoded = decode_cut(source, cut, config, size, channels)
        if cache:
            store(cache, key, decoded)
    return in_memory(decoded, config)


def listing(config: DataConfig) -> str | None:
    """A fingerprint of the images' names, sizes and labels of a data set of one's own; reads no image.

    None for data sets known by name, which do not change, and for one that no longer exists. Raises `DataError`.
    """
    if config.path is None or not (config.path.exists() or is_shards(config.path)):
        return None
    digest = hashlib.sha256()
    for part, images in _source(config).splits.items():
        if not isinstance(images, DecodedImages):
            for index in range(len(images)):
                digest.update(line(part, images, index))
    return digest.hexdigest()


def shape_of(config: DataConfig) -> tuple[int, int]:
    """How many classes and channels a data set has; decodes a single image at most. Raises `DataError`."""
    if config.name in SHAPES:
        classes, channels = SHAPES[config.name]
        return classes, config.channels or channels
    source = _source(config)
    images = source.splits["train"]
    return len(source.class_names), config.channels or (
        images.images.shape[1] if isinstance(images, DecodedImages) else read_image(images, 0).shape[0]
    )


def fingerprint_of(data: DataSet) -> str:
    """The fingerprint of what a data set holds now: of images in memory, or mapped into it, that of their bytes."""
    tensors: dict[str, Tensor] = {}
    for part, split in (("train", data.train), ("validation", data.validation), ("test", data.test)):
        if not isinstance(split, TensorSplit):
            return data.fingerprint  # streamed: made from the files whenever they are opened
        tensors |= {f"{part}.images": split.images, f"{part}.labels": split.labels}
    return tensors_digest(tensors)


def _source(config: DataConfig) -> Source:
    if config.name == "folder" and config.path:
        from search.data.sources.folders import folder_source

        return folder_source(config.path)
    if config.name == "parquet" and config.path:
        from search.data.sources.parquet import parquet_source

        return parquet_source(config.path)
    if config.name == "tar" and config.path:
        from search.data.sources.tar import tar_source

        return tar_source(config.path)
    from search.data.sources.builtin import digits_source, torchvision_source

    return (
        digits_source()
        if config.name == "digits"
        else torchvision_source(config.name, config.root, download=config.download)
    )


def _cut(source: Source, config: DataConfig, seed: int) -> Cut:
    """Test first, then validation, both from the training images where the source has none; then the limits."""
    problems: list[str] = []
    splits = dict(source.splits)
    if "test" not in splits and "validation" in splits:
        splits["test"] = splits.pop("validation")
    parts = {name: (images, np.arange(len(images))) for name, images in splits.items()}
    amounts = {
        "test": config.test_fraction,
        "validation": config.validation_per_class or config.validation_fraction or 0.1,
    }
    for part, amount in amounts.items():
        if part in parts:
            continue
        images, positions = parts["train"]
        ranking = _ranking(images, positions, seed, part)
        counts = np.bincount(ranking.labels, minlength=len(source.class_names))
        taken = shares(counts, source.class_names, part, source.name, amount, problems)
        parts[part] = images, positions[ranking.first(taken)]
        parts["train"] = images, positions[ranking.rest(taken)]
    limits = {"train": config.train_limit, "validation": config.validation_limit, "test": config.test_limit}
    for part, limit in limits.items():
        images, positions = parts[part]
        if limit is not None and limit < len(source.class_names):
            problems.append(
                f"{source.name}: {part}_limit is {limit}, but {len(source.class_names)} classes need at least "
                f"{len(source.class_names)} images: raise it."
            )
        elif limit is not None:
            parts[part] = images, positions[_ranking(images, positions, seed, f"{part} limit").subset(limit)]
    refuse(problems)
    return {part: parts[part] for part in SPLITS}


def _ranking(images: Images, positions: Positions, seed: int, purpose: str) -> ClassRanking:
    return ClassRanking.of(images.labels[positions], lambda i: images.key(int(positions[i])), seed, purpose)


def _fits(cut: Cut, config: DataConfig, size: int | None, channels: int | None) -> bool:
    images, positions = cut["train"]
    if isinstance(images, DecodedImages):
        return True
    if size is None:
        first = read_image(images, int(positions[0]))
        pixels = first.shape[1] * first.shape[2]
    else:
        pixels = size * size
    count = sum(len(members) for _, members in cut.values())
    return count * pixels * (channels or 3) <= config.memory_limit_mb * 2**20


def listed_and_cut(config: DataConfig, seed: int) -> tuple[Source, Cut]:
    """What a data set has, and which images belong to each split; no image is decoded. Raises `DataError`."""
    source = _source(config)
    source.check_classes()
    return source, _cut(source, config, seed)
