"""The phases of a run as work for an executor: a fixed list of tasks, and phases one after another."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import assert_never

from models.checkpoints.folder import CheckpointError, load_checkpoint
from search.pipeline.view import View
from search.runs.folder import Run
from search.runs.records import EpochReport, Outcome, Record, Stage
from search.runs.study import Study
from search.training.loop import TrainingError
from search.worker import tasks
from search.worker.tasks import Report, Task, Work


class Tasks:
    """A fixed list of tasks, all of whose results are needed: training the supernet, deploying networks."""

    def __init__(self, todo: Sequence[Task], run: Run, view: View) -> None:
        self.exclusive = any(map(tasks.is_exclusive, todo))
        self.together = any(isinstance(task, tasks.TrainSupernet | tasks.TrainShared) for task in todo)
        self.results: list[tasks.Result] = []
        self._queue = deque(todo)
        self._out = 0
        self._left = run.config.execution.retries
        self._run, self._view = run, view

    @property
    def finished(self) -> bool:
        """See `Work.finished`."""
        return not self._queue and not self._out

    def next_task(self) -> Task | None:
        """See `Work.next_task`."""
        if not self._queue:
            return None
        self._out += 1
        return self._queue.popleft()

    def report(self, task: Task, report: Report) -> None:
        """See `Work.report`."""
        match report:
            case EpochReport():
                if report.share == 1:
                    self._run.log_epoch(report)
                self._view.epoch(report)
            case tasks.Trained() | tasks.Measured() | tasks.Deployed():
                self._out -= 1
                self.results.append(report)
                self._view.result(report)
            case tasks.TaskError():
                self.lost(task, report.reason)
            case Outcome():
                raise TypeError(f"a task without trials has no outcome: {report}")
            case _:
                assert_never(report)

    def lost(self, task: Task, reason: str) -> None:
        """See `Work.lost`. Raises `TrainingError` where no try is left."""
        self._out -= 1
        if self._left == 0:
            raise TrainingError(f"{tasks.kind_of(type(task)).replace('_', ' ')} failed: {reason}")
        self._left -= 1
        self._queue.appendleft(task)

    def at_once(self) -> AbstractContextManager[None]:
        """See `Work.at_once`: nothing is kept of these."""
        return nullcontext()


class Networks(Tasks):
    """Writing networks as files and measuring them on the test split, each once: of a run that was stopped among them
    only those are done that were not. What was measured is kept in the study of each one's stage."""

    def __init__(self, records: Sequence[Record], run: Run, view: View, study: Callable[[Stage], Study]) -> None:
        todo = [tasks.Deploy(record.id, record.architecture, record.stage) for record in records]
        self._study = study
        known = {task: found for task in todo if (found := _kept(run, task, study(task.stage)))}
        super().__init__([task for task in todo if task not in known], run, view)
        for found in known.values():
            self.results.append(found)
            view.result(found)

    def report(self, task: Task, report: Report) -> None:
        """See `Work.report`."""
        if isinstance(report, tasks.Deployed) and _is_there(self._run, report):
            self._study(report.stage).note(_key(report), tasks.to_json(report))
        super().report(task, report)


def _kept(run: Run, task: tasks.Deploy, study: Study) -> tasks.Deployed | None:
    """What was measured of a network that is written; None where it has to be done, or done again."""
    text = study.noted(_key(task))
    found = tasks.from_json(text, tasks.REPORTS) if text and _is_there(run, task) else None
    return found if isinstance(found, tasks.Deployed) else None


def _key(network: tasks.Deploy | tasks.Deployed) -> str:
    return f"deployed {network.id}"


def _is_there(run: Run, network: tasks.Deploy | tasks.Deployed) -> bool:
    """Whether a network is written, whole; of references nothing is, and what a table knows is written nowhere."""
    if network.stage is Stage.REFERENCE:
        return True
    try:
        load_checkpoint(run.deployed(network.id))
    except CheckpointError:
        return False
    return True


class Chain:
    """Phases one after another as one work, so that workers stay alive in between. The iterator's code between two
    phases runs when the first of them has ended."""

    exclusive = together = False

    def __init__(self, phases: Iterator[Work]) -> None:
        self._phases = phases
        self._current = next(phases, None)

    @property
    def finished(self) -> bool:
        """See `Work.finished`."""
        return self._current is None

    def next_task(self) -> Task | None:
        """See `Work.next_task`."""
        while self._current is not None:
            task = self._current.next_task()
            if task is not None or not self._current.finished:
                return task
            self._current = next(self._phases, None)
        return None

    def report(self, task: Task, report: Report) -> None:
        """See `Work.report`."""
        assert self._current is not None, "a phase lasts until its last report"
        self._current.report(task, report)

    def lost(self, task: Task, reason: str) -> None:
        """See `Work.lost`."""
        assert self._current is not None, "a phase lasts until its last report"
        self._current.lost(task, reason)

    def at_once(self) -> AbstractContextManager[None]:
        """See `Work.at_once`."""
        assert self._current is not None, "a phase lasts until its last report"
        return self._current.at_once()
