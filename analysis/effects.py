"""What each gene does to accuracy at equal operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def equal_cost_residuals(trials: pd.DataFrame, x: str = "ops", y: str = "accuracy") -> pd.Series[float]:
    """How far `y` of every finished trial lies above what trials of its cost usually reach, in the unit of `y`.

    The usual is a smooth fit over log `x`, within each stage (and run, where there is a column `run`).
    """
    raise NotImplementedError


def gene_effects(trials: pd.DataFrame, x: str = "ops", y: str = "accuracy", stage: str = "inherited") -> pd.DataFrame:
    """Mean residual at equal cost of the trials with each value of each gene.

    Columns `gene`, `value`, `trials`, `effect`, `low`, `high` (95 % interval, both in the unit of `y`). Empty without
    enough trials.
    """
    raise NotImplementedError
