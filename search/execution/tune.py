"""Execution on Ray Tune. Tune hands out tasks and carries reports, both as JSON; what was done is in the run's journal.

A new Tuner is made for every phase and after every interruption. Its own state is never restored: the journal is the
truth, and that state is a pickle.
"""

# Ray annotates its functions only in part
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import faulthandler
import os
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from search.execution.cluster import connect, nodes_alive, watching  # before ray, which it sets up

# isort: split
import ray
from ray import tune
from ray.autoscaler.sdk import request_resources
from ray.exceptions import RayError
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from search.execution.address import HERE
from search.execution.room import ROOM_SECONDS, Room, lacking
from search.execution.shown import OURS, name_of, parameters_of, shown
from search.execution.together import train_together
from search.execution.trainables.trials import WorkerTrial
from search.pipeline.callbacks import callback_failed, callbacks_of
from search.runs.folder import Run
from search.worker import tasks
from search.worker.device import gpu_count, pick_device
from search.worker.tasks import ExecutionError, Outcome, Task, TrialTask, Work, timed_out
from search.worker.worker import Worker

_IDLE = 0.02
"""Seconds between two looks of a process that has nothing to do."""

_UNFIT = 0.5
"""The same, of one that cannot work on the run."""

_PATIENCE = 15.0
"""Seconds for which a worker that can work on the run is waited for, after one came that cannot."""

_GRACE = 10.0
"""Seconds that a worker gets to end itself at its time limit; then it is frozen, and is killed from here."""

_NODE_LOST = ("its node has died", "its owner has died")
"""Parts of Ray's error when a worker died with its node. Such a loss does not count as an attempt."""

_MOST_MOVES = 20
"""How often tasks of a phase may start again elsewhere because their node was lost."""

_FREE_LOSSES = 2
"""Losses of its worker that a candidate is forgiven. Ray often reports a dead node, a killed worker and a crash caused
by the candidate alike, as a broken connection."""


class RunTrial(WorkerTrial):
    """A trial of a run in Tune: what a worker reports of a task, report by report.

    It never says that it is done: `_Listener` ends it, so that no process ends that could go on with another task.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Open the run."""
        ours = config[OURS]
        run = Path(ours["run"])
        self._run_name = run.name
        self._limit: float | None = ours["limit"]
        self._worker, self._problem = Worker.fit_for(run)
        self.reset_config(config)

    def __repr__(self) -> str:
        """What dashboards show of the process."""
        return f"binarynas {self._run_name}"

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin a task; the process goes on with the next one."""
        self._task = tasks.from_json(new_config[OURS]["task"], tasks.TASKS)
        self._shown: dict[str, Any] = {}
        self._reports = iter(()) if self._worker is None else self._worker.run(self._task)
        return True

    def step(self) -> dict[str, Any]:
        """The next report, or nothing new where all have come."""
        if self._problem is not None:
            time.sleep(_UNFIT)
            return {"report": "", "unfit": self._problem}
        if self._limit is not None:  # ends the process from a thread of C's own, whatever holds the interpreter
            faulthandler.dump_traceback_later(self._limit, exit=True, file=2)
        try:
            report = next(self._reports, None)
        finally:
            faulthandler.cancel_dump_traceback_later()
        if report is None:
            time.sleep(_IDLE)
            return {**self._shown, "report": ""}
        self._shown |= shown(self._task, report)
        return {**self._shown, "report": tasks.to_json(report)}


class _Feeder(Searcher):
    """Gives Tune the next task when Tune asks for a trial."""

    def __init__(self, run: Run, listener: "_Listener") -> None:
        super().__init__(metric="report", mode="max")
        self._run, self._listener = run, listener

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its searcher into its own state, which we never read

    def suggest(self, trial_id: str) -> Any:
        task = self._listener.take()
        if task is None:
            return Searcher.FINISHED if self._listener.over else None
        ours = {
            "run": str(self._run.path.resolve()),
            "task": tasks.to_json(task),
            "limit": self._run.config.execution.timeout,
        }
        return {**parameters_of(self._run, task), OURS: ours}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:  # noqa: FBT001, FBT002
        """Nothing: reports come through the callback."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""


class InTurn(FIFOScheduler):
    """Gives a process that waits to the next trial without one.

    Tune's own choice is a trial whose process is starting, which it ends for that; it starts another one for the next
    trial, and ends that in turn, so that one process does all the work for a minute while the others never come up.
    """

    def __init__(self) -> None:
        super().__init__()
        self._added: deque[Trial] = deque()

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Queue a trial."""
        self._added.append(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Each trial once; Tune runs it when a process is free, or starts one."""
        return self._added.popleft() if self._added else None


