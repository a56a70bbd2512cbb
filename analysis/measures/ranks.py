"""Rank correlations with intervals: whether two measurements put the same things into the same order."""

# scipy ships no types, so its names are unknown to the checker; the signatures below are ours and checked
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.measures.intervals import CONFIDENCE, NORMAL, Interval
from analysis.measures.pareto import Floats

_RESAMPLES = 2000
_MOST_PAIRS = 1000  # the bootstrap holds a few matrices of pairs x pairs


@dataclass(frozen=True)
class RankCorrelation:
    """Agreement of two orders of `pairs` things: 1 the same, 0 none, -1 reversed; NaN where all values are equal."""

    pairs: int
    spearman: Interval
    kendall: Interval


def rank_correlation(first: npt.ArrayLike, second: npt.ArrayLike, seed: int = 0) -> RankCorrelation:
    """Spearman's rho and Kendall's tau-b of paired values; pairs with a value that is not finite are left out.

    Intervals come from a bootstrap over the pairs (percentiles of 2,000 resamples, drawn from `seed`); beyond 1,000
    pairs, where that is slow, from the normal approximations of Bonett and Wright (2000). They are rough with fewer
    than about ten pairs, and there are none with fewer than three.
    """
    values = np.column_stack([np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)])
    values = values[np.isfinite(values).all(axis=1)]
    count = len(values)
    if count > _MOST_PAIRS:
        return _many_pairs(values)
    if count == 0:
        return RankCorrelation(0, Interval(math.nan), Interval(math.nan))
    orders = [np.sign(column[:, None] - column[None, :]) for column in values.T]
    ones = np.ones((1, count))
    rho, tau = float(_spearman(orders, ones)[0]), float(_kendall(orders, ones)[0])
    if count < 3 or not math.isfinite(rho):
        return RankCorrelation(count, Interval(rho, count=count), Interval(tau, count=count))
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=_RESAMPLES).astype(np.float64)
    spearman = _percentiles(rho, _spearman(orders, drawn), count)
    return RankCorrelation(count, spearman, _percentiles(tau, _kendall(orders, drawn), count))


def _spearman(orders: list[Floats], weights: Floats) -> Floats:
    """Rho of every resample. `weights` (resamples, pairs) counts the pairs, `orders` are signs of differences, each of
    shape (pairs, pairs).

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
    """An interval that is symmetric on the scale of Fisher's transform (artanh), on which `error` is the error."""
    with np.errstate(divide="ignore", invalid="ignore"):  # a correlation of 1 is infinite there, as is its interval
        low, high = np.tanh(np.arctanh(value) + np.array([-1, 1]) * NORMAL * error)
    return Interval(value, float(low), float(high), count)
