"""What a person sees while a run goes on: progress bars in a terminal, plain lines anywhere else."""

import math
import sys
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any, assert_never

import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from analysis.measures.pareto import pareto_front
from analysis.runs.schema import objective_direction
from analysis.units import cost_words, percent
from search.runs.records import EpochReport, Record, State
from search.worker.tasks import Deployed, Measured, Result, Trained

OBJECTIVES = ("accuracy", "ops")
_LINE_SECONDS = 10.0  # between plain lines of one phase
_BAR = 24  # characters
_WAITING = 0.1  # from which share of a training's time its waiting for images is worth a word
_SEEN = 9  # paces of which the median tells how long the rest takes
_FEWEST, _LEAST_SECONDS = 2, 5.0  # that must have been seen after the first before that means something
_LONG_SECONDS = 60.0  # of less than that many, within long epochs


class Pace:
    """How long the rest of a phase takes, by what was done of it in this process.

    The first that is done here tells nothing: it has waited for workers to start, for images and for kernels.
    """

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0.0
        self.begun = time.monotonic()
        self._before: float | None = None
        self._first: tuple[float, float] | None = None
        self._paces: deque[float] = deque(maxlen=_SEEN)

    @property
    def count(self) -> str:
        """What is done of all: 3/12, or 3.4/12 within the fourth epoch."""
        done = f"{self.done:.0f}" if self.done == int(self.done) else f"{math.floor(10 * self.done) / 10:.1f}"
        return f"{done}/{self.total}"

    def reach(self, done: float) -> None:
        """So much is done now, parts of an epoch counted; what is done at the first call may have been done before."""
        now, self.done = time.monotonic(), done
        if self._before is None or done < self._before:
            self._before, self._first = done, None
        elif done > self._before and (self._first is None or done < self._first[0]):
            self._first = (done, now)
            self._paces.clear()
        elif self._first is not None and done > self._first[0]:
            self._paces.append((now - self._first[1]) / (done - self._first[0]))

    @property
    def elapsed(self) -> float:
        """Seconds since the phase began."""
        return time.monotonic() - self.begun

    @property
    def left(self) -> float | None:
        """Seconds that the rest takes; None where there is none, or too little was seen to tell."""
        if self._first is None or self.done >= self.total:
            return None
        done, begun = self._first
        seconds = time.monotonic() - begun
        if seconds < _LEAST_SECONDS or (self.done - done < _FEWEST and seconds < _LONG_SECONDS):
            return None
        return median(self._paces) * (self.total - self.done)


class Tally:
    """What is told of the trials of a phase, kept up as they end: a long search asks after each of them."""

    def __init__(self, objectives: Sequence[str] = OBJECTIVES) -> None:
        self.done = 0
        cost = objectives[1] if len(objectives) > 1 else "ops"
        self._columns = (cost, objectives[0], *objectives[2:])
        self._failed, self._front = 0, np.empty((0, len(self._columns)))

    def add(self, record: Record) -> None:
        """Count a trial, which has ended once it does."""
        self.done += record.done
        self._failed += record.state is State.FAILED
        if record.state is State.FINISHED:
            points = np.vstack([self._front, [record.metrics[name] for name in self._columns]])
            self._front = points[pareto_front(points, [objective_direction(name) for name in self._columns])]

    def texts(self) -> tuple[str, str]:
        """The ends of the front, and how many trials failed, in a few words; and its best in fewer."""
        failed = f"{self._failed} failed" if self._failed else ""
        if not len(self._front):
            return failed, failed
        front = self._front[np.argsort(self._front[:, 0], kind="stable")]
        cost = self._columns[0]
        least, most = (f"{percent(point[1])} at {cost_words(cost, point[0])}" for point in (front[0], front[-1]))
        text = f"front of {len(front)}: {least}" + (f" to {most}" if len(front) > 1 else "")
        return text + (f", {failed}" if failed else ""), f"best {most}"


class View(ABC):
    """Shows how much of a phase is done, with a text about it; all events belong to the phase that began last."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._results = 0

    def phase(self, title: str, total: int) -> None:
        """A phase of `total` epochs, trials or networks begins."""
        self._tally, self._results = Tally(), 0
        self.begin(title, total)

    @abstractmethod
    def begin(self, title: str, total: int) -> None:
        """Get ready to show a phase."""

    @abstractmethod
    def show(self, done: float, text: str, short: str = "") -> None:
        """Draw the state of the current phase; `short` says the most important of the text."""

    @abstractmethod
    def note(self, text: str) -> None:
        """Say something once, on a line of its own."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch of some training has ended, or a part of one."""
        if report.id is None:  # the one training of its phase; all others count trials or networks
            half = f" in {report.precision}" if report.precision not in (None, "float32") else ""
            text = f"loss {report.loss:.3f}, {report.images_per_second:.0f} images/s{half}"
            if report.waiting >= _WAITING:
                text += f" ({100 * report.waiting:.0f} % of the time waiting for them)"
            self.show(report.epoch - 1 + report.share, text)

    def trials(self, records: Sequence[Record], objectives: Sequence[str] = OBJECTIVES) -> None:
        """The trials that a phase begins with, those of a resumed one, and what is to be maximised and minimised."""
        self._tally = Tally(objectives)
        for record in records:
            self._tally.add(record)
        self.show(self._tally.done, *self._tally.texts())

    def trial(self, record: Record) -> None:
        """A trial has ended."""
        self._tally.add(record)
        self.show(self._tally.done, *self._tally.texts())

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


