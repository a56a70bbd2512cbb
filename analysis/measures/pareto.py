"""Pareto fronts of points, their ranks, and the knee of a front.

A point dominates another when it is worse in no objective and better in at least one. Every function takes `values` of
shape (points, objectives) and one direction per objective, "min" or "max".
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

Direction = Literal["min", "max"]
Directions = tuple[Direction, Direction]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def pareto_front(values: npt.ArrayLike, directions: Sequence[Direction]) -> Bools:
    """Mask, of shape (points,), of the points that no other point dominates.

    Equal points do not dominate each other, so all copies of a point on the front are on it. A point with a value that
    is not finite is never on the front and dominates nothing.

    >>> pareto_front([[1, 0.5], [2, 0.7], [3, 0.6], [2, 0.7]], ["min", "max"])
    array([ True,  True, False,  True])
    """
    costs = to_minimise(values, directions)
    rows = np.flatnonzero(np.isfinite(costs).all(axis=1))
    mask = np.zeros(len(costs), dtype=np.bool_)
    mask[rows] = _front_of_two(costs[rows]) if costs.shape[1] == 2 else _front_of_many(costs[rows])
    return mask


def non_dominated_rank(values: npt.ArrayLike, directions: Sequence[Direction]) -> Ints:
    """Rank of every point, of shape (points,): 0 on the front, 1 on the front of the rest, and so on.

    `rank == 0` is `pareto_front`. Points with a value that is not finite come after all others: they share the next
    rank, which is at least 1.

    >>> non_dominated_rank([[1, 0.5], [2, 0.7], [3, 0.6], [4, 0.6]], ["min", "max"])
    array([0, 0, 1, 2])
    """
    costs = to_minimise(values, directions)
    finite = np.isfinite(costs).all(axis=1)
    rank = np.zeros(len(costs), dtype=np.int64)
    rank[finite] = _ranks_of_two(costs[finite]) if costs.shape[1] == 2 else _ranks_of_many(costs[finite])
    rank[~finite] = max(int(rank[finite].max(initial=0)) + 1, 1)
    return rank


def knee(front: npt.ArrayLike, directions: Sequence[Direction] = ("min", "max")) -> int | None:
    """Index of the knee of a front of two objectives: from there on, a gain in one costs much of the other.

    It is the point farthest from the straight line between the two ends of the front, on its good side, with both
    objectives scaled to 0..1 (Das, On characterizing the knee of the Pareto curve, 1999); the first of several equally
    far ones. None where no point lies beyond that line: with fewer than three different points, on a straight front,
    or on one that bulges the other way. The order of points does not matter.

    >>> knee([[1, 0.1], [2, 0.8], [3, 0.9], [4, 1.0]])
    1
    """
    costs = to_minimise(front, directions)
    if costs.shape[1] != 2:
        raise ValueError(f"a knee needs two objectives, got {costs.shape[1]}")
    if not np.isfinite(costs).all():
        raise ValueError("a front has finite values only, and this one has others: take pareto_front first")
    if len(costs) == 0:
        return None
    low = costs.min(axis=0)
    spread = costs.max(axis=0) - low
    if not (spread > 0).all():
        return None
    # the ends are (0, 1) and (1, 0) once scaled; below the line between them the scaled objectives sum to less than 1
    gain = 1 - ((costs - low) / spread).sum(axis=1)
    best = int(gain.argmax())
    return best if gain[best] > 1e-9 else None


def to_minimise(values: npt.ArrayLike, directions: Sequence[Direction]) -> Floats:
    """The points, shape (points, objectives), with signs changed so that less is better in every objective.

    Raises `ValueError` where shape and directions do not fit or a direction is neither "min" nor "max".
    """
    wrong = [direction for direction in directions if direction not in ("min", "max")]
    if wrong or not directions:
        raise ValueError(f"directions must be 'min' or 'max', one per objective; got {list(directions)}")
    points = np.asarray(values, dtype=np.float64)
    if points.size == 0:
        points = points.reshape(0, len(directions))
    if points.ndim != 2 or points.shape[1] != len(directions):
        raise ValueError(
            f"points must have the shape (points, {len(directions)}) for the directions {list(directions)}, "
            f"got {points.shape}"
        )
    return points * np.array([1.0 if direction == "min" else -1.0 for direction in directions])


def _front_of_two(costs: Floats) -> Bools:
    """In order of the first cost, a point is on the front if its second cost is below all before it: one sort."""
    mask = np.zeros(len(costs), dtype=np.bool_)
    if len(costs) == 0:
        return mask
    order = np.argsort(costs[:, 0])
    first, second = costs[order, 0], costs[order, 1]
    starts = np.flatnonzero(np.concatenate(([True], first[1:] != first[:-1])))
    # of points with equal first costs only those with the least second cost can be on the front
    least = np.minimum.reduceat(second, starts)
    before = np.concatenate(([np.inf], np.minimum.accumulate(least)[:-1]))
    limit = np.where(least < before, least, -np.inf)
    mask[order] = second == np.repeat(limit, np.diff(starts, append=len(second)))
    return mask


def _front_of_many(costs: Floats) -> Bools:
    unique, inverse = np.unique(costs, axis=0, return_inverse=True)
    # ranks per objective compare as the values do, and their sums are exact: a dominated point has a larger sum, so
    # the point with the least sum of those left is always on the front
    places = np.column_stack([np.unique(column, return_inverse=True)[1] for column in unique.T])
    left = np.argsort(places.sum(axis=1), kind="stable")
    mask = np.zeros(len(unique), dtype=np.bool_)
    while len(left):
        mask[left[0]] = True
        beaten = (places[left] >= places[left[0]]).all(axis=1)  # includes the point itself
        left = left[~beaten]
    return mask[inverse.ravel()]


def _ranks_of_two(costs: Floats) -> Ints:
    """In lexicographic order, a front dominates a point if the front's least second cost is not above the point's.

    These least costs rise from front to front, so a bisection counts the fronts that dominate, which is the rank.
    """
    if len(costs) == 0:
        return np.zeros(0, dtype=np.int64)
    unique, inverse = np.unique(costs, axis=0, return_inverse=True)
    least: list[float] = []
    ranks = np.empty(len(unique), dtype=np.int64)
    for index, second in enumerate(unique[:, 1].tolist()):
        rank = bisect_right(least, second)
        ranks[index] = rank
        least[rank : rank + 1] = [second]
    return ranks[inverse.ravel()]


def _ranks_of_many(costs: Floats) -> Ints:
    ranks = np.zeros(len(costs), dtype=np.int64)
    left = np.arange(len(costs))
    rank = 0
    while len(left):
        front = _front_of_many(costs[left])
        ranks[left[front]] = rank
        left = left[~front]
        rank += 1
    return ranks
