"""The built-in pictures: scikit-learn's digits in several sizes on a noisy canvas with clutter, made from a seed.

Every split is made of digits that the others do not have.
"""

# scikit-learn has no types
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from search.data.detection.pictures import Target

SMALLEST, LARGEST = 14, 44
"""Sides of a digit in pixels, on pictures of 96."""
MOST_DIGITS = 6
_INK = 48  # grey levels from which a pixel belongs to a digit's box
_OVERLAP = 0.15  # of the smaller box, at most
_TRIES = 20

Pixels = NDArray[np.uint8]
Boxes = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class DigitPictures:
    """Pictures in memory: uint8 (N, channels, size, size)."""

    images: Tensor
    targets: tuple[Target, ...]

    def __len__(self) -> int:
        return len(self.images)

    def image(self, place: int) -> Tensor:
        """See `Pictures`."""
        return self.images[place]

    def target(self, place: int) -> Target:
        """See `Pictures`."""
        return self.targets[place]

    def size(self, place: int) -> tuple[int, int]:
        """See `Pictures`."""
        return self.images.shape[2], self.images.shape[3]

    def name(self, place: int) -> str:
        """See `Pictures`."""
        return f"digits {place}"


def make_digits(counts: tuple[int, ...], size: int, channels: int) -> DigitPictures:
    """So many pictures for each split, one split after the other; the same on every call."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    digits = np.rint(np.asarray(pixels) * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    rng = np.random.Generator(np.random.PCG64(2024))
    order = rng.permutation(len(digits))
    ends = np.rint(np.cumsum([0, *counts]) / sum(counts) * len(digits)).astype(int)
    images: list[Pixels] = []
    targets: list[Target] = []
    for count, start, end in zip(counts, ends[:-1], ends[1:], strict=True):
        for _ in range(count):
            image, boxes, classes = _picture(digits, np.asarray(labels), order[start:end], size, rng)
            images.append(image)
            targets.append(_target(boxes, classes))
    stacked = torch.from_numpy(np.stack(images))[:, None]
    return DigitPictures(stacked.expand(-1, channels, -1, -1), tuple(targets))


def _picture(
    digits: Pixels, labels: NDArray[np.int64], own: NDArray[np.int64], size: int, rng: np.random.Generator
) -> tuple[Pixels, Boxes, list[int]]:
    """One picture, its boxes (digits, 4) and their classes from 1."""
    canvas = rng.normal(rng.uniform(20, 60), 12, (size, size))
    for _ in range(int(rng.integers(3, 9))):
        _clutter(canvas, digits[rng.choice(own)], rng)
    boxes: list[list[float]] = []
    classes: list[int] = []
    for _ in range(int(rng.integers(1, MOST_DIGITS + 1))):
        chosen = int(rng.choice(own))
        for _ in range(_TRIES):
            side = round(float(np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST)))) * size / 96)
            ink = np.asarray(Image.fromarray(digits[chosen]).resize((side, side), Image.Resampling.BICUBIC))
            top, left = (int(each) for each in rng.integers(0, size - side + 1, 2))
            box = _box(ink, top, left)
            if all(_overlap(box, other) <= _OVERLAP for other in boxes):
                part = canvas[top : top + side, left : left + side]
                np.maximum(part, ink * rng.uniform(0.75, 1), out=part, where=ink >= _INK)
                boxes.append(box)
                classes.append(int(labels[chosen]) + 1)
                break
    image = np.clip(np.rint(canvas + rng.normal(0, 6, canvas.shape)), 0, 255).astype(np.uint8)
    return image, np.array(boxes, np.float32).reshape(-1, 4), classes


def _clutter(canvas: NDArray[np.float64], digit: Pixels, rng: np.random.Generator) -> None:
    """A bright bar, or a quarter of a digit that is turned, somewhere."""
    size = len(canvas)
    if rng.random() < 0.5:
        height, width = (int(each) for each in rng.integers(2, 12, 2))
        piece = np.full((height, width), rng.uniform(60, 200))
    else:
        side = int(rng.integers(6, 14))
        corner = Image.fromarray(np.rot90(digit[:4, 4:], int(rng.integers(1, 4))).copy())
        piece = np.asarray(corner.resize((side, side), Image.Resampling.BILINEAR)) * rng.uniform(0.4, 0.9)
    top, left = (int(rng.integers(0, size - extent + 1)) for extent in piece.shape)
    part = canvas[top : top + piece.shape[0], left : left + piece.shape[1]]
    np.maximum(part, piece, out=part)


def _box(ink: Pixels, top: int, left: int) -> list[float]:
    rows, columns = np.flatnonzero((ink >= _INK).any(1)), np.flatnonzero((ink >= _INK).any(0))
    return [float(left + columns[0]), float(top + rows[0]), float(left + columns[-1] + 1), float(top + rows[-1] + 1)]


def _overlap(box: list[float], other: list[float]) -> float:
    """The common area, as a share of the smaller box."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    smaller = min((each[2] - each[0]) * (each[3] - each[1]) for each in (box, other))
    return max(width, 0.0) * max(height, 0.0) / smaller


def _target(boxes: Boxes, classes: list[int]) -> Target:
    found = torch.from_numpy(boxes)
    areas = (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])
    return Target(found, torch.tensor(classes, dtype=torch.int64), areas, torch.zeros(len(classes), dtype=torch.bool))