class _Listener(tune.Callback, tune.Stopper):
    """Takes tasks from the work and passes the reports of Tune's trials to it; keeps what the work raises, which Tune
    would wrap and log.

    A worker that cannot work on the run is set aside: its trial goes on, so that it holds its place on its node and Ray
    starts the next one elsewhere, and its task is handed out again.

    It is also what ends a trial: when there is another task for its process, or all is over. Tune, left alone, gives a
    process that waits to a trial whose own process is starting, and ends that; and it keeps one waiting process of all.
    """

    def __init__(
        self,
        work: Work,
        workers: int,
        bundle: Mapping[str, float],
        limit: float | None,
        others: Sequence[tune.Callback] = (),
    ) -> None:
        self._work: Work | None = work
        self._workers, self._bundle = workers, {name.upper(): amount for name, amount in bundle.items()}
        self._waiting_since: float | None = time.monotonic()  # for the first worker; None where that was said
        self._limit = limit
        self._others = others
        self._running: dict[str, tuple[Trial, float, set[int]]] = {}  # since when silent, and which outcomes came
        self._ended: set[str] = set()
        self._unfit: dict[str, float] = {}  # workers that were set aside, and since when
        self._moves = 0
        self._losses: Counter[object] = Counter()
        self._next: deque[Task] = deque()
        self._freed = 0  # trials that were ended for a task that waits to be taken
        self.moved: deque[Task] = deque()
        self.failure: Exception | None = None

    def take(self) -> Task | None:
        """The next task; None where there is none now. Never raises: see `failure`."""
        ready = self._ready(1)
        self._freed = max(0, self._freed - 1)
        return self._next.popleft() if ready else None

    def _ready(self, count: int) -> bool:
        """Whether so many tasks are ready to be taken."""
        while len(self._next) < count and self._work is not None and not self.over:
            if self.moved:
                self._next.append(self.moved.popleft())
                continue
            try:
                task = self._work.next_task()
            except Exception as error:  # noqa: BLE001 -- raised again by `TuneExecutor.run`
                self.failure = error
                return False
            if task is None:
                break
            self._next.append(task)
        return len(self._next) >= count

    @property
    def over(self) -> bool:
        """Whether no task will come."""
        if self.failure is not None or self._work is None:
            return True
        return self._work.finished and not self._next and not self.moved

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether a trial ends with this result, which is passed on."""
        if "unfit" in result:
            self._set_aside(trial_id, result["unfit"])
            return self.over
        self._take_result(trial_id, result)
        if trial_id not in self._ended:
            return self.failure is not None
        if self._ready(self._freed + 1):
            self._freed += 1
            return True
        return self.over

    def stop_all(self) -> bool:
        """False: trials end one by one."""
        return False

    def __getstate__(self) -> dict[str, Any]:
        return {"_work": None, "failure": None, "_others": (), "_running": {}, "_ended": set()}  # as above

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._running[trial.trial_id] = (trial, time.monotonic(), set())
        self._tell("on_trial_start", iteration, trials, trial, **info)

    def setup(self, *arguments: Any, **info: Any) -> None:
        self._tell("setup", *arguments, **info)

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        self._tell("on_experiment_end", trials, **info)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Say why nothing begins, and kill frozen workers, which do not end themselves at their time limit. Tune has no
        public way to do that."""
        self._say_what_is_lacking()
        if self._limit is None:
            return
        for trial, since, _ in self._running.values():
            if trial.trial_id in self._ended:
                continue
            actor = trial.temporary_state.ray_actor
            if actor is not None and time.monotonic() - since > self._limit + _GRACE:
                ray.kill(actor)

    def _say_what_is_lacking(self) -> None:
        if self._waiting_since is None or time.monotonic() - self._waiting_since < ROOM_SECONDS:
            return
        self._waiting_since = None
        if not self._running and (problem := lacking(nodes_alive(), self._bundle)):
            sys.stderr.write(
                f"binarynas: waiting: {problem}; add nodes, or make execution.threads smaller, or see that "
                "execution.device is one that they have\n"
            )

    def _set_aside(self, trial_id: str, problem: str) -> None:
        """Hand the task of a worker that cannot work on the run to another one; where none comes, nothing can run."""
        if trial_id not in self._unfit:
            trial, _, _ = self._running.pop(trial_id)
            self._unfit[trial_id] = time.monotonic()
            self.moved.append(_task(trial))
            sys.stderr.write(f"binarynas: set aside: {problem}\n")
        everybody = len(self._unfit) >= self._workers
        if everybody or (not self._running and time.monotonic() - max(self._unfit.values()) > _PATIENCE):
            self.fail(ExecutionError(problem))

    def _take_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if not result.get("report") or trial_id not in self._running:
            return
        report = tasks.from_json(result["report"], tasks.REPORTS)
        trial, _, came = self._running[trial_id]
        if isinstance(report, Outcome):
            came.add(report.number)
        self._running[trial_id] = (trial, time.monotonic(), came)
        task = _task(trial)
        if tasks.is_last(task, report):
            self._ended.add(trial_id)
        self._pass_on(lambda work: work.report(task, report))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if not result.get("report"):
            return
        told = {name: value for name, value in result.items() if name != "report"}
        self._tell("on_trial_result", iteration, trials, trial, told, **info)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._running.pop(trial.trial_id, None)
        self._tell("on_trial_complete", iteration, trials, trial, **info)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._tell("on_trial_error", iteration, trials, trial, **info)
        if trial.trial_id in self._ended or self._unfit.pop(trial.trial_id, None) is not None:
            return  # it had done all, or was to do nothing
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

    def _tell(self, event: str, *arguments: Any, **info: Any) -> None:
        """Tell the user's own callbacks; what one raises ends the run."""
        for other in self._others:
            try:
                getattr(other, event)(*arguments, **info)
            except Exception as error:  # noqa: BLE001 -- raised again by `TuneExecutor.run`
                self.fail(callback_failed(other, error))

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
        self._callbacks: list[tune.Callback] = []
        for each in callbacks_of(run.config):
            if isinstance(each, tune.Callback):
                self._callbacks.append(each)
        address = address or run.config.execution.address
        self._address = None if address == HERE else address

    def run(self, work: Work) -> None:
        """See `Executor.run`. Raises `ExecutionError` where Ray cannot be reached, or is lost."""
        if work.finished:
            return
        connect(self._run.config.execution, self._address)
        room = self._room()
        together = self._run.config.execution.training_range(int(room.gpus))
        if work.together and together != (1, 1):
            train_together(self._run, work, together, on_gpus=room.gpus > 0)
            return
        workers = room.workers(self._run.config.execution)
        resources = self._resources(work)
        listener = _Listener(work, workers, resources, self._run.config.execution.timeout, self._callbacks)
        remedy = f"go on with: binarynas resume {self._run.path}"
        trainable = tune.with_resources(RunTrial, resources)
        trainable.__qualname__ = RunTrial.__name__  # what Ray's lists and process titles show
        with self._storage() as (storage, name), self._demand(work), watching(listener.fail, remedy):
            tuner = tune.Tuner(
                trainable,
                tune_config=tune.TuneConfig(
                    search_alg=_Feeder(self._run, listener),
                    scheduler=InTurn(),
                    num_samples=-1,
                    max_concurrent_trials=workers,
                    reuse_actors=True,
                    trial_name_creator=_name,
                    trial_dirname_creator=_name,
                ),
                run_config=tune.RunConfig(
                    name=name,
                    storage_path=storage,
                    verbose=1 if self._run.config.execution.ray_output else 0,
                    callbacks=[listener],
                    stop=listener,
                    failure_config=tune.FailureConfig(max_failures=0),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                ),
            )
            tuner.fit()
        if listener.failure is not None:
            raise listener.failure
        if not work.finished:
            raise KeyboardInterrupt  # Tune swallows Ctrl-C and returns

    @contextmanager
    def _demand(self, work: Work) -> Generator[None]:
        """Ask a cluster that grows on demand for the room of all workers at once; others take no note of it."""
        workers = self._run.config.execution.workers
        if self._address is None or work.exclusive or workers is None:
            yield
            return
        bundle = {name.upper(): amount for name, amount in self._resources(work).items()}
        request_resources(bundles=[bundle] * workers)
        try:
            yield
        finally:
            with suppress(RayError, RuntimeError):  # the cluster may be gone
                request_resources(bundles=[])

    @contextmanager
    def _storage(self) -> Generator[tuple[str, str]]:
        """Where Tune keeps its files, and under which name: nowhere for long, but for callbacks, which may be loggers,
        in the run's folder, every time under another name."""
        if not self._callbacks:
            with tempfile.TemporaryDirectory(prefix="binarynas-tune-") as scratch:
                yield scratch, "run"
            return
        place = self._run.path.resolve() / "tune"
        place.mkdir(exist_ok=True)
        yield str(place), f"{len(list(place.iterdir())):03d}"

    def _room(self) -> Room:
        """What this machine or the cluster has, with GPUs where candidates use them."""
        device = self._run.config.execution.device
        if self._address is None:
            return Room(os.cpu_count() or 1, gpu_count() if pick_device(device).type == "cuda" else 0)
        there = ray.cluster_resources()
        gpus = there.get("GPU", 0.0)
        if device == "cpu":
            gpus = 0.0
        elif device == "cuda":
            gpus = max(gpus, 1.0)  # where nodes are started on demand, there is none yet
        return Room(there.get("CPU", 0.0), gpus, may_grow=True)

    def _resources(self, work: Work) -> dict[str, float]:
        """Of one task: cores for its threads, and a share of a GPU where there are any."""
        execution, room = self._run.config.execution, self._room()
        resources: dict[str, float] = {"cpu": execution.training_threads if work.exclusive else execution.threads}
        if room.gpus:
            resources["gpu"] = 1 if work.exclusive else room.share(execution)
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
    return tasks.from_json(trial.config[OURS]["task"], tasks.TASKS)


def _name(trial: Trial) -> str:
    """Such as `inherited-0042-9acb825c094e`, with how many candidates travel along, and the attempt's own number, as
    the name is a folder as well."""
    return f"{name_of(_task(trial))}-{trial.trial_id}"
