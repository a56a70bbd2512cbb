"""The phases of a run as work for an executor: training the supernet, trials in generations, deploying the front."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from analysis.stages import PARENT
from search.config.run import RunConfig
from search.pipeline.trials import Log, MakeTask
from search.pipeline.view import View
from search.runs.records import UNIFORM, Record, Stage
from search.training.loop import TrainingError
from search.worker.tasks import Report, Task, Work


class Tasks:
    """A fixed list of tasks, all of whose results are needed: training the supernet, deploying networks."""

    def __init__(self, tasks: Sequence[Task], view: View, log: Log, retries: int, *, exclusive: bool) -> None:
        self.exclusive = exclusive
        self.results: list[Report] = []
        self._queue = deque(tasks)
        self._out = 0
        self._left = retries
        self._view, self._log = view, log

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
        if report["kind"] == "error":
            self.lost(task, report["reason"])
        elif report.get("last"):
            self._out -= 1
            self.results.append(report)
            self._view.result(report)
        else:
            self._log(report)
            self._view.epoch(report)

    def lost(self, task: Task, reason: str) -> None:
        """See `Work.lost`. Raises `TrainingError` where no try is left."""
        self._out -= 1
        if self._left == 0:
            raise TrainingError(f"{task['kind'].replace('_', ' ')} failed: {reason}")
        self._left -= 1
        self._queue.appendleft(task)


class Chain:
    """Phases one after another as one work, so that workers stay alive in between. What stands between two phases of
    the iterator runs when the one before has ended."""

    exclusive = False

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


def evaluation_task(records: Sequence[Record]) -> Task:
    """Candidates that travel together."""
    return {"kind": "evaluate", "candidates": [_candidate(record) for record in records]}


def search_task(records: Sequence[Record]) -> Task:
    """One differentiable search."""
    (record,) = records
    return {"kind": "search_cells", "candidates": [_candidate(record)]}


def fit_task(stage: Stage, before: int = 0, rungs: Sequence[int] = ()) -> MakeTask:
    """One network to train to its end, or to its next rung; `before` are the epochs of another mode before that."""

    def make(records: Sequence[Record]) -> Task:
        (record,) = records
        until = {"until": next(rung for rung in rungs if rung not in record.rungs)} if rungs else {}
        return {
            "kind": "fit",
            "stage": stage.value,
            "epochs_before": before,
            "candidates": [_candidate(record)],
            **until,
        }

    return make


def reference_task(config: RunConfig) -> MakeTask:
    """One network to compare with; what is special about it stands in its operator."""

    def make(records: Sequence[Record]) -> Task:
        (record,) = records
        several = record.operator.startswith(UNIFORM) and config.final.multi_stage
        task = fit_task(Stage.REFERENCE, config.final.epochs if several else 0)(records)
        task["candidates"][0]["reference"] = record.operator
        return {**task, "exclusive": record.operator == PARENT}

    return make


def _candidate(record: Record) -> dict[str, Any]:
    return {"number": record.number, "architecture": record.architecture, "id": record.id}
