"""Finds places for labels beside their points so that no two overlap."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from analysis.measures.pareto import Floats


class Box(NamedTuple):
    """A rectangle: left, bottom, right and top."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: "Box") -> bool:
        """Whether both share an area."""
        across = self.left < other.right and other.left < self.right
        return across and self.bottom < other.top and other.bottom < self.top

    def inside(self, other: "Box") -> bool:
        """Whether no part lies outside the other."""
        across = self.left >= other.left and self.right <= other.right
        return across and self.bottom >= other.bottom and self.top <= other.top

    def gap(self, x: float, y: float) -> float:
        """How far a point lies from it; 0 inside."""
        return math.hypot(max(self.left - x, 0, x - self.right), max(self.bottom - y, 0, y - self.top))


# right and left of the point first: that is where readers look
_ANGLES = (0, 180, 45, 135, -45, -135, 90, -90, 22, 158, -22, -158, 68, 112, -68, -112)


def place_labels(
    anchors: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    bounds: Box,
    points: Floats | None = None,
    distances: Sequence[float] = (5, 11, 18, 27, 38, 52, 70),
) -> list[Box | None]:
    """A box for every label, in the units of the input: inside `bounds`, over no other label and over no anchor.

    `anchors` are the points that labels belong to, `sizes` the widths and heights of the labels, `points`, of shape
    (points, 2), whatever else is better left uncovered. A place near the anchor is better than one far away or one
    nearer to another anchor. Labels are placed in the order given, the most important first; None for one without a
    place.
    """
    others = np.empty((0, 2)) if points is None else points
    placed: list[Box | None] = []
    taken: list[Box] = []
    for index, (anchor, size) in enumerate(zip(anchors, sizes, strict=True)):
        best: tuple[float, Box] | None = None
        for distance in distances:
            if best is not None and best[0] <= distance:
                break
            for turn, angle in enumerate(_ANGLES):
                box = _beside(anchor, size, distance, angle)
                if not box.inside(bounds) or any(box.overlaps(other) for other in taken):
                    continue
                gaps = [box.gap(*other) for other in anchors]
                if min(gaps) <= 0:
                    continue
                cost = distance + 0.2 * turn + 1.5 * _count_inside(box, others)
                cost += 12 * sum(gap < gaps[index] for gap in gaps)
                if best is None or cost < best[0]:
                    best = (cost, box)
        placed.append(best[1] if best else None)
        if best:
            taken.append(best[1])
    return placed


def _count_inside(box: Box, points: Floats) -> int:
    x, y = points.T
    return int(((x >= box.left) & (x <= box.right) & (y >= box.bottom) & (y <= box.top)).sum())


def _beside(anchor: tuple[float, float], size: tuple[float, float], distance: float, angle: float) -> Box:
    """The box whose edge nearest to the anchor lies `distance` away from it, in the direction of the angle."""
    width, height = size
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    x = anchor[0] + distance * cosine + width / 2 * max(-1.0, min(1.0, 1.5 * cosine))
    y = anchor[1] + distance * sine + height / 2 * max(-1.0, min(1.0, 1.5 * sine))
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
