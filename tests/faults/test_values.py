"""Candidates that fail in every way there is: recorded with the reason, told to the proposer, never on the front, and
the search goes on. Clocks that jump."""

import math
import os
import resource
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

import search.execution.inline as executors
from search.execution.inline import InlineExecutor, time_limit
from search.runs.fronts import front_records
from search.runs.locking import writing
from search.runs.records import State, now
from search.runs.study import read_records
from search.worker.tasks import timed_out


class Worker:
    """A worker whose evaluation is pretended, but for some candidates that do something worse."""

    def __init__(self, search, trouble) -> None:
        self._search, self._trouble = search, trouble

    def run(self, task):
        for trial in task.trials:
            try:
                changes = self._trouble(trial.number) or {}
            except Exception as error:  # noqa: BLE001 -- as a worker's own attempt at a trial
                changes = {"metrics": {}, "reason": f"{type(error).__name__}: {error}"}
            yield self._search.outcome(trial, **changes)


def run(search, trouble, limit: float | None = None) -> dict[int, object]:
    executor = InlineExecutor.__new__(InlineExecutor)
    executor._worker, executor._limit = Worker(search, trouble), limit
    executor.run(search.trials)
    return {record.number: record for record in search.trials.records}


def allocate() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, before[1]))
    try:
        import torch

        torch.ones(2**28)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_what_goes_wrong_is_recorded_and_the_search_ends(pretended, tmp_path):
    bad = {1: math.nan, 4: math.inf, 7: -math.inf}

    def trouble(number):
        if number in bad:
            return {"metrics": {"accuracy": bad[number], "ops": 5.0, "params": 7}}
        if number == 9:
            return {"metrics": {"ops": 5.0}}
        if number == 10:
            raise ZeroDivisionError("division by zero")
        if number == 12:
            time.sleep(30)
        if number == 13:
            allocate()
        return None

    records = run(pretended(tmp_path, 24, 8), trouble, limit=0.2)
    reasons = {number: record.reason for number, record in records.items() if record.state is State.FAILED}
    assert reasons.keys() == {1, 4, 7, 9, 10, 12, 13}
    assert all("accuracy not finite" in reasons[number] for number in bad)
    assert reasons[9] == "no accuracy was reported"
    assert reasons[10] == "ZeroDivisionError: division by zero"
    assert reasons[12] == "TimeoutError: timed out after 0.2 s"
    assert "memory" in reasons[13]
    assert {records[number].attempt for number in reasons} == {2}, "each was tried again"
    assert len(records) == 24
    assert sum(record.state is State.FINISHED for record in records.values()) == 17
    front = front_records(list(records.values()), ("ops",))
    assert front
    assert not {record.number for record in front} & reasons.keys()
    again = pretended(tmp_path, 24, 8)
    assert again.trials.next_task() is None, "failed trials are not tried again after a resume"
    assert read_records(tmp_path / "journal.log") == again.trials.records


@pytest.mark.parametrize("proposer", ["evolution", "random", "nsga2", "tpe"])
def test_every_proposer_lives_with_failures_alone(pretended, tmp_path, proposer):
    """Nothing ever succeeds: the search ends all the same, and no candidate comes twice."""

    def trouble(number):
        raise RuntimeError("as always")

    records = run(pretended(tmp_path, 20, 5, proposer=proposer), trouble)
    assert len({record.id for record in records.values()}) == 20
    assert {record.state for record in records.values()} == {State.FAILED}


def test_a_candidate_that_takes_its_worker_down_is_alone_to_blame(pretended, tmp_path):
    """Its neighbours in the task are tried again without being charged with a try, even where there are no retries."""
    search = pretended(tmp_path, 16, 8, retries=0)
    losses = 0
    while (task := search.trials.next_task()) is not None:
        for trial in task.trials:
            if trial.number in (2, 11):
                losses += 1
                search.trials.lost(task, "the worker was lost: killed")
                break
            search.trials.report(task, search.outcome(trial))
    records = {record.number: record for record in search.trials.records}
    assert losses == 2
    assert {number for number, record in records.items() if record.state is State.FAILED} == {2, 11}
    assert {record.attempt for record in records.values()} == {1}


def test_a_time_limit_leaves_nothing_behind():
    with pytest.raises(TimeoutError, match=timed_out(0.05)), time_limit(0.05):
        time.sleep(5)
    with time_limit(0.05):
        pass
    time.sleep(0.1)  # an alarm that was left would ring now
    with time_limit(None):
        pass


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(days=400), "to and fro"])
def test_a_clock_that_is_set_changes_nothing_but_dates(pretended, tmp_path, monkeypatch, jump):
    clean = pretended(tmp_path / "clean").run()
    run = SimpleNamespace(path=tmp_path / "run", journal=tmp_path / "run" / "journal.log")
    run.path.mkdir()
    calls = 0

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            nonlocal calls
            calls += 1
            if jump == "to and fro":
                return datetime.now(tz) + timedelta(days=400 * (-1) ** calls)
            return datetime.now(tz) + jump

    with writing(run):
        pretended(run.path).run(reports=7)
    monkeypatch.setattr("search.runs.records.datetime", Clock)
    monkeypatch.setattr("optuna.storages.journal._storage.datetime", Clock)
    assert abs(datetime.fromisoformat(now()) - datetime.now(UTC)) > timedelta(days=300)
    with writing(run):
        pretended(run.path).run(reports=6)
    monkeypatch.undo()
    with writing(run):
        records = pretended(run.path).run()
    assert [(r.number, r.id, r.values) for r in records] == [(r.number, r.id, r.values) for r in clean]
    assert calls > 10


def test_the_executor_that_runs_here_needs_no_ray():
    assert "ray" not in vars(executors)
