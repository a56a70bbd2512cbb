"""Lines of a study's journal with checksums, so that damage anywhere in it is found and named.

A record is a JSON object on a line of its own. Ours end in a key that Optuna and its dashboard pass over: the CRC-32 of
the line before that key, begun with the checksum of our line before, so that a line that was lost is missed, too. Lines
of others (a note written in optuna-dashboard, a run from before there were checksums) have none and are taken as they
are; but where a writer is known to put checksums, a line of its own without one is damaged.
"""

from __future__ import annotations

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
    """A journal with a line that is damaged, or no operation: says which line of which file."""


class Chain:
    """The checksums of a journal, line by line: reads lines on, and seals those that are to be written behind them."""

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.lines = 0
        self._last = 0
        self._sealing: set[object] = set()

    def read(self, lines: Iterable[bytes]) -> Iterator[Json]:
        """The records of further lines (without their ends). Raises `JournalError` for one that is damaged."""
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
        """The line of a record that comes behind all that has been read or sealed, with its end."""
        body = json.dumps(record, separators=(",", ":")).removesuffix("}").encode()
        self._last = zlib.crc32(body, self._last)
        self._sealing.add(str(record.get("worker_id", "")))
        self.lines += 1
        return body + b',"crc32":"%08x"}\n' % self._last

    def _foreign(self) -> JournalError:
        return JournalError(f"line {self.lines} of {self.journal} is not an operation of a study's journal; {_REMEDY}")

    def _damaged(self, why: str) -> JournalError:
        return JournalError(f"line {self.lines} of {self.journal} is damaged: {why}; {_REMEDY}")
