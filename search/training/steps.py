"""What the training loop does with a batch: the sandwich of a supernet, or one pass of one network."""

# torch annotates its functions only in part
# pyright: reportUnknownMemberType=false

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, cast, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.cell.frame import Cell
from models.layers.modes import Mode
from models.nasbnn.supernet import NasBnnSupernet
from search.config.sections import StagedTrainConfig, TrainConfig
from search.config.trainings import NetworkTrainConfig, SupernetConfig
from search.seeds import derive_rng


@dataclass(frozen=True)
class Batch:
    """Images (N, C, H, W) and classes (N,) of one step, shares of classes (N, classes) where images are mixed, a seed
    for whatever is drawn within it, and its place in the training: the epoch and the number within it, from 0.

    `soft` are what teachers say of the images, (N, classes); None without any. See `search.training.teachers`."""

    images: Tensor
    labels: Tensor
    seed: int
    epoch: int = 0
    index: int = 0
    soft: Tensor | None = None


class Step(Protocol):
    """Forward and backward passes of one batch; gradients are added to the parameters' `grad`."""

    def __call__(self, batch: Batch) -> Tensor:
        """The loss that is reported, detached, of shape ()."""
        ...


@dataclass(frozen=True)
class Epoch:
    """What is reported after an epoch, or within one: its number from 1, the mean loss, the speed, the last learning
    rate, how many processes train it together, the share of it that is done, the precision that it was trained in,
    where that is told, and the share of its time for which the first process waited for images."""

    epoch: int
    epochs: int
    loss: float
    images_per_second: float
    learning_rate: float
    workers: int = 1
    share: float = 1.0
    precision: str | None = None
    waiting: float = 0.0


