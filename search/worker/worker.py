"""What a worker does: tasks in, reports out. Knows neither Ray nor Optuna, so it runs in any process."""

import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import assert_never

import torch

from analysis.runs.layout import RUN_FILE
from search.runs.records import Stage
from search.training.own import TrainingCode
from search.training.ranks import ALONE, Ranks
from search.worker import tasks
from search.worker.cells import search_cells
from search.worker.context import Context
from search.worker.deploy import deploy
from search.worker.fit import fit
from search.worker.latency import measure_latencies
from search.worker.one_shot import evaluate_candidates, train_supernet
from spaces.errors import BinarynasError
from spaces.tools.origin import hidden


class Worker:
    """Runs the tasks of one run, whose folder it opens by itself, one after another."""

    def __init__(
        self,
        path: Path,
        code: TrainingCode | None = None,
        ranks: Ranks = ALONE,
        device: torch.device | None = None,
    ) -> None:
        self._context = Context(path, code, ranks, device)

    @classmethod
    def fit_for(
        cls, path: Path, ranks: Ranks = ALONE, device: torch.device | None = None
    ) -> "tuple[Worker, None] | tuple[None, str]":
        """A worker of a run, or why there can be none on this node: it does not see the run's folder or its data, they
        are others here, or it lacks the device."""
        node = os.uname().nodename
        if problem := hidden():
            return None, problem
        if not (path / RUN_FILE).is_file():
            return None, (
                f"a worker on {node} does not see the run's folder {path}: on a cluster it must be on storage that "
                "every node mounts at the same path"
            )
        try:
            worker = cls(path, ranks=ranks, device=device)
            worker._context.open()
        except (BinarynasError, OSError) as error:
            return None, f"a worker on {node} cannot work on {path}: {error}"
        return worker, None

    def run(self, task: tasks.Task) -> Iterator[tasks.Report]:
        """Do a task; its reports come as they arise. An error becomes a report, too."""
        execution = self._context.config.execution
        try:
            exclusive = tasks.is_exclusive(task) or self._context.ranks.count > 1
            torch.set_num_threads(execution.training_threads if exclusive else execution.threads)
            yield from self._reports(task)
        except Exception as error:  # noqa: BLE001 - the last place where an error can become a report
            self._context.run.log("error", task=tasks.kind_of(type(task)), trace=traceback.format_exc())
            yield tasks.TaskError(f"{type(error).__name__}: {error}")

    def _reports(self, task: tasks.Task) -> Iterator[tasks.Report]:
        match task:
            case tasks.Evaluate(stage=Stage.SHARED):
                from search.worker.shared import evaluate_backbones  # loads torchvision

                yield from evaluate_backbones(self._context, task)
            case tasks.Evaluate():
                yield from evaluate_candidates(self._context, task)
            case tasks.Fit(stage=Stage.DETECTOR):
                from search.worker.detection import fit_detector  # loads torchvision

                yield from fit_detector(self._context, task)
            case tasks.Fit():
                yield from fit(self._context, task)
            case tasks.SearchCells():
                yield from search_cells(self._context, task)
            case tasks.TrainSupernet():
                yield from train_supernet(self._context, task)
            case tasks.TrainShared():
                from search.worker.shared import train_shared

                yield from train_shared(self._context)
            case tasks.MeasureLatencies():
                yield measure_latencies(self._context)
            case tasks.Deploy(stage=Stage.SHARED):
                from search.worker.shared import deploy_backbone

                yield deploy_backbone(self._context, task)
            case tasks.Deploy(stage=Stage.DETECTOR):
                from search.worker.detection import deploy_detector

                yield deploy_detector(self._context, task)
            case tasks.Deploy():
                yield deploy(self._context, task)
            case _:
                assert_never(task)
