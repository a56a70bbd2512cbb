"""Tasks and reports: values that cross between processes as JSON and are the same on the other side."""

import json
import math

import pytest

from search.runs.records import EpochReport, Outcome, Record, Stage, State
from search.worker import tasks

NOW = "2026-01-01T00:00:00"
TRIALS = (tasks.TrialInput(3, "c8k3g1", "a1"), tasks.TrialInput(4, "c16k3g1", "b2", "uniform 1x"))
TASKS = [
    tasks.Evaluate(TRIALS),
    tasks.SearchCells(TRIALS[:1]),
    tasks.Fit(TRIALS[1:], Stage.REFERENCE),
    tasks.Fit(TRIALS[:1], Stage.TRAINED, until=4),
    tasks.TrainSupernet(),
    tasks.TrainShared(),
    tasks.MeasureLatencies(),
    tasks.Deploy("a1", "c8k3g1", Stage.FINAL),
]
OUTCOMES = [
    Outcome(3, {"accuracy": 0.5, "ops": 12, "loss": 1e-9}, None, NOW, 0.1, "host", "1", {"genotype": "x"}),
    Outcome(4, {}, "ValueError: ü", NOW, 0.0, "host", "1"),
]
REPORTS = [
    EpochReport("supernet", None, 1, 2, 0.5, 320.0, 0.1),
    EpochReport("trained", "a1", 2, 2, 0.25, 320.5, 0.0, 0.75),
    *OUTCOMES,
    tasks.TaskError("RuntimeError: no"),
    tasks.Trained(),
    tasks.Measured(7),
    tasks.Deployed("a1", Stage.INHERITED, 0.875, 0.75),
]


@pytest.mark.parametrize(("values", "kinds"), [(TASKS, tasks.TASKS), (REPORTS, tasks.REPORTS)])
def test_json_gives_the_same_value_of_every_kind(values, kinds):
    assert {type(value) for value in values} == set(kinds.values()), "a kind without an example"
    for value in values:
        text = tasks.to_json(value)
        again = tasks.from_json(text, kinds)
        assert again == value
        assert type(again) is type(value)
        assert tasks.to_json(again) == text, "whole numbers stay whole"


def test_a_stage_and_the_trials_of_a_task_are_values_again_and_not_words():
    task = tasks.from_json(tasks.to_json(TASKS[2]), tasks.TASKS)
    assert task.stage is Stage.REFERENCE
    assert isinstance(task.trials[0], tasks.TrialInput)
    assert hash(task) == hash(TASKS[2])


def test_a_metric_that_is_not_finite_arrives_and_is_the_reason():
    sent = Outcome(1, {"accuracy": math.nan}, None, "", 0.0, "", "")
    came = tasks.from_json(tasks.to_json(sent), tasks.REPORTS)
    assert math.isnan(came.metrics["accuracy"])
    assert came.reason == "accuracy not finite"


def test_kinds_are_words():
    of_trials, others = ["evaluate", "fit", "search_cells"], ["measure_latencies", "deploy"]
    assert list(tasks.TASKS) == [*of_trials, "train_supernet", "train_shared", *others]
    assert json.loads(tasks.to_json(tasks.Measured(7))) == {"kind": "measured", "operations": 7}


def test_a_task_of_trials_ends_with_the_outcome_of_the_last_one_and_any_task_with_an_error():
    task = TASKS[0]
    assert [tasks.is_last(task, report) for report in (REPORTS[0], *OUTCOMES)] == [False, False, True]
    assert [tasks.is_last(task.without({4}), outcome) for outcome in OUTCOMES] == [True, False]
    assert all(tasks.is_last(each, tasks.TaskError("no")) for each in TASKS)
    assert tasks.is_last(tasks.TrainSupernet(), tasks.Trained())
    assert not tasks.is_last(tasks.TrainSupernet(), REPORTS[0])


def test_only_trainings_that_come_first_have_the_machine_to_themselves():
    parent = tasks.Fit((tasks.TrialInput(0, "1-1", "p", "parent"),), Stage.REFERENCE)
    assert [tasks.is_exclusive(task) for task in (*TASKS, parent)] == [False] * 4 + [True] * 3 + [False, True]


def test_only_references_tell_a_worker_their_operator():
    def record(stage):
        return Record(1, stage, State.WAITING, "1-1", "id", 0, "", "uniform 1x", (), 0)

    given = tasks.inputs([record(Stage.REFERENCE), record(Stage.TRAINED)])
    assert given == (tasks.TrialInput(1, "1-1", "id", "uniform 1x"), tasks.TrialInput(1, "1-1", "id"))
