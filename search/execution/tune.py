"""Execution on Ray Tune. Tune hands out tasks and carries reports, both as JSON; what was done is in the run's journal.

A new Tuner is made for every phase and after every interruption. Its own state is never restored: the journal is the
truth, and that state is a pickle.
"""

# Ray annotates its functions only in part
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import faulthandler
import os
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analysis.runs.layout import RUN_FILE
from search.execution.cluster import connect, watching  # before ray, which it sets up

# isort: split
import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from search.execution.address import HERE
from search.runs.folder import Run
from search.worker import tasks
from search.worker.device import pick_device
from search.worker.tasks import ExecutionError, Outcome, Task, TrialTask, Work, timed_out
from search.worker.worker import Worker
from spaces.tools.origin import hidden

_GRACE = 10.0
"""Seconds that a worker gets to end itself at its time limit; then it is frozen, and is killed from here."""

_NODE_LOST = ("its node has died", "its owner has died")
"""Parts of Ray's error when a worker died with its node. Such a loss does not count as an attempt."""

_MOST_MOVES = 20
"""How often tasks of a phase may start again elsewhere because their node was lost."""

_FREE_LOSSES = 2
"""Losses of its worker that a candidate is forgiven. Ray often reports a dead node, a killed worker and a crash caused
by the candidate alike, as a broken connection."""


class _Trainable(tune.Trainable):
    """A thin shell around a worker: one report per step."""

    def setup(self, config: dict[str, Any]) -> None:
        run = Path(config["run"])
        self._limit: float | None = config["limit"]
        self._problem = hidden() or _unseen(run)
        if self._problem is None:
            self._worker = Worker(run)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._task = tasks.from_json(new_config["task"], tasks.TASKS)
        if self._problem is None:
            self._reports = self._worker.run(self._task)
        return True  # the actor goes on with the next task

    def step(self) -> dict[str, Any]:
        if self._problem is not None:
            return {"report": "", "unfit": self._problem, "done": True}  # Tune wants to find its metric, "report"
        if self._limit is not None:  # ends the process from a thread of C's own, whatever holds the interpreter
            faulthandler.dump_traceback_later(self._limit, exit=True, file=2)
        try:
            report = next(self._reports)
        finally:
            faulthandler.cancel_dump_traceback_later()
        return {"report": tasks.to_json(report), "done": tasks.is_last(self._task, report)}


def _unseen(run: Path) -> str | None:
    """Why a worker cannot work on a run, where its node does not see the folder."""
    if (run / RUN_FILE).is_file():
        return None
    return (
        f"a worker on {os.uname().nodename} does not see the run's folder {run}: on a cluster it must be on storage "
        "that every node mounts at the same path"
    )


