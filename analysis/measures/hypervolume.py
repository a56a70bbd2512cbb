"""The hypervolume of a set of points: how much of the objective space it dominates, and how that grows trial by trial.

It is the volume of what some point dominates and what itself dominates the reference point. It is exact here, for any
number of objectives, up to float rounding.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from analysis.measures.pareto import Direction, Floats, pareto_front, to_minimise


def hypervolume(points: npt.ArrayLike, reference: Sequence[float], directions: Sequence[Direction]) -> float:
    """Volume that points of shape (points, objectives) dominate, bounded by the reference point.

    The unit is the product of the objectives' units. Points that are not better than the reference in every objective
    add nothing, nor do copies or points with a value that is not finite; no points give 0. Two objectives take one
    sort, three O(n log n) typically, more than three a recursion whose cost grows quickly with their number.

    Raises `ValueError` where shape, reference and directions do not fit or the reference is not finite.

    >>> hypervolume([[1, 0.5], [2, 0.7]], reference=[3, 0], directions=["min", "max"])
    1.2
    """
    costs = to_minimise(points, directions)
    corner = _corner(reference, directions)
    # distances to the reference, so that more is better and the reference is the origin
    gains = corner - costs[np.isfinite(costs).all(axis=1)]
    gains = gains[(gains > 0).all(axis=1)]
    return _volume(gains)


def hypervolume_history(points: npt.ArrayLike, reference: Sequence[float], directions: Sequence[Direction]) -> Floats:
    """Hypervolume of the first 1, 2, ... n points; shape (points,). Of two objectives it is O(n log n) typically; of
    more, one hypervolume is computed for every point that no earlier one dominates.

    Rows that are not finite (failed trials) add nothing but keep their place. Raises as `hypervolume` does.
    """
    gains = _corner(reference, directions) - to_minimise(points, directions)
    if len(directions) != 2:
        return _history_of_many(gains)
    stairs = _Stairs()
    areas = np.empty(len(gains))
    for index, (width, height) in enumerate(gains.tolist()):
        # comparisons with NaN and infinities of the wrong sign are false; an infinite gain is as invalid
        if 0 < width < np.inf and 0 < height < np.inf:
            stairs.add(width, height)
        areas[index] = stairs.area
    return areas


def _history_of_many(gains: Floats) -> Floats:
    """The volume of the first 1, 2, ... boxes from the origin to points, of which only those within count."""
    volumes, front, volume = np.zeros(len(gains)), np.empty((0, gains.shape[1])), 0.0
    for index, gain in enumerate(gains):
        if np.isfinite(gain).all() and (gain > 0).all() and not (front >= gain).all(axis=1).any():
            front = _largest(np.vstack([front, gain]))
            volume = _volume(front)
        volumes[index] = volume
    return volumes


def _corner(reference: Sequence[float], directions: Sequence[Direction]) -> Floats:
    if len(reference) != len(directions):
        raise ValueError(f"the reference must have {len(directions)} values, one per objective; got {list(reference)}")
    if not np.isfinite(np.asarray(reference, dtype=np.float64)).all():
        raise ValueError(f"the reference must be finite, got {list(reference)}")
    return to_minimise([list(reference)], directions)[0]


class _Stairs:
    """The union of rectangles from the origin, kept as its corners: widths rise, heights fall."""

    def __init__(self) -> None:
        self.widths: list[float] = []
        self.heights: list[float] = []
        self.area = 0.0

    def add(self, width: float, height: float) -> None:
        """Add a rectangle; the area grows by the part of it that was not covered."""
        end = bisect_left(self.widths, width)
        if end < len(self.widths) and self.heights[end] >= height:
            return
        stop = end + (end < len(self.widths) and self.widths[end] == width)
        start = end
        while start > 0 and self.heights[start - 1] <= height:
            start -= 1
        # over [left, width] the old stairs have the heights of the steps from start on, then that of the next step
        left = self.widths[start - 1] if start else 0.0
        edges = [left, *self.widths[start:end], width]
        below = [*self.heights[start:end], self.heights[end] if end < len(self.heights) else 0.0]
        self.area += sum((b - a) * (height - under) for (a, b), under in zip(pairwise(edges), below, strict=True))
        self.widths[start:stop] = [width]
        self.heights[start:stop] = [height]


def _largest(gains: Floats) -> Floats:
    """The gains that no other gain dominates."""
    most: list[Direction] = ["max"] * gains.shape[1]
    return gains[pareto_front(gains, most)]


def _volume(gains: Floats) -> float:
    """Volume of the union of boxes from the origin to points, which may repeat and dominate each other."""
    if len(gains) == 0:
        return 0.0
    objectives = gains.shape[1]
    if objectives == 1:
        return float(gains.max())
    if objectives == 2:
        gains = _largest(gains)
        widths, heights = gains[np.argsort(gains[:, 0])].T
        return float(np.sum(np.diff(widths, prepend=0.0) * heights))
    # cut into slabs along the last objective: between two of its values the section does not change
    gains = gains[np.argsort(-gains[:, -1], kind="stable")]
    depths = -np.diff(gains[:, -1], append=0.0)
    if objectives == 3:
        stairs = _Stairs()
        volume = 0.0
        for (width, height, _), depth in zip(gains.tolist(), depths.tolist(), strict=True):
            stairs.add(width, height)
            volume += stairs.area * depth
        return volume
    volume = 0.0
    for index, depth in enumerate(depths.tolist()):
        if depth > 0:
            gains_above = _largest(gains[: index + 1, :-1])  # dominated ones only cost time
            volume += depth * _volume(gains_above)
    return volume
