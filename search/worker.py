"""What a worker does: tasks in, reports out. Knows neither Ray nor Optuna, so it runs in any process.

Tasks and reports are JSON values. A worker opens the run's folder by itself: the images and the supernet's weights are
mapped into memory, private on write, and reach a worker without a copy.
"""

import os
import socket
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import torch

from models.binary import WeightNormalisation
from models.checkpoint import Verify
from models.network import BinaryNetwork
from models.storage import load_network, load_supernet, save_network, save_supernet
from models.supernet import Supernet, SupernetOptions
from search.allocator import keep_memory
from search.data.dataset import DataSet
from search.data.opening import open_data
from search.evaluation import evaluate, recalibrate_on
from search.records import Outcome, Stage
from search.run import Run
from search.study import now
from search.training import plain_step, sandwich_step, train
from search.work import Report, Task
from spaces import Architecture
from spaces.seeds import derive_seed


class Worker:
    """Runs the tasks of one run, one after another."""

    def __init__(self, path: Path) -> None:
        keep_memory()
        self._run = Run(path)
        self._config = self._run.config
        self._space = self._run.space
        self.device = pick_device(self._config.execution.device)

    def run(self, task: Task) -> Iterator[Report]:
        """Do a task; its reports come as they arise, the last one with `last` set. An error becomes a report, too."""
        try:
            yield from self._start(task)
        except Exception as error:  # noqa: BLE001 -- the last place where an error can become a report
            self._run.log("error", task=task["kind"], trace=traceback.format_exc())
            yield {"kind": "error", "reason": f"{type(error).__name__}: {error}", "last": True}

    def _start(self, task: Task) -> Iterator[Report]:
        kinds = {
            "train_supernet": self._train_supernet,
            "evaluate": self._evaluate,
            "finetune": self._finetune,
            "deploy": self._deploy,
        }
        training = task["kind"] == "train_supernet"
        torch.set_num_threads(self._config.execution.training_threads if training else self._config.execution.threads)
        return kinds[task["kind"]](task)

    @cached_property
    def _data(self) -> DataSet:
        return open_data(
            self._config.data,
            image_size=self._space.image_size,
            seed=self._config.seed,
            cache=self._run.data_cache,
        )

    @cached_property
    def _supernet(self) -> Supernet:
        # Its hash was checked when this phase began (`carry_out`); workers open it in milliseconds.
        return load_supernet(self._run.supernet, Verify.SIZES).to(self.device)

    def _seed(self, *purpose: str | int) -> int:
        return derive_seed(self._config.seed, *purpose)

    def _train_supernet(self, task: Task) -> Iterator[Report]:
        """Train the supernet, or go on with it, and save it."""
        config = self._config.supernet
        options = SupernetOptions(
            bi_transformation=config.bi_transformation,
            weight_normalisation=WeightNormalisation(config.weight_normalisation),
        )
        with torch.random.fork_rng():
            torch.manual_seed(self._seed("supernet", "initial weights"))
            supernet = Supernet(self._space, options).to(self.device)
        for epoch in train(
            supernet,
            sandwich_step(supernet, config),
            self._data.train,
            config,
            seed=self._seed("supernet", "training"),
            checkpoints=self._run.supernet_checkpoints,
        ):
            yield {"kind": "epoch", "phase": "supernet", **asdict(epoch)}
        save_supernet(self._run.supernet, supernet, {"data": self._data.fingerprint})
        yield {"kind": "trained", "last": True}

    def _evaluate(self, task: Task) -> Iterator[Report]:
        """Accuracy of candidates with inherited weights (pipeline 1)."""
        candidates = task["candidates"]
        for index, candidate in enumerate(candidates):
            with _Trial(candidate["number"]) as trial:
                architecture = self._space.parse(candidate["architecture"])
                network = self._inherited(architecture)
                trial.metrics = {**self._validate(network), **self._cost(architecture)}
            yield {**trial.report(), "last": index == len(candidates) - 1}

    def _finetune(self, task: Task) -> Iterator[Report]:
        """Train one network on from its inherited weights (pipeline 2), and keep it."""
        config = self._config.finetune
        folder = self._run.finetuned(task["id"])
        with _Trial(task["number"]) as trial:
            architecture = self._space.parse(task["architecture"])
            network = self._inherited(architecture)
            for epoch in train(
                network,
                plain_step(network, config),
                self._data.train,
                config,
                seed=self._seed("finetune", task["id"]),
                checkpoints=folder / "checkpoints",
            ):
                yield {"kind": "epoch", "phase": Stage.FINETUNED.value, "id": task["id"], **asdict(epoch)}
            recalibrate_on(network, self._data.train, self._config.evaluation, seed=self._seed("recalibration"))
            trial.metrics = {**self._validate(network), **self._cost(architecture)}
            save_network(folder / "network", network, {"stage": Stage.FINETUNED.value})
        yield {**trial.report(), "last": True}

    def _deploy(self, task: Task) -> Iterator[Report]:
        """Write a network of the front as a file, and measure it on the test split: the only place that looks there."""
        architecture = self._space.parse(task["architecture"])
        if task["stage"] == Stage.FINETUNED:
            network = load_network(self._run.finetuned(task["id"]) / "network").to(self.device)
        else:
            network = self._inherited(architecture)
        facts = {
            "stage": task["stage"],
            "class_names": self._data.class_names,
            "mean": self._data.mean,
            "std": self._data.std,
        }
        save_network(self._run.deployed(task["id"]), network, facts)
        metrics = evaluate(network, self._data.test, self._config.evaluation.batch_size)
        yield {
            "kind": "deployed",
            "id": task["id"],
            "stage": task["stage"],
            "test_accuracy": metrics["accuracy"],
            "last": True,
        }

    def _inherited(self, architecture: Architecture) -> BinaryNetwork:
        """A subnet on its own, with the supernet's weights and batch norm statistics made for it."""
        network = self._supernet.extract(architecture)
        recalibrate_on(network, self._data.train, self._config.evaluation, seed=self._seed("recalibration"))
        return network

    def _validate(self, network: BinaryNetwork) -> dict[str, float]:
        return evaluate(network, self._data.validation, self._config.evaluation.batch_size)

    def _cost(self, architecture: Architecture) -> dict[str, float]:
        cost = self._space.cost(architecture)
        return {name: getattr(cost, name) for name in ("flops", "int8_ops", "bops", "ops", "params", "bits", "bytes")}


class _Trial:
    """The frame of one trial: takes its time, and turns an error into a reason, so that the search goes on."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._started, self._clock = now(), time.perf_counter()
        self.metrics: Mapping[str, float] = {}
        self._reason: str | None = None

    def __enter__(self) -> "_Trial":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Exception):
            self._reason = f"{type(error).__name__}: {error}"
        return isinstance(error, Exception)

    def report(self) -> Report:
        """The outcome as a report."""
        outcome = Outcome(
            self._number,
            self.metrics,
            self._reason,
            self._started,
            time.perf_counter() - self._clock,
            socket.gethostname(),
            str(os.getpid()),
        )
        return {"kind": "outcome", **asdict(outcome)}


def pick_device(name: str) -> torch.device:
    """The device that a configuration names; `auto` is CUDA where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
