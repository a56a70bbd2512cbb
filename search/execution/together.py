"""Trainings that several workers do together, each with its share of the images: a group of processes by Ray Train.

Every process runs the same tasks with a worker of its own. What they report comes to the driver through a mailbox, an
actor, which also remembers which tasks have ended: where a process or a node is lost, Ray Train starts the group again,
of as many processes as there is room for, and it goes on from the last checkpoint of the task in hand.
"""

# Ray annotates its functions only in part
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUntypedFunctionDecorator=false

import faulthandler
import os
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from search.execution.cluster import nodes_alive, watching  # before ray, which it sets up

# isort: split
import ray
from ray import train
from ray.exceptions import RayError
from ray.train.torch import TorchConfig, TorchTrainer, get_device
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.execution.room import ROOM_SECONDS, lacking
from search.runs.folder import Run
from search.runs.records import Outcome
from search.training.ranks import RankLostError, TorchRanks
from search.worker import tasks
from search.worker.tasks import ExecutionError, Task, TaskError, Work
from search.worker.worker import Worker

_LOOK = 0.1
"""Seconds between two looks into the mailbox."""

_MOST_LOSSES = 20
"""How often a group may start again because a process or a node of it was lost."""

_SILENT = 600
"""Seconds that a process waits for the others within a step."""


class Mailbox:
    """Reports on their way from the processes of a group to the driver, and which tasks have ended."""

    def __init__(self) -> None:
        self._reports: list[tuple[int, str]] = []
        self._ended: set[int] = set()
        self._over = False
        self._unfit: str | None = None

    def put(self, number: int, report: str, last: bool) -> None:  # noqa: FBT001 -- called through Ray
        """A report of a task; nothing after its last one."""
        if number in self._ended:
            return
        self._reports.append((number, report))
        if last:
            self._ended.add(number)

    def refuse(self, problem: str) -> None:
        """A process cannot work on the run, so that the group cannot."""
        self._unfit = problem

    def take(self) -> tuple[list[tuple[int, str]], str | None]:
        """What has come since the last time, and why the group cannot work where it cannot."""
        reports, self._reports = self._reports, []
        return reports, self._unfit

    def ended(self) -> set[int]:
        """The tasks of which the last report has come."""
        return self._ended

    def stop(self) -> None:
        """Nobody waits for reports any more."""
        self._over = True

    def stopped(self) -> bool:
        """Whether nobody does."""
        return self._over


def train_together(run: Run, work: Work, workers: tuple[int, int], *, on_gpus: bool) -> None:
    """Run a phase of trainings, each on at least and at most so many workers.

    Raises `ExecutionError` where the group cannot go on, and what the work raises. An interruption leaves the group to
    end by itself.
    """
    while not work.finished:
        todo: list[Task] = []
        while (task := work.next_task()) is not None:
            todo.append(task)
        _Group(run, work, todo).train(workers, on_gpus=on_gpus)


