"""Supernets: training one, and measuring candidates with its weights."""

import time
from collections.abc import Iterator
from dataclasses import asdict

import torch

from models.checkpoints.networks import load_supernet, save_supernet, take_over
from models.families import SupernetTraining, family_of
from models.layers.kernels import WeightNormalisation
from models.layers.modes import Mode
from models.nasbnn.supernet import NasBnnSupernet, SupernetOptions
from search.runs.records import EpochReport, Stage
from search.training.batches import class_weights
from search.training.steps import sandwich_step
from search.worker.attempt import Attempt
from search.worker.cells import train_mixed_supernet
from search.worker.context import REPORT_SECONDS, Context, initial_weights
from search.worker.measure import candidate_cost, validate_candidate
from search.worker.tasks import Evaluate, Report, Trained, TrainSupernet
from spaces import NasBnnSpace


def train_supernet(context: Context, task: TrainSupernet) -> Iterator[Report]:
    """Train the supernet, or go on with it, and save it. Only the sandwich rule's training pauses."""
    bilevel = family_of(context.run.architectures).supernet_training is SupernetTraining.BILEVEL
    yield from train_mixed_supernet(context) if bilevel else _train_by_sandwiches(context, task)
    yield Trained()


def _train_by_sandwiches(context: Context, task: TrainSupernet) -> Iterator[Report]:
    begun = time.monotonic()
    config, space = context.config.supernet, context.run.architectures
    if task.epochs is not None:
        config = config.model_copy(update={"epochs": task.epochs})
    assert isinstance(space, NasBnnSpace), "checked when the run was prepared"
    options = SupernetOptions(
        bi_transformation=config.bi_transformation,
        weight_normalisation=WeightNormalisation(config.weight_normalisation),
    )
    with initial_weights(context.seed("supernet", "initial weights")):
        supernet = NasBnnSupernet(space, options).to(context.device)
    if config.start is not None:
        take_over(supernet, load_supernet(context.run.supernet_start))
    images = context.data.train
    weights = class_weights(config, images, context.device)
    for epoch, _ in context.train_in_stages(
        supernet,
        lambda settings, mode: sandwich_step(supernet, settings, weights, mode or Mode.BWBA, context.precision),
        images,
        config,
        purpose=("supernet", "training"),
        folder=context.run.supernet_checkpoints.parent,
        report_seconds=REPORT_SECONDS,
    ):
        yield EpochReport("supernet", None, **asdict(epoch))
        if task.seconds is not None and epoch.share == 1 and epoch.epoch < config.epochs:
            late = torch.tensor(float(time.monotonic() - begun > task.seconds), device=context.device)
            if context.ranks.total(late) > 0:  # all workers pause, or none
                return
    if context.keeps:
        save_supernet(context.run.supernet, supernet, {"data": context.data.fingerprint})


def evaluate_candidates(context: Context, task: Evaluate) -> Iterator[Report]:
    """Accuracy of candidates with inherited weights (pipeline 1 of NAS-BNN; masked mixed edges for cells)."""
    for trial in task.trials:
        with Attempt(trial.number) as attempt:
            candidate = context.candidate(trial.architecture, Stage.INHERITED)
            network = context.inherited(candidate.architecture)
            attempt.metrics = {**validate_candidate(context, network), **candidate_cost(context, candidate)}
        yield attempt.outcome()
