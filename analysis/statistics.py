"""How sure one can be: intervals, agreement of ranks between stages, spread over seeds, what made the front."""

# scipy ships no types, so its names are unknown to the checker; the signatures below are ours and checked
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analysis.front import front, numbers
from analysis.pareto import Floats
from analysis.stages import LATER, of_stage, search_stage

if TYPE_CHECKING:
    import pandas as pd

CONFIDENCE = 0.95
_NORMAL = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
_RESAMPLES = 2000
_MOST_PAIRS = 1000  # the bootstrap keeps a few matrices of pairs x pairs


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval, NaN where it cannot be told, from `count` values."""

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class RankCorrelation:
    """Agreement of two orders of the same `pairs` things: 1 the same, 0 none, -1 reversed; NaN without an order."""

    pairs: int
    spearman: Interval
    kendall: Interval


def mean_interval(values: npt.ArrayLike) -> Interval:
    """Mean of independent values with the interval of Student's t; values that are not finite are left out.

    >>> mean_interval([0.5])
    Interval(value=0.5, low=nan, high=nan, count=1)
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    array = array[np.isfinite(array)]
    if len(array) < 2:
        return Interval(float(array[0]) if len(array) else math.nan, math.nan, math.nan, len(array))
    mean = float(array.mean())
    half = student(len(array) - 1) * float(array.std(ddof=1)) / math.sqrt(len(array))
    return Interval(mean, mean - half, mean + half, len(array))


def student(freedom: int) -> float:
    """How many standard errors a 95 % interval reaches to either side, for so many degrees of freedom."""
    from scipy.stats import t

    return float(t.ppf((1 + CONFIDENCE) / 2, freedom))


def share_interval(hits: int, count: int) -> Interval:
    """A share of independent trials with Wilson's interval (Wilson, 1927), which stays within 0..1."""
    if count == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    share, z2 = hits / count, _NORMAL**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _NORMAL / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half), count)


def rank_correlation(first: npt.ArrayLike, second: npt.ArrayLike, seed: int = 0) -> RankCorrelation:
    """Spearman's rho and Kendall's tau-b of paired values; pairs with a value that is not finite are left out.

    Intervals come from a bootstrap over the pairs (percentiles of 2,000 resamples, drawn from `seed`); beyond 1,000
    pairs, where that grows slow, from the normal approximations of Bonett and Wright (2000). Under about ten pairs they
    are rough; under three there are none.
    """
    values = np.column_stack([np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)])
    values = values[np.isfinite(values).all(axis=1)]
    count = len(values)
    if count > _MOST_PAIRS:
        return _many_pairs(values)
    if count == 0:
        nothing = Interval(math.nan, math.nan, math.nan, 0)
        return RankCorrelation(0, nothing, nothing)
    orders = [np.sign(column[:, None] - column[None, :]) for column in values.T]
    ones = np.ones((1, count))
    rho, tau = float(_spearman(orders, ones)[0]), float(_kendall(orders, ones)[0])
    if count < 3 or not math.isfinite(rho):
        return RankCorrelation(
            count, Interval(rho, math.nan, math.nan, count), Interval(tau, math.nan, math.nan, count)
        )
    drawn = (
        np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=_RESAMPLES).astype(np.float64)
    )
    return RankCorrelation(
        count, _percentiles(rho, _spearman(orders, drawn), count), _percentiles(tau, _kendall(orders, drawn), count)
    )


def _spearman(orders: list[Floats], weights: Floats) -> Floats:
    """Rho of every resample, in which the pairs come `weights` times; orders are signs of differences, (pairs, pairs).

    The mid-rank of a value is, up to a constant, half the sum of signs of its differences to all values.
    """
    ranks = [weights @ order.T for order in orders]
    total = weights.sum(axis=1, keepdims=True)
    centred = [rank - (weights * rank).sum(axis=1, keepdims=True) / total for rank in ranks]
    return _cosine(*((weights * a * b).sum(axis=1) for a, b in _products(centred)))


def _kendall(orders: list[Floats], weights: Floats) -> Floats:
    """Tau-b of every resample: the correlation of the signs of all differences; ties have the sign 0."""
    return _cosine(*(((weights @ (a * b)) * weights).sum(axis=1) for a, b in _products(orders)))


def _products(pair: list[Floats]) -> list[tuple[Floats, Floats]]:
    first, second = pair
    return [(first, second), (first, first), (second, second)]


def _cosine(both: Floats, first: Floats, second: Floats) -> Floats:
    size = np.sqrt(first * second)
    return np.divide(both, size, out=np.full_like(both, np.nan), where=size > 1e-12)


def _percentiles(value: float, resampled: Floats, count: int) -> Interval:
    low, high = np.nanquantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(value, float(low), float(high), count)


def _many_pairs(values: Floats) -> RankCorrelation:
    from scipy.stats import kendalltau, spearmanr

    count = len(values)
    rho, tau = (float(np.asarray(test(*values.T))[0]) for test in (spearmanr, kendalltau))
    errors = (math.sqrt((1 + rho**2 / 2) / (count - 3)), math.sqrt(0.437 / (count - 4)))
    return RankCorrelation(count, *(_fisher(*pair, count) for pair in zip((rho, tau), errors, strict=True)))


def _fisher(value: float, error: float, count: int) -> Interval:
    """An interval that is symmetric once a correlation is stretched to the whole line; `error` is in that scale."""
    with np.errstate(
        divide="ignore", invalid="ignore"
    ):  # a correlation of 1 lies at infinity, and so does its interval
        low, high = np.tanh(np.arctanh(value) + np.array([-1, 1]) * _NORMAL * error)
    return Interval(value, float(low), float(high), count)


