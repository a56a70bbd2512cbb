"""Trials in generations: nothing is lost, nothing is done twice, whatever happens to workers and to the process."""

import math
from types import SimpleNamespace

import pytest

from search.config.search import SearchConfig
from search.pipeline.phases import Tasks
from search.runs.records import EpochReport, State
from search.worker.tasks import TrainSupernet

FACTS = ("number", "id", "operator", "parents", "seed", "generation", "values", "state")


def facts(records):
    return [tuple(getattr(record, name) for name in FACTS) for record in records]


@pytest.fixture(scope="module")
def clean(tmp_path_factory, search_in):
    return facts(search_in(tmp_path_factory.mktemp("clean"), SearchConfig(trials=25, generation=10)).run())


@pytest.mark.parametrize("reports", range(26))
def test_killed_after_any_report_and_begun_anew_the_search_is_the_same(make_search, clean, reports):
    make_search(trials=25, generation=10).run(reports)
    resumed = make_search(trials=25, generation=10)
    assert sum(record.done for record in resumed.trials.records) == reports
    assert facts(resumed.run()) == clean


def test_killed_after_any_line_of_the_journal_the_search_is_the_same(make_search, clean, tmp_path):
    make_search(trials=25, generation=10).run()
    journal = tmp_path / "run" / "journal.log"
    lines = journal.read_bytes().splitlines(keepends=True)
    for kept in range(0, len(lines), 5):
        journal.write_bytes(b"".join(lines[:kept]))
        assert facts(make_search(trials=25, generation=10).run()) == clean, f"after {kept} of {len(lines)} lines"


def test_a_finished_search_resumed_hands_out_nothing_and_writes_nothing(make_search, tmp_path):
    make_search(trials=25, generation=10).run()
    before = (tmp_path / "run" / "journal.log").read_bytes()
    resumed = make_search(trials=25, generation=10)
    assert resumed.trials.next_task() is None
    assert resumed.trials.finished
    assert (tmp_path / "run" / "journal.log").read_bytes() == before


def test_a_generation_waits_for_the_one_before(make_search):
    search = make_search(trials=40, generation=10)
    tasks = []
    while (task := search.trials.next_task()) is not None:
        tasks.append(task)
    assert sorted(trial.number for task in tasks for trial in task.trials) == list(range(10))
    assert not search.trials.finished
    for task in tasks[:-1]:
        for trial in task.trials:
            search.trials.report(task, search.outcome(trial))
    assert search.trials.next_task() is None
    for trial in tasks[-1].trials:
        search.trials.report(tasks[-1], search.outcome(trial))
    assert search.trials.next_task().trials[0].number == 10


def test_candidates_of_a_lost_worker_are_tried_again_and_then_set_aside(make_search):
    search = make_search(trials=4, generation=4, retries=2)
    attempts: dict[int, int] = {}
    while (task := search.trials.next_task()) is not None:
        for trial in task.trials:
            attempts[trial.number] = attempts.get(trial.number, 0) + 1
            if trial.number == 2:
                search.trials.lost(task, "the worker was lost")
                break
            search.trials.report(task, search.outcome(trial))
    records = search.trials.records
    assert [record.state for record in records] == [State.FINISHED] * 2 + [State.FAILED, State.FINISHED]
    assert records[2].reason == "the worker was lost"
    assert (attempts[2], records[2].attempt) == (3, 3)
    assert attempts[0] == attempts[1] == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_a_failure_with_a_reason(make_search, bad):
    search = make_search(trials=2, generation=2, retries=0)
    while (task := search.trials.next_task()) is not None:
        for trial in task.trials:
            metrics = {"accuracy": bad if trial.number else 0.5, "ops": 1.0}
            search.trials.report(task, search.outcome(trial, metrics=metrics))
    good, failed = search.trials.records
    assert (good.state, failed.state) == (State.FINISHED, State.FAILED)
    assert failed.reason == "accuracy not finite"
    assert failed.values == ()


def test_an_outcome_that_comes_twice_counts_once(make_search):
    search = make_search(trials=3, generation=3)
    task = search.trials.next_task()
    trial = task.trials[0]
    search.trials.report(task, search.outcome(trial))
    search.trials.report(task, search.outcome(trial, metrics={"accuracy": 0.0, "ops": 0.0}))
    assert search.trials.records[0].metrics["accuracy"] > 0


def test_a_part_of_an_epoch_is_shown_and_not_kept():
    kept, shown = [], []
    config = SimpleNamespace(execution=SimpleNamespace(retries=0))
    run, view = SimpleNamespace(config=config, log_epoch=kept.append), SimpleNamespace(epoch=shown.append)
    task = TrainSupernet(2)
    phase = Tasks([task], run, view)
    parts = [EpochReport("supernet", None, 1, 2, 0.5, 100.0, 0.1, share=share) for share in (0.5, 1.0)]
    for part in parts:
        phase.report(task, part)
    assert shown == parts
    assert kept == parts[1:]
