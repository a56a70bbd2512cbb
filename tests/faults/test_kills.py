"""A driver killed at any record of its journal: nothing that had ended is lost or paid for twice, and the end is the
same. Everything here is a pretended search in a forked process, killed for real."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

import search.runs.journal as search_journal
from search.runs.locking import writing
from search.runs.records import Outcome
from search.runs.study import read_records
from search.worker.tasks import TrialInput

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks processes")
TRIALS = 6
SOAKS = int(os.environ.get("SOAK", "6"))


def facts(records) -> list[tuple]:
    return [(r.number, r.id, r.state, r.values, r.operator, r.parents, r.seed, r.generation) for r in records]


@pytest.fixture(scope="module")
def clean(pretended, tmp_path_factory) -> list[tuple]:
    return facts(pretended(tmp_path_factory.mktemp("clean"), TRIALS, 4).run())


def carry_on(folder: Path, pretended, trials: int = TRIALS) -> list:
    """Open the run as its only writer and do what is left; every evaluation is noted, as it begins, in a file."""
    with writing(SimpleNamespace(path=folder, journal=folder / "journal.log")):
        search = pretended(folder, trials, 4)
        outcome = search.outcome

        def noted(trial: TrialInput, **changes) -> Outcome:
            with (folder / "evaluations").open("a") as file:
                file.write(f"{trial.number}\n")
            return outcome(trial, **changes)

        search.outcome = noted
        return search.run()


def evaluations(folder: Path) -> Counter:
    file = folder / "evaluations"
    return Counter(map(int, file.read_text().split())) if file.exists() else Counter()


def killed_at(monkeypatch, record: int, how: str) -> None:
    """Make this process die at its n-th write to the journal: with half of the line written, or all of it."""
    write, left = search_journal._write, [record]

    def fatal(file: int, data: bytes) -> None:
        left[0] -= 1
        if left[0] == 0:
            write(file, data[: len(data) // 2] if how == "half" else data)
            os.kill(os.getpid(), signal.SIGKILL)
        write(file, data)

    monkeypatch.setattr(search_journal, "_write", fatal)


@pytest.mark.parametrize("how", ["half", "whole"])
def test_killed_at_every_record(clean, pretended, forked, tmp_path, monkeypatch, how):
    record = 0
    while True:
        record += 1
        folder = tmp_path / str(record)
        folder.mkdir()

        def doomed(folder=folder, record=record) -> None:
            killed_at(monkeypatch, record, how)
            carry_on(folder, pretended)

        if os.waitstatus_to_exitcode(os.waitpid(forked(doomed), 0)[1]) == 0:
            break  # it ended before its n-th record
        done = {r.number: r.started for r in read_records(folder / "journal.log") if r.done}
        assert facts(carry_on(folder, pretended)) == clean, f"killed at record {record}"
        after = {r.number: r.started for r in read_records(folder / "journal.log")}
        assert done.items() <= after.items(), "what had ended is as it was"
        times = evaluations(folder)
        assert all(times[number] == 1 for number in done), "and was paid for once"
        assert sum(times.values()) <= TRIALS + 3, "only what was in flight is done again"
    assert record > 3 * TRIALS


@pytest.mark.parametrize("seed", range(SOAKS))
def test_soak_of_random_kills_until_done(pretended, forked, tmp_path, monkeypatch, tmp_path_factory, seed):
    """Killed at random again and again, also while it recovers, until it gets through. `make soak` has more seeds."""
    rng = random.Random(seed)
    trials = 12
    kills = 0
    while True:
        record, how = rng.randint(1, 15), rng.choice(["half", "whole"])

        def doomed(record=record, how=how) -> None:
            killed_at(monkeypatch, record, how)
            carry_on(tmp_path, pretended, trials)

        if os.waitstatus_to_exitcode(os.waitpid(forked(doomed), 0)[1]) == 0:
            break
        kills += 1
        assert kills < 200
    assert kills > 1
    records = read_records(tmp_path / "journal.log")
    assert facts(records) == facts(pretended(tmp_path_factory.mktemp("clean"), trials, 4).run())
    assert len({record.id for record in records}) == trials


@pytest.mark.slow
def test_a_second_ctrl_c_while_the_first_is_dealt_with(small_search, command, wait, tmp_path):
    run = tmp_path / "run"
    # a supernet's training that would take minutes
    search = small_search(run, "supernet.epochs=300", "supernet.batch_size=16", "execution.executor=inline")
    process = subprocess.Popen(search, stderr=subprocess.PIPE, text=True, preexec_fn=_takes_ctrl_c)
    wait((run / "supernet" / "checkpoints" / "step-000000001" / "manifest.json").exists, process)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.005)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT), errors
    status = subprocess.run(command("status", run), capture_output=True, text=True, check=True)
    assert "unfinished" in status.stdout


def _takes_ctrl_c() -> None:
    """As a command in the foreground does, however the tests were started."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
