"""The executor that runs all tasks in this process."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager

from search.runs.folder import Run
from search.worker.tasks import Work, timed_out
from search.worker.worker import Worker


class InlineExecutor:
    """Runs every task in this process, in the order in which they are handed out. Needs no Ray.

    A time limit interrupts Python code. It cannot stop native code that never returns to Python: that takes a worker
    process, which can be killed.
    """

    def __init__(self, run: Run) -> None:
        self._worker = Worker(run.path)
        self._limit = run.config.execution.timeout

    def run(self, work: Work) -> None:
        """See `Executor.run`."""
        while (task := work.next_task()) is not None:  # nothing else is running, so None means the end
            reports = self._worker.run(task)
            while True:
                with time_limit(self._limit):
                    report = next(reports, None)
                if report is None:
                    break
                work.report(task, report)


@contextmanager
def time_limit(seconds: float | None) -> Generator[None]:
    """Raise `TimeoutError` in the block when it takes longer; never where `seconds` is None, or off the main thread."""
    if seconds is None or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def expire(number: int, frame: object) -> None:
        raise TimeoutError(timed_out(seconds))

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
