"""Early stopping: who goes on depends on equal epochs alone, and nothing that may reach the front is stopped."""

import random

import pytest

from search.config.trainings import CandidateConfig
from search.pipeline.stopping.halving import survivors
from search.runs.records import Record, Stage, State

OBJECTIVES = ("accuracy", "ops")


def record(number, accuracy, ops, rung=1, generation=0):
    return Record(
        number, Stage.TRAINED, State.RUNNING, f"a{number}", f"id{number}", generation, "random", "random", (), 0,
        rungs={rung: {"accuracy": accuracy, "ops": ops}},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "rungs"),
    [
        ({"epochs": 8}, (1, 2, 4, 8)),
        ({"epochs": 10, "first_rung": 2, "reduction": 3}, (2, 6, 10)),
        ({"epochs": 3, "reduction": 1.1}, (1, 2, 3)),
        ({"epochs": 4, "reduction": 1}, (1, 2, 3, 4)),
        ({"epochs": 8, "early_stopping": False}, (8,)),
        ({"epochs": 1}, (1,)),
        ({"epochs": 4, "first_rung": 9}, (4,)),
    ],
)
def test_rungs(settings, rungs):
    assert CandidateConfig(**settings).rungs == rungs


def test_rungs_of_a_table_are_those_that_it_has():
    assert CandidateConfig(epochs=20, reduction=2).rungs_among((1, 2, 3, 4, 5, 6)) == (1, 2, 4, 6)
    assert CandidateConfig(epochs=20, reduction=3, first_rung=2).rungs_among((1, 2, 4)) == (2, 4)
    assert CandidateConfig(first_rung=9).rungs_among((1, 4)) == (4,)


def test_half_go_on_the_least_dominated_first():
    #  0 and 1 are not dominated; 2 is dominated by 1, 3 by 2 as well
    candidates = [record(0, 0.5, 10), record(1, 0.9, 20), record(2, 0.8, 30), record(3, 0.7, 40)]
    assert survivors(candidates, [], 1, OBJECTIVES, 2) == {0, 1}
    assert survivors(candidates, [], 1, OBJECTIVES, 4 / 3) == {0, 1, 2}


def test_a_reduction_of_one_stops_none():
    candidates = [record(0, 0.9, 10), record(1, 0.8, 20), record(2, 0.7, 30)]
    assert survivors(candidates, [], 1, OBJECTIVES, 1) == {0, 1, 2}


def test_what_is_not_dominated_is_never_stopped():
    line = [record(number, number / 10, number) for number in range(8)]
    assert survivors(line, [], 1, OBJECTIVES, 4) == set(range(8))


def test_earlier_generations_count_where_they_reached_the_rung():
    candidates = [record(5, 0.5, 10, generation=1), record(6, 0.4, 5, generation=1)]
    better = record(0, 0.9, 5)
    assert survivors(candidates, [], 1, OBJECTIVES, 2) == {5, 6}
    assert survivors(candidates, [better], 1, OBJECTIVES, 2) == {5}, "more accurate, of the dominated two"
    elsewhere = record(0, 0.9, 5, rung=2)
    assert survivors(candidates, [elsewhere], 1, OBJECTIVES, 2) == {5, 6}, "accuracy is compared after equal epochs"


def test_the_order_of_arrival_changes_nothing():
    rng = random.Random(0)
    candidates = [record(number, rng.random(), rng.randrange(9)) for number in range(24)]
    before = [record(100 + number, rng.random(), rng.randrange(9)) for number in range(24)]
    expected = survivors(candidates, before, 1, OBJECTIVES, 2)
    assert 12 <= len(expected) < 24
    for _ in range(5):
        rng.shuffle(candidates)
        rng.shuffle(before)
        assert survivors(candidates, before, 1, OBJECTIVES, 2) == expected


def test_one_objective_is_plain_halving():
    candidates = [record(number, accuracy, 1) for number, accuracy in enumerate((0.1, 0.4, 0.3, 0.2))]
    assert survivors(candidates, [], 1, ("accuracy",), 2) == {1, 2}
