"""The one training loop, for supernets and for single networks. Knows neither Ray nor Optuna.

All randomness of a step derives from (seed, epoch, step), so a training that is resumed from a checkpoint, within an
epoch or after one, gives bit for bit the weights of one that was never interrupted (on the CPU).
"""

# torch annotates its functions only in part
# pyright: reportUnknownMemberType=false

import math
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from models.layers.binary import set_progress
from models.layers.synchronised import synchronised
from models.nasbnn.network import Stem
from search.config.sections import Optimiser, TrainConfig
from search.data.dataset import Split
from search.data.order import batch_count, shuffled
from search.seeds import derive_seed
from search.training.batches import mix_of
from search.training.checkpoints import Checkpoints, Place, Trained
from search.training.ranks import ALONE, Ranks, reduced
from search.training.schedules import learning_rate, momentum
from search.training.steps import Batch, Epoch, Stateful, Step
from spaces.errors import BinarynasError

DIVERGED = "lower the learning rate"
"""What to do where a loss is not finite; resuming alone would repeat it."""


class TrainingError(BinarynasError, RuntimeError):
    """Training that cannot go on, with the reason and the remedy."""


def train(
    network: nn.Module,
    step: Step,
    split: Split,
    config: TrainConfig,
    *,
    seed: int,
    checkpoints: Path | None = None,
    until: int | None = None,
    ranks: Ranks = ALONE,
    checkpoint_seconds: float | None = None,
) -> Iterator[Epoch]:
    """Train `network` in place; every item that is drawn from the result trains one epoch.

    With a folder for `checkpoints` every epoch is saved there (the last two are kept), and training goes on after the
    latest one; within an epoch it is saved every `checkpoint_seconds`. `until` ends it early, after that many epochs in
    all; the schedule stays that of `config.epochs`. `ranks` are the processes that do the same at the same time, each
    with its share of every batch: of N images every Nth one. Raises `TrainingError` where the loss is not finite, or
    batches are too small to be shared.
    """
    device = next(network.parameters()).device
    parameters = list(network.parameters())
    optimizer = _optimizer(network, config)
    kept = Checkpoints(checkpoints, Trained(network, optimizer, step), ranks, checkpoint_seconds)
    place = kept.restore()
    stems = [module for module in network.modules() if isinstance(module, Stem)]
    for stem in stems:
        stem.step.data.abs_()  # weights that were trained before steps were kept positive
    steps = batch_count(shuffled(seed), len(split), config.batch_size)
    _require_shares(min(config.batch_size, len(split)), ranks)
    mix = mix_of(config, split)
    of_rank = () if ranks.count == 1 else ("rank", ranks.rank)
    try:
        for epoch in range(place.epoch, config.epochs if until is None else min(until, config.epochs)):
            network.train()
            set_progress(network, epoch / config.epochs)
            start, rate = time.perf_counter(), learning_rate(config, (epoch * steps + place.batch) / steps)
            loss_sum = torch.tensor(place.loss, dtype=torch.float64, device=device)
            images_seen, before = place.images, float(place.images)
            order = shuffled(derive_seed(seed, "epoch", epoch), place.batch).shared(ranks.rank, ranks.count)
            batches = split.batches(config.batch_size, order=order, device=device)
            with torch.random.fork_rng(), synchronised(network, ranks.total if ranks.synchronised else None):
                for index, (images, labels) in enumerate(batches, place.batch):
                    torch.manual_seed(derive_seed(seed, "layers", epoch, index, *of_rank))  # drop path, mixing
                    if mix and len(images) > 1:
                        images, labels = mix(images, labels)
                    rate = learning_rate(config, (epoch * steps + index) / steps)
                    for group in optimizer.param_groups:
                        group["lr"] = rate
                        if "momentum" in group:
                            group["momentum"] = momentum(config, (epoch * steps + index) / steps)
                    optimizer.zero_grad(set_to_none=True)
                    batch = Batch(images, labels, derive_seed(seed, "step", epoch, index), epoch, index)
                    loss, count = reduced(ranks, parameters, step(batch), len(labels))
                    loss_sum += loss.double() * count
                    optimizer.step()
                    for stem in stems:
                        stem.step_taken()
                    images_seen = images_seen + count
                    kept.batch_ended(Place(epoch, index + 1, loss_sum, images_seen))
            mean = loss_sum.item() / float(images_seen)
            if not math.isfinite(mean):
                raise TrainingError(
                    f"the loss of epoch {epoch + 1} is {mean}; {DIVERGED} (it was {config.learning_rate:g})"
                )
            speed = (float(images_seen) - before) / (time.perf_counter() - start)
            report = Epoch(epoch + 1, config.epochs, mean, speed, rate, ranks.count)
            if isinstance(step, Stateful):
                step.epoch_ended(report)
            place = Place(epoch + 1)
            kept.epoch_ended(epoch + 1)
            yield report
    finally:
        kept.wait()


def _require_shares(batch: int, ranks: Ranks) -> None:
    """Raise `TrainingError` where a batch of so many images leaves too little to a process."""
    if ranks.count > 1 and batch < 2 * ranks.count:
        raise TrainingError(
            f"a batch of {batch} images is too small for {ranks.count} training workers, which need at least 2 each "
            "for batch norm: make the batch larger, or execution.training_workers smaller"
        )
    if ranks.synchronised and batch % ranks.count:
        raise TrainingError(
            f"a batch of {batch} images cannot be shared equally by {ranks.count} training workers, as synchronised "
            "batch norm needs it: choose a batch size that they divide"
        )


def _optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser by name, with weight decay on convolution and linear weights only."""
    decayed_ids = {
        id(parameter)
        for name, parameter in network.named_parameters()
        if parameter.ndim >= 2 and name.rpartition(".")[2] == "weight"
    }
    groups = [
        {"params": [p for p in network.parameters() if id(p) in decayed_ids], "weight_decay": config.weight_decay},
        {"params": [p for p in network.parameters() if id(p) not in decayed_ids], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    match config.optimiser:
        case Optimiser.ADAM:
            return torch.optim.Adam(groups, lr=config.learning_rate, fused=True)
        case Optimiser.ADAMW:
            return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
        case Optimiser.SGD:
            return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, fused=True)
