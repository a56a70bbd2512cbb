"""Execution on Ray Tune. Tune hands out tasks and carries reports; what was done stands in the run's journal alone.

Tune is built anew for every phase and after every interruption. Its own state is never restored: it is no ledger, and
it is a pickle.
"""

import json
import logging
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Read when ray is imported or started: no loggers of Tune's, no second output engine, no usage statistics.
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from binarynas import shadowed
from search.run import Run
from search.work import Report, Task, Work
from search.worker import Worker, pick_device


class _Trainable(tune.Trainable):
    """A thin shell around a worker: one report a step."""

    def setup(self, config: dict[str, Any]) -> None:
        problem = shadowed()
        if problem:
            raise RuntimeError(problem)
        self._worker = Worker(Path(config["run"]))
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._reports = self._worker.run(json.loads(new_config["task"]))
        return True  # the actor goes on with the next task

    def step(self) -> dict[str, Any]:
        report: Report = next(self._reports)
        return {"report": json.dumps(report), "done": bool(report.get("last"))}


class _Feeder(Searcher):
    """Gives Tune the next task when it asks for a trial."""

    def __init__(self, run: Run, work: Work, listener: "_Listener") -> None:
        super().__init__(metric="report", mode="max")
        self._run, self._work, self._listener = run, work, listener

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its searcher into a state of its own, which we never read

    def suggest(self, trial_id: str) -> Any:
        if self._work.finished or self._listener.failure is not None:
            return Searcher.FINISHED
        try:
            task = self._work.next_task()
        except Exception as error:  # noqa: BLE001 -- raised again by `TuneExecutor.run`
            self._listener.failure = error
            return Searcher.FINISHED
        if task is None:
            return Searcher.FINISHED if self._work.finished else None
        return {"run": str(self._run.path.resolve()), "task": json.dumps(task)}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:  # noqa: FBT001, FBT002
        """The reports have come through the callback."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""


class _Listener(tune.Callback):
    """Passes the reports of Tune's trials on to the work; keeps what the work raises, which Tune would wrap and log."""

    def __init__(self, work: Work) -> None:
        self._work: Work | None = work
        self.failure: Exception | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_work": None, "failure": None}  # as above

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if "report" in result:
            self._pass_on(lambda work: work.report(_task(trial), json.loads(result["report"])))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        error = trial.get_error()
        reason = str(error).strip().splitlines()[-1] if error else "no reason was given"
        self._pass_on(lambda work: work.lost(_task(trial), f"the worker was lost: {reason}"))

    def _pass_on(self, tell: Callable[[Work], None]) -> None:
        if self._work is None or self.failure is not None:
            return
        try:
            tell(self._work)
        except Exception as error:  # noqa: BLE001 -- raised again by `TuneExecutor.run`
            self.failure = error


class TuneExecutor:
    """Runs a phase's tasks as Tune trials on workers that are reused."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.workers = run.config.execution.workers or os.cpu_count() or 1

    def _connect(self) -> None:
        """Start Ray on this machine, or connect to the cluster that the configuration names."""
        execution = self._run.config.execution
        cores = max(self.workers * execution.threads, execution.training_threads)
        local: dict[str, Any] = {"num_cpus": cores, "include_dashboard": False}
        settings: dict[str, Any] = {"address": execution.address} if execution.address else local
        on_termination = signal.getsignal(signal.SIGTERM)
        level = logging.INFO if execution.ray_output else logging.ERROR
        ray.init(log_to_driver=execution.ray_output, logging_level=level, **settings)
        signal.signal(signal.SIGTERM, on_termination)  # Ray's own would end the process at once
        for name in ("ray.tune", "ray.train", "ray"):
            logging.getLogger(name).setLevel(level)

    def run(self, work: Work) -> None:
        """See `Executor.run`."""
        if work.finished:
            return
        if not ray.is_initialized():
            self._connect()
        listener = _Listener(work)
        with tempfile.TemporaryDirectory(prefix="binarynas-tune-") as scratch:
            tuner = tune.Tuner(
                tune.with_resources(_Trainable, self._resources(work)),
                tune_config=tune.TuneConfig(
                    search_alg=_Feeder(self._run, work, listener),
                    num_samples=-1,
                    max_concurrent_trials=self.workers,
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

    def _resources(self, work: Work) -> dict[str, float]:
        """A whole machine's cores for training with several threads, a core for anything else; a share of the GPU."""
        execution = self._run.config.execution
        threads = execution.training_threads if work.exclusive else execution.threads
        resources: dict[str, float] = {"cpu": threads}
        if pick_device(execution.device).type == "cuda":
            resources["gpu"] = 1 if work.exclusive else 1 / self.workers
        return resources


def _task(trial: Trial) -> Task:
    return json.loads(trial.config["task"])
