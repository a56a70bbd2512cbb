"""What paired measurements say about a claim: an effect with its interval, and one of four words."""

# scipy ships no types, so its names are unknown to the checker; the signatures below are ours and checked
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from analysis.measures.intervals import CONFIDENCE, Interval, mean_interval

FEWEST = 5
"""Pairs without which nothing is said."""


class Verdict(StrEnum):
    """What a test says about a claim.

    CONFIRMED: the effect that is claimed. NOT_SEEN: too small to be told from chance with so many pairs. CONTRARY: an
    effect the other way. NOT_RUN: too few pairs to say anything.
    """

    CONFIRMED = "confirmed"
    NOT_SEEN = "not seen"
    CONTRARY = "contrary"
    NOT_RUN = "not run yet"


@dataclass(frozen=True)
class Effect:
    """A mean difference of pairs with Student's 95 % interval; positive is what was claimed.

    `p` is the probability of a mean as far from zero if there were no difference (two-sided). With a `margin`, which
    claims that there is no difference to speak of, it is that of a mean as near to zero if the difference were at least
    the margin: the larger p of the two one-sided tests (Schuirmann, J. Pharmacokinet. Biopharm. 15, 1987).
    """

    interval: Interval
    p: float
    margin: float | None = None


def paired_effect(differences: npt.ArrayLike, margin: float | None = None) -> Effect:
    """The effect of differences of pairs, such as of two settings seed by seed; those not finite are left out.

    >>> round(paired_effect([1.0, 2.0, 3.0]).p, 4)
    0.0742
    """
    interval = mean_interval(differences)
    values = np.asarray(differences, dtype=np.float64).ravel()
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return Effect(interval, math.nan, margin)
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    if margin is None:
        return Effect(interval, min(1.0, 2 * _beyond(abs(interval.value), error, len(values))))
    return Effect(interval, _beyond(margin - abs(interval.value), error, len(values)), margin)


def _beyond(distance: float, error: float, count: int) -> float:
    """The probability that a mean of `count` values is so far above its expectation, from Student's t."""
    from scipy.stats import t  # takes longer to load than the rest of the room

    if error == 0:  # all pairs differ by the same
        return 0.5 if distance == 0 else float(distance < 0)
    return float(t.sf(distance / error, count - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for one another (Holm, Scand. J. Statist. 6, 1979): where those below a level count as found, the chance
    that any of them is false stays below it. NaN stays and does not count as a comparison.

    >>> holm([0.01, 0.5, 0.02])
    [0.03, 0.5, 0.04]
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    adjusted, least = [math.nan] * len(p_values), 0.0
    for rank, (p, place) in enumerate(known):
        least = max(least, min(1.0, p * (len(known) - rank)))
        adjusted[place] = least
    return adjusted


def verdict(effect: Effect, adjusted: float, fewest: int = FEWEST) -> Verdict:
    """What an effect says about its claim; `adjusted` is its p among all comparisons that were made.

    A claim of no difference is contradicted where the whole interval is beyond the margin.
    """
    found, level = effect.interval, 1 - CONFIDENCE
    if found.count < fewest or math.isnan(adjusted):
        return Verdict.NOT_RUN
    if effect.margin is not None:
        outside = found.low > effect.margin or found.high < -effect.margin
        inside = Verdict.CONFIRMED if adjusted < level else Verdict.NOT_SEEN
        return Verdict.CONTRARY if outside else inside
    if adjusted >= level:
        return Verdict.NOT_SEEN
    return Verdict.CONFIRMED if found.value > 0 else Verdict.CONTRARY
