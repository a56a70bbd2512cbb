"""What a worker is asked to do and what it reports: values of closed sets, their JSON, and who takes and gives them."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from enum import Enum
from typing import Any, Protocol, Self, TypeVar, get_args, get_origin, get_type_hints

from analysis.stages import PARENT
from search.runs.records import EpochReport, Outcome, Record, Stage
from spaces.errors import BinarynasError


class ExecutionError(BinarynasError, RuntimeError):
    """The executor is unavailable or was lost. Finished trials are kept; the run can be resumed."""


@dataclass(frozen=True)
class TrialInput:
    """What a worker has to know of a trial. `reference` is the operator of a trial of that stage, which says what is
    special about its training; empty for all others."""

    number: int
    architecture: str
    id: str
    reference: str = ""


def inputs(records: Iterable[Record]) -> tuple[TrialInput, ...]:
    """What a worker has to know of some trials of the journal."""
    return tuple(
        TrialInput(each.number, each.architecture, each.id, each.operator if each.stage is Stage.REFERENCE else "")
        for each in records
    )


@dataclass(frozen=True)
class TrialTask:
    """A task that ends trials, in order, each with an `Outcome`."""

    trials: tuple[TrialInput, ...]

    def without(self, numbers: Collection[int]) -> Self:
        """The task without the trials of these numbers."""
        return replace(self, trials=tuple(trial for trial in self.trials if trial.number not in numbers))


@dataclass(frozen=True)
class Evaluate(TrialTask):
    """Measure candidates with the weights of the supernet, or of the detector that all of them share: see `stage`."""

    stage: Stage = Stage.INHERITED


@dataclass(frozen=True)
class SearchCells(TrialTask):
    """Do one differentiable search, up to `until` epochs (None: to the end)."""

    until: int | None = None


@dataclass(frozen=True)
class Fit(TrialTask):
    """Train one network of a stage up to `until` epochs of its training's last stage (None: to the end) and measure
    it."""

    stage: Stage
    until: int | None = None


@dataclass(frozen=True)
class TrainSupernet:
    """Train the supernet, or go on with it, for `epochs` in all (None: as configured). Where that has taken `seconds`,
    it pauses at the end of an epoch and is not saved as trained."""

    epochs: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class TrainShared:
    """Train the detector that all candidates share, or go on with it."""


@dataclass(frozen=True)
class MeasureLatencies:
    """Make the table of latencies that the search begins with."""


@dataclass(frozen=True)
class Deploy:
    """Write one network as files, and measure it on the test split."""

    id: str
    architecture: str
    stage: Stage


@dataclass(frozen=True)
class TaskError:
    """A task that failed as a whole, and why."""

    reason: str


@dataclass(frozen=True)
class Trained:
    """The supernet, or the detector that all candidates share, is trained and saved, or its training has paused."""


@dataclass(frozen=True)
class Measured:
    """The table of latencies is saved, with this many operations."""

    operations: int


@dataclass(frozen=True)
class Deployed:
    """A network is saved as files; its accuracy on the test split, and the mean of that over the classes (0 to 1);
    of a detector its mAP, and no such mean."""

    id: str
    stage: Stage
    test_accuracy: float
    test_balanced_accuracy: float | None = None


Task = Evaluate | Fit | SearchCells | TrainSupernet | TrainShared | MeasureLatencies | Deploy
Result = Trained | Measured | Deployed
Report = EpochReport | Outcome | TaskError | Result
T = TypeVar("T")


def is_exclusive(task: Task) -> bool:
    """Whether a task may take all of a machine: training a supernet, a shared detector or a parent, not evaluating a
    candidate."""
    parent = isinstance(task, Fit) and task.trials[0].reference == PARENT
    return parent or isinstance(task, TrainSupernet | TrainShared | MeasureLatencies)


def is_last(task: Task, report: Report) -> bool:
    """Whether a task has ended with this report."""
    if isinstance(task, TrialTask) and isinstance(report, Outcome):
        return report.number == task.trials[-1].number
    return not isinstance(report, EpochReport)


def kind_of(value: type[Task | Report]) -> str:
    """The word for a class of tasks or reports, such as `train_supernet`: in JSON, in logs and in messages."""
    return re.sub(r"\B(?=[A-Z])", "_", value.__name__).lower()


TASKS: Mapping[str, type[Task]] = {kind_of(kind): kind for kind in get_args(Task)}
REPORTS: Mapping[str, type[Report]] = {kind_of(kind): kind for kind in get_args(Report)}


def to_json(value: Task | Report) -> str:
    """A task or a report as JSON text. It may hold nan and infinity, as a metric that is not finite must arrive."""
    return json.dumps({"kind": kind_of(type(value)), **asdict(value)})


def from_json(text: str, kinds: Mapping[str, type[T]]) -> T:
    """The inverse of `to_json`; `kinds` are `TASKS` or `REPORTS`."""
    values = json.loads(text)
    return _read(kinds[values.pop("kind")], values)


def _read(kind: Any, value: Any) -> Any:
    """A JSON value as what a field's annotation says: dataclasses, tuples of them and enumerations are made again."""
    if isinstance(kind, type) and is_dataclass(kind):
        types = get_type_hints(kind)
        return kind(**{field.name: _read(types[field.name], value[field.name]) for field in fields(kind)})
    if get_origin(kind) is tuple:
        return tuple(_read(get_args(kind)[0], each) for each in value)
    return kind(value) if isinstance(kind, type) and issubclass(kind, Enum) else value


class Work(Protocol):
    """A phase of a run. An executor asks for tasks while it has free workers, and passes on every report."""

    @property
    def exclusive(self) -> bool:
        """Whether its tasks are; see `is_exclusive`."""
        ...

    @property
    def together(self) -> bool:
        """Whether its tasks train one network each, which several workers can do together."""
        ...

    def next_task(self) -> Task | None:
        """A task, or None where there is none to hand out before others have ended."""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to hand out or to wait for."""
        ...

    def report(self, task: Task, report: Report) -> None:
        """Take a report of a task."""

    def lost(self, task: Task, reason: str) -> None:
        """A task ended without its last report: its worker died, or was stopped."""

    def at_once(self) -> AbstractContextManager[None]:
        """What is reported inside is kept when this is left, in one piece; for an executor to which nothing would be
        lost if all of it had to be done again."""
        ...


class Executor(Protocol):
    """Something that runs tasks of a run's worker."""

    def run(self, work: Work) -> None:
        """Run a phase to its end. Raises `KeyboardInterrupt` where it was stopped."""


def timed_out(seconds: float) -> str:
    """The reason of a trial that took too long."""
    return f"timed out after {seconds:g} s"
