"""Checksums for the lines of a study's journal, so that damage anywhere in it is found and located.

A record is a JSON object on one line. Ours end in a key that Optuna and its dashboard ignore: the CRC-32 of the line up
to that key, started with the checksum of our previous line, so that a missing line is noticed too. Lines of other
writers (a note written in optuna-dashboard, a run older than the checksums) have none and are accepted; but once a
writer has sealed a line, a line of the same writer without a checksum is damaged.
"""

import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import cast

from spaces.errors import BinarynasError

Json = Mapping[str, object]
_REMEDY = (
    "it may have been damaged while it was copied, or by its disk: restore it from a copy, or keep the lines before "
    "that one (head -n), which repeats the trials after it"
)
_SEAL = re.compile(rb',"crc32":"([0-9a-f]{8})"\}$')


class JournalError(BinarynasError, ValueError):
    """A journal with a line that is damaged or not an operation: says which line of which file."""


class Chain:
    """The checksums of a journal, line by line: checks lines that are read, and seals lines to be written."""

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.lines = 0
        self._last = 0
        self._sealing: set[object] = set()

    def read(self, lines: Iterable[bytes]) -> Iterator[Json]:
        """The records of the next lines (without line ends). Raises `JournalError` for a damaged one."""
        for line in lines:
            yield self._read(line)

    def _read(self, line: bytes) -> Json:
        self.lines += 1
        seal = _SEAL.search(line)
        if seal is not None:
            self._last = zlib.crc32(line[: seal.start()], self._last)
            if self._last != int(seal[1], 16):
                raise self._damaged("its checksum, or that of the line before, does not fit")
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise self._foreign() from error
        if not isinstance(record, dict):
            raise self._foreign()
        known = cast("Json", record)
        writer = str(known.get("worker_id", ""))
        if seal is not None:
            self._sealing.add(writer)
        elif writer in self._sealing:
            raise self._damaged("its checksum is missing")
        return known

    def seal(self, record: Json) -> bytes:
        """The line, with its end, of the record that follows all that were read or sealed."""
        body = json.dumps(record, separators=(",", ":")).removesuffix("}").encode()
        self._last = zlib.crc32(body, self._last)
        self._sealing.add(str(record.get("worker_id", "")))
        self.lines += 1
        return body + b',"crc32":"%08x"}\n' % self._last

    def _foreign(self) -> JournalError:
        return JournalError(f"line {self.lines} of {self.journal} is not an operation of a study's journal; {_REMEDY}")

    def _damaged(self, why: str) -> JournalError:
        return JournalError(f"line {self.lines} of {self.journal} is damaged: {why}; {_REMEDY}")
