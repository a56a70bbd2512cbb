"""Trials in generations, with retries and early stopping, as work for an executor."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from search.pipeline.halving import survivors
from search.pipeline.view import View
from search.proposers import History
from search.runs.records import Outcome, Proposal, Record, now
from search.runs.study import Study
from search.worker.tasks import Report, Task

Propose = Callable[[int, History], Sequence[Proposal]]
MakeTask = Callable[[Sequence[Record]], Task]
Log = Callable[[Report], None]
_SPENT = ("seconds", "worker_started")
_OUTCOME_FIELDS = {field.name for field in fields(Outcome)}


@dataclass(frozen=True)
class EarlyStopping:
    """The epochs behind which candidates are compared, the end of training last; and who goes on: see
    `search.pipeline.halving.survivors`."""

    rungs: tuple[int, ...]
    reduction: float


class Trials:
    """Trials in generations. A generation is proposed when every trial of those before it has ended, so neither the
    number of workers nor the order in which they finish changes what is proposed.

    `propose(generation, history)` gives the candidates of a generation, none when the search is over; `task(records)`
    makes a task of some trials. With early stopping a task trains to the next rung; when all candidates of the
    generation have reached it, some are stopped there. On resume, trials that have ended are not run again, and a
    generation that was being created when the run was killed is completed. `ended` is told all trials when one ends.
    """

    def __init__(
        self,
        study: Study,
        propose: Propose,
        encode: Callable[[str], Mapping[str, int | str]],
        task: MakeTask,
        view: View,
        log: Log,
        *,
        proposer: str,
        candidates_per_task: int,
        workers: int,
        retries: int,
        stopping: EarlyStopping | None = None,
        exclusive: bool = False,
        ended: Callable[[Sequence[Record]], None] | None = None,
    ) -> None:
        self.exclusive = exclusive
        self._ended = ended or (lambda records: None)
        self._study, self._propose, self._encode, self._task = study, propose, encode, task
        self._view, self._log, self._proposer, self._retries = view, log, proposer, retries
        self._per_task, self._workers, self._stopping = candidates_per_task, workers, stopping
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
                self._judge()
            elif self._over:
                break
            else:
                self._generation += 1
                self._complete_generation()
        if not self._queue:
            return None
        # No more than a fair share, so that a generation's last candidates do not wait behind one worker.
        share = -(-len(self._queue) // self._workers)
        numbers = [self._queue.popleft() for _ in range(min(self._per_task, share))]
        for number in numbers:
            self._study.start(number)
        self._running.update(numbers)
        return self._task([self._records[number] for number in numbers])

    def report(self, task: Task, report: Report) -> None:
        """See `Work.report`."""
        if report["kind"] == "outcome":
            self._take(Outcome(**{name: value for name, value in report.items() if name in _OUTCOME_FIELDS}))
        elif report["kind"] == "error":
            self.lost(task, report["reason"])
        else:
            self._log(report)
            self._view.epoch(report)

    def lost(self, task: Task, reason: str) -> None:
        """See `Work.lost`. A worker takes its candidates one after another, so the first one without a report was in
        hand; those behind it have not been tried, and are not charged with a try."""
        left = [candidate["number"] for candidate in task["candidates"] if candidate["number"] in self._running]
        for number in left[:1]:
            self._take(Outcome(number, {}, reason, now(), 0.0, "", ""))
        for number in left[1:]:
            self._running.remove(number)
            self._queue.append(number)

    def _take(self, outcome: Outcome) -> None:
        number = outcome.number
        if number not in self._running:
            return  # it ended already; the report came twice
        self._running.remove(number)
        attempt = self._attempts.get(number, 1)
        if outcome.reason is not None and attempt <= self._retries:
            self._attempts[number] = attempt + 1
            self._queue.append(number)
            return
        rung = self._next_rung(self._records[number])
        if outcome.reason is None and self._stopping and rung != self._stopping.rungs[-1]:
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
        self._ended(self.records)

    def _next_rung(self, record: Record) -> int:
        """The epochs to which a trial is trained next; 0 without early stopping."""
        if self._stopping is None:
            return 0
        return next(rung for rung in self._stopping.rungs if rung not in record.rungs)

    def _open(self) -> list[Record]:
        """Trials that have not ended; where none is queued or runs, they wait at a rung to be judged."""
        return [record for record in self._records.values() if not record.done]

    def _judge(self) -> None:
        """Every candidate has reached a rung: stop some, and let the others go on."""
        assert self._stopping is not None, "without early stopping no trial waits to be judged"
        waiting = self._open()
        rung = max(waiting[0].rungs)
        generation = [record for record in self._records.values() if record.generation == self._generation]
        reached = [record for record in generation if rung in record.rungs]  # a kill may have come amid the judgement
        before = [record for record in self._records.values() if record.generation < self._generation]
        go_on = survivors(reached, before, rung, self._study.objectives, self._stopping.reduction)
        for record in waiting:
            if record.number in go_on:
                self._queue.append(record.number)
                continue
            metrics = {name: value for name, value in record.rungs[rung].items() if name not in _SPENT}
            reason = (
                f"stopped after {rung} of {self._stopping.rungs[-1]} epochs; {len(go_on)} of {len(reached)} went on"
            )
            self._end(Outcome(record.number, metrics, reason, now(), 0.0, "", ""), 1, pruned=True)

    def _complete_generation(self) -> None:
        """Create what the journal lacks of the current generation, and queue what of it has not ended."""
        records = list(self._records.values())
        history = History(tuple(record for record in records if record.generation < self._generation))
        proposals = self._propose(self._generation, history)
        there = {record.id for record in records if record.generation == self._generation}
        for proposal in proposals:
            if proposal.id not in there:
                params = self._encode(proposal.architecture)
                record = self._study.create(proposal, self._generation, self._proposer, params)
                self._records[record.number] = record
        self._over = not proposals
        waiting = self._open()
        if self._stopping is not None and waiting:
            least = min(map(self._next_rung, waiting))
            behind = [record for record in waiting if self._next_rung(record) == least]
            if len(behind) == len(waiting) and least != self._stopping.rungs[0]:
                return  # all have reached a rung: they are judged first
            waiting = behind  # the others wait for them at theirs
        self._queue.extend(record.number for record in waiting)
