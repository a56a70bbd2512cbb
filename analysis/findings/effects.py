"""What each gene does to accuracy at equal operations.

A wider layer costs operations, and networks with more operations are more accurate: the plain mean of a gene's trials
says little. So the trend of accuracy over log cost, a polynomial, and the values of one gene are fitted together by
least squares (the residuals of both on the trend give the same effects: Frisch and Waugh, 1933; Lovell, 1963). The
other genes are not held fixed: an effect is what it is worth to spend the same operations on networks with this value
rather than another.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.polynomial.legendre import legvander

from analysis.findings.genes import Gene, genes_or_columns
from analysis.measures.intervals import student
from analysis.measures.pareto import Floats
from analysis.runs.trials import Source, load_trials, numbers
from analysis.stages import competing, of_stage
from spaces import Space

DEGREE = 3
_TRIALS_PER_TERM = 5  # different costs that each term of the polynomial needs, or its degree is lowered
_LEAST_TRIALS = 5  # of a value, or its mean says too little
_MOST_VALUES = 8  # of a number, such as a rate on a fine grid
_RANGES = 5
EFFECTS = ("gene", "value", "trials", "effect", "low", "high")

Row = tuple[str, Gene, int, float, float, float]  # as the columns of EFFECTS


def equal_cost_residuals(trials: pd.DataFrame, x: str = "ops", y: str = "accuracy") -> "pd.Series[float]":
    """How far `y` of every finished trial lies above what trials of its cost usually reach, in the unit of `y`.

    The usual value is a polynomial of degree 3 (less with few trials) in log `x`, fitted by least squares within each
    stage and, where there is a column `run`, each run. Trials without two finite values, or that cost nothing, are left
    out. The index is that of `trials`.
    """
    done = _usable(trials, x, y)
    parts = [
        pd.Series(part[y] - _fitted(_trend(part[x]), part[y].to_numpy()), index=part.index, dtype="float64")
        for _, part in done.groupby(_keys(done), sort=False)
    ]
    residuals = pd.concat(parts) if parts else pd.Series(dtype="float64")
    return residuals.reindex(done.index).rename(f"{y} at equal {x}")


def gene_effects(
    trials: Source,
    x: str = "ops",
    y: str = "accuracy",
    stage: str | None = None,
    space: Space[object] | None = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """What each value of each gene does to `y` at equal `x`, against the mean over the trials that have the gene.

    Columns `gene`, `value`, `trials`, `effect`, `low`, `high` (95 %, in the unit of `y`), in the order of the genes.
    Genes are those of the text forms, or of the `space` where it is given; hyperparameters are among them; `columns`
    are taken instead where they are given. `trials` is all that `load_trials` takes. Genes with
    one value and values with fewer than 5 trials are left out. A number with more than 8 values is divided into 5
    ranges with similar numbers of trials, whose `value` is a text. Intervals take trials as independent, which those of
    a search are not quite, and one interval in twenty misses by chance.
    """
    done = _usable(of_stage(load_trials(trials), stage), x, y).reset_index(drop=True)
    rows: list[Row] = []
    genes = genes_or_columns(done, space, columns)
    for gene in genes.columns:
        genes[gene], order = _in_ranges(genes[gene])
        counts = genes[gene].value_counts().to_dict()
        values = [value for value in order if counts[value] >= _LEAST_TRIALS]
        chosen = genes[gene].isin(values)
        if len(values) > 1:
            rows += _effects(gene, values, genes[gene][chosen], done[chosen], x, y)
    return pd.DataFrame(rows, columns=list(EFFECTS))


def _in_ranges(gene: "pd.Series[float]") -> "tuple[pd.Series[float], Sequence[Gene]]":
    """A gene and its values in order; ranges instead of a number with many values."""
    values = sorted(gene.dropna().unique().tolist(), key=lambda value: (isinstance(value, str), value))
    if len(values) <= _MOST_VALUES or not pd.api.types.is_numeric_dtype(gene):
        return gene, values
    own = numbers(gene.to_frame("gene"), "gene")[:, 0]
    # ends of ranges are values, so that a value is in one range only; NaN comes after the last
    ends = np.unique(np.nanquantile(own, np.linspace(0, 1, _RANGES + 1)[1:], method="higher"))
    place = np.searchsorted(ends, own).tolist()
    found = [[value for value in values if low < value <= end] for low, end in pairwise([-np.inf, *ends.tolist()])]
    names = [f"{some[0]:.3g} to {some[-1]:.3g}" if len(some) > 1 else f"{some[0]:g}" for some in found]
    return pd.Series([*names, None], dtype="object")[place].set_axis(gene.index), names


def _usable(trials: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    done = trials[competing(trials)]
    values = numbers(done, x, y)
    done = done.assign(**{x: values[:, 0], y: values[:, 1]})
    return done[np.isfinite(values).all(axis=1) & (values[:, 0] > 0)]


def _keys(trials: pd.DataFrame) -> list[str]:
    return [name for name in ("run", "stage") if name in trials.columns]


def _trend(costs: "pd.Series[float]") -> Floats:
    """Polynomials of log cost, of shape (trials, terms), the first of them 1; logs are scaled to -1..1."""
    logs = np.log(costs.to_numpy(dtype="float64"))
    different = len(np.unique(logs))
    low, high = logs.min(), logs.max()
    if high - low < 1e-9:
        return np.ones((len(logs), 1))
    degree = max(1, min(DEGREE, different // _TRIALS_PER_TERM)) if different > 2 else 0
    return np.asarray(legvander(2 * (logs - low) / (high - low) - 1, degree), dtype=np.float64)


def _fitted(design: Floats, target: Floats) -> Floats:
    return np.asarray(design @ np.linalg.lstsq(design, target, rcond=None)[0], dtype=np.float64)


def _effects(
    gene: str, values: Sequence[Gene], genes: "pd.Series[float]", trials: pd.DataFrame, x: str, y: str
) -> list[Row]:
    """The effects of one gene, with the trend common to all runs and a level for each of them."""
    one_of = np.column_stack([(genes == value).to_numpy() for value in values]).astype(np.float64)
    counts = one_of.sum(axis=0)
    trend = _trend(trials[x])
    if "run" in trials.columns:
        runs = trials["run"].astype("category").cat.codes.to_numpy()
        levels = [(runs == run).astype(np.float64) for run in np.unique(runs)[1:]]
        trend = np.column_stack([trend, *levels])
    target = trials[y].to_numpy(dtype="float64")
    # the others are measured against the first value, which the trend's constant stands for
    design = np.column_stack([trend, one_of[:, 1:]])
    freedom = len(target) - int(np.linalg.matrix_rank(design))
    if freedom < 1 or np.linalg.matrix_rank(design) < design.shape[1]:
        return []  # cost and gene cannot be separated, so there is no effect at equal cost
    inverse = np.linalg.inv(design.T @ design)
    solution = inverse @ design.T @ target
    variance = float(((target - design @ solution) ** 2).sum()) / freedom
    # against the mean over the trials, every effect is a linear function of the solution
    contrasts = np.eye(len(values)) - counts / counts.sum()
    contrasts = np.column_stack([np.zeros((len(values), trend.shape[1])), contrasts[:, 1:]])
    effects = contrasts @ solution
    errors = np.sqrt(variance * np.einsum("ij,jk,ik->i", contrasts, inverse, contrasts))
    half = student(freedom) * errors
    ends = ((effects - half).tolist(), (effects + half).tolist())
    return [(gene, *row) for row in zip(values, counts.astype(int).tolist(), effects.tolist(), *ends, strict=True)]
