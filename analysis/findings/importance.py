"""Which genes or hyperparameters matter, by permutation importance of a random forest.

Method: Breiman, Random forests (2001), as scikit-learn implements forest and permutation, always on trials that the
forest was not trained on. scikit-learn takes seconds to load, so it is loaded on use.
"""

# scikit-learn ships no types, so its names are unknown to the checker; the signatures below are ours and checked
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.findings.effects import equal_cost_residuals
from analysis.findings.genes import genes_or_columns
from analysis.measures.intervals import mean_interval
from analysis.measures.pareto import Floats
from analysis.runs.trials import Source, load_trials, numbers
from analysis.stages import competing, of_stage
from spaces import Space

FOLDS = 5
LEAST_TRIALS = 30
MOST_TRIALS = 3000  # of more, a random part is as good and faster
_TREES = 64
_SHUFFLES = 3
COLUMNS = ("feature", "importance", "low", "high")


@dataclass(frozen=True, eq=False)
class Importance:
    """How much each feature matters, and how far that can be trusted.

    `frame` has the columns `feature`, `importance`, `low`, `high`, most important first: by how much the forest's R² on
    unseen trials falls when the feature is shuffled, the mean of five folds with its 95 % interval. `r2` is that R²
    itself: near or below 0 the forest learned nothing and the importances say nothing. `trials` is the number of trials
    used, `target` what is predicted; `note` says what is missing.
    """

    frame: pd.DataFrame
    r2: float
    trials: int
    target: str = ""
    note: str = ""

    def table(self) -> pd.DataFrame:
        """The data of the plot, one row per feature."""
        return self.frame


def importance(features: pd.DataFrame, target: "pd.Series[float]", seed: int = 0) -> Importance:
    """Importance of the columns of `features`, hyperparameters for example, for `target`, a value for every row.

    Columns have numbers or texts; a missing value counts as a value. Rows whose target is not finite are left out, as
    are columns with one value. Features that say the same share their importance: two copies of one look half as
    important each. `note` says so where there are fewer than 30 rows or the target does not vary.
    """
    values = np.asarray(target.to_numpy(dtype="float64", na_value=float("nan")), dtype=np.float64)
    kept = np.flatnonzero(np.isfinite(values))
    rng = np.random.default_rng(seed)
    if len(kept) > MOST_TRIALS:
        kept = np.sort(rng.choice(kept, MOST_TRIALS, replace=False))
    values = values[kept]
    chosen = features.iloc[kept]
    names = [str(name) for name in chosen.columns if chosen[name].nunique(dropna=False) > 1]
    note = ""
    if len(kept) < LEAST_TRIALS:
        note = f"{len(kept)} trials are too few to say what matters; it takes {LEAST_TRIALS}"
    elif not names:
        note = "nothing differs between the trials"
    elif float(np.ptp(values)) < 1e-12:
        note = "all trials are equally good"
    if note:
        return Importance(pd.DataFrame(columns=list(COLUMNS)), float("nan"), len(kept), str(target.name or ""), note)
    r2, falls = _falls(np.column_stack([_as_numbers(chosen[name]) for name in names]), values, seed)
    means = [mean_interval(column) for column in falls.T]
    rows = [(name, mean.value, mean.low, mean.high) for name, mean in zip(names, means, strict=True)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame = frame.sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    note = "" if r2 > 0 else "the forest predicts no better than the mean, so nothing can be said about what matters"
    return Importance(frame, r2, len(kept), str(target.name or ""), note)


def gene_importance(
    trials: Source,
    x: str | None = "ops",
    y: str = "accuracy",
    stage: str | None = None,
    space: Space[object] | None = None,
    columns: Sequence[str] | None = None,
) -> Importance:
    """Importance of every gene for `y` at equal `x` (see `analysis.findings.effects.equal_cost_residuals`), or for `y`
    itself where `x` is None; of trials in all that `load_trials` takes.

    Genes are those of the text forms, or of the `space` where it is given; hyperparameters are among them. `columns`
    are taken instead where they are given.
    """
    chosen = of_stage(load_trials(trials), stage).reset_index(drop=True)
    if x is None:
        done = chosen[competing(chosen)]
        residuals = pd.Series(numbers(done, y)[:, 0], done.index, name=y)
    else:
        residuals = equal_cost_residuals(chosen, x, y)
    genes = genes_or_columns(chosen.loc[residuals.index], space, columns)
    # a gene with one value varies only in whether its layer is there, which the gene of depth says
    return importance(genes[[name for name in genes.columns if genes[name].nunique() > 1]], residuals)


def _as_numbers(column: "pd.Series[float]") -> Floats:
    """Numbers as they are, texts by their place in the alphabet, NaN where a value is missing."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return np.asarray(column.to_numpy(dtype="float64", na_value=float("nan")), dtype=np.float64)
    codes, _ = pd.factorize(column.astype("str").where(column.notna()), sort=True)
    return np.where(codes < 0, np.nan, codes).astype(np.float64)


def _falls(features: Floats, target: Floats, seed: int) -> tuple[float, Floats]:
    """R² over all folds, and the mean fall of R² for every fold and feature, of shape (folds, features).

    As in `sklearn.inspection.permutation_importance`, but all shuffles of a fold are predicted in one call, which is
    many times faster for so few trials.
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import KFold

    rng = np.random.default_rng(seed)
    predicted = np.empty_like(target)
    falls: list[Floats] = []
    for train, test in KFold(FOLDS, shuffle=True, random_state=seed).split(features):
        forest = RandomForestRegressor(_TREES, min_samples_leaf=3, max_features=1 / 3, random_state=seed)
        forest.fit(features[train], target[train])
        predicted[test] = forest.predict(features[test])
        shuffled = np.tile(features[test], (features.shape[1], _SHUFFLES, 1, 1))  # features, shuffles, trials, features
        for feature, blocks in enumerate(shuffled):
            for block in blocks:
                rng.shuffle(block[:, feature])
        guesses = np.asarray(forest.predict(shuffled.reshape(-1, features.shape[1]))).reshape(shuffled.shape[:3])
        errors = ((guesses - target[test]) ** 2).mean(axis=2) - ((predicted[test] - target[test]) ** 2).mean()
        variance = float(target[test].var())
        falls.append(errors.mean(axis=1) / variance if variance > 0 else np.zeros(features.shape[1]))
    r2 = 1 - float(((target - predicted) ** 2).sum()) / float(((target - target.mean()) ** 2).sum())
    return r2, np.array(falls)
