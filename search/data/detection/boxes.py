"""Pictures with boxes: the true ones and those that a detector found."""

# torch and torchvision annotate their functions only in part, and torchvision has no types
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from search.data.detection.pictures import PictureSplit
from search.data.sources.decode import as_channels
from spaces.tools.files import replacing

Detects = Callable[[list[Tensor]], Sequence[Mapping[str, Tensor]]]
"""Finds objects in images, float (channels, H, W): `boxes` (found, 4), `labels` and `scores` (found,) for each."""

TRUE, FOUND = "#E69F00", "#56B4E9"
"""Colours of true and of found boxes."""
LEAST_SCORE = 0.5
_COLUMNS = 4
_LABEL = 13  # height of its letters
_SMALLEST_SIDE = 320  # of a drawn picture, so that its labels can be read


def draw_found(
    file: Path, detect: Detects, names: Sequence[str], split: PictureSplit, least: float = LEAST_SCORE
) -> None:
    """Draw every picture of a split with its true boxes and those that were found with at least this score, in one PNG
    file."""
    drawn: list[Tensor] = []
    for place, image in split.one_by_one():
        target = split.pictures.target(place)
        with torch.no_grad():
            (found,) = detect([image])
        canvas, scale = _enlarged(image)
        canvas = with_boxes(canvas, target.boxes * scale, ["" for _ in target.classes], TRUE)
        sure = {name: values[found["scores"] >= least].cpu() for name, values in found.items()}
        drawn.append(with_boxes(canvas, sure["boxes"] * scale, labels_of(sure, names), FOUND))
    _write(file, _sheet(drawn))


def draw_one(file: Path, image: Tensor, found: Mapping[str, Tensor], names: Sequence[str]) -> None:
    """Draw one picture, float (channels, H, W), with what was found in it."""
    canvas, scale = _enlarged(image)
    _write(file, with_boxes(canvas, found["boxes"] * scale, labels_of(found, names), FOUND))


def with_boxes(image: Tensor, boxes: Tensor, labels: list[str], colour: str) -> Tensor:
    """A picture, uint8 (3, H, W), with boxes (K, 4) and a label for each, on a ground of the boxes' colour."""
    canvas = Image.fromarray(image.permute(1, 2, 0).numpy())
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(_LABEL)
    for (left, top, right, bottom), label in zip(boxes.tolist(), labels, strict=True):
        draw.rectangle((left, top, max(left, right), max(top, bottom)), outline=colour, width=2)
        if label:
            ground = draw.textbbox((left + 3, top + 1), label, font=font)
            draw.rectangle((left, top, ground[2] + 2, ground[3] + 2), fill=colour)
            draw.text((left + 3, top + 1), label, fill="black", font=font)
    return torch.from_numpy(np.array(canvas)).permute(2, 0, 1)


def labels_of(found: Mapping[str, Tensor], names: Sequence[str]) -> list[str]:
    """A label for every box that was found: its class and its score in percent."""
    pairs = zip(found["labels"].tolist(), found["scores"].tolist(), strict=True)
    return [f"{names[label - 1]} {100 * score:.0f}" for label, score in pairs]


def _enlarged(image: Tensor) -> tuple[Tensor, float]:
    """A picture, float (channels, H, W), as uint8 in colour, a whole number of times as large where it is small."""
    colour = as_channels((image.cpu() * 255).round().to(torch.uint8), 3)
    times = max(1, math.ceil(_SMALLEST_SIDE / max(image.shape[1:])))
    return colour.repeat_interleave(times, 1).repeat_interleave(times, 2), float(times)


def _sheet(pictures: Sequence[Tensor]) -> Tensor:
    """Pictures in rows of four, on one."""
    height, width = (max(each.shape[axis] for each in pictures) for axis in (1, 2))
    rows = -(-len(pictures) // _COLUMNS)
    sheet = torch.full((3, rows * (height + 4), min(len(pictures), _COLUMNS) * (width + 4)), 255, dtype=torch.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // _COLUMNS * (height + 4), number % _COLUMNS * (width + 4)
        sheet[:, top : top + picture.shape[1], left : left + picture.shape[2]] = picture
    return sheet


def _write(file: Path, image: Tensor) -> None:
    with replacing(file) as temporary:
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(temporary, format="PNG")
