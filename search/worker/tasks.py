"""What is to be done, seen from an executor: tasks to hand out, and what to do with their reports."""

from typing import Any, Protocol

from spaces.errors import BinarynasError

Task = dict[str, Any]
Report = dict[str, Any]


class ExecutionError(BinarynasError, RuntimeError):
    """What carries out trials cannot be used, or is gone. What was finished stays, and the run can be resumed."""


class Work(Protocol):
    """A phase of a run. An executor asks for tasks while it has free workers, and passes on every report."""

    @property
    def exclusive(self) -> bool:
        """Whether a task may take all of a machine: training a supernet, not evaluating a candidate."""
        ...

    def next_task(self) -> Task | None:
        """A task, or None where there is none to hand out before others have ended."""
        ...

    @property
    def finished(self) -> bool:
        """Whether nothing is left to hand out or to wait for."""
        ...

    def report(self, task: Task, report: Report) -> None:
        """Take a report of a task."""
        ...

    def lost(self, task: Task, reason: str) -> None:
        """A task ended without its last report: its worker died, or was stopped."""
        ...


class Executor(Protocol):
    """Something that runs tasks of a run's worker."""

    def run(self, work: Work) -> None:
        """Run a phase to its end. Raises `KeyboardInterrupt` where it was stopped."""
        ...


def timed_out(seconds: float) -> str:
    """The reason of a trial that took too long."""
    return f"timed out after {seconds:g} s"
