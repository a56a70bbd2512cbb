"""Fronts against their definition, a closed form and another implementation."""

import itertools
import time

import hypothesis.strategies as st
import moocore
import numpy as np
import pytest
from hypothesis import given, settings

from analysis.measures.pareto import knee, non_dominated_rank, pareto_front

# few different values, so that ties and copies are common
coarse = st.sampled_from([0.0, -0.0, 0.1, 0.2, 0.3, 1e300, -1e300, 5e-324])
broken = st.sampled_from([np.nan, np.inf, -np.inf])
DIRECTIONS = ("min", "max")


@st.composite
def clouds(draw):
    count = draw(st.integers(1, 4))
    row = st.lists(coarse | st.floats(-2, 2) if draw(st.booleans()) else coarse, min_size=count, max_size=count)
    odd = st.lists(coarse | broken, min_size=count, max_size=count)
    rows = draw(st.lists(row | odd if draw(st.booleans()) else row, max_size=25))
    directions = draw(st.lists(st.sampled_from(DIRECTIONS), min_size=count, max_size=count))
    return np.array(rows).reshape(-1, count), directions


def dominates(a, b, directions):
    better = [(p < q) if d == "min" else (p > q) for p, q, d in zip(a, b, directions, strict=True)]
    worse = [(p > q) if d == "min" else (p < q) for p, q, d in zip(a, b, directions, strict=True)]
    return any(better) and not any(worse)


def front_by_definition(points, directions):
    finite = np.isfinite(points).all(axis=1)
    return np.array(
        [
            bool(finite[i]) and not any(finite[j] and dominates(q, p, directions) for j, q in enumerate(points))
            for i, p in enumerate(points)
        ],
        dtype=bool,
    )


@settings(max_examples=150, deadline=None)
@given(clouds())
def test_the_front_is_what_the_definition_says(cloud):
    points, directions = cloud
    np.testing.assert_array_equal(pareto_front(points, directions), front_by_definition(points, directions))


@settings(max_examples=100, deadline=None)
@given(clouds())
def test_ranks_are_fronts_peeled_off(cloud):
    points, directions = cloud
    ranks = non_dominated_rank(points, directions)
    left = np.isfinite(points).all(axis=1)
    for rank in itertools.count():
        if not left.any():
            break
        front = np.zeros(len(points), dtype=bool)
        front[left] = front_by_definition(points[left], directions)
        np.testing.assert_array_equal(front, (ranks == rank) & np.isfinite(points).all(axis=1))
        left &= ~front
    broken_rows = ~np.isfinite(points).all(axis=1)
    assert (ranks[broken_rows] == max(rank, 1)).all()
    np.testing.assert_array_equal(ranks == 0, pareto_front(points, directions))


@settings(max_examples=100, deadline=None)
@given(clouds(), st.randoms(use_true_random=False))
def test_neither_order_nor_a_rising_rescaling_changes_the_front(cloud, random):
    points, directions = cloud
    front = pareto_front(points, directions)
    order = list(range(len(points)))
    random.shuffle(order)
    np.testing.assert_array_equal(pareto_front(points[order], directions), front[order])
    np.testing.assert_array_equal(pareto_front(points * 4, directions), pareto_front(points, directions))
    mirrored = ["max" if direction == "min" else "min" for direction in directions]
    np.testing.assert_array_equal(pareto_front(-points, mirrored), front)


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_the_front_and_ranks_are_those_of_moocore(objectives):
    points = np.random.default_rng(objectives).integers(0, 30, (400, objectives)).astype(float)
    maximise = [bool(index % 2) for index in range(objectives)]
    directions = ["max" if flag else "min" for flag in maximise]
    np.testing.assert_array_equal(
        pareto_front(points, directions), moocore.is_nondominated(points, maximise=maximise, keep_weakly=True)
    )
    np.testing.assert_array_equal(
        non_dominated_rank(points, directions), moocore.pareto_rank(points, maximise=maximise)
    )


def test_points_on_a_circle_are_all_on_the_front():
    angle = np.linspace(0, np.pi / 2, 1000)
    assert pareto_front(np.column_stack([np.cos(angle), np.sin(angle)]), ["max", "max"]).all()


def test_empty_input_of_any_shape_gives_empty_output():
    assert pareto_front([], ["min", "max"]).shape == (0,)
    assert pareto_front(np.empty((0, 3)), ["min"] * 3).dtype == bool
    assert non_dominated_rank([], ["min", "max"]).shape == (0,)
    assert knee(np.empty((0, 2))) is None


def test_a_million_points_take_under_a_second_or_so():
    points = np.random.default_rng(0).random((1_000_000, 2))
    start = time.perf_counter()
    mask = pareto_front(points, ["min", "max"])
    assert 5 < mask.sum() < 50
    assert time.perf_counter() - start < 4  # 0.3 s on an idle core; other work may share it


@pytest.mark.parametrize(
    ("points", "directions", "words"),
    [
        ([[1, 2]], ["min"], r"shape \(points, 1\)"),
        ([1, 2], ["min", "max"], r"got \(2,\)"),
        ([[1, 2]], ["min", "up"], "directions must be 'min' or 'max'"),
        ([[1, 2]], [], "directions must be"),
    ],
)
def test_shapes_and_directions_that_do_not_fit_are_refused(points, directions, words):
    for function in (pareto_front, non_dominated_rank):
        with pytest.raises(ValueError, match=words):
            function(points, directions)


def test_the_knee_is_the_corner_of_an_elbow():
    assert knee([[1, 0.1], [2, 0.8], [3, 0.82], [9, 0.9]]) == 1
    assert knee([[9, 0.9], [3, 0.82], [2, 0.8], [1, 0.1]]) == 2
    assert knee([[1, 9], [2, 2], [9, 1]], ["min", "min"]) == 1


def test_the_knee_of_a_quarter_circle_is_its_middle():
    angle = np.linspace(0, np.pi / 2, 101)
    assert knee(np.column_stack([np.cos(angle), np.sin(angle)]), ["max", "max"]) == 50


@pytest.mark.parametrize(
    "front", [[[1, 1]], [[1, 1], [2, 2]], [[1, 1], [2, 2], [3, 3]], [[1, 0], [9, 0.1], [10, 1]], [[1, 1], [1, 1]]]
)
def test_a_front_that_does_not_bulge_has_no_knee(front):
    assert knee(front) is None


def test_a_knee_needs_two_finite_objectives():
    with pytest.raises(ValueError, match="two objectives"):
        knee([[1, 2, 3]], ["min", "min", "min"])
    with pytest.raises(ValueError, match="finite"):
        knee([[1, np.nan]])
