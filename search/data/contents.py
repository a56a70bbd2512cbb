"""The contents of a data set that is cut: decoded in memory or streamed, with mean, deviation and a fingerprint."""

# torch is partly untyped
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from search.data.augment import Augmentation
from search.data.cache import Decoded
from search.data.checks import cut_away, may_skip, require_classes, require_contrast, white_value
from search.data.config import DataConfig
from search.data.dataset import DataSet, Normalisation, TensorSplit
from search.data.errors import DataError, refuse
from search.data.kept import kept
from search.data.sources.decode import CHUNK, EncodedImages, Fitting, as_channels, decode_all, fit, sample
from search.data.sources.source import DecodedImages, Images, Source
from search.data.splits import Positions
from search.data.stream import Skipping, StreamSplit

SPLITS = ("train", "validation", "test")
SAMPLE = 512
"""Images of each streamed split that are decoded beforehand, to find damage and to measure mean and deviation."""

SKIPPED_FILE = "skipped.txt"
"""In the cache: the streamed images that were skipped since they are damaged, one a line; some lines may repeat."""

Cut = Mapping[str, tuple[Images, Positions]]
"""For each split the images that it is cut from and the positions that belong to it, ascending."""


def decode_cut(source: Source, cut: Cut, config: DataConfig, size: int | None, channels: int | None) -> Decoded:
    """Decode all images of a cut. Raises `DataError` with everything that is wrong with them."""
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
    left_out += cut_away(cut.values())
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
        source.name, source.class_names, mean, std, tensors_digest(tensors), tuple(left_out), fitting.white, tensors
    )


def _fitted(images: Tensor, size: int | None, channels: int | None, centre_crop: float) -> Tensor:
    if size is not None:
        images = torch.cat([fit(chunk, size, centre_crop) for chunk in images.split(CHUNK)])
    return as_channels(images, channels or images.shape[1])


def in_memory(decoded: Decoded, config: DataConfig) -> DataSet:
    """The data set of decoded images."""
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


def streamed(
    source: Source,
    cut: Cut,
    config: DataConfig,
    size: int | None,
    channels: int | None,
    seed: int,
    cache: Path | None,
) -> DataSet:
    """A data set whose images are decoded batch by batch, after a look at a sample of them."""
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
    left_out += cut_away(cut.values())
    most = channels or max(image.shape[0] for found in samples.values() for image in found)
    fitted = [as_channels(fit(image, size, config.centre_crop), most)[None] for image in samples["train"]]
    mean, std = _moments(fitted)
    left_out += require_contrast(source, torch.cat(fitted), std)
    skipping = skipping_of(config, cache)
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
            shuffle_buffer=config.shuffle_buffer,
        )
        for images, positions in encoded.values()
    )
    digest = hashlib.sha256()
    for part, (images, positions) in encoded.items():
        digest.update(f"{part} {len(positions)}\n".encode())
        for index in positions.tolist():
            digest.update(line("", images, index))
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


def skipping_of(config: DataConfig, cache: Path | None) -> Skipping:
    """What happens to streamed images that cannot be decoded."""
    return Skipping(config.on_damage == "skip", cache / SKIPPED_FILE if cache else None)


def decoded_once(data: DataSet, config: DataConfig) -> DataSet:
    """A streamed data set with its validation and test images from `data.cache`, where that is given, and training
    images that may keep some there."""
    if config.cache is None:
        return data
    assert isinstance(data.train, StreamSplit)
    assert isinstance(data.validation, StreamSplit)
    assert isinstance(data.test, StreamSplit)
    validation, test = kept(data.validation, config.cache), kept(data.test, config.cache)
    return replace(data, train=replace(data.train, cache=config.cache), validation=validation, test=test)


def line(part: str, images: EncodedImages, index: int) -> bytes:
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


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """The fingerprint of images and labels in memory."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.numpy())  # pyright: ignore[reportArgumentType] - an array is a buffer
    return digest.hexdigest()
