"""Detectors in use: from an image file to the objects in it."""

# torch annotates its functions only in part
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from models.detection.checkpoints import load_detector
from models.detection.detector import Detector
from models.detection.lowered import BODY_FILE, part_times, use_engine
from models.onebit.pieces import read_pieces
from models.onebit.timing import Timing
from search.data.detection.coco import MOST_PIXELS
from search.data.errors import DataError
from search.data.sources.decode import as_channels, decode

_WARM_UP, _FEWEST = 2, 5  # calls


class InImage(NamedTuple):
    """What was found in an image: its pixels, float (channels, H, W); the objects: `boxes` (K, 4) in pixels, `labels`
    (K,) from 1, `scores` (K,); and the milliseconds that each part of the detector took."""

    pixels: Tensor
    objects: dict[str, Tensor]
    milliseconds: dict[str, float]


def engine_detector(folder: Path, threads: int) -> Detector:
    """The detector of a folder, its backbone and pyramid run by the 1-bit engine.

    Raises `CheckpointError`, `BnnFileError`, or `DataError` where the folder has none of the engine's files.
    """
    detector, file = load_detector(folder), folder / BODY_FILE
    if not file.is_file():
        raise DataError(
            f"{folder} has no {BODY_FILE} for the 1-bit engine, which detectors of a run's front have whose backbone "
            "is a binary network of NAS-BNN: run it in torch"
        )
    use_engine(detector, read_pieces(file), threads)
    return detector


def time_detectors(detectors: Mapping[str, Detector], seconds: float) -> dict[str, dict[str, Timing]]:
    """Milliseconds of every part, in turns for about `seconds` each, on one image of noise of the size in use."""
    generator = torch.Generator().manual_seed(0)
    first = next(iter(detectors.values()))
    image = torch.rand(len(first.seen.mean), first.options.image_size, first.options.image_size, generator=generator)
    taken: dict[str, dict[str, list[float]]] = {name: {} for name in detectors}
    calls, end = 0, time.perf_counter() + seconds * len(detectors)
    while time.perf_counter() < end or calls < _WARM_UP + _FEWEST:
        calls += 1
        for name, detector in detectors.items():
            _, parts = _timed(detector.eval(), image)
            for part, milliseconds in parts.items() if calls > _WARM_UP else ():
                taken[name].setdefault(part, []).append(milliseconds)
    return {name: {part: Timing.of(each) for part, each in parts.items()} for name, parts in taken.items()}


@torch.no_grad()
def _timed(detector: Detector, pixels: Tensor) -> tuple[dict[str, Tensor], dict[str, float]]:
    """What is found in an image, and the milliseconds of each part and `in all`."""
    started = time.perf_counter()
    with part_times(detector) as parts:
        (found,) = detector([pixels])
    return found, {**parts, "in all": 1000 * (time.perf_counter() - started)}


def find_objects(detector: Detector, file: Path, least: float) -> InImage:
    """The objects in an image file with at least this score.

    Raises `DataError` for a file that is no image, or too large a one.
    """
    try:
        image = decode(file.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{file} is not an image that can be read: {error}") from error
    if image.shape[1] * image.shape[2] > MOST_PIXELS:
        raise DataError(
            f"{file} has {image.shape[2]}×{image.shape[1]} pixels, more than {MOST_PIXELS}: make it smaller"
        )
    pixels = as_channels(image, len(detector.seen.mean)).float() / 255
    found, parts = _timed(detector.eval(), pixels)
    sure = found["scores"] >= least
    return InImage(pixels, {name: values[sure] for name, values in found.items()}, parts)


def objects_of(found: Mapping[str, Tensor], names: Sequence[str]) -> list[dict[str, Any]]:
    """What was found as JSON values: the class by name, the score, and the box as x1, y1, x2, y2 in pixels."""
    rows = zip(found["labels"].tolist(), found["scores"].tolist(), found["boxes"].tolist(), strict=True)
    return [{"class": names[label - 1], "score": score, "box": box} for label, score, box in rows]
