"""The one training loop, for supernets and for single networks. Knows neither Ray nor Optuna.

All randomness of a step derives from (seed, epoch, step), so a training that is resumed from a checkpoint, within an
epoch or after one, gives bit for bit the weights of one that was never interrupted (on the CPU).
"""

# torch annotates its functions only in part
# pyright: reportUnknownMemberType=false

import math
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from models.layers.binary import set_bound, set_progress
from models.layers.excitation import Projection
from models.layers.norms.synchronised import synchronised
from models.nasbnn.network import Stem
from search.config.sections import Optimiser, PlainTrainConfig, TrainConfig
from search.data.dataset import Split
from search.data.order import batch_count, shuffled
from search.seeds import derive_seed
from search.training.batches import Awaited, mix_of
from search.training.checkpoints import Checkpoints, Place, Trained
from search.training.ranks import ALONE, Ranks, reduced
from search.training.schedules import learning_rate, momentum
from search.training.silent import SilentWeights
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
    report_seconds: float = math.inf,
) -> Iterator[Epoch]:
    """Train `network` in place; every item that is drawn from the result trains one epoch, or, after so many
    `report_seconds`, the part of one that its `share` says.

    With a folder for `checkpoints` every epoch is saved there (the last two are kept), and training goes on after the
    latest one; within an epoch it is saved every `checkpoint_seconds`. `until` ends it early, after that many epochs in
    all; the schedule stays that of `config.epochs`. `ranks` are the processes that do the same at the same time, each
    with its share of every batch: of N images every Nth one. Raises `TrainingError` where the loss is not finite, or
    batches are too small to be shared.
    """
    training = _Training(network, step, split, config, seed, ranks)
    trained = Trained(network, training.optimizer, step, training.silent)
    kept = Checkpoints(checkpoints, trained, ranks, checkpoint_seconds)
    place = kept.restore()
    training.begin()
    try:
        while place.epoch < (config.epochs if until is None else min(until, config.epochs)):
            report = yield from training.epoch(place, kept, report_seconds)
            if isinstance(step, Stateful):
                step.epoch_ended(report)
            place = Place(report.epoch)
            kept.epoch_ended(report.epoch)
            yield report
    finally:
        kept.wait()


class _Training:
    """A network that is trained, epoch by epoch."""

    def __init__(
        self, network: nn.Module, step: Step, split: Split, config: TrainConfig, seed: int, ranks: Ranks
    ) -> None:
        self._network, self._step, self._split, self._config = network, step, split, config
        self._seed, self._ranks = seed, ranks
        _require_shares(min(config.batch_size, len(split)), ranks)
        self.optimizer = _optimizer(network, config)
        self.silent = SilentWeights(network, config.silent_decay if isinstance(config, PlainTrainConfig) else 0.0)
        self._parameters = list(network.parameters())
        self._device = self._parameters[0].device
        self._quantised = [module for module in network.modules() if isinstance(module, Stem | Projection)]
        self._steps = batch_count(shuffled(seed), len(split), config.batch_size)
        self._mix = mix_of(config, split)
        self._of_rank = () if ranks.count == 1 else ("rank", ranks.rank)

    def begin(self) -> None:
        """Get ready, with the weights that training starts from."""
        if self._config.activation_bound is not None:
            set_bound(self._network, self._config.activation_bound)
        for module in self._quantised:
            if isinstance(module, Stem):
                module.step.data.abs_()  # weights that were trained before steps were kept positive

    def epoch(self, place: Place, kept: Checkpoints, report_seconds: float) -> Generator[Epoch, None, Epoch]:
        """Train an epoch, or what is left of it; tells how far it is every so often."""
        config, ranks, epoch = self._config, self._ranks, place.epoch
        self._network.train()
        set_progress(self._network, epoch / config.epochs)
        rate = self._set_rates(epoch, max(place.batch - 1, 0))
        start = told = time.perf_counter()
        loss_sum = torch.tensor(place.loss, dtype=torch.float64, device=self._device)
        seen, before = place.images, float(place.images)

        def report(share: float) -> Epoch:
            seconds = time.perf_counter() - start
            speed, waiting = (float(seen) - before) / seconds, batches.seconds / seconds
            loss = loss_sum.item() / float(seen)
            return Epoch(epoch + 1, config.epochs, loss, speed, rate, ranks.count, share, waiting=round(waiting, 4))

        order = shuffled(derive_seed(self._seed, "epoch", epoch), place.batch).shared(ranks.rank, ranks.count)
        batches = Awaited(self._split.batches(config.batch_size, order=order, device=self._device))
        with torch.random.fork_rng(), synchronised(self._network, ranks.total if ranks.synchronised else None):
            for index, (images, labels) in enumerate(batches, place.batch):
                rate = self._set_rates(epoch, index)
                loss, count = self._take(images, labels, epoch, index)
                loss_sum += loss.double() * count
                seen = seen + count
                kept.batch_ended(Place(epoch, index + 1, loss_sum, seen))
                if index + 1 < self._steps and time.perf_counter() - told > report_seconds:
                    yield report((index + 1) / self._steps)
                    told = time.perf_counter()
        whole = report(1.0)
        if not math.isfinite(whole.loss):
            raise TrainingError(
                f"the loss of epoch {epoch + 1} is {whole.loss}; {DIVERGED} (it was {config.learning_rate:g})"
            )
        return whole

    def _set_rates(self, epoch: int, index: int) -> float:
        """Set the learning rate and the momentum of a step; the rate."""
        done = (epoch * self._steps + index) / self._steps
        rate = learning_rate(self._config, done)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
            if "momentum" in group:
                group["momentum"] = momentum(self._config, done)
        return rate

    def _take(self, images: Tensor, labels: Tensor, epoch: int, index: int) -> tuple[Tensor, Tensor | int]:
        """Take one step; the loss and the number of images of the whole batch."""
        # drop path, mixing; torch's own call takes milliseconds where torch is built for a GPU that is not there
        seed = derive_seed(self._seed, "layers", epoch, index, *self._of_rank)
        _ = torch.manual_seed(seed) if torch.cuda.is_initialized() else torch.default_generator.manual_seed(seed)
        if self._mix and len(images) > 1:
            images, labels = self._mix(images, labels)
        self.optimizer.zero_grad(set_to_none=True)
        batch = Batch(images, labels, derive_seed(self._seed, "step", epoch, index), epoch, index)
        loss, count = reduced(self._ranks, self._parameters, self._step(batch), len(labels))
        self.silent.decay()
        self.optimizer.step()
        self.silent.step_taken()
        for module in self._quantised:
            module.step_taken()
        return loss, count


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
