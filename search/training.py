"""The one training loop, for supernets and for single networks. Knows neither Ray nor Optuna.

All randomness of an epoch derives from (seed, epoch), so a training that goes on from a checkpoint gives bit for bit
the weights of one that was never interrupted (on the CPU).
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.checkpoint import latest_checkpoint, save_step
from models.supernet import Mode, Supernet
from search.config import SupernetConfig, Teacher, TrainConfig
from search.data.dataset import Split
from search.data.order import batch_count, shuffled
from spaces.seeds import derive_rng, derive_seed

TEACHER_MODES = {Teacher.FWBA: Mode.FWBA, Teacher.BWBA: Mode.BWBA, Teacher.FWFA: Mode.FWFA}


class TrainingError(RuntimeError):
    """Training that cannot go on, with the reason and the remedy."""


class Step(Protocol):
    """Forward and backward passes of one batch; gradients are added to the parameters' `grad`."""

    def __call__(self, images: Tensor, labels: Tensor, seed: int) -> Tensor:
        """The loss that is reported, detached, of shape (); `seed` is for whatever is drawn within the step."""
        ...


@dataclass(frozen=True)
class Epoch:
    """What is reported after an epoch: its number from 1, the mean loss, the speed, the last learning rate."""

    epoch: int
    epochs: int
    loss: float
    images_per_second: float
    learning_rate: float


def sandwich_step(supernet: Supernet, config: SupernetConfig) -> Step:
    """The sandwich rule with Bi-Teacher (section 3.3.1, equation 4).

    The largest subnet, in the teacher's mode, learns from the labels; the smallest and some random ones, all with
    binary weights and activations, learn from its predictions, or from the labels without distillation. Each pass is
    followed by its backward pass, so that one graph is alive at a time.
    """
    space = supernet.space
    smallest, largest = space.smallest(), space.largest()
    teacher = TEACHER_MODES[config.teacher]
    device = next(supernet.parameters()).device

    def step(images: Tensor, labels: Tensor, seed: int) -> Tensor:
        rng = derive_rng(seed, "subnets")
        students = [smallest, *(space.sample(rng) for _ in range(config.random_subnets))]
        with _autocast(device):
            logits = supernet(images, largest, teacher)
            loss = F.cross_entropy(logits.float(), labels, label_smoothing=config.label_smoothing)
        loss.backward()
        targets = logits.detach().float().softmax(dim=1)  # (N, classes)
        for student in students:
            with _autocast(device):
                logits = supernet(images, student, Mode.BWBA).float()
                if config.distillation:
                    student_loss = F.cross_entropy(logits, targets)
                else:
                    student_loss = F.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
            student_loss.backward()
        return loss.detach()

    return step


def plain_step(network: nn.Module, config: TrainConfig) -> Step:
    """Cross entropy with the labels: finetuning, and training from scratch."""
    device = next(network.parameters()).device

    def step(images: Tensor, labels: Tensor, seed: int) -> Tensor:
        with _autocast(device):
            loss = F.cross_entropy(network(images).float(), labels, label_smoothing=config.label_smoothing)
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
) -> Iterator[Epoch]:
    """Train `network` in place, epoch by epoch; nothing happens but while the result is iterated.

    With a folder for `checkpoints` every epoch is saved there (the last two are kept), and a training that finds one
    goes on behind it. Raises `TrainingError` where the loss is not finite.
    """
    device = next(network.parameters()).device
    optimizer = _adam(network, config)
    done = _restore(network, optimizer, checkpoints) if checkpoints else 0
    steps = batch_count(shuffled(seed), len(split), config.batch_size)
    network.train()
    for epoch in range(done, config.epochs):
        start = time.perf_counter()
        loss_sum, images_seen, rate = torch.zeros((), device=device), 0, 0.0
        order = shuffled(derive_seed(seed, "epoch", epoch))
        for index, (images, labels) in enumerate(split.batches(config.batch_size, order=order, device=device)):
            rate = learning_rate(config, (epoch * steps + index) / steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
            loss_sum += step(images, labels, derive_seed(seed, "step", epoch, index)) * len(labels)
            optimizer.step()
            images_seen += len(labels)
        loss = loss_sum.item() / images_seen
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss of epoch {epoch + 1} is {loss}; lower the learning rate (it was {config.learning_rate:g})"
            )
        if checkpoints:
            tensors = {**_prefixed("network", network.state_dict()), **_optimizer_tensors(network, optimizer)}
            save_step(checkpoints, epoch + 1, tensors, {})
        yield Epoch(epoch + 1, config.epochs, loss, images_seen / (time.perf_counter() - start), rate)


def learning_rate(config: TrainConfig, epochs_done: float) -> float:
    """Cosine decay to zero behind a linear rise over `warmup_epochs`; `epochs_done` counts fractions."""
    warmup = min(config.warmup_epochs, config.epochs)
    if epochs_done < warmup:
        return config.learning_rate * (epochs_done + 1e-8) / warmup
    progress = (epochs_done - warmup) / max(config.epochs - warmup, 1e-8)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def _adam(network: nn.Module, config: TrainConfig) -> torch.optim.Adam:
    """Adam with weight decay on convolution and linear weights only."""
    decayed_ids = {
        id(parameter)
        for name, parameter in network.named_parameters()
        if parameter.ndim >= 2 and name.rpartition(".")[2] == "weight"
    }
    groups = [
        {"params": [p for p in network.parameters() if id(p) in decayed_ids], "weight_decay": config.weight_decay},
        {"params": [p for p in network.parameters() if id(p) not in decayed_ids], "weight_decay": 0.0},
    ]
    return torch.optim.Adam([group for group in groups if group["params"]], lr=config.learning_rate, fused=True)


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _optimizer_tensors(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Adam's state under flat names; a parameter that never had a gradient has none."""
    return {
        f"optimizer.{key}.{name}": tensor
        for name, parameter in network.named_parameters()
        for key, tensor in optimizer.state.get(parameter, {}).items()
    }


def _restore(network: nn.Module, optimizer: torch.optim.Optimizer, checkpoints: Path) -> int:
    """Load the latest whole checkpoint, if there is one; the number of epochs it stands behind."""
    found = latest_checkpoint(checkpoints)
    if found is None:
        return 0
    tensors = found.tensors
    network.load_state_dict({k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")})
    for name, parameter in network.named_parameters():
        state = {
            key: tensors[f"optimizer.{key}.{name}"].clone().to(parameter.device if key != "step" else "cpu")
            for key in ("step", "exp_avg", "exp_avg_sq")
            if f"optimizer.{key}.{name}" in tensors
        }
        if state:
            optimizer.state[parameter] = state
    return found.number


def _autocast(device: torch.device) -> torch.autocast:
    """bfloat16 on CUDA (its range needs no loss scaling); float32 elsewhere."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")
