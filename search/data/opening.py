"""`open_data`: from a configuration to a checked data set with its three splits, in memory or streamed."""

# torch is partly untyped
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from search.data.augment import Augmentation
from search.data.cache import Decoded, cache_key, load, store
from search.data.checks import may_skip, require_classes, require_contrast, white_value
from search.data.config import DataConfig
from search.data.dataset import DataSet, Normalisation, TensorSplit
from search.data.errors import DataError, refuse
from search.data.sources.decode import (
    CHUNK,
    EncodedImages,
    Fitting,
    as_channels,
    decode_all,
    fit,
    read_image,
    sample,
)
from search.data.sources.source import DecodedImages, Images, Source
from search.data.splits import ClassRanking, Positions, shares
from search.data.stream import Skipping, StreamSplit

SPLITS = ("train", "validation", "test")
SAMPLE = 512
"""Images of each streamed split that are decoded beforehand, to find damage and to measure mean and deviation."""

SKIPPED_FILE = "skipped.txt"
"""In the cache: the streamed images that were skipped since they are damaged, one a line; some lines may repeat."""
SHAPES = {"digits": (10, 1), "mnist": (10, 1), "fashion-mnist": (10, 1), "cifar10": (10, 3), "cifar100": (100, 3)}
"""Classes and channels of the known data sets."""

