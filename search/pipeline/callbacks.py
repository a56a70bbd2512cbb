"""A user's own callbacks, named in `execution.callbacks`: Tune's, and those that follow the phases of a run.

    class Tell:                                   # ours: any of these methods
        def phase(self, title, total): ...        # a phase of so many epochs, trials or networks begins
        def epoch(self, report): ...              # an `EpochReport`
        def trial(self, record): ...              # a trial has ended: its `Record`
        def result(self, result): ...             # what else a task gave

One of Tune's is a subclass of `ray.tune.Callback`. Both are made without arguments.
"""

import traceback
from collections.abc import Sequence

from search.config.environment import set_up
from search.config.run import RunConfig
from search.config.sections import ConfigError
from search.extensions import load_extension
from search.pipeline.view import View
from search.runs.records import EpochReport, Record
from search.worker.tasks import ExecutionError, Result

_OURS = ("phase", "epoch", "trial", "result")


def callbacks_of(config: RunConfig) -> list[object]:
    """The callbacks of a run. Raises `ConfigError` where one cannot be loaded or made, or is none."""
    if config.execution.callbacks and config.execution.executor == "tune":
        set_up()
    return [_made(name, config.execution.executor) for name in config.execution.callbacks]


def _made(name: str, executor: str) -> object:
    found = load_extension(name, "the callback")
    try:
        made: object = found() if callable(found) else found
    except Exception as error:
        raise ConfigError(f"the callback {name} cannot be made without arguments: {error}") from error
    if hasattr(made, "on_trial_result"):
        if executor == "inline":
            raise ConfigError(f"the callback {name} is Tune's, and execution.executor is inline: set it to tune")
        return made
    if not any(callable(getattr(made, method, None)) for method in _OURS):
        raise ConfigError(f"{name} is no callback: it is none of Tune's, and has no method {', '.join(_OURS)}")
    return made


def callback_failed(callback: object, error: Exception) -> ExecutionError:
    """What a callback raised, and where, in one sentence."""
    *_, place = traceback.extract_tb(error.__traceback__)
    where = f"{place.filename}, line {place.lineno}"
    return ExecutionError(f"the callback {type(callback).__name__} failed: {error!r} ({where})")


class Telling(View):
    """A view that tells callbacks as well. What one raises ends the run."""

    def __init__(self, view: View, callbacks: Sequence[object]) -> None:
        super().__init__()
        self._view = view
        self._callbacks = callbacks

    def _tell(self, event: str, *arguments: object) -> None:
        for each in self._callbacks:
            method = getattr(each, event, None)
            try:
                if method is not None:
                    method(*arguments)
            except Exception as error:
                raise callback_failed(each, error) from error

    def phase(self, title: str, total: int) -> None:
        """See `View`."""
        self._view.phase(title, total)
        self._tell("phase", title, total)

    def begin(self, title: str, total: int) -> None:
        """See `View`."""
        self._view.begin(title, total)

    def show(self, done: float, text: str, short: str = "") -> None:
        """See `View`."""
        self._view.show(done, text, short)

    def note(self, text: str) -> None:
        """See `View`."""
        self._view.note(text)

    def epoch(self, report: EpochReport) -> None:
        """See `View`."""
        self._view.epoch(report)
        if report.share == 1:
            self._tell("epoch", report)

    def trials(self, records: Sequence[Record], objectives: Sequence[str] = ()) -> None:
        """See `View`."""
        self._view.trials(records, objectives) if objectives else self._view.trials(records)

    def trial(self, record: Record) -> None:
        """See `View`."""
        self._view.trial(record)
        self._tell("trial", record)

    def result(self, result: Result) -> None:
        """See `View`."""
        self._view.result(result)
        self._tell("result", result)
