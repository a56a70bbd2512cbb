"""What a person sees while a run goes on: progress bars in a terminal, plain lines anywhere else."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

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
from search.runs.records import Record, State
from search.worker.tasks import Report

OBJECTIVES = ("accuracy", "ops")
_LINE_SECONDS = 10.0  # between plain lines of one phase


class View(Protocol):
    """Takes notice of what happens; a phase is opened by `phase` and gets its events until the next one."""

    def phase(self, title: str, total: int) -> None:
        """A phase of so many epochs, trials or networks begins."""
        ...

    def note(self, text: str) -> None:
        """Something worth a line."""
        ...

    def epoch(self, report: Report) -> None:
        """An epoch of some training has ended; `report` holds an `Epoch`."""
        ...

    def trials(self, records: Sequence[Record], objectives: Sequence[str] = OBJECTIVES) -> None:
        """The trials that a phase begins with, those of a resumed one, and what is to be maximised and minimised."""
        ...

    def trial(self, record: Record) -> None:
        """A trial has ended."""
        ...

    def result(self, report: Report) -> None:
        """One of a fixed number of tasks has ended."""
        ...


class _Front:
    """The best front so far, in a few words."""

    def __init__(self) -> None:
        self.records: dict[int, Record] = {}
        self.objectives: Sequence[str] = OBJECTIVES

    @property
    def done(self) -> int:
        return sum(record.done for record in self.records.values())

    def text(self) -> str:
        finished = [record for record in self.records.values() if record.state is State.FINISHED]
        failed = sum(record.state is State.FAILED for record in self.records.values())
        if not finished:
            return f"{failed} failed" if failed else ""
        cost = self.objectives[1] if len(self.objectives) > 1 else "ops"
        columns = (cost, "accuracy", *self.objectives[2:])
        points = np.array([[record.metrics[name] for name in columns] for record in finished])
        front = points[pareto_front(points, [objective_direction(name) for name in columns])]
        front = front[np.argsort(front[:, 0], kind="stable")]
        least, most = (f"{percent(point[1])} at {cost_words(cost, point[0])}" for point in (front[0], front[-1]))
        text = f"front of {len(front)}: {least}" + (f" to {most}" if len(front) > 1 else "")
        return text + (f", {failed} failed" if failed else "")


class _Base(ABC):
    """Turns events into one state: how much is done, and a text beside it."""

    def __init__(self) -> None:
        self._front = _Front()

    @abstractmethod
    def show(self, done: int, text: str) -> None:
        """Draw the state of the current phase."""

    def epoch(self, report: Report) -> None:
        """See `View.epoch`."""
        if report["phase"] == "supernet":  # epochs of a finetuning pass by: its phase counts networks
            self.show(report["epoch"], f"loss {report['loss']:.3f}, {report['images_per_second']:.0f} images/s")

    def trials(self, records: Sequence[Record], objectives: Sequence[str] = OBJECTIVES) -> None:
        """See `View.trials`."""
        self._front.objectives = objectives
        self._front.records = {record.number: record for record in records}
        self.show(self._front.done, self._front.text())

    def trial(self, record: Record) -> None:
        """See `View.trial`."""
        self._front.records[record.number] = record
        self.show(self._front.done, self._front.text())

    def result(self, report: Report) -> None:
        """See `View.result`."""
        if "test_accuracy" in report:
            self._results += 1
            self.show(self._results, f"{percent(report['test_accuracy'])} on the test split")
        elif "operations" in report:
            self.show(1, f"{report['operations']} operations")

    def _begin(self) -> None:
        self._front, self._results = _Front(), 0


class LiveView(_Base):
    """One bar a phase, redrawn in place."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self._task: TaskID | None = None

    def phase(self, title: str, total: int) -> None:
        """See `View.phase`."""
        self._begin()
        if self._task is not None:
            self._progress.stop_task(self._task)
        self._task = self._progress.add_task(title, total=total, text="")

    def note(self, text: str) -> None:
        """See `View.note`."""
        self._progress.console.print(text)

    def show(self, done: int, text: str) -> None:
        """See `_Base.show`."""
        if self._task is not None:
            self._progress.update(self._task, completed=done, text=text)


class PlainView(_Base):
    """A line now and then, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._title, self._total, self._begun, self._last = "", 0, 0.0, 0.0

    def phase(self, title: str, total: int) -> None:
        """See `View.phase`."""
        self._begin()
        self._title, self._total, self._begun, self._last = title, total, time.monotonic(), 0.0

    def note(self, text: str) -> None:
        """See `View.note`."""
        self._console.print(text, soft_wrap=True)

    def show(self, done: int, text: str) -> None:
        """See `_Base.show`."""
        elapsed = time.monotonic() - self._begun
        if done < self._total and time.monotonic() - self._last < _LINE_SECONDS:
            return
        self._last = time.monotonic()
        left = f", {elapsed / done * (self._total - done):.0f} s left" if 0 < done < self._total else ""
        told = f"; {text}" if text else ""
        self._console.print(f"{self._title}: {done}/{self._total} in {elapsed:.0f} s{left}{told}", soft_wrap=True)


@contextmanager
def make_view(console: Console) -> "Iterator[View]":
    """Bars where the console is a terminal, lines where not."""
    if not console.is_terminal:
        yield PlainView(console)
        return
    columns: list[Any] = [
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    ]
    with Progress(*columns, console=console) as progress:
        yield LiveView(progress)
