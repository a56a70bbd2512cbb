"""Attainment surfaces: what a share of several runs reaches."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from analysis.measures.pareto import Direction, Floats, to_minimise


def attainment_surface(
    runs: Sequence[npt.ArrayLike], directions: tuple[Direction, Direction], share: float = 0.5
) -> Floats:
    """Corners, of shape (points, 2) and sorted by the first objective, of what at least a share of the runs attain.

    `runs` holds one array of shape (points, 2) per run. A share of 0.5 gives the median surface of the runs, 0.25 and
    0.75 give the quartiles: what the best quarter of the runs reach, and what three quarters of them reach (Grunert da
    Fonseca, Fonseca and Hall, 2001). Points that are not finite are ignored. The surface has no corners where too few
    runs have points.

    >>> attainment_surface([[[1, 0.5], [2, 0.7]], [[1, 0.4], [3, 0.9]]], ("min", "max"), share=1)
    array([[1. , 0.4],
           [3. , 0.7]])
    """
    if not 0 < share <= 1:
        raise ValueError(f"the share of the runs must be above 0 and at most 1, got {share}")
    costs = [to_minimise(points, directions) for points in runs]
    costs = [points[np.isfinite(points).all(axis=1)] for points in costs]
    if not costs:
        return np.empty((0, 2))
    edges = np.unique(np.concatenate([points[:, 0] for points in costs]))
    # for each run (row), the least second cost that it reaches at each first cost or below
    reached = np.full((len(costs), len(edges)), np.inf)
    for row, points in zip(reached, costs, strict=True):
        np.minimum.at(row, np.searchsorted(edges, points[:, 0]), points[:, 1])
    reached = np.minimum.accumulate(reached, axis=1)
    needed = max(1, math.ceil(share * len(costs) - 1e-9))
    second = np.sort(reached, axis=0)[needed - 1]
    corner = second < np.concatenate(([np.inf], second[:-1]))
    signs = to_minimise([[1.0, 1.0]], directions)  # undoes the change of sign
    surface = np.column_stack([edges, second])[corner] * signs
    return surface[np.argsort(surface[:, 0], kind="stable")]
