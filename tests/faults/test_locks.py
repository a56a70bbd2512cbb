"""One writer a run: who it is, locks that were left behind, and a writer that was taken for dead and wakes up."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

import search.runs.journal as search_journal
from analysis.runs.layout import RunError
from search.execution.inline import InlineExecutor
from search.pipeline.carry_out import carry_out
from search.pipeline.view import PlainView
from search.runs.cleanup import keep_only
from search.runs.folder import open_run
from search.runs.holder import FencedError
from search.runs.locking import writing
from search.runs.records import EpochReport, Stage
from search.runs.study import read_records

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks processes")


def run_in(folder: Path) -> SimpleNamespace:
    folder.mkdir(exist_ok=True)
    return SimpleNamespace(path=folder, journal=folder / "journal.log")


@pytest.fixture
def run(tmp_path) -> SimpleNamespace:
    return run_in(tmp_path / "run")


def holder(run) -> dict:
    return json.loads((run.path / "holder.json").read_text())


def elsewhere(run, **changes) -> None:
    """As if a process of another machine had written the run last."""
    facts = {"token": "7-abc", "pid": 4711, "host": "other", "started": "1", "since": "2026-01-01T00:00:00+00:00"}
    (run.path / "holder.json").write_text(json.dumps({**facts, **changes}))


def exit_code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_who_writes_is_told_and_so_is_that_it_has_done(run):
    with writing(run):
        who = holder(run)
        assert (who["pid"], who["host"]) == (os.getpid(), socket.gethostname())
        with (
            pytest.raises(RunError, match=rf"written by process {os.getpid()} on .* since 2\d{{3}}-.*; wait for it"),
            writing(run),
        ):
            pass
        assert holder(run) == who
    assert holder(run)["released"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_left_by_a_dead_process_is_taken_over(run, forked, wait, how):
    def hold() -> None:
        with writing(run):
            time.sleep(60)

    pid = forked(hold)
    wait(lambda: (run.path / "holder.json").exists())
    with pytest.raises(RunError, match=f"written by process {pid} "), writing(run):
        pass
    os.kill(pid, how)
    assert exit_code(pid) == -how
    assert "released" not in holder(run)
    with writing(run):
        assert holder(run)["token"].startswith("2-"), "every holder counts on"


def test_a_run_of_another_machine_is_taken_only_when_told_to(run):
    elsewhere(run)
    with (
        pytest.raises(RunError, match=r"process 4711 on other since .* binarynas resume .*run --take-over"),
        writing(run),
    ):
        pass
    with writing(run, take_over=True):
        assert holder(run)["token"].startswith("8-")
    with writing(run):
        pass
    elsewhere(run, released="2026-01-01T00:01:00+00:00")
    with writing(run):
        assert holder(run)["host"] == socket.gethostname()


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"pid": "x"}', "{}"])
def test_a_holder_that_cannot_be_read_may_be_anyone(run, text):
    (run.path / "holder.json").write_text(text)
    with pytest.raises(RunError, match=r"does not say who wrote the run last.*--take-over"), writing(run):
        pass
    with writing(run, take_over=True):
        pass


def test_a_number_that_is_used_again_is_another_process(run):
    """The process that wrote last is gone, and its number is now that of another one that lives."""
    elsewhere(run, host=socket.gethostname(), pid=os.getppid(), started="1")
    with writing(run):
        assert holder(run)["pid"] == os.getpid()


def test_a_file_system_without_locks_still_tells_a_process_that_lives(run):
    started = Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[19]
    elsewhere(run, host=socket.gethostname(), pid=os.getppid(), started=started)
    with pytest.raises(RunError, match=f"is being written by process {os.getppid()} "), writing(run):
        pass


@pytest.mark.parametrize("moment", ["between two records", "within an append"])
def test_a_writer_that_was_taken_for_dead_and_wakes_up_is_refused(tmp_path, pretended, forked, monkeypatch, moment):
    """The lock is lost, as on a file system whose locks do not cross machines."""
    run = run_in(tmp_path / "run")

    def sleeper() -> int:
        with writing(run):
            search = pretended(run.path)
            search.run(reports=7)
            if moment == "within an append":  # it has looked, and is about to write
                monkeypatch.setattr(search_journal, "_write", sleep_first)
            else:
                os.kill(os.getpid(), signal.SIGSTOP)
            try:
                search.run()
            except FencedError as error:
                return 7 if "was taken over by process" in str(error) else 8
        return 0

    def sleep_first(file: int, data: bytes) -> None:
        monkeypatch.setattr(search_journal, "_write", write)
        os.kill(os.getpid(), signal.SIGSTOP)
        write(file, data)

    write = search_journal._write
    pid = forked(sleeper)
    os.waitpid(pid, os.WUNTRACED)
    (run.path / "lock").unlink()
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    with pytest.raises(RunError, match="--take-over"), writing(run):
        pass
    with writing(run, take_over=True):
        records = pretended(run.path).run()
    written = run.journal.read_bytes()
    os.kill(pid, signal.SIGCONT)
    assert exit_code(pid) == 7
    assert run.journal.read_bytes() == written, "nothing of the old writer's reaches the journal"
    assert holder(run)["host"] == "another"
    clean = pretended(tmp_path / "clean").run()
    facts = [(record.number, record.id, record.values) for record in records]
    assert facts == [(record.number, record.id, record.values) for record in clean]
    assert len(read_records(run.journal)) == len(clean)


def test_a_writer_that_wakes_up_between_two_phases_replaces_no_table(finished, copy_of, forked, monkeypatch, tmp_path):
    """It has seen the search to its end, and sleeps before it deploys networks and writes what people read."""
    run = open_run(copy_of(finished, records=20))

    class SleepyView(PlainView):
        def phase(self, title: str, total: int) -> None:
            if title == "Networks":
                os.kill(os.getpid(), signal.SIGSTOP)
            super().phase(title, total)

    def sleeper() -> int:
        with writing(run):
            try:
                carry_out(run, InlineExecutor(run), SleepyView(Console(quiet=True)))
            except FencedError as error:
                return 7 if "was taken over by process" in str(error) else 8
        return 0

    def files() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in run.path.rglob("*") if path.is_file() and path.name != "lock"}

    def times() -> dict[str, int]:
        tables = [run.path / name for name in ("front.csv", "trials.parquet", "plots")]
        return {path.name: path.stat().st_mtime_ns for path in tables}

    pid = forked(sleeper)
    os.waitpid(pid, os.WUNTRACED)
    (run.path / "lock").unlink()
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    with writing(run, take_over=True):
        carry_out(run, InlineExecutor(run), PlainView(Console(quiet=True)))
    before = files(), times()
    os.kill(pid, signal.SIGCONT)
    assert exit_code(pid) == 7
    assert (files(), times()) == before


def test_a_writer_whose_run_was_taken_over_logs_no_epoch_and_deletes_no_weights(finished, copy_of):
    run = open_run(copy_of(finished))
    weights = run.weights(Stage.TRAINED, "of-another")
    weights.mkdir(parents=True)
    log = (run.path / "events.jsonl").read_bytes()
    with writing(run):
        elsewhere(run)
        with pytest.raises(FencedError):
            run.log_epoch(EpochReport("supernet", None, 1, 1, 0.5, 100.0, 0.1))
        with pytest.raises(FencedError):
            keep_only(run, Stage.TRAINED, [], ["ops"])
    assert weights.exists()
    assert (run.path / "events.jsonl").read_bytes() == log


def test_of_two_processes_that_race_exactly_one_writes(tmp_path):
    script = Path(__file__).with_name("race.py")
    rounds = 50
    done = subprocess.run(
        [sys.executable, script, tmp_path, str(rounds)], capture_output=True, text=True, timeout=60, check=True
    )
    codes = [line.split()[1:] for line in done.stdout.splitlines()]
    assert len(codes) == rounds
    one_after_another = codes.count(["0", "0"])  # the second came when the first had done
    assert codes.count(["0", "3"]) == rounds - one_after_another, "no race without a winner"
    assert one_after_another < rounds / 2, done.stdout
    for line in (tmp_path / "writers").read_text().splitlines():
        first, second = line.split()
        assert first == second, "nobody writes in between"