Cut = Mapping[str, tuple[Images, Positions]]
"""For each split the images that it is cut from and the positions that belong to it, ascending."""


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
    that keeps decoded images for later processes: changes of the source are not seen. Streamed data are not kept.

    Raises `DataError` with everything that can be found wrong with the data before training. Of streamed data only a
    sample is decoded; another image that is damaged raises it when its batch is read, or is skipped there and noted in
    `SKIPPED_FILE` of the cache.
    """
    size, channels = config.image_size or image_size, config.channels or channels
    key = cache_key(config, size, channels, seed)
    decoded = load(cache, key) if cache else None
    if decoded is None:
        source = _source(config)
        source.check_classes()
        cut = _cut(source, config, seed)
        if not _fits(cut, config, size, channels):
            return _streamed(source, cut, config, size, channels, seed, cache)
        decoded = _decoded(source, cut, config, size, channels)
        if cache:
            store(cache, key, decoded)
    return _in_memory(decoded, config)


def listing(config: DataConfig) -> str | None:
    """A fingerprint of the images' names, sizes and labels of a data set of one's own; reads no image.

    None for data sets known by name, which do not change, and for one that no longer exists. Raises `DataError`.
    """
    if config.path is None or not config.path.exists():
        return None
    digest = hashlib.sha256()
    for part, images in _source(config).splits.items():
        if not isinstance(images, DecodedImages):
            for index in range(len(images)):
                digest.update(_line(part, images, index))
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
    return _fingerprint(tensors)


def _source(config: DataConfig) -> Source:
    if config.name == "folder" and config.path:
        from search.data.sources.folders import folder_source

        return folder_source(config.path)
    if config.name == "parquet" and config.path:
        from search.data.sources.parquet import parquet_source

        return parquet_source(config.path)
    from search.data.sources.builtin import digits_source, torchvision_source

    return digits_source() if config.name == "digits" else torchvision_source(config)


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


def _decoded(source: Source, cut: Cut, config: DataConfig, size: int | None, channels: int | None) -> Decoded:
    tensors: dict[str, Tensor] = {}
    problems: list[str] = []
    broken: list[str] = []
    fitting = Fitting(size, channels, config.centre_crop, white_value(cut.values(), None))
    for part, (images, positions) in cut.items():
        if isinstance(images, DecodedImages):
            found = _fitted(images.images[torch.from_numpy(positions)], size, channels, config.centre_crop)
        else:
            damaged: dict[int, str] = {}
            found = decode_all(images, positions.tolist(), fitting, problems, damaged)
            broken += damaged.values()
            positions = np.delete(positions, list(damaged))
        if len(positions) and found.shape[2] != found.shape[3]:
            problems.append(
                f"{images.where(int(positions[0]))}: the images are {found.shape[2]}×{found.shape[3]} pixels and must "
                "be square: set image_size to resize them."
            )
        tensors[f"{part}.images"] = found
        tensors[f"{part}.labels"] = torch.from_numpy(images.labels[positions])
    if config.on_damage == "stop":
        problems += broken
    refuse(problems)
    left_out = [*source.left_out, *may_skip(broken, sum(len(members) for _, members in cut.values()))]
    require_classes(source, {part: tensors[f"{part}.labels"] for part in SPLITS})
    most = max(tensors[f"{part}.images"].shape[1] for part in SPLITS)
    sizes = {part: tensors[f"{part}.images"].shape[2] for part in SPLITS}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{part} {side}" for part, side in sizes.items())
        raise DataError(f"{source.name}: the splits' images differ in size ({shown} pixels): set image_size.")
    for part in SPLITS:
        tensors[f"{part}.images"] = as_channels(tensors[f"{part}.images"], most).contiguous()
    mean, std = _moments([tensors["train.images"]])
    left_out += require_contrast(
        source, tensors["train.images"][:: max(1, len(tensors["train.images"]) // SAMPLE)], std
    )
    return Decoded(
        source.name, source.class_names, mean, std, _fingerprint(tensors), tuple(left_out), fitting.white, tensors
    )


def _fitted(images: Tensor, size: int | None, channels: int | None, centre_crop: float) -> Tensor:
    if size is not None:
        images = torch.cat([fit(chunk, size, centre_crop) for chunk in images.split(CHUNK)])
    return as_channels(images, channels or images.shape[1])


def _in_memory(decoded: Decoded, config: DataConfig) -> DataSet:
    normalisation, augmentation = Normalisation(decoded.mean, decoded.std), Augmentation.of(config)
    train, validation, test = (
        TensorSplit(decoded.tensors[f"{part}.images"], decoded.tensors[f"{part}.labels"], normalisation, augmentation)
        for part in SPLITS
    )
    return DataSet(
        name=decoded.name,
        class_names=decoded.class_names,
        image_size=train.images.shape[2],
        channels=train.images.shape[1],
        mean=decoded.mean,
        std=decoded.std,
        train=train,
        validation=validation,
        test=test,
        fingerprint=decoded.fingerprint,
        storage="memory",
        left_out=decoded.left_out,
        white=decoded.white,
    )


def _streamed(
    source: Source,
    cut: Cut,
    config: DataConfig,
    size: int | None,
    channels: int | None,
    seed: int,
    cache: Path | None,
) -> DataSet:
    if size is None:
        raise DataError(
            f"{source.name}: decoded, its images take more than memory_limit_mb ({config.memory_limit_mb}), so they "
            "are streamed, for which they must have one size: set image_size."
        )
    encoded: dict[str, tuple[EncodedImages, Positions]] = {
        part: (images, positions)
        for part, (images, positions) in cut.items()
        if not isinstance(images, DecodedImages)  # those are in memory already
    }
    samples: dict[str, list[Tensor]] = {}
    problems: list[str] = []
    white = white_value(cut.values(), SAMPLE)
    for part, (images, positions) in encoded.items():
        chosen = np.sort(np.random.Generator(np.random.PCG64(seed)).permutation(len(positions))[:SAMPLE])
        samples[part] = sample(images, positions[chosen].tolist(), problems, white)
    if config.on_damage == "stop":
        refuse(problems)
    left_out = [*source.left_out, *may_skip(problems, sum(map(len, samples.values())) + len(problems))]
    most = channels or max(image.shape[0] for found in samples.values() for image in found)
    fitted = [as_channels(fit(image, size, config.centre_crop), most)[None] for image in samples["train"]]
    mean, std = _moments(fitted)
    left_out += require_contrast(source, torch.cat(fitted), std)
    skipping = Skipping(config.on_damage == "skip", cache / SKIPPED_FILE if cache else None)
    train, validation, test = (
        StreamSplit(
            images=images,
            members=torch.from_numpy(positions),
            labels=torch.from_numpy(images.labels[positions]),
            image_size=size,
            channels=most,
            centre_crop=config.centre_crop,
            normalisation=Normalisation(mean, std),
            augmentation=Augmentation.of(config),
            workers=config.loader_workers,
            white=white,
            skipping=skipping,
        )
        for images, positions in encoded.values()
    )
    digest = hashlib.sha256()
    for part, (images, positions) in encoded.items():
        digest.update(f"{part} {len(positions)}\n".encode())
        for index in positions.tolist():
            digest.update(_line("", images, index))
    return DataSet(
        name=source.name,
        class_names=source.class_names,
        image_size=size,
        channels=most,
        mean=mean,
        std=std,
        train=train,
        validation=validation,
        test=test,
        fingerprint=digest.hexdigest(),
        storage="streamed",
        left_out=tuple(left_out),
        white=white,
    )


def _line(part: str, images: EncodedImages, index: int) -> bytes:
    """What a fingerprint includes of an image, after the name of its split; file names may be any bytes."""
    start = f"{part} " if part else ""
    return f"{start}{images.facts(index)} {images.labels[index]}\n".encode("utf-8", "surrogateescape")


def _moments(batches: Iterable[Tensor]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of every channel of uint8 batches (N, C, H, W), scaled to 0..1.

    Pixels are counted by value, so the sums are of integers and the same on every machine. A constant channel gets the
    deviation of one grey level, since images are divided by it.
    """
    counts: Tensor | int = 0
    for batch in batches:
        by_channel = [torch.bincount(pixels.flatten(), minlength=256) for pixels in batch.unbind(1)]
        counts = counts + torch.stack(by_channel)
    values = np.arange(256) / 255
    weights = np.asarray(counts) / np.asarray(counts).sum(1, keepdims=True)
    mean = (weights * values).sum(1)
    std = np.sqrt((weights * (values - mean[:, None]) ** 2).sum(1))
    return tuple(mean.tolist()), tuple(np.maximum(std, 1 / 255).tolist())


def _fingerprint(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.numpy())  # pyright: ignore[reportArgumentType] - an array is a buffer
    return digest.hexdigest()


def listed_and_cut(config: DataConfig, seed: int) -> tuple[Source, Cut]:
    """What a data set has, and which images belong to each split; no image is decoded. Raises `DataError`."""
    source = _source(config)
    source.check_classes()
    return source, _cut(source, config, seed)
