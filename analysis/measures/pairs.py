"""Who is better than whom: medians with intervals that ask for no distribution, and tests of pairs."""

# scipy ships no types, so its names are unknown to the checker; the signatures below are ours and checked
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.measures.intervals import CONFIDENCE, Interval
from analysis.measures.verdicts import holm


def median_interval(values: npt.ArrayLike) -> Interval:
    """Median of independent values with the interval of order statistics, which holds for any distribution.

    The k-th smallest and the k-th largest of n values have the median between them with probability
    1 - 2 P(Binomial(n, 1/2) < k); k is the largest for which that is at least 95 %, so there is no interval of fewer
    than six values. Infinite values count (what was never reached comes last), NaN does not.

    >>> median_interval([1, 2, 3, 4, 5, 6])
    Interval(value=3.5, low=1.0, high=6.0, count=6)
    """
    found = np.sort(np.asarray(values, dtype=np.float64).ravel())
    found = found[~np.isnan(found)]
    count = len(found)
    if count == 0:
        return Interval(math.nan)
    # of two infinite values in the middle the mean is infinite, too, and of one, as well
    middle = float(found[(count - 1) // 2] / 2 + found[count // 2] / 2)
    rank = _rank(count)
    return (
        Interval(middle, float(found[rank - 1]), float(found[-rank]), count) if rank else Interval(middle, count=count)
    )


def _rank(count: int) -> int:
    """How far from the ends of so many sorted values the interval of their median reaches; 0 where there is none."""
    rank, below = 0, math.comb(count, 0) / 2**count
    while 2 * below <= 1 - CONFIDENCE:
        rank += 1
        below += math.comb(count, rank) / 2**count
    return rank


@dataclass(frozen=True)
class Duel:
    """One side against another, pair by pair: how often it was `better`, `worse` and `equal`, the median `difference`,
    and `p`, the probability of ranks as uneven as these if neither was better (NaN without pairs)."""

    better: int
    worse: int
    equal: int
    difference: Interval
    p: float

    @property
    def pairs(self) -> int:
        """How many there were."""
        return self.better + self.worse + self.equal


def duel(one: npt.ArrayLike, other: npt.ArrayLike) -> Duel:
    """Compare two sides by values of which more is better, such as hypervolumes seed by seed.

    The test is Wilcoxon's for the signed ranks of differences (Biometrics Bulletin 1, 1945), two-sided; pairs that do
    not differ have ranks as well (Pratt, JASA 54, 1959). Pairs with a value that is not finite are left out.

    Raises `ValueError` where the sides are not of one length.
    """
    first, second = (np.asarray(side, dtype=np.float64).ravel() for side in (one, other))
    if len(first) != len(second):
        raise ValueError(f"pairs need two sides of one length, got {len(first)} and {len(second)} values")
    differences = first - second
    differences = differences[np.isfinite(differences)]
    better, worse = int((differences > 0).sum()), int((differences < 0).sum())
    equal = len(differences) - better - worse
    return Duel(better, worse, equal, median_interval(differences), _wilcoxon(differences))


def _wilcoxon(differences: npt.NDArray[np.float64]) -> float:
    from scipy.stats import wilcoxon  # takes longer to load than the rest of the room

    if len(differences) == 0:
        return math.nan
    found: Any = wilcoxon(differences, zero_method="pratt") if differences.any() else None
    return 1.0 if found is None else float(found.pvalue)


@dataclass(frozen=True)
class Match:
    """Two sides by their names, pair by pair; `adjusted` is the duel's p among all matches (Holm)."""

    one: str
    other: str
    duel: Duel
    adjusted: float


def matches(sides: Mapping[str, Mapping[int, float]]) -> list[Match]:
    """Everyone against everyone else, by values of which more is better; each side has them by seed, and seeds that two
    sides share are a pair."""
    names = list(combinations(sides, 2))
    shared = [[seed for seed in sides[one] if seed in sides[other]] for one, other in names]
    duels = [
        duel([sides[one][seed] for seed in seeds], [sides[other][seed] for seed in seeds])
        for (one, other), seeds in zip(names, shared, strict=True)
    ]
    adjusted = holm([each.p for each in duels])
    return [Match(*pair, found, p) for pair, found, p in zip(names, duels, adjusted, strict=True)]
