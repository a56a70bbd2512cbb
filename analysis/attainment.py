"""What several runs reach together: attainment surfaces of two objectives, and hypervolume with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analysis.intervals import mean_interval
from analysis.pareto import Floats, to_minimise
from analysis.schema import Direction
from analysis.stages import of_stage
from analysis.statistics import split_runs

if TYPE_CHECKING:
    import pandas as pd

    # a frame with a column `run`, frames of one run each, or such frames by the name of what they have in common
    Groups = pd.DataFrame | Sequence[pd.DataFrame] | Mapping[str, Sequence[pd.DataFrame]]

SHARES = (0.25, 0.5, 0.75)


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


def as_groups(groups: Groups) -> dict[str, list[pd.DataFrame]]:
    """Frames of one run each, by the name of their group; one group without a name where only runs are given."""
    if isinstance(groups, Mapping):
        return {name: list(frames) for name, frames in groups.items()}
    if isinstance(groups, Sequence):
        return {"": list(groups)}
    return {"": list(split_runs(groups).values())}


def hypervolume_curves(
    groups: Groups, x: str = "ops", y: str = "accuracy", stage: str | None = None,
    reference: tuple[float, float] | None = None,
) -> dict[str, Floats]:  # fmt: skip
    """Hypervolume of every group's runs after 1, 2, ... trials, as the share of one box that all runs have in common.

    Arrays of shape (runs, trials); of runs of different length, the trials that all runs of the group have. The trials
    are those of a stage (see `analysis.stages.of_stage`), the box is that of `analysis.plots.hypervolume_data`.
    """
    from analysis.plots.hypervolume import hypervolume_data

    frames = as_groups(groups)
    flat = {
        f"{name}\0{index}": of_stage(frame, stage) for name, part in frames.items() for index, frame in enumerate(part)
    }
    curves = hypervolume_data(flat, x, y, reference).curves
    grouped: dict[str, Floats] = {}
    for name, part in frames.items():
        own = [curves[f"{name}\0{index}"] for index in range(len(part))]
        length = min((len(curve) for curve in own), default=0)
        grouped[name] = np.array([curve[:length] for curve in own]).reshape(len(own), length)
    return grouped


def hypervolume_table(
    groups: Groups, x: str = "ops", y: str = "accuracy", trials: int | None = None, stage: str | None = None
) -> pd.DataFrame:
    """Hypervolume of groups of runs after the same number of trials (`trials`, or as many as the shortest run has).

    Columns `group`, `runs`, `trials`, `hypervolume` (mean share of the box that all runs have in common, 0 to 1),
    `low`, `high` (95 % of that mean over the runs, by Student's t; NaN for one run, which tells nothing of the spread).
    """
    import pandas as pd

    curves = hypervolume_curves(groups, x, y, stage)
    length = min((curve.shape[1] for curve in curves.values() if len(curve)), default=0)
    length = length if trials is None else min(length, trials)
    rows: list[dict[str, object]] = []
    for name, curve in curves.items():
        mean = mean_interval(curve[:, length - 1] if length else [])
        rows.append(
            {
                "group": name, "runs": len(curve), "trials": length, "hypervolume": mean.value, "low": mean.low,
                "high": mean.high,
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=["group", "runs", "trials", "hypervolume", "low", "high"])
