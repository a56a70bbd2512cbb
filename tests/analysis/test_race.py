"""Medians, tests of pairs, yardsticks of tables, and races on them."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy.stats import binom

from analysis.findings.comparison import compare
from analysis.measures.hypervolume import hypervolume
from analysis.measures.pairs import duel, matches, median_interval
from analysis.measures.verdicts import holm
from analysis.plots.race import plot_race
from analysis.tables.race import Race, entrant
from analysis.tables.table import Table, TableError
from analysis.tables.yardstick import yardstick
from spaces import get_space

SPACE = get_space("vgg-digits")


@pytest.fixture(scope="module")
def table() -> Table:
    """Two replicates of made accuracies of 200 networks."""
    rng = np.random.default_rng(0)
    places = np.arange(0, 1200, 6)
    accuracy = 0.5 + rng.random((len(places), 2)) / 2
    return Table("made", SPACE, "inherited", (), places, {"accuracy": accuracy}, {})


# Medians and pairs


def test_the_interval_of_a_median_has_its_order_statistics():
    for count in (6, 9, 30, 100):
        found = median_interval(np.arange(1, count + 1))
        rank = int(found.low)
        assert found.high == count + 1 - rank
        assert 2 * binom.cdf(rank - 1, count, 0.5) <= 0.05 < 2 * binom.cdf(rank, count, 0.5)
        assert found.value == (count + 1) / 2


def test_what_was_never_reached_counts_and_what_is_unknown_does_not():
    found = median_interval([3, math.inf, 5, math.inf, math.inf, math.nan, 1, 2])
    assert (found.value, found.low, found.high, found.count) == (5, 1, math.inf, 7)
    assert median_interval([math.inf] * 8).value == math.inf
    assert math.isnan(median_interval([]).value)
    assert not median_interval([1, 2, 3, 4, 5]).known


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30))
def test_a_duel_looks_the_same_from_both_sides(pairs):
    one, other = np.array(pairs, dtype=float).T
    here, there = duel(one, other), duel(other, one)
    assert (here.better, here.worse, here.equal) == (there.worse, there.better, there.equal)
    assert here.pairs == len(pairs)
    assert here.difference.value == -there.difference.value
    assert here.p == pytest.approx(there.p)


def test_a_duel_finds_what_is_there_and_nothing_else():
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(2, 30))
    assert duel(noise[0] + 1.5, noise[1]).p < 0.001
    false = [duel(*rng.normal(size=(2, 30))).p < 0.05 for _ in range(200)]
    assert sum(false) / 200 < 0.1
    assert duel([1, 2], [1, 2]).p == 1
    assert math.isnan(duel([math.nan], [1]).p)
    with pytest.raises(ValueError, match="one length, got 2 and 1"):
        duel([1, 2], [1])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_none_and_bonferroni_and_keeps_the_order(p_values):
    adjusted = holm(p_values)
    order = np.argsort(p_values, kind="stable")
    assert np.all(np.diff(np.asarray(adjusted)[order]) >= 0)
    for p, found in zip(p_values, adjusted, strict=True):
        assert p <= found <= min(1.0, p * len(p_values)) or found == max(adjusted)
    assert min(adjusted) == pytest.approx(min(1.0, min(p_values) * len(p_values)))


def test_pairs_are_the_seeds_that_both_have():
    found = matches({"a": {0: 1.0, 1: 2.0}, "b": {1: 1.0, 2: 9.0}, "c": {}})
    assert [(each.one, each.other, each.duel.better, each.duel.pairs) for each in found] == [
        ("a", "b", 1, 1),
        ("a", "c", 0, 0),
        ("b", "c", 0, 0),
    ]


def test_groups_of_runs_are_compared_seed_by_seed(make_run):
    runs = [make_run(f"{p}-{s}", seed=s, proposer=p) for p in ("evolution", "random") for s in (0, 1, 2)]
    (found,) = compare(runs).differences
    assert (found.first, found.second) == ("proposer evolution", "proposer random")
    assert found.hypervolume.interval.count == 3
    assert compare(runs[:3]).differences == ()


# Yardsticks and races


def test_the_reference_point_is_one_for_all_replicates_and_the_front_is_the_whole(table):
    measure = yardstick(table)
    for replicate in range(2):
        points = table.points(("accuracy", "ops"), replicate)
        assert hypervolume(points, measure.reference, ("max", "min")) == pytest.approx(measure.whole[replicate])
        assert measure.history(points, replicate)[-1] == pytest.approx(1)
    fronts = [table.metrics(text, replicate) for replicate in range(2) for text in table.front(replicate=replicate)]
    accuracies, ops = ([each[name] for each in fronts] for name in ("accuracy", "ops"))
    assert measure.reference == pytest.approx(
        (min(accuracies) - 0.1 * (max(accuracies) - min(accuracies)), max(ops) + 0.1 * (max(ops) - min(ops)))
    )


def test_a_limit_leaves_the_front_of_cheap_networks(table):
    most = float(np.median(table.values("ops")))
    measure = yardstick(table, ("accuracy", "ops", "params"), most)
    points = table.points(("accuracy", "ops", "params"))
    assert measure.history(points[points[:, 1] <= most])[-1] == pytest.approx(1)
    assert len(measure.reference) == 3
    with pytest.raises(TableError, match="no network with at most 1 operations"):
        yardstick(table, ops_max=1)
    with pytest.raises(TableError, match="unknown number 'latency_ms'"):
        yardstick(table, ("accuracy", "latency_ms"))


def searches(table, orders, ends=None):
    points = table.points()
    return [(points[order], np.arange(1, len(order) + 1) if ends is None else ends, 0) for order in orders]


def test_a_race_tells_who_is_where_when(table):
    measure = yardstick(table)
    front = np.flatnonzero(np.isin(table.places, [SPACE.rank(SPACE.parse(text)) for text in table.front()]))
    rest = np.setdiff1d(np.arange(len(table)), front)
    good = entrant("good", searches(table, [np.append(front, rest)] * 8), measure, [2.0] * 8)
    bad = entrant("bad", searches(table, [np.append(rest, front)] * 8), measure, [1.0] * 8)
    assert set(good.trials_to(1 - 1e-9)) == {len(front)}
    assert set(bad.trials_to(1 - 1e-9)) == {len(table)}
    race = Race("made", measure, {"good": good, "bad": bad})
    first, second = race.standings()
    assert first.hypervolumes[0].value == pytest.approx(1)
    assert second.hypervolumes[0].value < 1
    assert second.regret.value == pytest.approx(0)
    assert first.trials_to_first.value == len(front)
    (match,) = race.matches()
    assert match.duel.equal == 8
    frame = race.frame()
    assert len(frame) == 16 * len(table)
    assert set(frame["proposer"]) == {"good", "bad"}
    figure = plot_race(race)
    assert len(figure.axes) == 2


def test_time_counts_trials_when_they_end_and_short_searches_keep_what_they_have(table):
    measure = yardstick(table)
    order = np.arange(4)
    one = entrant("one", searches(table, [order], np.array([4.0, 3.0, 2.0, 1.0])), measure, [0.0])
    backwards = measure.history(table.points()[order[::-1]])
    assert one.at([0.5, 1, 2.5, 9])[0].tolist() == pytest.approx([0.0, backwards[0], backwards[1], backwards[3]])
    two = entrant("two", [*searches(table, [order]), *searches(table, [order[:2]])], measure, [0.0, 0.0])
    assert two.curves[1].tolist() == [*two.curves[1, :2], *[two.curves[1, 1]] * 2]
    assert two.after(0.5).shape == (2,)
