"""Hypervolume against closed forms, counted cells and another implementation."""

import hypothesis.strategies as st
import moocore
import numpy as np
import pytest
from hypothesis import given, settings

from analysis.measures.hypervolume import hypervolume, hypervolume_history


@st.composite
def grids(draw, least=1, most=4):
    """Whole-number points, some beyond the reference, which is (6, ..., 6)."""
    count = draw(st.integers(least, most))
    rows = draw(st.lists(st.lists(st.integers(0, 8), min_size=count, max_size=count), max_size=12))
    return np.array(rows, dtype=float).reshape(-1, count)


def cells(points):
    """Unit cells below (6, ..., 6) that some point covers: the hypervolume of whole numbers, by counting."""
    axes = np.meshgrid(*[np.arange(6)] * points.shape[1], indexing="ij")
    corners = np.column_stack([axis.ravel() for axis in axes])
    return sum(bool(len(points)) and bool((points <= corner).all(axis=1).any()) for corner in corners)


@settings(max_examples=150, deadline=None)
@given(grids())
def test_whole_numbers_give_the_number_of_cells(points):
    objectives = points.shape[1]
    assert hypervolume(points, [6] * objectives, ["min"] * objectives) == cells(points)


@settings(max_examples=100, deadline=None)
@given(grids())
def test_the_history_is_the_hypervolume_of_every_beginning(points):
    objectives = points.shape[1]
    history = hypervolume_history(-points, [-6] * objectives, ["max"] * objectives)
    np.testing.assert_array_equal(history, [cells(points[: end + 1]) for end in range(len(points))])


@pytest.mark.parametrize("objectives", [2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(5))
def test_real_numbers_agree_with_moocore(objectives, seed):
    rng = np.random.default_rng(seed)
    points = rng.random((60, objectives)) * 1.2
    points = np.concatenate([points, points[:5], np.round(points[:20], 1)])
    maximise = [bool(index % 2) for index in range(objectives)]
    reference = [0.1 if flag else 1.0 for flag in maximise]
    expected = moocore.hypervolume(points, ref=reference, maximise=maximise)
    got = hypervolume(points, reference, ["max" if flag else "min" for flag in maximise])
    assert got == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_history_ends_at_the_hypervolume_and_never_falls():
    points = np.random.default_rng(3).random((2000, 2))
    history = hypervolume_history(points, [0.9, 0.1], ["min", "max"])
    assert (np.diff(history) >= 0).all()
    assert history[-1] == pytest.approx(hypervolume(points, [0.9, 0.1], ["min", "max"]), rel=1e-12)


@pytest.mark.parametrize("objectives", [1, 2, 3, 4, 5])
def test_one_point_covers_its_box(objectives):
    assert hypervolume([[2.0] * objectives], [5] * objectives, ["min"] * objectives) == 3**objectives


def test_corners_of_a_cube_that_overlap():
    points = [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    assert hypervolume(points, [2, 2, 2], ["min"] * 3) == 4  # three boxes of 2 that share one cell of 1


@pytest.mark.parametrize("objectives", [2, 3])
def test_what_counts_for_nothing(objectives):
    directions, reference = ["min"] * objectives, [1.0] * objectives
    one = [[0.5] * objectives]
    beyond = [[1.5] * objectives, [1.0] + [0.0] * (objectives - 1), [0.2] * (objectives - 1) + [2.0]]
    odd = [[np.nan] * objectives, [np.inf] * objectives, [-np.inf] * objectives, [0.0] * (objectives - 1) + [np.nan]]
    assert hypervolume(one + one + beyond + odd, reference, directions) == 0.5**objectives
    assert hypervolume(beyond + odd, reference, directions) == 0
    assert hypervolume([], reference, directions) == 0


def test_history_keeps_a_place_for_every_trial():
    points = [[np.nan, 0.5], [1, 0.5], [-np.inf, 0.9], [1, np.inf], [3, 0.9], [1, 0.5]]
    assert hypervolume_history(points, [2, 0], ["min", "max"]).tolist() == [0, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert hypervolume_history([], [2, 0], ["min", "max"]).shape == (0,)


def test_references_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="2 values, one per objective"):
        hypervolume([[1, 2]], [1], ["min", "max"])
    with pytest.raises(ValueError, match="finite"):
        hypervolume([[1, 2]], [1, np.nan], ["min", "max"])
    with pytest.raises(ValueError, match="3 values, one per objective"):
        hypervolume_history([[1, 2, 3]], [1, 1], ["min"] * 3)
