"""Intervals and correlations against closed forms, scipy and simulation."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from analysis.findings.agreement import operator_table, paired_stages, pooled_deviation, seed_spread, stage_correlation
from analysis.measures.intervals import Interval, mean_interval, share_interval
from analysis.measures.ranks import rank_correlation
from analysis.runs.trials import split_runs


def test_the_mean_s_interval_is_student_s():
    values = [0.61, 0.64, 0.60, 0.66, float("nan"), float("inf")]
    expected = scipy.stats.t.interval(0.95, 3, np.mean(values[:4]), scipy.stats.sem(values[:4]))
    found = mean_interval(values)
    assert (found.low, found.high) == pytest.approx(expected)
    assert (found.value, found.count) == (pytest.approx(0.6275), 4)


@pytest.mark.parametrize("values", [[], [float("nan")], [0.5]])
def test_less_than_two_values_have_no_interval(values):
    found = mean_interval(values)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.count == sum(map(math.isfinite, values))


@pytest.mark.parametrize(("hits", "count"), [(0, 5), (5, 5), (3, 40), (1, 1), (0, 0)])
def test_shares_have_wilson_s_interval(hits, count):
    found = share_interval(hits / count if count else math.nan, count)
    assert found.known == (count > 0)
    if count == 0:
        assert math.isnan(found.value)
        return
    expected = scipy.stats.binomtest(hits, count).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=1e-12)


@pytest.mark.parametrize("levels", [3, 5, 1000])
def test_correlations_are_scipy_s_with_and_without_ties(levels):
    rng = np.random.default_rng(levels)
    first = rng.integers(0, levels, 60)
    second = first + rng.integers(0, levels, 60)
    found = rank_correlation(first, second)
    assert found.spearman.value == pytest.approx(scipy.stats.spearmanr(first, second).statistic)
    assert found.kendall.value == pytest.approx(scipy.stats.kendalltau(first, second).statistic)
    assert found.spearman.low < found.spearman.value < found.spearman.high
    assert found == rank_correlation(first, second)
    assert found != rank_correlation(first, second, seed=1)


def test_the_bootstrap_is_the_one_that_draws_pairs():
    rng = np.random.default_rng(0)
    first = rng.normal(size=25).round(1)
    second = first + rng.normal(size=25).round(1)
    draws = rng.integers(0, 25, (600, 25))
    found = rank_correlation(first, second)
    for interval, test in ((found.spearman, scipy.stats.spearmanr), (found.kendall, scipy.stats.kendalltau)):
        values = [test(first[draw], second[draw]).statistic for draw in draws]
        assert (interval.low, interval.high) == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.08)


def test_many_pairs_agree_with_the_bootstrap_of_few(monkeypatch):
    monkeypatch.setattr("analysis.measures.ranks._MOST_PAIRS", 300)
    rng = np.random.default_rng(0)
    first = rng.normal(size=301)
    second = first + rng.normal(size=301)
    many, few = rank_correlation(first, second), rank_correlation(first[:300], second[:300])
    for name in ("spearman", "kendall"):
        one, other = getattr(many, name), getattr(few, name)
        assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high), abs=0.03)
    assert rank_correlation(first, first).spearman == Interval(1.0, 1.0, 1.0, 301)


def test_same_and_reversed_orders():
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 40]).kendall.value == 1
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]).spearman.value == pytest.approx(-1)


@pytest.mark.parametrize("pairs", [[], [(1, 2)], [(1, 2), (1, 3), (1, 4)], [(1, 2), (float("nan"), 3)]])
def test_without_an_order_there_is_no_correlation(pairs):
    first, second = np.array(pairs, dtype=float).reshape(-1, 2).T
    found = rank_correlation(first, second)
    assert math.isnan(found.spearman.value)
    assert math.isnan(found.kendall.low)


def test_stages_are_paired_by_architecture(make_row, make_frame):
    def row(number, accuracy, stage="inherited", **more):
        return make_row(number, 1e7, accuracy, stage=stage, **more)

    trials = make_frame(
        [
            row(0, 0.5, id="a", architecture="A"), row(1, 0.6, id="b", architecture="B"),
            row(2, 0.7, id="c", architecture="C"), row(3, 0.52, id="a", architecture="A"),
            row(0, 0.8, "finetuned", id="b", architecture="B"), row(1, 0.7, "finetuned", id="a", architecture="A"),
            row(2, None, "finetuned", id="c", architecture="C", state="failed", reason="x"),
            row(3, float("nan"), "finetuned", id="c", architecture="C"),
        ]
    )  # fmt: skip
    pairs = paired_stages(trials)
    assert list(pairs.columns) == ["id", "architecture", "inherited", "finetuned"]
    assert pairs.sort_values("id").to_numpy().tolist() == [["a", "A", 0.51, 0.7], ["b", "B", 0.6, 0.8]]
    assert stage_correlation(trials).kendall.value == 1
    assert len(paired_stages(trials, "inherited", "scratch")) == 0


def test_spread_over_seeds_counts_each_seed_once(make_row, make_frame):
    rows = [(0, 0.60, 1), (1, 0.62, 2), (2, 0.62, 2), (3, 0.64, 3)]
    same = [make_row(n, 1e7, accuracy, seed=seed, id="a", architecture="A") for n, accuracy, seed in rows]
    spread = seed_spread(make_frame([*same, make_row(9, 1e7, 0.5, id="b")]))
    assert spread["count"].tolist() == [3]
    assert spread["mean"][0] == pytest.approx(0.62)
    assert spread["deviation"][0] == pytest.approx(0.02)
    assert (spread["low"][0], spread["high"][0]) == pytest.approx(
        scipy.stats.t.interval(0.95, 2, 0.62, 0.02 / math.sqrt(3))
    )


def test_the_pooled_deviation_covers_the_true_one():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        values = rng.normal(0, 0.01, (4, 3))
        spread = pd.DataFrame({"count": [3] * 4, "deviation": values.std(axis=1, ddof=1)})
        found = pooled_deviation(spread)
        hits += found.low <= 0.01 <= found.high
    assert 180 <= hits <= 199
    assert found.value == pytest.approx(math.sqrt(values.var(axis=1, ddof=1).mean()))
    assert math.isnan(pooled_deviation(seed_spread_of_nothing()).value)


def seed_spread_of_nothing() -> pd.DataFrame:
    return pd.DataFrame({"count": [], "deviation": []})


def test_operators_are_counted_on_each_run_s_front(make_row, make_frame):
    rows = [
        make_row(0, 1e7, 0.5, operator="random"), make_row(1, 2e7, 0.6, operator="mutation"),
        make_row(2, 3e7, 0.4, operator="random"), make_row(3, 2e7, None, operator=None, state="failed", reason="x"),
        make_row(4, 2e7, None, operator="mutation", state="running"),
        make_row(0, 2e7, 0.9, operator="finetune", stage="finetuned"),
    ]  # fmt: skip
    trials = make_frame(rows)
    table = operator_table(trials).set_index("operator")
    assert table[["trials", "failed", "front"]].T.to_dict("list") == {
        "random": [2, 0, 1], "mutation": [1, 0, 1], "unknown": [1, 1, 0],
    }  # fmt: skip
    worse = trials.assign(accuracy=trials["accuracy"] - 0.3)
    both = pd.concat([trials.assign(run="a"), worse.assign(run="b")])
    assert operator_table(both).set_index("operator")["front"].to_dict() == {"random": 2, "mutation": 2, "unknown": 0}
    assert len(operator_table(trials[:0])) == 0
    assert list(split_runs(both)) == ["a", "b"]


def test_networks_of_differentiable_searches_have_no_earlier_stage_to_be_paired_with():
    rows = [
        {"id": f"{stage}{number}", "architecture": "a", "stage": stage, "state": "finished", "accuracy": 0.5}
        for number in range(3)
        for stage in ("searched", "final")
    ]
    assert stage_correlation(pd.DataFrame(rows)).pairs == 0


def test_networks_that_were_trained_from_nothing_are_paired_with_what_they_had_inherited():
    rows = [
        {"id": f"a{number}", "architecture": f"a{number}", "stage": stage, "state": "finished", "accuracy": accuracy}
        for number in range(5)
        for stage, accuracy in (("inherited", number / 10), ("final", 0.9 + number / 100))
    ]
    found = stage_correlation(pd.DataFrame(rows))
    assert found.pairs == 5
    assert found.kendall.value == pytest.approx(1)
