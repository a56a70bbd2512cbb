"""Estimates with their 95 % intervals: of a mean, and of a share."""

from __future__ import annotations

import math
from dataclasses import dataclass

# scipy ships no types, so its names are unknown to the checker; the signatures below are ours and checked
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
NORMAL = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval, NaN where it cannot be told, from `count` values."""

    value: float
    low: float
    high: float
    count: int


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
    share, z2 = hits / count, NORMAL**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = NORMAL / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half), count)


_Z = 1.959963984540054  # the 97.5 % quantile of the normal distribution


def wilson(fraction: float, images: int | None) -> tuple[float, float] | None:
    """The 95 % interval of an accuracy measured on so many images (Wilson, JASA 22, 1927); None where there is none.

    It takes images as drawn independently, and says nothing of other seeds.

    >>> [round(end, 4) for end in wilson(0.95, 400)]
    [0.924, 0.9674]
    """
    if images is None or images < 1 or not 0 <= fraction <= 1:  # NaN is in no range
        return None
    square = _Z**2 / images
    middle = (fraction + square / 2) / (1 + square)
    half = _Z / (1 + square) * math.sqrt(fraction * (1 - fraction) / images + square / (4 * images))
    return max(middle - half, 0.0), min(middle + half, 1.0)
