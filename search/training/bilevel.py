"""The bilevel search for cells (BNAS; the first order of DARTS), as a step of the one training loop.

Half of the training images move the weights of a network that mixes all layer types, the other half the architecture
weights that mix them:

    network_half, architecture_half = halves(data.train, config.architecture_fraction, seed)
    supernet = MixedSupernet(dataclasses.replace(space, cells=config.cells, width=config.width))
    step = BilevelStep(supernet, architecture_half, config, seed)
    for epoch in train(supernet, step, network_half, config, seed=seed, checkpoints=folder):
        ...
    genotype = read_genotype(space, step.mixture())
"""

# torch annotates its functions only in part
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import dataclasses
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.cell.mixture import Mixture
from models.cell.supernet import MixedNetwork, MixedSupernet
from search.config.trainings import DifferentiableConfig
from search.data.dataset import Split
from search.data.order import Order, batch_count, shuffled
from search.data.splits import ClassRanking
from search.seeds import derive_seed
from search.training.alphas import Alphas, entropy_term
from search.training.batches import class_weights
from search.training.bilevel_history import History
from search.training.ranks import ALONE, Ranks, reduced
from search.training.steps import Batch, Epoch, at_full_precision, autocast

S = TypeVar("S", bound=Split)


def halves(split: S, architecture_fraction: float, seed: int) -> tuple[S, S]:
    """Cut training images in two: those that move the network's weights, and those that move the architecture's.

    The second part gets `architecture_fraction` of every class, chosen by a hash of the seed and the image's position;
    each part has at least one image of every class. Raises `ValueError` where a class has only one image.
    """
    labels = split.labels.numpy()
    counts = np.bincount(labels)
    alone = np.flatnonzero(counts == 1).tolist()
    if alone:
        raise ValueError(
            f"a differentiable search cuts the training images of every class in two, but class {alone[0]} has one "
            f"image ({len(alone)} such classes): add images, or leave more of them to training"
        )
    taken = np.clip(np.rint(counts * architecture_fraction).astype(np.int64), 1, np.maximum(counts - 1, 1))
    ranking = ClassRanking.of(labels, str, seed, "architecture half")
    first, second = ranking.rest(taken), ranking.first(taken)
    return split.subset(torch.from_numpy(first)), split.subset(torch.from_numpy(second))


