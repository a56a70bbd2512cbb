"""What a worker does: tasks in, reports out. Knows neither Ray nor Optuna, so it runs in any process.

Tasks and reports are JSON values. A worker opens the run's folder by itself.
"""

import traceback
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import torch

from search.worker.context import Context
from search.worker.tasks import Report, Task

# where each kind of task is done; imported on use, since no worker needs them all
JOBS = {
    "measure_latencies": "search.worker.latency:measure_latencies",
    "train_supernet": "search.worker.one_shot:train_supernet",
    "evaluate": "search.worker.one_shot:evaluate_candidates",
    "fit": "search.worker.fit:fit",
    "search_cells": "search.worker.cells:search_cells",
    "deploy": "search.worker.deploy:deploy",
}


class Worker:
    """Runs the tasks of one run, one after another."""

    def __init__(self, path: Path) -> None:
        self._context = Context(path)

    def run(self, task: Task) -> Iterator[Report]:
        """Do a task; its reports come as they arise, the last one with `last` set. An error becomes a report, too."""
        try:
            yield from self._start(task)
        except Exception as error:  # noqa: BLE001 -- the last place where an error can become a report
            self._context.run.log("error", task=task["kind"], trace=traceback.format_exc())
            yield {"kind": "error", "reason": f"{type(error).__name__}: {error}", "last": True}

    def _start(self, task: Task) -> Iterator[Report]:
        execution = self._context.config.execution
        torch.set_num_threads(execution.training_threads if task.get("exclusive") else execution.threads)
        module, _, job = JOBS[task["kind"]].partition(":")
        return getattr(import_module(module), job)(self._context, task)
