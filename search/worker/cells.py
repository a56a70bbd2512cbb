"""Differentiable searches for cells: one as a trial, and one whose mixed edges become a supernet to search in."""

# pyarrow has no stubs
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from torch import nn

from models.cell.supernet import MixedSupernet
from models.checkpoints.networks import save_supernet
from search.config.trainings import DifferentiableConfig
from search.runs.records import EpochReport, Stage
from search.training.alphas import discounted, read_genotype
from search.training.bilevel import BilevelStep, halves
from search.training.bilevel_history import history_table
from search.worker.attempt import Attempt
from search.worker.context import REPORT_SECONDS, Context, initial_weights
from search.worker.measure import candidate_cost, validate
from search.worker.tasks import Report, SearchCells
from spaces.cell import CellSpace
from spaces.tools.files import write_atomically


class _Search:
    """One bilevel search: a step, its supernet, and where it is kept."""

    def __init__(self, context: Context, folder: Path, config: DifferentiableConfig, seed: int) -> None:
        self.context, self.folder, self.config, self.seed = context, folder, config, seed
        final = context.run.architectures
        assert isinstance(final, CellSpace), "checked when the run was prepared"
        self.final = final
        self.space = replace(final, cells=config.cells, width=config.width)
        self.images, architecture_images = halves(context.data.train, config.architecture_fraction, seed)
        with initial_weights(seed):
            self.supernet = MixedSupernet(self.space).to(context.device)

        def measure(network: nn.Module) -> float:
            return validate(context, network)["accuracy"]

        self.step = BilevelStep(
            self.supernet, architecture_images, config, seed, measure, context.ranks, context.precision
        )

    def run(self, checkpoints: Path, phase: str, identity: str | None, until: int | None = None) -> Iterator[Report]:
        """Train to the end, or up to `until` epochs; the history is written again after every epoch."""
        for epoch in self.context.train(
            self.supernet,
            self.step,
            self.images,
            self.config,
            seed=self.seed,
            checkpoints=checkpoints,
            until=until,
            report_seconds=REPORT_SECONDS if identity is None else math.inf,
        ):
            whole = epoch.share == 1
            if whole:
                self.write_history()
            accuracy = float(self.step.history.accuracy[-1]) if whole else None
            yield EpochReport(phase, identity, **asdict(epoch), accuracy=accuracy)
        self.write_history()

    def write_history(self) -> None:
        """The history as Parquet."""
        if not self.context.keeps:
            return
        table = pa.Table.from_pylist(history_table(self.step.history, self.space.layer_types))
        buffer = BytesIO()
        pq.write_table(table, buffer)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / "history.parquet", buffer.getvalue())

    def findings(self) -> tuple[dict[str, float], dict[str, str]]:
        """Metrics and facts: the genotypes as they are read at the end, with the accuracy measured there."""
        mixture, history = self.step.mixture(), self.step.history
        genotypes = {
            "genotype": read_genotype(self.space, mixture),
            "transfer": read_genotype(self.space, discounted(self.space, mixture, self.config.zeroise_discount)),
        }
        chosen = self.final.split(genotypes[self.context.config.final.genotype])
        metrics = {
            "accuracy": float(history.accuracy[-1]),
            "loss": float(history.loss[-1]),
            **candidate_cost(self.context, chosen),
            "epochs": len(history),
        }
        for name, genotype in genotypes.items():
            write_atomically(self.folder / f"{name}.json", json.dumps(self.final.to_json(genotype), indent=2))
        return metrics, {name: self.final.format(genotype) for name, genotype in genotypes.items()}


def search_cells(context: Context, task: SearchCells) -> Iterator[Report]:
    """One whole search as a trial: its settings are the candidate, its genotypes are what it finds."""
    (trial,) = task.trials
    with Attempt(trial.number) as attempt:
        settings = context.search_settings(trial.architecture)
        seed = context.seed("differentiable", int(settings.get("seed", 0)))
        folder = context.run.searched(trial.id)
        search = _Search(context, folder, context.config.differentiable.with_values(settings), seed)
        yield from search.run(folder / "checkpoints", Stage.SEARCHED.value, trial.id, task.until)
        attempt.metrics, attempt.facts = search.findings()
    yield attempt.outcome()


def train_mixed_supernet(context: Context) -> Iterator[Report]:
    """The supernet of a one-shot search over cells: the mixed edges of one differentiable search."""
    config, run = context.config.differentiable, context.run
    search = _Search(context, run.searched("supernet"), config, context.seed("differentiable", 0))
    yield from search.run(run.supernet_checkpoints, "supernet", None)
    if context.keeps:
        save_supernet(run.supernet, search.supernet, {"data": context.data.fingerprint})