def architecture_order(seed: int, epoch: int, index: int, batches: int) -> Order:
    """The order whose first batch goes with the training batch `index` of an epoch, both from 0.

    An epoch passes over the architecture half, which has `batches` batches, as often as its own batches need, each time
    in another order.
    """
    return shuffled(derive_seed(seed, "architecture", epoch, index // batches), first=index % batches)


class BilevelStep:
    """First the architecture weights move by Adam, on a batch of the architecture half, to less of

        cross entropy - lambda H(p) exp(-t / tau)                     (BNAS v2, equation 2; `entropy_term`)

    with the network's weights as they are; then the training batch goes through the network with the new architecture
    weights, and the gradient of its cross entropy is added to the gradients of the network, which the loop moves.

    Architecture weights, Adam's state and the history are tensors of the step and belong to the loop's checkpoints.
    `measure` gets the network as it is mixed when an epoch has ended, before the epoch is saved; it returns the
    validation accuracy that the history keeps.
    """

    def __init__(
        self,
        supernet: MixedSupernet,
        architecture_half: Split,
        config: DifferentiableConfig,
        seed: int,
        measure: Callable[[nn.Module], float] | None = None,
        ranks: Ranks = ALONE,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.supernet = supernet
        self.precision = precision
        self.config = config
        self.device = next(supernet.parameters()).device
        self.alphas = Alphas.initial(supernet.space, seed, self.device)
        self.history = History.empty(*self.alphas.normal.shape)
        self._adam = torch.optim.Adam(
            list(self.alphas),
            lr=config.architecture_learning_rate,
            betas=config.architecture_betas,
            weight_decay=config.architecture_weight_decay,
        )
        self._ranks = ranks
        self._batches = _Batches(architecture_half, config.batch_size, seed, self.device, ranks)
        self._measure = measure
        self._weights = class_weights(config, architecture_half, self.device)
        self._met = torch.zeros(3, dtype=torch.float64, device=self.device)  # sums: images, loss, correct

    def mixture(self) -> Mixture:
        """The present weights of all layer types, without gradients."""
        with torch.no_grad():
            return self.alphas.mixture()

    def __call__(self, batch: Batch) -> Tensor:
        """The cross entropy of the training batch; see the class."""
        self._move_alphas(batch)
        mixture = self.mixture()
        with autocast(self.device, self.precision):
            logits = at_full_precision(self.supernet(batch.images, mixture))
            loss = F.cross_entropy(logits, batch.labels, self._weights, label_smoothing=self.config.label_smoothing)
        loss.backward()
        return loss.detach()

    def _move_alphas(self, batch: Batch) -> None:
        images, labels = self._batches.at(batch.epoch, batch.index)
        with autocast(self.device, self.precision):
            logits = at_full_precision(self.supernet(images, self.alphas.mixture()))
            loss = F.cross_entropy(logits, labels, self._weights)
        term = entropy_term(self.alphas, self.config.entropy_weight, self.config.entropy_decay, batch.epoch)
        gradients = torch.autograd.grad(loss + term, list(self.alphas))  # the network's own stay untouched
        for values, gradient in zip(self.alphas, gradients, strict=True):
            values.grad = gradient
        reduced(self._ranks, list(self.alphas), loss.detach(), len(labels))
        self._adam.step()
        with torch.no_grad():
            if batch.index == 0:
                self._met.zero_()
            correct = (logits.argmax(1) == labels).sum()
            met = torch.stack([correct.new_tensor(len(labels)), loss.detach() * len(labels), correct])
            self._met += self._ranks.total(met)

    def epoch_ended(self, epoch: Epoch) -> None:
        """Keep the epoch in the history."""
        mixture = self.mixture()
        images, loss, correct = self._met.tolist()
        accuracy = self._measure(MixedNetwork(self.supernet, mixture)) if self._measure else float("nan")
        self.history = self.history.with_epoch(
            mixture,
            loss=epoch.loss,
            architecture_loss=loss / images,
            architecture_accuracy=correct / images,
            accuracy=accuracy,
        )

    def tensors(self) -> dict[str, Tensor]:
        """Architecture weights, Adam's state, history, what the epoch in hand has met."""
        result = {f"alphas.{name}": values.detach() for name, values in self.alphas._asdict().items()}
        for name, values in self.alphas._asdict().items():
            result |= {f"adam.{name}.{key}": tensor for key, tensor in self._adam.state[values].items()}
        result["met"] = self._met
        return result | {f"history.{field.name}": getattr(self.history, field.name) for field in _HISTORY}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of `tensors`."""
        for name, values in self.alphas._asdict().items():
            values.detach().copy_(tensors[f"alphas.{name}"])
            start = f"adam.{name}."
            self._adam.state[values] = {
                key.removeprefix(start): tensor.clone() if key.endswith(".step") else tensor.clone().to(self.device)
                for key, tensor in tensors.items()
                if key.startswith(start)
            }
        if "met" in tensors:  # not in checkpoints of whole epochs of earlier versions
            self._met.copy_(tensors["met"])
        self.history = History(**{field.name: tensors[f"history.{field.name}"] for field in _HISTORY})


_HISTORY = dataclasses.fields(History)


class _Batches:
    """The batches of the architecture half: which one comes depends on the seed, the epoch and the number alone.

    The iterator is kept while batches are asked for in order, since a stream starts workers for every iterator.
    """

    def __init__(self, split: Split, batch_size: int, seed: int, device: torch.device, ranks: Ranks) -> None:
        self._split = split
        self._ranks = ranks
        self._batch_size = batch_size
        self._seed = seed
        self._device = device
        self._count = batch_count(shuffled(seed), len(split), batch_size)
        self._next: tuple[int, int] | None = None
        self._iterator: Iterator[tuple[Tensor, Tensor]] = iter(())

    def at(self, epoch: int, index: int) -> tuple[Tensor, Tensor]:
        """The batch that goes with this training batch."""
        if self._next != (epoch, index) or index % self._count == 0:
            order = architecture_order(self._seed, epoch, index, self._count)
            order = order.shared(self._ranks.rank, self._ranks.count)
            self._iterator = self._split.batches(self._batch_size, order=order, device=self._device)
        self._next = epoch, index + 1
        return next(self._iterator)
