"""What several runs reach together: attainment surfaces of two objectives, and hypervolume with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy.typing as npt

from analysis.pareto import Floats
from analysis.schema import Direction

if TYPE_CHECKING:
    import pandas as pd

    # a frame with a column `run`, frames of one run each, or such frames by the name of what they have in common
    Groups = pd.DataFrame | Sequence[pd.DataFrame] | Mapping[str, Sequence[pd.DataFrame]]


def attainment_surface(
    runs: Sequence[npt.ArrayLike], directions: tuple[Direction, Direction], share: float = 0.5
) -> Floats:
    """Corners, of shape (points, 2) and sorted by the first objective, of what at least a share of the runs attain.

    `runs` holds one array of shape (points, 2) a run. With 0.5 it is the median surface, with 0.25 and 0.75 the
    quartiles (Grunert da Fonseca, Fonseca and Hall, 2001).
    """
    raise NotImplementedError


def hypervolume_table(
    groups: Groups,
    x: str = "ops",
    y: str = "accuracy",
    trials: int | None = None,
) -> pd.DataFrame:
    """Final hypervolume of groups of runs, after the same number of trials (`trials`, or those of the shortest run).

    Columns `group`, `runs`, `trials`, `hypervolume` (mean share of the box that all runs share, 0 to 1), `low`, `high`
    (95 % of the mean; NaN for one run).
    """
    raise NotImplementedError
