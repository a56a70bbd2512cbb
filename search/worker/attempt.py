"""The frame of one trial: takes its time, and turns an error into a reason, so that the search goes on."""

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from search.runs.records import Outcome, now
from search.worker.tasks import Report


class Trial:
    """Used as a context: what goes wrong inside becomes the trial's reason; `metrics` and `facts` are set inside."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._started, self._clock = now(), time.perf_counter()
        self.metrics: Mapping[str, float] = {}
        self.facts: Mapping[str, Any] = {}
        self._reason: str | None = None

    def __enter__(self) -> "Trial":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Exception):
            self._reason = f"{type(error).__name__}: {error}"
        return isinstance(error, Exception)

    def report(self) -> Report:
        """The outcome as a report."""
        outcome = Outcome(
            self._number,
            self.metrics,
            self._reason,
            self._started,
            time.perf_counter() - self._clock,
            socket.gethostname(),
            str(os.getpid()),
            self.facts,
        )
        return {"kind": "outcome", **asdict(outcome)}
