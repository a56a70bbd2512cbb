"""Times one attempt at a trial and records an exception as its failure reason, so that the search continues."""

import os
import socket
import time
from collections.abc import Mapping
from typing import Any, Self

from search.runs.records import Outcome, now


class Attempt:
    """A context manager: set `metrics` and `facts` in its block; an exception there becomes the reason of failure."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._started, self._clock = now(), time.perf_counter()
        self.metrics: Mapping[str, float] = {}
        self.facts: Mapping[str, Any] = {}
        self._reason: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Exception):
            self._reason = f"{type(error).__name__}: {error}"
        return isinstance(error, Exception)

    def outcome(self) -> Outcome:
        """What came out, with the time until now."""
        seconds, here = time.perf_counter() - self._clock, (socket.gethostname(), str(os.getpid()))
        return Outcome(self._number, self.metrics, self._reason, self._started, seconds, *here, self.facts)