def paired_stages(
    trials: pd.DataFrame, first: str | None = None, second: str | None = None, y: str = "accuracy"
) -> pd.DataFrame:
    """Architectures that finished in both stages: `id`, `architecture`, and `y` in columns named after the stages.

    Where none is named, the first stage is that of the search and the second the one behind it: inherited and
    finetuned, or trained and final. One row an architecture and, where there is a column `run`, a run; the mean where
    a stage measured it several times.
    """
    first, second = two_stages(trials, first, second)
    done = trials[(trials["state"] == "finished") & trials["stage"].isin([first, second])]
    done = done.assign(**{y: numbers(done, y)[:, 0]})
    done = done[np.isfinite(done[y])]
    keys = [name for name in ("run", "id", "architecture") if name in done.columns]
    table = done.groupby([*keys, "stage"], sort=False)[y].mean().unstack("stage")
    return table.reindex(columns=[first, second]).dropna().reset_index().rename_axis(columns=None)


def two_stages(trials: pd.DataFrame, first: str | None = None, second: str | None = None) -> tuple[str, str]:
    """The two stages named; in place of None, that of the search, and the one in which its networks are trained on."""
    first = first or search_stage(trials)
    return first, second or LATER.get(first, "finetuned")


def stage_correlation(
    trials: pd.DataFrame, first: str | None = None, second: str | None = None, y: str = "accuracy", seed: int = 0
) -> RankCorrelation:
    """Whether the second stage ranks architectures as the first did: whether the first is worth searching with.

    Only architectures that were chosen for the second stage are in both, usually those of the front: the agreement
    over the whole space may be another.
    """
    first, second = two_stages(trials, first, second)
    pairs = paired_stages(trials, first, second, y)
    return rank_correlation(pairs[first], pairs[second], seed)


def seed_spread(trials: pd.DataFrame, y: str = "accuracy") -> pd.DataFrame:
    """Architectures measured with more than one seed in a stage, over all runs of the frame.

    Columns `id`, `architecture`, `stage`, `count`, `mean`, `low`, `high` (95 % of the mean), `deviation` (sample
    standard deviation of one measurement). Of measurements with the same seed one counts: they are copies.
    """
    import pandas as pd

    done = trials[trials["state"] == "finished"]
    done = done.assign(**{y: numbers(done, y)[:, 0]})
    done = done[np.isfinite(done[y])].drop_duplicates(["id", "stage", "seed"])
    rows: list[dict[str, object]] = []
    for (identity, stage), group in done.groupby(["id", "stage"], sort=False):
        if len(group) > 1:
            values = group[y].to_numpy()
            mean = mean_interval(values)
            rows.append(
                {
                    "id": identity, "architecture": group["architecture"].iloc[0], "stage": stage, "count": mean.count,
                    "mean": mean.value, "low": mean.low, "high": mean.high, "deviation": float(values.std(ddof=1)),
                }
            )  # fmt: skip
    columns = ["id", "architecture", "stage", "count", "mean", "low", "high", "deviation"]
    return pd.DataFrame(rows, columns=columns)


def pooled_deviation(spread: pd.DataFrame) -> Interval:
    """Standard deviation of one measurement over seeds, pooled over the rows of `seed_spread`, with its chi² interval.

    Two networks of one measurement each that differ by less than about three times this are not told apart.
    """
    from scipy.stats import chi2

    freedom = int((spread["count"] - 1).sum()) if len(spread) else 0
    if freedom == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    squares = float(((spread["count"] - 1) * spread["deviation"] ** 2).sum())
    low, high = (math.sqrt(squares / chi2.ppf((1 + sign * CONFIDENCE) / 2, freedom)) for sign in (1, -1))
    return Interval(math.sqrt(squares / freedom), low, high, int(spread["count"].sum()))


def operator_table(trials: pd.DataFrame, x: str = "ops", y: str = "accuracy", stage: str | None = None) -> pd.DataFrame:
    """Which operator made the front's networks.

    Columns `operator`, `trials`, `failed`, `front` (how many are on the front, each run's own), `rate` (front /
    trials), `low`, `high` (95 %, Wilson). Most on the front first. Operators that act late in a search
    have better parents, so a higher rate alone does not make an operator better.
    """
    import pandas as pd

    chosen = of_stage(trials, stage)
    chosen = chosen[chosen["state"] != "running"]
    best = pd.concat([front(part, x, y) for part in split_runs(chosen).values()])
    rows: list[dict[str, object]] = []
    for operator, group in chosen.assign(operator=chosen["operator"].fillna("unknown")).groupby("operator", sort=True):
        hits = int((best["operator"].fillna("unknown") == operator).sum())
        share = share_interval(hits, len(group))
        failed = int((group["state"] == "failed").sum())
        rows.append(
            {
                "operator": operator, "trials": len(group), "failed": failed, "front": hits, "rate": share.value,
                "low": share.low, "high": share.high,
            }
        )  # fmt: skip
    columns = ["operator", "trials", "failed", "front", "rate", "low", "high"]
    return pd.DataFrame(rows, columns=columns).sort_values(["front", "trials"], ascending=False, ignore_index=True)


def split_runs(trials: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """A frame of several runs by name, in their order; a frame without a column `run` under the name ""."""
    if "run" not in trials.columns:
        return {"": trials}
    parts = {str(name): part for name, part in trials.groupby("run", sort=False)}
    return parts or {"": trials}
