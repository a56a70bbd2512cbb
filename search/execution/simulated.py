"""Tasks in simulated time: what a table of networks says of candidates, as if workers had measured them."""

import heapq
from datetime import timedelta
from itertools import count

from analysis.runs.schema import TEST_ACCURACY
from analysis.tables.table import TableError, load_table
from search.proposers.simulation import BEGINNING
from search.runs.folder import Run
from search.runs.records import Outcome
from search.runs.study import read_records
from search.worker.tasks import Deploy, Deployed, ExecutionError, Fit, Report, Task, TrialTask, Work
from spaces.errors import SpaceError

_DIGITS = 6
"""Of a second, in which times are kept, so that a search that goes on reads the times that it would have had."""


class TableExecutor:
    """Answers the tasks of a search from its table. A worker takes the next task when the last one's recorded seconds
    have passed in simulated time, which goes on where an interrupted search had come."""

    def __init__(self, run: Run) -> None:
        self._table, self._config = load_table(run.config.table.source or ""), run.config.table
        self._rungs = run.config.training.rungs_among(self._table.rungs) if self._table.rungs else ()
        self._table.prepare(run.config.search.trials)
        ends = [
            each.started + timedelta(seconds=each.seconds or 0) for each in read_records(run.journal) if each.started
        ]
        self._now = max(((end - BEGINNING).total_seconds() for end in ends), default=0.0)

    def run(self, work: Work) -> None:
        """See `Executor.run`. What is measured of a generation is kept at once: to look it up again costs nothing."""
        while (task := work.next_task()) is not None:
            with work.at_once():
                self._run_until_idle(work, task)

    def _run_until_idle(self, work: Work, first: Task) -> None:
        """Carry out a task, and others while there are some, until no worker has one."""
        running: list[tuple[float, int, Task, list[Report]]] = []
        order = count()

        def begin(task: Task) -> None:
            reports, seconds = self._answer(task)
            heapq.heappush(running, (round(self._now + seconds, _DIGITS), next(order), task, reports))

        begin(first)
        while running:
            while len(running) < self._config.workers and (task := work.next_task()) is not None:
                begin(task)
            self._now, _, task, reports = heapq.heappop(running)
            for report in reports:
                work.report(task, report)

    def _answer(self, task: Task) -> tuple[list[Report], float]:
        """The reports of a task, and the simulated seconds that it takes."""
        if isinstance(task, Deploy):
            found = self._table.metrics(task.architecture, self._config.replicate)
            return [Deployed(task.id, task.stage, found.get(TEST_ACCURACY, float("nan")))], 0.0
        if not isinstance(task, TrialTask):
            raise ExecutionError(f"a table has no answer to the task {type(task).__name__}")
        reports, begun = list[Report](), self._now
        until = task.until if isinstance(task, Fit) else None
        for trial in task.trials:
            metrics, reason = dict[str, float](), None
            try:
                metrics = self._measured(trial.architecture, until)
            except (TableError, SpaceError) as error:
                reason = str(error)
            seconds = metrics.pop("seconds", 0.0)
            started = (BEGINNING + timedelta(seconds=begun)).isoformat()
            reports.append(Outcome(trial.number, metrics, reason, started, seconds, "table", "simulated"))
            begun = round(begun + round(seconds, _DIGITS), _DIGITS)
        return reports, begun - self._now

    def _measured(self, architecture: str, until: int | None) -> dict[str, float]:
        """The metrics of a network after so many epochs; `seconds` are those since the last time it was looked at."""
        table, replicate = self._table, self._config.replicate
        metrics = table.metrics(architecture, replicate, until)
        if until is not None:
            spent = table.spent(architecture, replicate)
            before = max((rung for rung in self._rungs if rung < until), default=None)
            metrics["seconds"] = spent[until] - (0.0 if before is None else spent[before])
        if table.rungs:
            metrics["epochs"] = float(until or table.rungs[-1])
        return {name: value for name, value in metrics.items() if name != TEST_ACCURACY}
