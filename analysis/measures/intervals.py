"""Estimates with their 95 % intervals: of a mean, and of a share."""

# scipy ships no types, so its names are unknown to the checker; the signatures below are ours and checked
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
NORMAL = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)  # standard deviations to either side


@dataclass(frozen=True)
class Interval:
    """An estimate from `count` values with its 95 % interval; NaN where there is none."""

    value: float
    low: float = math.nan
    high: float = math.nan
    count: int = 0

    @property
    def known(self) -> bool:
        """Whether there is an interval, not the estimate alone."""
        return math.isfinite(self.low)


def mean_interval(values: npt.ArrayLike) -> Interval:
    """Mean of independent values with the interval of Student's t; values that are not finite are left out.

    >>> mean_interval([0.5])
    Interval(value=0.5, low=nan, high=nan, count=1)
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    array = array[np.isfinite(array)]
    if len(array) < 2:
        return Interval(float(array[0]) if len(array) else math.nan, count=len(array))
    mean = float(array.mean())
    half = student(len(array) - 1) * float(array.std(ddof=1)) / math.sqrt(len(array))
    return Interval(mean, mean - half, mean + half, len(array))


def student(freedom: int, confidence: float = CONFIDENCE) -> float:
    """How many standard errors an interval (of 95 %) reaches to either side, with these degrees of freedom."""
    from scipy.stats import t  # takes longer to load than the rest of the room

    return float(t.ppf((1 + confidence) / 2, freedom))


def share_interval(share: float, count: int | None) -> Interval:
    """A share of `count` independent trials with Wilson's interval (JASA 22, 1927), which stays within 0 to 1.

    An accuracy is the share of images that were classified correctly. Its interval takes the images as drawn
    independently, and says nothing about other seeds. There is no interval without a count or without a share.

    >>> [round(end, 4) for end in (share_interval(0.95, 400).low, share_interval(0.95, 400).high)]
    [0.924, 0.9674]
    """
    if count is None or count < 1 or not 0 <= share <= 1:  # NaN is in no range
        return Interval(share)
    z2 = NORMAL**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = NORMAL / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half), count)
