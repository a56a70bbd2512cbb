"""Which genes or hyperparameters matter, by permutation importance of a random forest (scikit-learn)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Importance:
    """How much each feature matters, and how far that can be trusted.

    `frame` has the columns `feature`, `importance`, `low`, `high`, most important first: by how much the forest's R² on
    trials that it has not seen falls when the feature is shuffled. `r2` is that R² itself: near or below 0 the forest
    learned nothing and the importances say nothing. `trials` is how many were used; `note` says what is missing.
    """

    frame: pd.DataFrame
    r2: float
    trials: int
    note: str = ""

    def table(self) -> pd.DataFrame:
        """The data of the plot, as written beside it."""
        return self.frame


def importance(features: pd.DataFrame, target: pd.Series[float], seed: int = 0) -> Importance:
    """Importance of columns (numbers or texts; missing values allowed) for a target: hyperparameters, for example."""
    raise NotImplementedError


def gene_importance(trials: pd.DataFrame, x: str = "ops", y: str = "accuracy", stage: str = "inherited") -> Importance:
    """Importance of every gene for `y` at equal `x` (see `equal_cost_residuals`)."""
    raise NotImplementedError
