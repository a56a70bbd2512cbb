"""The one training loop, for supernets and for single networks. Knows neither Ray nor Optuna.

All randomness of an epoch derives from (seed, epoch), so a training that is resumed from a checkpoint gives bit for bit
the weights of one that was never interrupted (on the CPU).
"""

# torch annotates its functions only in part
# pyright: reportUnknownMemberType=false

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.cell.frame import Cell
from models.checkpoints.folder import latest_checkpoint, save_step
from models.layers.binary import set_progress
from models.layers.modes import Mode
from models.nasbnn.network import Stem
from models.nasbnn.supernet import NasBnnSupernet
from search.config.sections import Optimiser, Schedule, TrainConfig
from search.config.trainings import NetworkTrainConfig, SupernetConfig
from search.data.dataset import Split
from search.data.order import batch_count, shuffled
from search.seeds import derive_rng, derive_seed
from search.training.batches import mix_of
from spaces.errors import BinarynasError

STEP_SHARES, STEP_FACTOR = (0.3, 0.6, 0.9), 0.1
CYCLE_START, CYCLE_RISE = 20.0, 0.3
LINEAR_RISE, CYCLE_MOMENTUM = 0.45, (0.95, 0.85)


DIVERGED = "lower the learning rate"
"""What to do where a loss is not finite; resuming alone would repeat it."""


class TrainingError(BinarynasError, RuntimeError):
    """Training that cannot go on, with the reason and the remedy."""


@dataclass(frozen=True)
class Batch:
    """Images (N, C, H, W) and classes (N,) of one step, shares of classes (N, classes) where images are mixed, a seed
    for whatever is drawn within it, and its place in the training: the epoch and the number within it, from 0."""

    images: Tensor
    labels: Tensor
    seed: int
    epoch: int = 0
    index: int = 0


class Step(Protocol):
    """Forward and backward passes of one batch; gradients are added to the parameters' `grad`."""

    def __call__(self, batch: Batch) -> Tensor:
        """The loss that is reported, detached, of shape ()."""
        ...


