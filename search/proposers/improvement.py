"""How much candidates are expected to add to the hypervolume of a front."""

import random

import numpy as np
import numpy.typing as npt

from analysis.measures.pareto import pareto_front

Floats = npt.NDArray[np.float64]

MARGIN = 0.1
"""The share of the front's ranges by which the reference point lies outside of its corner."""
_DIRECTIONS = 96
_QUANTILES = np.asarray((-1.6, -0.7, 0.0, 0.7, 1.6))
"""In deviations, with weights as the normal density has them: five points of an expectation."""
_WEIGHTS = np.exp(-0.5 * np.square(_QUANTILES)) / np.exp(-0.5 * np.square(_QUANTILES)).sum()


class Improvement:
    """The expected hypervolume improvement over what was seen: `quality`, which is maximised, of shape (trials,), and
    `costs`, which are minimised and count by their logs, of shape (trials, k - 1).

    The hypervolume of a front Y, scaled so that its reference is the origin, is the mean over directions w on the
    positive sphere of max over y in Y of min over i of (y_i / w_i)^k, for k objectives, but for a constant (Golovin and
    Zhang, "Random hypervolume scalarizations for provable multi-objective black box optimization", 2020). So an
    improvement is, for each direction, what a candidate has above the front's largest, for any number of objectives.
    The reference is the corner of the front, moved outwards by a tenth of its ranges: so a search does not spend its
    trials on networks that are worse than the front's ends and cheaper or dearer than they are useful.
    """

    def __init__(self, quality: Floats, costs: Floats, rng: random.Random) -> None:
        points = np.column_stack([-quality, np.log1p(costs)])
        front = points[pareto_front(points, ["min"] * points.shape[1])]
        low, high = front.min(axis=0), front.max(axis=0)
        whole: Floats = np.maximum(points.max(axis=0) - points.min(axis=0), 1e-3)
        ranges = high - low
        ranges[ranges == 0] = whole[ranges == 0]
        self._corner, self._ranges = high + MARGIN * ranges, ranges
        self._directions = _directions(points.shape[1], rng)
        self._best = self._heights(front).max(axis=0)  # of every direction

    def chosen(self, means: Floats, deviations: Floats, costs: Floats, size: int) -> list[int]:
        """The places of the candidates that add most, one after another; each that is chosen counts as measured, with
        its mean, which keeps the next ones apart. `means` and `deviations` are of their quality."""
        logs, best = np.log1p(costs), self._best
        possible = means[:, None] + deviations[:, None] * _QUANTILES  # (members, quantiles)
        shape = (*possible.shape, logs.shape[1])
        around = np.concatenate([-possible[..., None], np.broadcast_to(logs[:, None, :], shape)], axis=-1)
        hoped = self._heights(around)  # (members, quantiles, directions)
        expected = self._heights(np.column_stack([-means, logs]))  # (members, directions)
        places: list[int] = []
        for _ in range(min(size, len(means))):
            gains = np.maximum(hoped - best, 0).mean(axis=2) @ _WEIGHTS
            gains[places] = -1
            places.append(int(gains.argmax()))
            best = np.maximum(best, expected[places[-1]])
        return places

    def _heights(self, points: Floats) -> Floats:
        """min over i of (gain_i / w_i)^k: (..., objectives) -> (..., directions)."""
        gains = np.maximum((self._corner - points) / self._ranges, 0)
        return (gains[..., None, :] / self._directions).min(axis=-1) ** self._directions.shape[1]


def _directions(objectives: int, rng: random.Random) -> Floats:
    """Directions on the positive part of the unit sphere: evenly spaced of two objectives, drawn uniformly of more."""
    if objectives == 2:
        angles = (np.arange(_DIRECTIONS) + 0.5) / _DIRECTIONS * np.pi / 2
        return np.column_stack([np.sin(angles), np.cos(angles)])
    drawn = np.abs([[rng.gauss(0, 1) for _ in range(objectives)] for _ in range(_DIRECTIONS)]) + 1e-9
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
