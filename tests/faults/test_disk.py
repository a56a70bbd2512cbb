"""Disks that refuse: the n-th write, sync or rename fails, for every n until none is hit. What had ended stays, the
error names a file, and the run goes on when there is room again."""

import errno
import os
import resource
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from models.checkpoints.folder import latest_checkpoint, save_step
from search.runs.journal import Journal
from search.runs.locking import writing
from search.runs.study import read_records
from spaces.tools.files import write_atomically


def scenario(folder: Path, pretended) -> list:
    """What a run writes: its lock, its journal, checkpoints and tables."""
    with writing(SimpleNamespace(path=folder, journal=folder / "journal.log")):
        found = latest_checkpoint(folder / "checkpoints")
        for step in range(found.number + 1 if found else 1, 4):
            save_step(folder / "checkpoints", step, {"weight": torch.full((50,), float(step))}, {"step": step})
        records = pretended(folder, 6, 3).run()
        write_atomically(folder / "front.csv", "".join(f"{record.id}\n" for record in records))
    return records


def facts(records) -> list[tuple]:
    return [(r.number, r.id, r.state, r.values) for r in records]


@pytest.fixture(scope="module")
def clean(pretended, tmp_path_factory) -> list[tuple]:
    return facts(scenario(tmp_path_factory.mktemp("clean"), pretended))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["no space", "broken"])
@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_the_nth_call_fails(clean, pretended, tmp_path, monkeypatch, call, code):
    real = getattr(os, call)
    count = 0
    while True:
        count += 1
        folder = tmp_path / str(count)
        folder.mkdir()
        left = [count]

        def failing(*args, left=left, **kwargs):
            left[0] -= 1
            if left[0] == 0:
                if call == "write":
                    real(args[0], args[1][: len(args[1]) // 2])  # a part of it still fitted
                # as the system's own calls: those that take names tell them
                raise OSError(code, os.strerror(code), *([str(args[0])] if call == "replace" else []))
            return real(*args, **kwargs)

        with monkeypatch.context() as broken:
            broken.setattr(os, call, failing)
            error = None
            try:
                scenario(folder, pretended)
            except OSError as raised:
                error = raised
        if error is not None:
            assert error.errno == code
            assert str(folder) in str(error.filename), "the message names a file"
        if left[0] > 0:
            break  # it was never hit
        done = {record.number: record for record in read_records(folder / "journal.log") if record.done}
        assert facts(scenario(folder, pretended)) == clean, f"{call} number {count}"
        after = {record.number: record for record in read_records(folder / "journal.log")}
        assert all(after[number].started == record.started for number, record in done.items())
        assert latest_checkpoint(folder / "checkpoints").number == 3
        parts = [path for path in folder.rglob("*") if path.name.endswith(".part")]
        assert not parts, "no half-written file is left beside the whole ones"
    assert count > {"write": 10, "fsync": 15, "replace": 8}[call]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="sets a limit on a process")
def test_a_file_system_that_ends_in_the_middle_of_any_file(clean, pretended, forked, tmp_path):
    """Real writes of real libraries that stop after so many bytes, as on a full disk."""
    for limit in (0, 1, 100, 400, 700, 2000, 5000):
        folder = tmp_path / str(limit)
        folder.mkdir()

        def full(folder=folder, limit=limit) -> int:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            try:
                scenario(folder, pretended)
            except OSError as error:
                return 7 if error.filename and str(folder) in str(error.filename) else 8
            return 0

        code = os.waitstatus_to_exitcode(os.waitpid(forked(full), 0)[1])
        assert code == 7, f"{limit} bytes"
        assert facts(scenario(folder, pretended)) == clean


def test_after_a_failed_write_nothing_more_is_written(tmp_path, monkeypatch):
    """What the disk holds is then not what the process believes."""
    journal = Journal(tmp_path / "journal.log")
    journal.append_logs([{"op_code": 0, "worker_id": "a"}])
    before = (tmp_path / "journal.log").read_bytes()
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
        with pytest.raises(OSError, match="broken"):
            journal.append_logs([{"op_code": 1, "worker_id": "a"}])
    with pytest.raises(OSError, match="broken"):
        journal.append_logs([{"op_code": 2, "worker_id": "a"}])
    assert (tmp_path / "journal.log").read_bytes() == before
