"""What a person sees while a run goes on: progress bars in a terminal, plain lines anywhere else."""

import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from typing import assert_never

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from analysis.measures.pareto import pareto_front
from analysis.runs.schema import objective_direction
from analysis.units import cost_words, percent
from search.runs.records import EpochReport, Record, State
from search.worker.tasks import Deployed, Measured, Result, Trained

OBJECTIVES = ("accuracy", "ops")
_LINE_SECONDS = 10.0  # between plain lines of one phase


class View(ABC):
    """Shows how much of a phase is done, with a text about it; all events belong to the phase that began last."""

    def __init__(self) -> None:
        self._records: dict[int, Record] = {}
        self._objectives: Sequence[str] = OBJECTIVES
        self._results = 0

    def phase(self, title: str, total: int) -> None:
        """A phase of `total` epochs, trials or networks begins."""
        self._records, self._objectives, self._results = {}, OBJECTIVES, 0
        self.begin(title, total)

    @abstractmethod
    def begin(self, title: str, total: int) -> None:
        """Get ready to show a phase."""

    @abstractmethod
    def show(self, done: int, text: str) -> None:
        """Draw the state of the current phase."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch of some training has ended."""
        if report.phase == "supernet":  # all other phases count trials or networks
            self.show(report.epoch, f"loss {report.loss:.3f}, {report.images_per_second:.0f} images/s")

    def trials(self, records: Sequence[Record], objectives: Sequence[str] = OBJECTIVES) -> None:
        """The trials that a phase begins with, those of a resumed one, and what is to be maximised and minimised."""
        self._records, self._objectives = {record.number: record for record in records}, objectives
        self._show_trials()

    def trial(self, record: Record) -> None:
        """A trial has ended."""
        self._records[record.number] = record
        self._show_trials()

    def result(self, result: Result) -> None:
        """One of a fixed number of tasks has ended."""
        match result:
            case Deployed():
                self._results += 1
                self.show(self._results, f"{percent(result.test_accuracy)} on the test split")
            case Measured():
                self.show(1, f"{result.operations} operations")
            case Trained():
                pass  # its epochs were shown
            case _:
                assert_never(result)

    def _show_trials(self) -> None:
        records = self._records.values()
        self.show(sum(record.done for record in records), _front_text(records, self._objectives))


def _front_text(records: Collection[Record], objectives: Sequence[str]) -> str:
    """The ends of the front of some trials, and how many trials failed, in a few words."""
    finished = [record for record in records if record.state is State.FINISHED]
    failed = sum(record.state is State.FAILED for record in records)
    if not finished:
        return f"{failed} failed" if failed else ""
    cost = objectives[1] if len(objectives) > 1 else "ops"
    columns = (cost, objectives[0], *objectives[2:])
    points = np.array([[record.metrics[name] for name in columns] for record in finished])
    front = points[pareto_front(points, [objective_direction(name) for name in columns])]
    front = front[np.argsort(front[:, 0], kind="stable")]
    least, most = (f"{percent(point[1])} at {cost_words(cost, point[0])}" for point in (front[0], front[-1]))
    text = f"front of {len(front)}: {least}" + (f" to {most}" if len(front) > 1 else "")
    return text + (f", {failed} failed" if failed else "")


class LiveView(View):
    """One bar per phase, redrawn in place."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self._task: TaskID | None = None

    def begin(self, title: str, total: int) -> None:
        """See `View.begin`."""
        if self._task is not None:
            self._progress.stop_task(self._task)
        self._task = self._progress.add_task(title, total=total, text="")

    def show(self, done: int, text: str) -> None:
        """See `View.show`."""
        if self._task is not None:
            self._progress.update(self._task, completed=done, text=text)


class PlainView(View):
    """A line now and then, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self.begin("", 0)

    def begin(self, title: str, total: int) -> None:
        """See `View.begin`."""
        self._title, self._total, self._begun, self._last = title, total, time.monotonic(), 0.0

    def show(self, done: int, text: str) -> None:
        """See `View.show`."""
        elapsed = time.monotonic() - self._begun
        if done < self._total and time.monotonic() - self._last < _LINE_SECONDS:
            return
        self._last = time.monotonic()
        left = f", {elapsed / done * (self._total - done):.0f} s left" if 0 < done < self._total else ""
        more = f"; {text}" if text else ""
        self._console.print(f"{self._title}: {done}/{self._total} in {elapsed:.0f} s{left}{more}", soft_wrap=True)


@contextmanager
def make_view(console: Console) -> Generator[View]:
    """Bars where the console is a terminal, lines where not."""
    if not console.is_terminal:
        yield PlainView(console)
        return
    counts = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    columns = (TextColumn("{task.description}"), *counts, TextColumn("{task.fields[text]}"))
    with Progress(*columns, console=console) as progress:
        yield LiveView(progress)