@runtime_checkable
class Stateful(Protocol):
    """A step with tensors of its own, such as architecture weights, which belong to the training's checkpoints. It may
    measure and keep something at the end of every epoch, before the epoch is saved."""

    def epoch_ended(self, epoch: Epoch) -> None:
        """An epoch has ended."""

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        ...

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back what a checkpoint kept."""


LossOf = Callable[[Tensor, Tensor], Tensor]
"""A loss, of shape (), of logits (N, classes) and labels (N,)."""


def _cross_entropy(config: TrainConfig, weights: Tensor | None) -> LossOf:
    return partial(F.cross_entropy, weight=weights, label_smoothing=config.label_smoothing)


def taught_loss(logits: Tensor, labels: Tensor, soft: Tensor | None, config: TrainConfig, loss_of: LossOf) -> Tensor:
    """The loss of a student, of shape (): w T^2 H(soft, softmax(logits / T)) + (1 - w) loss_of(logits, labels).

    H is the cross entropy, whose gradient is that of the divergence from the teachers; T is `teacher_temperature`, w
    `teacher_weight`, and `soft` (N, classes) are the teachers' probabilities at T. Without any, w is 0.
    """
    if soft is None:
        return loss_of(logits, labels)
    assert isinstance(config, StagedTrainConfig), "no other training has teachers"
    share, temperature = config.teacher_weight, config.teacher_temperature
    if share == 0:
        return loss_of(logits, labels)
    loss = F.cross_entropy(logits / temperature, soft.to(logits.dtype)) * temperature**2
    return loss if share == 1 else share * loss + (1 - share) * loss_of(logits, labels)


def sandwich_step(
    supernet: NasBnnSupernet,
    config: SupernetConfig,
    weights: Tensor | None = None,
    students: Mode = Mode.BWBA,
    precision: torch.dtype = torch.float32,
) -> Step:
    """The sandwich rule with Bi-Teacher (section 3.3.1, equation 4).

    The largest subnet, in the teacher's mode, learns from the labels; the smallest and some random ones, all in the
    mode of `students`, learn from its predictions, or from the labels without distillation. Other teachers teach the
    largest subnet as well, and with it the students: the mean of their soft labels. Where the largest one is no
    teacher, it is a student. Each pass is followed by its backward pass, so that one graph is alive at a time.
    `weights` are those of the classes, where they do not count alike; they belong to labels, not to what a teacher
    says. Convolutions compute in `precision` (see `autocast`).
    """
    space = supernet.space
    smallest, largest = space.smallest(), space.largest()
    loss_of = _cross_entropy(config, weights)
    parameters = list(supernet.parameters())
    device = parameters[0].device
    draw = space.sample if config.sampling == "uniform" else space.sample_genes
    others = len(config.teachers)

    def step(batch: Batch) -> Tensor:
        images, labels, soft = batch.images, batch.labels, batch.soft
        rng = derive_rng(batch.seed, "subnets")
        subnets = [smallest, *(draw(rng) for _ in range(config.random_subnets))]
        with autocast(device, precision):
            logits = at_full_precision(supernet(images, largest, config.teacher_mode or students))
            loss = taught_loss(logits, labels, soft, config, loss_of)
        add_gradients(loss, parameters)
        if config.teacher_mode is not None:
            own = (logits.detach() / config.teacher_temperature).softmax(dim=1)  # (N, classes)
            soft = own if soft is None else (own + others * soft) / (1 + others)
        for subnet in subnets:
            with autocast(device, precision):
                logits = at_full_precision(supernet(images, subnet, students))
                taught = soft if config.distillation else None
                student_loss = taught_loss(logits, labels, taught, config, loss_of)
            add_gradients(student_loss, parameters)
        return loss.detach()

    return step


def add_gradients(loss: Tensor, parameters: Sequence[Tensor]) -> None:
    """The backward pass of a loss, whose gradients are added to the `grad` of the parameters."""
    if parameters[0].device.type == "cpu":
        loss.backward()
    else:
        add_at_once(loss, parameters)


def add_at_once(loss: Tensor, parameters: Sequence[Tensor]) -> None:
    """As `add_gradients`, for GPUs: sums of all parameters in a few launches, where torch takes one for each, which is
    as many as the rest of a pass."""
    gradients = cast(Sequence[Tensor | None], torch.autograd.grad(loss, parameters, allow_unused=True))
    found = [(each, _laid_out_as(each, g)) for each, g in zip(parameters, gradients, strict=True) if g is not None]
    new = [pair for pair in found if pair[0].grad is None]
    more = [(each.grad, gradient) for each, gradient in found if each.grad is not None]
    for parameter, _ in new:
        parameter.grad = torch.empty_like(parameter)  # of its own, as gradients of several parameters may be one tensor
    # torch has these functions under no other name, and does not say what they take
    if new:
        torch._foreach_copy_([each.grad for each, _ in new], [g for _, g in new])  # pyright: ignore
    if more:
        torch._foreach_add_([each for each, _ in more], [g for _, g in more])  # pyright: ignore


def _laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    """In the parameter's memory layout: one that differs makes torch go through all of them one by one."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


def plain_step(
    network: nn.Module,
    config: TrainConfig,
    weights: Tensor | None = None,
    loss_of: LossOf | None = None,
    precision: torch.dtype = torch.float32,
) -> Step:
    """One pass with a loss, or cross entropy with classes weighed where there are weights, and the `taught_loss` where
    there are teachers: finetuning, and training from scratch. Convolutions compute in `precision` (see `autocast`).

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
        with autocast(device, precision):
            logits = at_full_precision(network(batch.images))
            loss = taught_loss(logits, batch.labels, batch.soft, config, loss_of)
        loss.backward()
        return loss.detach()

    return step


def at_full_precision(logits: Tensor) -> Tensor:
    """Logits for a loss: float32 where they are of half precision."""
    return logits if logits.dtype == torch.float64 else logits.float()


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Forward passes inside compute convolutions and linear layers, and their gradients, in this precision: bfloat16,
    whose range needs no loss scaling, with sums in float32; or float32, the type of everything else.

    Sums of binary tensors are exact in both (`models.layers.convolution`).
    """
    return torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32)
