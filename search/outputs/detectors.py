"""Detectors in use: from an image file to the objects in it."""

# torch annotates its functions only in part
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.detection.detector import Detector
from search.data.detection.coco import MOST_PIXELS
from search.data.errors import DataError
from search.data.sources.decode import as_channels, decode


def find_objects(detector: Detector, file: Path, least: float) -> tuple[Tensor, dict[str, Tensor], float]:
    """An image, float (channels, H, W), the objects in it with at least this score (`boxes` (K, 4) in pixels, `labels`
    (K,) from 1, `scores` (K,)), and the seconds that the detector took.

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
    started = time.perf_counter()
    with torch.no_grad():
        (found,) = detector.eval()([pixels])
    seconds = time.perf_counter() - started
    sure = found["scores"] >= least
    return pixels, {name: values[sure] for name, values in found.items()}, seconds


def objects_of(found: Mapping[str, Tensor], names: Sequence[str]) -> list[dict[str, Any]]:
    """What was found as JSON values: the class by name, the score, and the box as x1, y1, x2, y2 in pixels."""
    rows = zip(found["labels"].tolist(), found["scores"].tolist(), found["boxes"].tolist(), strict=True)
    return [{"class": names[label - 1], "score": score, "box": box} for label, score, box in rows]
