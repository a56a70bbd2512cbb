"""The file of a study's journal: one writer, which knows whether it may still write, and any number of readers.

It replaces Optuna's own file backend and writes the same format, so that Optuna's tools read it; beyond that every line
has a checksum, a write that failed leaves no part of a line, and a writer whose run was taken over is refused. The
order of steps makes that refusal safe: a writer opens the file once, and checks before every append that the run is
still its own. Whoever takes over first changes the holder and then puts a copy in the file's place, so that an append
between the two goes to a file that nobody reads any more.
"""

import logging
import os
import weakref
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend
from optuna.trial import TrialState

from analysis.runs.journal import CREATE_TRIAL, SET_ATTRIBUTE, SET_STATE
from analysis.runs.journal_lines import Chain
from search.runs.holder import require_held
from spaces.tools.files import write_atomically

logger = logging.getLogger(__name__)

Log = dict[str, Any]
"""One record as Optuna types it: a JSON object."""


class Journal(BaseJournalBackend):
    """A journal that is read and appended to; created where there is none. Raises `JournalError` where it is damaged,
    `OSError` where it cannot be written, and `search.runs.holder.FencedError` where the run is no longer ours."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
        weakref.finalize(self, os.close, self._file)
        self._chain = Chain(path)
        self._records: list[Log] = []
        self._dropped = 0  # records before the first one of these
        self._offset = 0
        self._held: list[Log] | None = None  # what `at_once` will append
        self._broken: OSError | None = None

    def read_logs(self, log_number_from: int) -> Sequence[Log]:
        """Called by Optuna: the records from a number on. It asks for each once, so earlier ones are forgotten."""
        if self._held is None:
            self._read_on()
        assert log_number_from >= self._dropped, "a storage reads on"
        self._records = self._records[log_number_from - self._dropped :]
        self._dropped = log_number_from
        return list(map(_replayed, self._records))

    def append_logs(self, logs: list[Log]) -> None:
        """Called by Optuna: append records. When this returns, they outlive this process; the end of a trial, with all
        that was written before it, is on the disk. After a failure nothing is written any more, since the disk then
        holds something else than this process believes."""
        if self._broken is not None:
            raise self._broken
        if self._held is not None:
            self._held += logs
            self._records += logs
            return
        self._append(logs)
        self._records += logs

    @contextmanager
    def at_once(self) -> Generator[None]:
        """What is appended inside is written as one piece at the end, also when an error ends it: many records for the
        price of one. Until then this process alone knows of them, and after a crash their trials are done again; so
        nothing else may have been told of them meanwhile. What others have written comes before them in the file."""
        if self._held is not None:
            yield  # within another one, which writes
            return
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            if held:
                self._append(held)

    def _append(self, logs: list[Log]) -> None:
        self._read_on()  # what others have written, such as a note of optuna-dashboard's, comes before our records
        data = b"".join(self._chain.seal(log) for log in logs)
        require_held(self._path.parent)
        end = os.fstat(self._file).st_size
        try:
            _write(self._file, data)
            if any(map(_must_last, logs)):
                os.fsync(self._file)
        except OSError as error:
            self._broken = OSError(error.errno, error.strerror, str(self._path))
            self._cut(end)
            raise self._broken from error
        self._offset += len(data)

    def _read_on(self) -> None:
        """Read the whole lines that were added since."""
        if os.fstat(self._file).st_size <= self._offset:
            return
        data = _read(self._file, self._offset)
        whole = data[: data.rfind(b"\n") + 1]
        self._records += map(dict, self._chain.read(whole.split(b"\n")[:-1]))
        self._offset += len(whole)

    def _cut(self, end: int) -> None:
        """Remove what a failed write has left; where even that fails, the next writer of the run does it."""
        try:
            os.ftruncate(self._file, end)
            os.fsync(self._file)
        except OSError:
            logger.warning("%s may end in half a record, which is cut off when the run is resumed", self._path)


class ReadOnlyJournal(BaseJournalBackend):
    """What a journal holds now, for reading: another process may be writing it, or its folder may be read-only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_bytes().split(b"\n")[:-1]  # what follows the last line end is not whole yet
        self._records = [_replayed(dict(record)) for record in Chain(path).read(lines)]

    def read_logs(self, log_number_from: int) -> Sequence[Log]:
        """Called by Optuna: the records from a number on."""
        return self._records[log_number_from:]

    def append_logs(self, logs: list[Log]) -> None:
        """Called by Optuna: refused."""
        raise PermissionError(f"{self._path} is open for reading only")


def mend_journal(journal: Path) -> None:
    """Make a journal that a killed process left writable again. Only for the holder of the run's lock.

    Cuts off a last line without an end (the next record would be glued to it), and removes a lock file of Optuna's,
    which no living process of this run can own.
    """
    for lock in journal.parent.glob(f"{journal.name}.lock*"):
        lock.unlink(missing_ok=True)
    if not journal.exists():
        return
    with journal.open("r+b") as file:
        data = file.read()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            logger.warning("%s ended in half a record, which was cut off", journal)
            file.truncate(whole)
            file.flush()
            os.fsync(file.fileno())


def renew_journal(journal: Path) -> None:
    """Put a copy in the journal's place, so that a writer with the old file open writes where nobody reads."""
    if journal.exists():
        write_atomically(journal, journal.read_bytes())


def _replayed(log: Log) -> Log:
    """A record as Optuna replays it: the trial's parameters left out, since they follow from its architecture.

    Every trial repeats the distributions of its parameters; to read them is half of the time of opening a long journal.
    """
    return {**log, "params": {}, "distributions": {}} if log["op_code"] == CREATE_TRIAL else log


def _must_last(log: Log) -> bool:
    """Whether a record must be synced to the disk now. Creation, start and outcome need not be: after a crash the trial
    is proposed or run again, and an outcome counts only with the end-of-trial record that follows it."""
    operation = log["op_code"]
    if operation == CREATE_TRIAL:
        return False
    if operation == SET_STATE:
        return TrialState(log["state"]).is_finished()
    return operation != SET_ATTRIBUTE or "outcome" not in log["user_attr"]


def _read(file: int, offset: int) -> bytes:
    """Everything from a place on."""
    with os.fdopen(file, "rb", buffering=0, closefd=False) as stream:
        stream.seek(offset)
        return stream.read()


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