class _Feeder(Searcher):
    """Gives Tune the next task when Tune asks for a trial."""

    def __init__(self, run: Run, work: Work, listener: "_Listener") -> None:
        super().__init__(metric="report", mode="max")
        self._run, self._work, self._listener = run, work, listener

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its searcher into its own state, which we never read

    def suggest(self, trial_id: str) -> Any:
        if self._listener.failure is not None:
            return Searcher.FINISHED
        if self._listener.moved:
            return self._trial(self._listener.moved.popleft())
        if self._work.finished:
            return Searcher.FINISHED
        try:
            task = self._work.next_task()
        except Exception as error:  # noqa: BLE001 -- raised again by `TuneExecutor.run`
            self._listener.failure = error
            return Searcher.FINISHED
        if task is None:
            return Searcher.FINISHED if self._work.finished else None
        return self._trial(task)

    def _trial(self, task: Task) -> dict[str, Any]:
        limit = self._run.config.execution.timeout
        return {"run": str(self._run.path.resolve()), "task": tasks.to_json(task), "limit": limit}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:  # noqa: FBT001, FBT002
        """Nothing: reports come through the callback."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""


class _Listener(tune.Callback):
    """Passes the reports of Tune's trials to the work; keeps what the work raises, which Tune would wrap and log."""

    def __init__(self, work: Work, limit: float | None) -> None:
        self._work: Work | None = work
        self._limit = limit
        self._running: dict[str, tuple[Trial, float, set[int]]] = {}  # since when silent, and which outcomes came
        self._moves = 0
        self._losses: Counter[object] = Counter()
        self.moved: deque[Task] = deque()
        self.failure: Exception | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_work": None, "failure": None}  # as above

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._running[trial.trial_id] = (trial, time.monotonic(), set())

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Kill frozen workers, which do not end themselves at their time limit. Tune has no public way to do that."""
        if self._limit is None:
            return
        for trial, since, _ in self._running.values():
            actor = trial.temporary_state.ray_actor
            if actor is not None and time.monotonic() - since > self._limit + _GRACE:
                ray.kill(actor)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if "unfit" in result:
            self.fail(ExecutionError(result["unfit"]))
            return
        if "report" not in result:
            return
        report = tasks.from_json(result["report"], tasks.REPORTS)
        _, _, came = self._running.get(trial.trial_id, (trial, 0.0, set[int]()))
        if isinstance(report, Outcome):
            came.add(report.number)
        self._running[trial.trial_id] = (trial, time.monotonic(), came)
        self._pass_on(lambda work: work.report(_task(trial), report))

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._running.pop(trial.trial_id, None)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        _, since, came = self._running.pop(trial.trial_id, (trial, time.monotonic(), set[int]()))
        error, task = _error(trial), _task(trial)
        left = task.without(came) if isinstance(task, TrialTask) else task
        if self._limit is not None and time.monotonic() - since >= self._limit:
            self._pass_on(lambda work: work.lost(task, timed_out(self._limit or 0)))
        elif self._may_move(left, error):
            self.moved.append(left)
        else:
            self._pass_on(lambda work: work.lost(task, f"the worker was lost: {error.splitlines()[-1]}"))

    def _may_move(self, left: Task, error: str) -> bool:
        """Whether what is left of a task whose worker was lost starts again elsewhere, without counting an attempt."""
        if any(sign in error for sign in _NODE_LOST):
            self._moves += 1
            return self._moves <= _MOST_MOVES
        in_hand = left.trials[:1] if isinstance(left, TrialTask) else left
        self._losses[in_hand] += 1
        return self._losses[in_hand] <= _FREE_LOSSES

    def _pass_on(self, tell: Callable[[Work], None]) -> None:
        if self._work is None or self.failure is not None:
            return
        try:
            tell(self._work)
        except Exception as error:  # noqa: BLE001 -- raised again by `TuneExecutor.run`
            self.failure = error

    def fail(self, error: ExecutionError) -> None:
        """Take note that nothing can run any more."""
        self.failure = self.failure or error


class TuneExecutor:
    """Runs a phase's tasks as Tune trials on workers that are reused, on this machine or on a cluster."""

    def __init__(self, run: Run, address: str | None = None) -> None:
        self._run = run
        address = address or run.config.execution.address
        self._address = None if address == HERE else address

    def run(self, work: Work) -> None:
        """See `Executor.run`. Raises `ExecutionError` where Ray cannot be reached, or is lost."""
        if work.finished:
            return
        connect(self._run.config.execution, self._address)
        listener = _Listener(work, self._run.config.execution.timeout)
        remedy = f"go on with: binarynas resume {self._run.path}"
        with tempfile.TemporaryDirectory(prefix="binarynas-tune-") as scratch, watching(listener.fail, remedy):
            tuner = tune.Tuner(
                tune.with_resources(_Trainable, self._resources(work)),
                tune_config=tune.TuneConfig(
                    search_alg=_Feeder(self._run, work, listener),
                    num_samples=-1,
                    max_concurrent_trials=self._workers(),
                    reuse_actors=True,
                ),
                run_config=tune.RunConfig(
                    name="run",
                    storage_path=scratch,
                    verbose=1 if self._run.config.execution.ray_output else 0,
                    callbacks=[listener],
                    failure_config=tune.FailureConfig(max_failures=0),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                ),
            )
            tuner.fit()
        if listener.failure is not None:
            raise listener.failure
        if not work.finished:
            raise KeyboardInterrupt  # Tune swallows Ctrl-C and returns

    def _workers(self) -> int:
        """How many tasks run at once: as asked for, else as many as this machine or the cluster has room for."""
        execution = self._run.config.execution
        if execution.workers or self._address is None:
            return execution.workers or os.cpu_count() or 1
        there = ray.cluster_resources()
        room = there.get("CPU", 0) / execution.threads
        if self._on_gpus():
            room = min(room, there.get("GPU", 0) / (execution.gpu_share or 1))
        return max(1, int(room))

    def _on_gpus(self) -> bool:
        device = self._run.config.execution.device
        if self._address is None:
            return pick_device(device).type == "cuda"
        return device == "cuda" or (device == "auto" and ray.cluster_resources().get("GPU", 0) > 0)

    def _resources(self, work: Work) -> dict[str, float]:
        """Of one task: cores for its threads, and a share of a GPU where there are any."""
        execution = self._run.config.execution
        threads = execution.training_threads if work.exclusive else execution.threads
        resources: dict[str, float] = {"cpu": threads}
        if self._on_gpus():
            one_of_many = execution.gpu_share or (1 / self._workers() if self._address is None else 1)
            resources["gpu"] = 1 if work.exclusive else one_of_many
        return resources


def _error(trial: Trial) -> str:
    """What ended a trial. Tune has written it to a file of this machine; its own accessor looks where that is copied to
    later."""
    try:
        text = Path(trial.error_file or "").read_text().strip()
    except OSError:
        text = ""
    return text or "Ray gives no reason"


def _task(trial: Trial) -> Task:
    return tasks.from_json(trial.config["task"], tasks.TASKS)
