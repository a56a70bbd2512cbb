"""Trials in generations, with retries and early stopping, as work for an executor."""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import assert_never

from search.pipeline.stopping.halving import survivors
from search.pipeline.view import View
from search.proposers import History
from search.runs.records import EpochReport, Outcome, Proposal, Record, Stage, now
from search.runs.study import Study
from search.worker import tasks
from search.worker.tasks import Evaluate, Fit, Report, SearchCells, Task, TrialTask, inputs

Propose = Callable[[int, History], Sequence[Proposal]]
Encode = Callable[[str], Mapping[str, int | float | str]]
MakeTask = Callable[[Sequence[Record]], Evaluate | Fit | SearchCells]
_SPENT = ("seconds", "worker_started")


@dataclass(frozen=True)
class EarlyStopping:
    """The epochs after which candidates are compared, the end of training last; and who goes on: see
    `search.pipeline.stopping.halving.survivors`."""

    rungs: tuple[int, ...]
    reduction: float

    def next_rung(self, record: Record) -> int:
        """The epochs to which a trial is trained next."""
        return next(rung for rung in self.rungs if rung not in record.rungs)


@dataclass(frozen=True)
class Plan:
    """What the trials of a stage are, and how they are done.

    `propose(generation, history)` gives the candidates of a generation, none when the stage is over; `encode(text)` the
    parameters that the study keeps of one. `task(records)` makes a task of up to `candidates_per_task` trials. With
    `stopping` a task trains to the next rung; when all candidates of the generation have reached it, some are stopped
    there. `ended(records)` gets all trials whenever one of them ends.
    """

    propose: Propose
    task: MakeTask
    proposer: str
    encode: Encode
    candidates_per_task: int = 1
    exclusive: bool = False
    together: bool = False
    stopping: EarlyStopping | None = None
    ended: Callable[[Collection[Record]], None] = lambda records: None


