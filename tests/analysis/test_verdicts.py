"""Effects, Holm's correction and verdicts, on made data and against scipy."""

import math

import numpy as np
import pytest
import scipy.stats

from analysis.measures.verdicts import Verdict, holm, paired_effect, verdict


def said(differences, margin=None):
    effect = paired_effect(differences, margin)
    return verdict(effect, effect.p)


def drawn(mean, count=8, deviation=1.0):
    values = np.random.default_rng(0).normal(size=count)
    return mean + deviation * (values - values.mean()) / values.std(ddof=1)


def test_the_effect_is_that_of_scipy_s_paired_test():
    first, second = np.random.default_rng(1).normal(size=(2, 9))
    found, expected = paired_effect(first - second), scipy.stats.ttest_rel(first, second)
    interval = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.interval.low, found.interval.high) == (pytest.approx(interval.low), pytest.approx(interval.high))


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        (drawn(2), Verdict.CONFIRMED),
        (drawn(0), Verdict.NOT_SEEN),
        (drawn(0.3), Verdict.NOT_SEEN),
        (drawn(-2), Verdict.CONTRARY),
        ([1.0] * 5, Verdict.CONFIRMED),
        ([0.0] * 5, Verdict.NOT_SEEN),
        ([-1.0] * 5, Verdict.CONTRARY),
        (drawn(2, 4), Verdict.NOT_RUN),
        ([], Verdict.NOT_RUN),
        ([1.0], Verdict.NOT_RUN),
        ([*drawn(2, 4), math.nan], Verdict.NOT_RUN),
        ([*drawn(2), math.nan, math.inf], Verdict.CONFIRMED),
    ],
)
def test_a_claim_of_a_difference(differences, expected):
    assert said(differences) is expected


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        (drawn(0, deviation=0.5), Verdict.CONFIRMED),
        (drawn(0, deviation=3), Verdict.NOT_SEEN),
        (drawn(1, deviation=1), Verdict.NOT_SEEN),
        (drawn(4), Verdict.CONTRARY),
        (drawn(-4), Verdict.CONTRARY),
        ([0.0] * 5, Verdict.CONFIRMED),
        ([2.0] * 5, Verdict.CONTRARY),
        (drawn(0, 3, 0.1), Verdict.NOT_RUN),
    ],
)
def test_a_claim_of_no_difference(differences, expected):
    assert said(differences, margin=1) is expected


def test_equivalence_takes_both_one_sided_tests():
    values = drawn(0.2)
    below, above = (
        scipy.stats.ttest_1samp(values, end, alternative=side).pvalue for end, side in ((-1, "greater"), (1, "less"))
    )
    assert paired_effect(values, 1).p == pytest.approx(max(below, above))


def test_many_comparisons_take_more():
    """What one test shows, it does not show among ten."""
    effect = paired_effect(drawn(0.95))
    assert verdict(effect, effect.p) is Verdict.CONFIRMED
    assert verdict(effect, holm([effect.p, *[0.5] * 9])[0]) is Verdict.NOT_SEEN


def test_holm_rises_with_p_and_leaves_out_nan():
    found = holm([0.04, math.nan, 0.01, 0.03, 0.9])
    assert found[0] == found[3] == pytest.approx(0.09)
    assert (found[2], found[4]) == (pytest.approx(0.04), 0.9)
    assert math.isnan(found[1])
    assert holm([]) == []


def test_no_true_difference_is_rarely_seen():
    rng = np.random.default_rng(2)
    seen = [said(rng.normal(size=5)) is not Verdict.NOT_SEEN for _ in range(400)]
    assert 0.02 < np.mean(seen) < 0.09