def _clock(seconds: float) -> str:
    """Seconds as 0:05, 12:30 or 3:00:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def line(title: str, pace: Pace, text: str, short: str, width: int) -> str:
    """A phase in one line of at most `width` characters: the bar is left out first, then the longer text."""
    share = pace.done / pace.total if pace.total else 1.0
    full = round(_BAR * min(share, 1.0))
    bar = "━" * full + "╌" * (_BAR - full)
    count = pace.count
    left = f"{_clock(pace.left)} left" if pace.left is not None else ""
    spent = _clock(pace.elapsed)
    choices = [
        (title, bar, count, spent, left, text),
        (title, count, spent, left, text),
        (title, count, left or spent, text),
        (title, count, left or spent, short),
        (title, count, left, short),
    ]
    lines = ["  ".join(part for part in parts if part) for parts in choices]
    return next((each for each in lines if len(each) <= width), lines[-1][:width])


class LiveView(View):
    """The current phase in one line, redrawn in place below those that have ended."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.live = Live(self, console=console, refresh_per_second=4)
        self._title, self._pace, self._texts = "", Pace(0), ("", "")
        self._drawn, self._width = 0, console.width

    def begin(self, title: str, total: int) -> None:
        """See `View.begin`."""
        self.leave()
        self._title, self._pace, self._texts = title, Pace(total), ("", "")

    def show(self, done: float, text: str, short: str = "") -> None:
        """See `View.show`."""
        self._pace.reach(done)
        self._texts = (text, short or text)

    def note(self, text: str) -> None:
        """See `View.note`."""
        self.live.console.print(text, soft_wrap=True)

    def leave(self) -> None:
        """Let the line of the phase that has ended stand."""
        if self._title:
            title, self._title = self._line(self.live.console.width - 1), ""
            self.live.console.print(Text(title, no_wrap=True, overflow="crop"))

    def _line(self, width: int) -> str:
        return line(self._title, self._pace, *self._texts, width) if self._title else ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        if width < self._width and self._drawn > width:  # a terminal that has become narrower has broken the line
            console.file.write("\x1b[2K\x1b[1A" * (math.ceil(self._drawn / width) - 1))
        written = self._line(width - 1)
        self._drawn, self._width = len(written), width
        yield Text(written, no_wrap=True, overflow="crop")


class NotebookView(View):
    """The phases as one output of a notebook's cell, which is replaced in place."""

    def __init__(self, display: Any) -> None:
        super().__init__()
        self._display = display({"text/plain": ""}, raw=True, display_id=True)
        self._lines: list[str] = []
        self._title, self._pace, self._last = "", Pace(0), 0.0

    def begin(self, title: str, total: int) -> None:
        """See `View.begin`."""
        self._title, self._pace, self._last = title, Pace(total), 0.0
        self._lines.append("")

    def show(self, done: float, text: str, short: str = "") -> None:
        """See `View.show`."""
        self._pace.reach(done)
        now = time.monotonic()
        if done < self._pace.total and now - self._last < 0.5:
            return
        self._last = now
        self._lines[-1:] = [line(self._title, self._pace, text, short or text, 100)]
        self._draw()

    def note(self, text: str) -> None:
        """See `View.note`."""
        self._lines.insert(max(len(self._lines) - 1, 0), text)
        self._draw()

    def _draw(self) -> None:
        self._display.update({"text/plain": "\n".join(self._lines)}, raw=True)


class PlainView(View):
    """A line now and then, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self.begin("", 0)

    def begin(self, title: str, total: int) -> None:
        """See `View.begin`."""
        self._title, self._pace, self._last = title, Pace(total), 0.0

    def show(self, done: float, text: str, short: str = "") -> None:
        """See `View.show`."""
        pace = self._pace
        pace.reach(done)
        if done < pace.total and time.monotonic() - self._last < _LINE_SECONDS:
            return
        self._last = time.monotonic()
        left = f", {pace.left:.0f} s left" if pace.left is not None else ""
        more = f"; {text}" if text else ""
        words = f"{self._title}: {pace.count} in {pace.elapsed:.0f} s{left}{more}"
        self._console.print(words, soft_wrap=True)

    def note(self, text: str) -> None:
        """See `View.note`."""
        self._console.print(text, soft_wrap=True)


def _notebook() -> Any:
    """The function that displays in a notebook's cell; None outside of notebooks."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module else None
    if module is None or getattr(shell, "kernel", None) is None:
        return None
    return module.display.display


@contextmanager
def make_view(console: Console | None = None) -> Generator[View]:
    """One output that is replaced in a notebook, a line redrawn in place in a terminal, and plain lines elsewhere.

    `console` is where to write, by default standard error.
    """
    display = _notebook() if console is None else None
    console = console or Console(stderr=True, highlight=False)
    if display is not None:
        yield NotebookView(display)
    elif console.is_terminal:
        view = LiveView(console)
        with view.live:
            yield view
            view.leave()
    else:
        yield PlainView(console)