class _Group:
    """A group of processes that does some tasks, seen from the driver."""

    def __init__(self, run: Run, work: Work, todo: list[Task]) -> None:
        self._run, self._work, self._todo = run, work, todo
        self._left = dict(enumerate(todo))
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        # on the driver's node: another one may be lost, and the run with the mailbox
        self._mailbox: Any = ray.remote(num_cpus=0)(Mailbox).options(scheduling_strategy=here).remote()
        self._failure: Exception | None = None

    def train(self, workers: tuple[int, int], *, on_gpus: bool) -> None:
        """Do the tasks, and pass on all reports."""
        remedy = f"go on with: binarynas resume {self._run.path}"
        execution = self._run.config.execution
        bundle = {"CPU": float(execution.training_threads), **({"GPU": 1.0} if on_gpus else {})}
        with TemporaryDirectory(prefix=".train-", dir=self._run.path.resolve(), ignore_cleanup_errors=True) as place:
            trainer = TorchTrainer(
                _rank,
                train_loop_config={
                    "run": str(self._run.path.resolve()),
                    "tasks": [tasks.to_json(task) for task in self._todo],
                    "mailbox": self._mailbox,
                    "synchronised": execution.batch_norm == "synchronised",
                    "limit": execution.timeout,
                    "on_gpus": on_gpus,
                },
                scaling_config=train.ScalingConfig(
                    num_workers=workers if workers[0] < workers[1] else workers[0],
                    use_gpu=on_gpus,
                    resources_per_worker=bundle,
                ),
                run_config=train.RunConfig(
                    name="group",
                    storage_path=place,
                    failure_config=train.FailureConfig(max_failures=_MOST_LOSSES + len(self._todo)),
                ),
                torch_config=TorchConfig(backend="nccl" if on_gpus else "gloo", timeout_s=_SILENT),
            )
            # not in the main thread, so that a signal interrupts this process and not Ray Train alone
            thread = threading.Thread(target=self._fit, args=(trainer,), name="group", daemon=True)
            try:
                with watching(self._fail, remedy):
                    thread.start()
                    self._pass_on(thread, workers[0], bundle)
            except BaseException as error:
                self._stop()
                if self._failure is not None:
                    raise self._failure from error
                raise
        if self._failure is not None:
            raise self._failure
        for task in self._left.values():
            self._work.lost(task, "its group of workers ended before it")

    def _fit(self, trainer: TorchTrainer) -> None:
        try:
            trainer.fit()
        except Exception as error:  # noqa: BLE001 -- raised again by `train`
            self._fail(ExecutionError(f"the group of training workers was lost: {_last_line(error)}"))

    def _fail(self, error: ExecutionError) -> None:
        self._failure = self._failure or error

    def _pass_on(self, thread: threading.Thread, fewest: int, bundle: dict[str, float]) -> None:
        """Pass on reports until the group has ended."""
        begun, silent = time.monotonic(), True
        while True:
            over = not thread.is_alive()
            reports, unfit = self._mail()
            if unfit:
                raise ExecutionError(unfit)
            for number, text in reports:
                report = tasks.from_json(text, tasks.REPORTS)
                task = self._todo[number]
                if tasks.is_last(task, report):
                    del self._left[number]
                self._work.report(task, report)
            if over:
                return
            if (
                silent
                and time.monotonic() - begun > ROOM_SECONDS
                and (problem := lacking(nodes_alive(), bundle, fewest))
            ):
                sys.stderr.write(
                    f"binarynas: waiting: {problem}; add nodes, or make execution.training_workers or "
                    "execution.training_threads smaller\n"
                )
                silent = False
            thread.join(_LOOK)

    def _mail(self) -> tuple[list[tuple[int, str]], str | None]:
        try:
            return ray.get(self._mailbox.take.remote())
        except RayError as error:
            raise ExecutionError(f"Ray was lost: {_last_line(error)}") from error

    def _stop(self) -> None:
        try:
            ray.get(self._mailbox.stop.remote(), timeout=2)
        except RayError:
            return  # Ray is gone, and the group with it


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _rank(config: dict[str, Any]) -> None:
    """What every process of a group does."""
    mailbox, ranks = config["mailbox"], TorchRanks(config["synchronised"])
    threading.Thread(target=_end_when_stopped, args=(mailbox,), daemon=True).start()
    ended, run = ray.get(mailbox.ended.remote()), Path(config["run"])
    worker, problem = Worker.fit_for(run, ranks, get_device() if config["on_gpus"] else None)
    if worker is None:
        ray.get(mailbox.refuse.remote(problem))
        raise RuntimeError(problem)
    for number, text in enumerate(config["tasks"]):
        if number in ended:
            continue
        task = tasks.from_json(text, tasks.TASKS)
        reports = worker.run(task)
        while (report := _next(reports, config["limit"])) is not None:
            failed = isinstance(report, TaskError) or (isinstance(report, Outcome) and report.reason is not None)
            if ranks.rank == 0 or failed:
                ray.get(mailbox.put.remote(number, tasks.to_json(report), tasks.is_last(task, report)))
            if failed:  # the others may wait for this one: all begin again with the next task
                raise RuntimeError("a task failed")


def _next(reports: Any, limit: float | None) -> Any:
    """The next report. The process ends where that takes too long. Raises `RuntimeError` where another one is lost: all
    begin again, and the task is not charged."""
    if limit is not None:
        faulthandler.dump_traceback_later(limit, exit=True, file=2)
    try:
        return next(reports, None)
    except RankLostError as error:
        raise RuntimeError(f"another process of the group was lost: {error}") from error
    finally:
        faulthandler.cancel_dump_traceback_later()


def _end_when_stopped(mailbox: Any) -> None:
    """End this process when nobody waits for its reports any more."""
    while True:
        try:
            if ray.get(mailbox.stopped.remote()):
                os._exit(0)
        except RayError:
            os._exit(0)
        time.sleep(1.0)
