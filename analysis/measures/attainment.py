"""Attainment surfaces: what a share of several runs reaches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analysis.measures.pareto import Direction, Floats, to_minimise

if TYPE_CHECKING:
    import pandas as pd

    # a frame with a column `run`, frames of one run each, or such frames by the name of what they have in common
    Groups = pd.DataFrame | Sequence[pd.DataFrame] | Mapping[str, Sequence[pd.DataFrame]]


def attainment_surface(
    runs: Sequence[npt.ArrayLike], directions: tuple[Direction, Direction], share: float = 0.5
) -> Floats:
    """Corners, of shape (points, 2) and sorted by the first objective, of what at least a share of the runs attain.

    `runs` holds one array of shape (points, 2) a run. With 0.5 the surface is the median of the runs, with 0.25 and
    0.75 the quartiles: what a run reaches that is luckier than three in four, and what three in four reach (Grunert da
    Fonseca, Fonseca and Hall, 2001). Points that are not finite count for nothing. No corners where too few runs have
    points.

    >>> attainment_surface([[[1, 0.5], [2, 0.7]], [[1, 0.4], [3, 0.9]]], ("min", "max"), share=1)
    array([[1. , 0.4],
           [3. , 0.7]])
    """
    if not 0 < share <= 1:
        raise ValueError(f"a share of the runs is above 0 and at most 1, got {share}")
    costs = [to_minimise(points, directions) for points in runs]
    costs = [points[np.isfinite(points).all(axis=1)] for points in costs]
    if not costs:
        return np.empty((0, 2))
    edges = np.unique(np.concatenate([points[:, 0] for points in costs]))
    # row by row what each run reaches at every first cost: the least second cost up to there
    reached = np.full((len(costs), len(edges)), np.inf)
    for row, points in zip(reached, costs, strict=True):
        np.minimum.at(row, np.searchsorted(edges, points[:, 0]), points[:, 1])
    reached = np.minimum.accumulate(reached, axis=1)
    needed = max(1, math.ceil(share * len(costs) - 1e-9))
    second = np.sort(reached, axis=0)[needed - 1]
    corner = second < np.concatenate(([np.inf], second[:-1]))
    signs = to_minimise([[1.0, 1.0]], directions)  # undoes the turn
    surface = np.column_stack([edges, second])[corner] * signs
    return surface[np.argsort(surface[:, 0], kind="stable")]
