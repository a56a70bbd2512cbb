"""Supernets: training one, and measuring candidates with its weights."""

from collections.abc import Iterator
from dataclasses import asdict

from models.checkpoints.networks import save_supernet
from models.families import SupernetTraining, family_of
from models.layers.kernels import WeightNormalisation
from models.nasbnn.supernet import NasBnnSupernet, SupernetOptions
from search.runs.records import Stage
from search.training.loop import sandwich_step, train
from search.worker.attempt import Trial
from search.worker.context import Context, initial_weights
from search.worker.tasks import Report, Task
from spaces import NasBnnSpace


def train_supernet(context: Context, task: Task) -> Iterator[Report]:
    """Train the supernet, or go on with it, and save it."""
    if family_of(context.run.architectures).supernet_training is SupernetTraining.BILEVEL:
        from search.worker.cells import train_mixed_supernet

        yield from train_mixed_supernet(context)
        return
    config, space = context.config.supernet, context.run.architectures
    assert isinstance(space, NasBnnSpace)
    options = SupernetOptions(
        bi_transformation=config.bi_transformation,
        weight_normalisation=WeightNormalisation(config.weight_normalisation),
    )
    with initial_weights(context.seed("supernet", "initial weights")):
        supernet = NasBnnSupernet(space, options).to(context.device)
    for epoch in train(
        supernet,
        sandwich_step(supernet, config),
        context.data.train,
        config,
        seed=context.seed("supernet", "training"),
        checkpoints=context.run.supernet_checkpoints,
    ):
        yield {"kind": "epoch", "phase": "supernet", **asdict(epoch)}
    save_supernet(context.run.supernet, supernet, {"data": context.data.fingerprint})
    yield {"kind": "trained", "last": True}


def evaluate_candidates(context: Context, task: Task) -> Iterator[Report]:
    """Accuracy of candidates with inherited weights (pipeline 1 of NAS-BNN; masked mixed edges for cells)."""
    candidates = task["candidates"]
    for index, each in enumerate(candidates):
        with Trial(each["number"]) as trial:
            candidate = context.candidate(each["architecture"], Stage.INHERITED)
            network = context.inherited(candidate.architecture)
            trial.metrics = {**context.validate_candidate(network), **context.cost(candidate)}
        yield {**trial.report(), "last": index == len(candidates) - 1}