@runtime_checkable
class Stateful(Protocol):
    """A step with tensors of its own, such as architecture weights, which belong to the training's checkpoints. It may
    measure and keep something at the end of every epoch, before the epoch is saved."""

    def epoch_ended(self, epoch: "Epoch") -> None:
        """An epoch has ended."""

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        ...

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back what a checkpoint kept."""


@dataclass(frozen=True)
class Epoch:
    """What is reported after an epoch: its number from 1, the mean loss, the speed, the last learning rate."""

    epoch: int
    epochs: int
    loss: float
    images_per_second: float
    learning_rate: float


LossOf = Callable[[Tensor, Tensor], Tensor]
"""A loss, of shape (), of logits (N, classes) and labels (N,)."""


def _cross_entropy(config: TrainConfig, weights: Tensor | None) -> LossOf:
    return partial(F.cross_entropy, weight=weights, label_smoothing=config.label_smoothing)


def sandwich_step(supernet: NasBnnSupernet, config: SupernetConfig, weights: Tensor | None = None) -> Step:
    """The sandwich rule with Bi-Teacher (section 3.3.1, equation 4).

    The largest subnet, in the teacher's mode, learns from the labels; the smallest and some random ones, all with
    binary weights and activations, learn from its predictions, or from the labels without distillation. Each pass is
    followed by its backward pass, so that one graph is alive at a time. `weights` are those of the classes, where they
    do not count alike; they belong to labels, not to what a teacher says.
    """
    space = supernet.space
    smallest, largest = space.smallest(), space.largest()
    loss_of = _cross_entropy(config, weights)
    device = next(supernet.parameters()).device

    def step(batch: Batch) -> Tensor:
        images, labels = batch.images, batch.labels
        rng = derive_rng(batch.seed, "subnets")
        students = [smallest, *(space.sample(rng) for _ in range(config.random_subnets))]
        with autocast(device):
            logits = supernet(images, largest, config.teacher)
            loss = loss_of(logits.float(), labels)
        loss.backward()
        targets = logits.detach().float().softmax(dim=1)  # (N, classes)
        for student in students:
            with autocast(device):
                logits = supernet(images, student, Mode.BWBA).float()
                student_loss = F.cross_entropy(logits, targets) if config.distillation else loss_of(logits, labels)
            student_loss.backward()
        return loss.detach()

    return step


def plain_step(
    network: nn.Module, config: TrainConfig, weights: Tensor | None = None, loss_of: LossOf | None = None
) -> Step:
    """One pass with a loss, or cross entropy with classes weighed where there are weights: finetuning, and training
    from scratch.

    Where the configuration lets drop path rise, it is set at the beginning of every epoch: none in the first one.
    """
    loss_of = loss_of or _cross_entropy(config, weights)
    device = next(network.parameters()).device
    rising = isinstance(config, NetworkTrainConfig) and config.drop_path_schedule == "linear"
    cells = [module for module in network.modules() if isinstance(module, Cell)] if rising else []
    drop_path = config.drop_path if isinstance(config, NetworkTrainConfig) else 0.0

    def step(batch: Batch) -> Tensor:
        for cell in cells:
            cell.drop_path = drop_path * batch.epoch / config.epochs
        with autocast(device):
            logits = network(batch.images).float()
            loss = loss_of(logits, batch.labels)
        loss.backward()
        return loss.detach()

    return step


def train(
    network: nn.Module,
    step: Step,
    split: Split,
    config: TrainConfig,
    *,
    seed: int,
    checkpoints: Path | None = None,
    until: int | None = None,
) -> Iterator[Epoch]:
    """Train `network` in place; every item that is drawn from the result trains one epoch.

    With a folder for `checkpoints` every epoch is saved there (the last two are kept), and training goes on after the
    latest one. `until` ends it early, after that many epochs in all; the schedule stays that of `config.epochs`. Raises
    `TrainingError` where the loss is not finite.
    """
    device = next(network.parameters()).device
    optimizer = _optimizer(network, config)
    done = _restore(network, optimizer, step, checkpoints) if checkpoints else 0
    stems = [module for module in network.modules() if isinstance(module, Stem)]
    for stem in stems:
        stem.step.data.abs_()  # weights that were trained before steps were kept positive
    steps = batch_count(shuffled(seed), len(split), config.batch_size)
    mix = mix_of(config, split)
    for epoch in range(done, config.epochs if until is None else min(until, config.epochs)):
        network.train()
        set_progress(network, epoch / config.epochs)
        start = time.perf_counter()
        loss_sum, images_seen, rate = torch.zeros((), device=device), 0, 0.0
        order = shuffled(derive_seed(seed, "epoch", epoch))
        with torch.random.fork_rng():  # what layers draw (drop path) depends on the epoch alone
            torch.manual_seed(derive_seed(seed, "layers", epoch))
            for index, (images, labels) in enumerate(split.batches(config.batch_size, order=order, device=device)):
                if mix and len(images) > 1:
                    images, labels = mix(images, labels)
                rate = learning_rate(config, (epoch * steps + index) / steps)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                    if "momentum" in group:
                        group["momentum"] = momentum(config, (epoch * steps + index) / steps)
                optimizer.zero_grad(set_to_none=True)
                batch = Batch(images, labels, derive_seed(seed, "step", epoch, index), epoch, index)
                loss_sum += step(batch) * len(labels)
                optimizer.step()
                for stem in stems:
                    stem.step_taken()
                images_seen += len(labels)
        loss = loss_sum.item() / images_seen
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss of epoch {epoch + 1} is {loss}; {DIVERGED} (it was {config.learning_rate:g})"
            )
        report = Epoch(epoch + 1, config.epochs, loss, images_seen / (time.perf_counter() - start), rate)
        if isinstance(step, Stateful):
            step.epoch_ended(report)
        if checkpoints:
            tensors = {**_prefixed("network", network.state_dict()), **_optimizer_tensors(network, optimizer)}
            if isinstance(step, Stateful):
                tensors |= _prefixed("step", step.tensors())
            save_step(checkpoints, epoch + 1, tensors, {})
        yield report


def learning_rate(config: TrainConfig, epochs_done: float) -> float:
    """The rate after a number of epochs, fractions counted: a linear rise over `warmup_epochs`, then the schedule.

    Cosine falls to `final_learning_rate`. Steps multiply by 0.1 after each of `milestones` (0.3, 0.6 and 0.9 of the
    epochs where none are given: 60, 120 and 180 of the width search's 200). One-cycle rises from a twentieth over three
    tenths of the epochs and falls to `final_learning_rate`, both as a cosine. Linear one-cycle, that of BNAS's public
    code, rises from a twentieth over 45 % of the epochs, falls back over as many, and then to a hundredth of that.
    """
    warmup = min(config.warmup_epochs, config.epochs)
    if epochs_done < warmup:
        return config.learning_rate * (epochs_done + 1e-8) / warmup
    top, last = config.learning_rate, config.final_learning_rate
    progress = min((epochs_done - warmup) / max(config.epochs - warmup, 1e-8), 1.0)
    match config.schedule:
        case Schedule.COSINE:
            return _cosine(top, last, progress)
        case Schedule.STEPS:
            milestones = config.milestones or tuple(share * config.epochs for share in STEP_SHARES)
            return top * STEP_FACTOR ** sum(epochs_done >= milestone for milestone in milestones)
        case Schedule.ONE_CYCLE:
            if progress < CYCLE_RISE:
                return _cosine(top / CYCLE_START, top, progress / CYCLE_RISE)
            return _cosine(top, last, (progress - CYCLE_RISE) / (1 - CYCLE_RISE))
        case Schedule.LINEAR_ONE_CYCLE:
            start = top / CYCLE_START
            if progress > 2 * LINEAR_RISE:
                return start * (1 - 0.99 * (progress - 2 * LINEAR_RISE) / (1 - 2 * LINEAR_RISE))
            return start + (top - start) * _height(progress)
        case Schedule.CONSTANT:
            return top


def momentum(config: TrainConfig, epochs_done: float) -> float:
    """That of SGD after a number of epochs: constant but for linear one-cycle, where it falls from 0.95 to 0.85 while
    the rate rises, and rises again while it falls."""
    if config.schedule is not Schedule.LINEAR_ONE_CYCLE:
        return config.momentum
    warmup = min(config.warmup_epochs, config.epochs)
    progress = min(max(epochs_done - warmup, 0.0) / max(config.epochs - warmup, 1e-8), 1.0)
    high, low = CYCLE_MOMENTUM
    return high - (high - low) * _height(progress)


def _height(progress: float) -> float:
    """How far up the linear cycle is: 0 at its start, 1 at its top, 0 again from twice `LINEAR_RISE` on."""
    return max(0.0, 1 - abs(progress - LINEAR_RISE) / LINEAR_RISE)


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * progress))


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


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _without(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def _optimizer_tensors(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state under flat names; a parameter that never had a gradient has none."""
    return {
        f"optimizer.{key}.{name}": tensor
        for name, parameter in network.named_parameters()
        for key, tensor in optimizer.state.get(parameter, {}).items()
        if tensor is not None
    }


def _restore(network: nn.Module, optimizer: torch.optim.Optimizer, step: Step, checkpoints: Path) -> int:
    """Load the latest whole checkpoint, if there is one; the number of epochs that it was saved after."""
    found = latest_checkpoint(checkpoints)
    if found is None:
        return 0
    network.load_state_dict(_without("network", found.tensors))
    states: dict[str, dict[str, Tensor]] = {}
    for name, tensor in _without("optimizer", found.tensors).items():
        key, _, parameter = name.partition(".")
        states.setdefault(parameter, {})[key] = tensor.clone()
    for name, parameter in network.named_parameters():
        if name in states:
            optimizer.state[parameter] = {
                key: tensor if key == "step" else _laid_out_as(parameter, tensor)
                for key, tensor in states[name].items()
            }
    if isinstance(step, Stateful):
        step.restore(_without("step", found.tensors))
    return found.number


def _laid_out_as(parameter: nn.Parameter, tensor: Tensor) -> Tensor:
    """A copy in the parameter's memory layout: fused optimisers read both in step, and a file has only one layout."""
    return torch.empty_like(parameter).copy_(tensor)


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 on CUDA (its range needs no loss scaling); float32 elsewhere."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")