class Trials:
    """The trials of a stage, in generations. A generation is proposed when every trial of those before it has ended, so
    neither the number of workers nor the order in which they finish changes what is proposed.

    On resume, trials that have ended are not run again, and a generation that was being created when the run was killed
    is completed. `log` keeps every epoch, `retries` is how often a trial that failed is tried again.
    """

    def __init__(
        self, study: Study, plan: Plan, view: View, log: Callable[[EpochReport], None], *, workers: int, retries: int
    ) -> None:
        self.exclusive, self.together = plan.exclusive, plan.together
        self._study, self._plan, self._view, self._log = study, plan, view, log
        self._workers, self._retries = workers, retries
        self._records = {record.number: record for record in study.records()}
        self._queue: deque[int] = deque()
        self._running: set[int] = set()
        self._attempts: dict[int, int] = {}
        self._generation = max((record.generation for record in self._records.values()), default=0)
        self._over = False
        self._view.trials(list(self._records.values()), study.objectives)
        self._complete_generation()

    @property
    def records(self) -> list[Record]:
        """Every trial, by number."""
        return list(self._records.values())

    @property
    def finished(self) -> bool:
        """See `Work.finished`."""
        return self._over and not self._queue and not self._running and not self._open()

    def next_task(self) -> Task | None:
        """See `Work.next_task`."""
        while not self._queue and not self._running:
            if self._open():
                with self.at_once():
                    self._judge()
            elif self._over:
                break
            else:
                self._generation += 1
                self._complete_generation()
        if not self._queue:
            return None
        # no more than a fair share, so that the last candidates of a generation do not all wait for one worker
        share = -(-len(self._queue) // self._workers)
        numbers = [self._queue.popleft() for _ in range(min(self._plan.candidates_per_task, share))]
        with self.at_once():
            for number in numbers:
                self._study.start(number)
        self._running.update(numbers)
        return self._plan.task([self._records[number] for number in numbers])

    def report(self, task: Task, report: Report) -> None:
        """See `Work.report`."""
        match report:
            case EpochReport():
                self._log(report)
                self._view.epoch(report)
            case Outcome():
                self._take(report)
            case tasks.TaskError():
                self.lost(task, report.reason)
            case tasks.Trained() | tasks.Measured() | tasks.Deployed():
                raise TypeError(f"trials end with outcomes, not with {report}")
            case _:
                assert_never(report)

    def lost(self, task: Task, reason: str) -> None:
        """See `Work.lost`. A worker takes its trials in order, so the first one without an outcome was in hand; those
        after it were not begun, and this does not count as one of their attempts."""
        assert isinstance(task, TrialTask), "only tasks of trials are handed out here"
        left = [trial.number for trial in task.trials if trial.number in self._running]
        for number in left[:1]:
            self._take(Outcome(number, {}, reason, now(), 0.0, "", ""))
        for number in left[1:]:
            self._running.remove(number)
            self._queue.append(number)

    def at_once(self) -> AbstractContextManager[None]:
        """See `Work.at_once`."""
        return self._study.at_once()

    def _take(self, outcome: Outcome) -> None:
        number = outcome.number
        if number not in self._running:
            return  # it has ended: the report came twice
        self._running.remove(number)
        attempt = self._attempts.get(number, 1)
        if outcome.reason is not None and attempt <= self._retries:
            self._attempts[number] = attempt + 1
            self._queue.append(number)
            return
        stopping = self._plan.stopping
        if outcome.reason is None and stopping:
            rung = stopping.next_rung(self._records[number])
            if rung != stopping.rungs[-1]:
                spent = {"seconds": outcome.seconds, "worker_started": outcome.started}
                self._records[number] = self._study.note_rung(number, rung, {**outcome.metrics, **spent})
                return
        self._end(outcome, attempt, pruned=False)

    def _end(self, outcome: Outcome, attempt: int, *, pruned: bool) -> None:
        """End a trial; what it cost before its last rung counts as well."""
        rungs = self._records[outcome.number].rungs.values()
        started = min([outcome.started, *(str(metrics["worker_started"]) for metrics in rungs)])
        seconds = outcome.seconds + sum(float(metrics["seconds"]) for metrics in rungs)
        outcome = replace(outcome, started=started, seconds=seconds)
        self._records[outcome.number] = self._study.finish(outcome, attempt, pruned=pruned)
        self._view.trial(self._records[outcome.number])
        self._plan.ended(self._records.values())  # no copy: a search on a table ends thousands a second

    def _open(self) -> list[Record]:
        """Trials that have not ended; where none is queued or runs, they wait at a rung to be judged."""
        return [record for record in self._records.values() if not record.done]

    def _judge(self) -> None:
        """Every candidate has reached a rung: stop some, and let the others go on."""
        stopping = self._plan.stopping
        assert stopping is not None, "without early stopping no trial waits to be judged"
        waiting = self._open()
        rung = max(waiting[0].rungs)
        generation = [record for record in self._records.values() if record.generation == self._generation]
        reached = [record for record in generation if rung in record.rungs]  # a run killed here has judged some
        before = [record for record in self._records.values() if record.generation < self._generation]
        go_on = survivors(reached, before, rung, self._study.objectives, stopping.reduction)
        for record in waiting:
            if record.number in go_on:
                self._queue.append(record.number)
                continue
            metrics = {name: value for name, value in record.rungs[rung].items() if name not in _SPENT}
            reason = f"stopped after {rung} of {stopping.rungs[-1]} epochs; {len(go_on)} of {len(reached)} went on"
            self._end(Outcome(record.number, metrics, reason, now(), 0.0, "", ""), 1, pruned=True)

    def _complete_generation(self) -> None:
        """Create what the journal lacks of the current generation, and queue what of it has not ended."""
        records = list(self._records.values())
        history = History(tuple(record for record in records if record.generation < self._generation))
        proposals = self._plan.propose(self._generation, history)
        there = {record.id for record in records if record.generation == self._generation}
        with self.at_once():
            for proposal in proposals:
                if proposal.id not in there:
                    params = self._plan.encode(proposal.architecture)
                    record = self._study.create(proposal, self._generation, self._plan.proposer, params)
                    self._records[record.number] = record
        self._over = not proposals
        waiting = self._open()
        stopping = self._plan.stopping
        if stopping is not None and waiting:
            least = min(map(stopping.next_rung, waiting))
            lagging = [record for record in waiting if stopping.next_rung(record) == least]
            if len(lagging) == len(waiting) and least != stopping.rungs[0]:
                return  # all have reached a rung: they are judged first
            waiting = lagging  # the others wait for them at their rung
        self._queue.extend(record.number for record in waiting)


def fit_task(stage: Stage, stopping: EarlyStopping | None = None) -> MakeTask:
    """One network to train to its end, or to its next rung."""

    def make(records: Sequence[Record]) -> Fit:
        (record,) = records
        return Fit(inputs(records), stage, stopping.next_rung(record) if stopping else None)

    return make
