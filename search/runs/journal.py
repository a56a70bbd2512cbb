"""The file of a study's journal: one writer, which knows whether it may still write, and any number of readers.

It takes the place of Optuna's own file backend and writes the same format, so that Optuna's tools read it; beyond that
every line has a checksum, a write that failed leaves no part of a line, and a writer whose run was taken over is
refused. The order of things makes that refusal safe: a writer opens the file once, and looks whether the run is still
its own before every append. Whoever takes over first changes the holder and then puts a copy in the file's place, so
that an append that comes in between goes to a file that nobody reads any more.
"""

import logging
import os
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import TrialState

from analysis.runs.journal_lines import Chain, JournalError
from models.checkpoints.files import write_atomically
from search.runs.holder import require_held

logger = logging.getLogger(__name__)

REMEDY = (
    "it may have been damaged while it was copied, or by its disk: restore it from a copy, or keep the lines before "
    "that one (head -n), which repeats the trials behind it"
)


class Journal(BaseJournalBackend):
    """A journal that is read and appended to; made where there is none. Raises `JournalError` where it is damaged,
    `OSError` where it cannot be written, and `search.runs.holder.FencedError` where the run is no longer ours."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
        weakref.finalize(self, os.close, self._file)
        self._chain = Chain(path)
        self._records: list[Any] = []
        self._dropped = 0  # records before the first one of these
        self._offset = 0
        self._broken: OSError | None = None

    def read_logs(self, log_number_from: int) -> Sequence[dict[str, Any]]:
        """Optuna's: the records from a number on. It asks for each once, so those before are forgotten."""
        self._read_on()
        assert log_number_from >= self._dropped, "a storage reads on"
        self._records = self._records[log_number_from - self._dropped :]
        self._dropped = log_number_from
        return self._records

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Optuna's: append records. When this returns, they outlive this process; the end of a trial, with all that
        was written before it, has reached the disk. After a failure nothing is written any more: what the disk holds
        is then not what this process believes."""
        if self._broken is not None:
            raise self._broken
        self._read_on()  # whoever else has written, such as a note of optuna-dashboard's, stands before us
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
        self._records += logs

    def _read_on(self) -> None:
        """Take in the whole lines that have come since."""
        data = _read(self._file, self._offset)
        whole = data[: data.rfind(b"\n") + 1]
        if not whole:
            return
        try:
            self._records += self._chain.read(whole.split(b"\n")[:-1])
        except JournalError as error:
            raise JournalError(f"{error}; {REMEDY}") from error
        self._offset += len(whole)

    def _cut(self, end: int) -> None:
        """Take back what a failed write has left; where even that fails, the next one who opens the run does it."""
        try:
            os.ftruncate(self._file, end)
            os.fsync(self._file)
        except OSError:
            logger.warning("%s may end in half a record, which is cut off when the run is resumed", self._path)


class ReadOnlyJournal(BaseJournalBackend):
    """A journal that is only looked at: while another process writes it, or in a folder that is read-only."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read_logs(self, log_number_from: int) -> Sequence[dict[str, Any]]:
        """Optuna's: the records from a number on; what stands behind the last line end is not whole yet."""
        lines = self._path.read_bytes().split(b"\n")[:-1]
        try:
            records: list[Any] = list(Chain(self._path).read(lines))
        except JournalError as error:
            raise JournalError(f"{error}; {REMEDY}") from error
        return records[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Optuna's: refused."""
        raise PermissionError(f"{self._path} is open for reading only")


def mend_journal(journal: Path) -> None:
    """Make a journal that a killed process left writable again. Only for the one who holds the run's lock.

    A last line without an end is cut off (the next record would be glued to it), and a lock file of Optuna's, of which
    no living process of this run can be the owner, is removed.
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
    """Put a copy in the journal's place: a writer that still has the old file open writes where nobody reads."""
    if journal.exists():
        write_atomically(journal, journal.read_bytes())


def _must_last(log: Mapping[str, Any]) -> bool:
    """Whether a record has to be on the disk before anything else happens. What is found again without it has not: a
    trial is proposed again, begun again, and its outcome counts with the record behind it, that of its end."""
    operation = log["op_code"]
    if operation == JournalOperation.CREATE_TRIAL:
        return False
    if operation == JournalOperation.SET_TRIAL_STATE_VALUES:
        return TrialState(log["state"]).is_finished()
    return operation != JournalOperation.SET_TRIAL_USER_ATTR or "outcome" not in log["user_attr"]


def _read(file: int, offset: int) -> bytes:
    """Everything from a place on, without moving where others read."""
    size = os.fstat(file).st_size - offset
    if size <= 0:
        return b""
    os.lseek(file, offset, os.SEEK_SET)
    parts: list[bytes] = []
    while size > 0 and (part := os.read(file, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
