"""Attainment surfaces against their definition and another implementation; hypervolume of several runs."""

import math

import hypothesis.strategies as st
import moocore
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from analysis.findings.growth import hypervolume_curves, hypervolume_table
from analysis.measures.attainment import attainment_surface

RUN = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=6)


def attained(runs, point, share) -> bool:
    """By definition: whether at least a share of the runs have a point that is nowhere worse."""
    count = sum(any(x <= point[0] and y <= point[1] for x, y in run) for run in runs)
    return count >= share * len(runs) - 1e-9 and count > 0


@settings(max_examples=150, deadline=None)
@given(st.lists(RUN, min_size=1, max_size=5), st.sampled_from([0.25, 0.5, 0.75, 1.0]))
def test_the_surface_bounds_what_is_attained(runs, share):
    surface = attainment_surface([np.array(run, dtype=float).reshape(-1, 2) for run in runs], ("min", "min"), share)
    for x in range(8):
        for y in range(8):
            assert bool((surface <= [x, y]).all(axis=1).any()) == attained(runs, (x, y), share)
    assert (np.diff(surface[:, 0]) > 0).all()
    assert (np.diff(surface[:, 1]) < 0).all()


@pytest.mark.parametrize("directions", [("min", "max"), ("max", "max"), ("max", "min"), ("min", "min")])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_surfaces_are_moocore_s(directions, share):
    rng = np.random.default_rng(0)
    runs = [rng.random((30, 2)) for _ in range(7)]
    signs = np.array([1 if direction == "min" else -1 for direction in directions])
    sets = np.repeat(np.arange(7), 30)
    expected = moocore.eaf(np.concatenate(runs) * signs, sets=sets, percentiles=[100 * share])[:, :2]
    found = attainment_surface(runs, directions, share)
    expected = expected * signs
    np.testing.assert_allclose(found, expected[np.argsort(expected[:, 0])])


def test_what_counts_for_nothing():
    odd = [[math.nan, 1], [1, math.inf], [2, 3]]
    assert attainment_surface([odd], ("min", "min")).tolist() == [[2, 3]]
    assert attainment_surface([odd, []], ("min", "min"), 1).shape == (0, 2)
    assert attainment_surface([], ("min", "min")).shape == (0, 2)
    with pytest.raises(ValueError, match="above 0 and at most 1, got 0"):
        attainment_surface([odd], ("min", "min"), 0)


def test_hypervolume_has_an_interval_over_runs(make_frame, make_search):
    good = [make_frame(make_search(40, seed)) for seed in range(3)]
    poor = [frame.assign(accuracy=frame["accuracy"] - 0.1)[:30] for frame in good]
    curves = hypervolume_curves({"good": good, "poor": poor})
    assert (curves["good"].shape, curves["poor"].shape) == ((3, 40), (3, 30))
    assert (np.diff(curves["good"], axis=1) >= 0).all()
    table = hypervolume_table({"good": good, "poor": poor}).set_index("group")
    assert table["trials"].tolist() == [30, 30]
    assert table["hypervolume"]["good"] == pytest.approx(curves["good"][:, 29].mean())
    assert table["low"]["good"] < table["hypervolume"]["good"] < table["high"]["good"]
    assert table["hypervolume"]["poor"] < table["hypervolume"]["good"]
    assert hypervolume_table({"good": good}, trials=10)["trials"].tolist() == [10]


def test_runs_come_as_a_frame_a_list_or_groups(make_frame, make_search):
    first, second = (make_frame(make_search(20, seed)) for seed in range(2))
    both = pd.concat([first.assign(run="a"), second.assign(run="b")])
    expected = hypervolume_table([first, second])
    pd.testing.assert_frame_equal(hypervolume_table(both), expected)
    pd.testing.assert_frame_equal(hypervolume_table({"": [first, second]}), expected)
    assert expected["runs"].tolist() == [2]


def test_one_run_and_no_trial_have_no_interval(make_frame, make_search):
    one = hypervolume_table([make_frame(make_search(5))])
    assert one[["low", "high"]].isna().all().all()
    nothing = hypervolume_table({"a": [make_frame([])], "b": []})
    assert nothing["runs"].tolist() == [1, 0]
    assert nothing["hypervolume"].isna().all()
