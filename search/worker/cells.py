"""Differentiable searches for cells: one as a trial, and one whose mixed edges become a supernet to search in."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from models.cell.supernet import MixedSupernet
from models.checkpoints.files import write_atomically
from models.checkpoints.networks import save_supernet
from search.config.trainings import DifferentiableConfig
from search.runs.records import Stage
from search.training.alphas import discounted, read_genotype
from search.training.bilevel import BilevelStep, halves
from search.training.bilevel_history import history_table
from search.training.evaluation import evaluate
from search.training.loop import train
from search.worker.attempt import Trial
from search.worker.context import Context, initial_weights
from search.worker.tasks import Report, Task
from spaces.cell import CellSpace


class _Search:
    """One bilevel search: a step, its supernet, and where it is kept."""

    def __init__(self, context: Context, folder: Path, config: DifferentiableConfig, seed: int) -> None:
        self.context, self.folder, self.config, self.seed = context, folder, config, seed
        final = context.run.architectures
        assert isinstance(final, CellSpace), "checked when the run was prepared"
        self.space = replace(final, cells=config.cells, width=config.width)
        self.images, architecture_images = halves(context.data.train, config.architecture_fraction, seed)
        with initial_weights(seed):
            self.supernet = MixedSupernet(self.space).to(context.device)
        batch_size = context.config.evaluation.batch_size

        def measure(network: Any) -> float:
            return evaluate(network, context.data.validation, batch_size)["accuracy"]

        self.step = BilevelStep(self.supernet, architecture_images, config, seed, measure)

    def run(self, checkpoints: Path, report: Callable[[dict[str, Any]], Report]) -> Iterator[Report]:
        """Train to the end; the history is written anew behind every epoch."""
        for epoch in train(self.supernet, self.step, self.images, self.config, seed=self.seed, checkpoints=checkpoints):
            accuracy = float(self.step.history.accuracy[-1])
            self.write_history()
            yield report({**asdict(epoch), "accuracy": accuracy})
        self.write_history()

    def write_history(self) -> None:
        """The history as Parquet."""
        table = pa.Table.from_pylist(history_table(self.step.history, self.space.layer_types))
        buffer = BytesIO()
        pq.write_table(table, buffer)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / "history.parquet", buffer.getvalue())

    def findings(self) -> tuple[dict[str, float], dict[str, str]]:
        """Metrics and facts: the genotypes as they are read at the end, with the accuracy measured there."""
        mixture = self.step.mixture()
        genotype = read_genotype(self.space, mixture)
        transfer = read_genotype(self.space, discounted(self.space, mixture, self.config.zeroise_discount))
        space = self.context.run.architectures
        chosen = transfer if self.context.config.final.genotype == "transfer" else genotype
        history = self.step.history
        metrics = {
            "accuracy": float(history.accuracy[-1]),
            "loss": float(history.loss[-1]),
            **self.context.cost(space.split(chosen)),
            "epochs": len(history),
        }
        facts = {"genotype": space.format(genotype), "transfer": space.format(transfer)}
        for name, each in (("genotype", genotype), ("transfer", transfer)):
            write_atomically(self.folder / f"{name}.json", json.dumps(space.to_json(each), indent=2))
        return metrics, facts


def search_cells(context: Context, task: Task) -> Iterator[Report]:
    """One whole search as a trial: its settings are the candidate, its genotypes are what it finds."""
    (each,) = task["candidates"]
    with Trial(each["number"]) as trial:
        settings = context.candidate_settings(each["architecture"])
        seed = context.seed("differentiable", int(settings.get("seed", 0)))
        folder = context.run.searched(each["id"])
        search = _Search(context, folder, context.config.differentiable.with_values(settings), seed)
        yield from search.run(
            folder / "checkpoints",
            lambda epoch: {"kind": "epoch", "phase": Stage.SEARCHED.value, "id": each["id"], **epoch},
        )
        trial.metrics, trial.facts = search.findings()
    yield {**trial.report(), "last": True}


def train_mixed_supernet(context: Context) -> Iterator[Report]:
    """The supernet of a one-shot search over cells: the mixed edges of one differentiable search."""
    config = context.config.differentiable
    search = _Search(context, context.run.searched("supernet"), config, context.seed("differentiable", 0))
    yield from search.run(
        context.run.supernet_checkpoints, lambda epoch: {"kind": "epoch", "phase": "supernet", **epoch}
    )
    save_supernet(context.run.supernet, search.supernet, {"data": context.data.fingerprint})
    yield {"kind": "trained", "last": True}
