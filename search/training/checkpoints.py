"""How a training is kept: after every epoch, and every few minutes within one."""

# torch annotates its functions only in part
# pyright: reportUnknownMemberType=false

import time
import warnings
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from models.checkpoints.folder import (
    MANIFEST,
    CheckpointError,
    CheckpointWarning,
    Json,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
    save_step,
)
from search.training.ranks import Ranks
from search.training.silent import SilentWeights
from search.training.steps import Stateful, Step

WITHIN = "within"
"""The folder, beside those of whole epochs, of the last checkpoint within one."""


@dataclass(frozen=True)
class Place:
    """How far a training has come: whole epochs and batches of the next one, and of those batches the sum of the losses
    of all images and how many images there were."""

    epoch: int = 0
    batch: int = 0
    loss: Tensor | float = 0.0
    images: Tensor | int = 0


@dataclass(frozen=True)
class Trained:
    """What a training changes."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    step: Step
    silent: SilentWeights

    def tensors(self) -> dict[str, Tensor]:
        """All of it, under flat names."""
        found = {**_prefixed("network", self.network.state_dict()), **_optimizer_tensors(self.network, self.optimizer)}
        found |= _prefixed("silent", self.silent.tensors())
        if isinstance(self.step, Stateful):
            found |= _prefixed("step", self.step.tensors())
        return found

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` gave."""
        self.network.load_state_dict(_without("network", tensors))
        states: dict[str, dict[str, Tensor]] = {}
        for name, tensor in _without("optimizer", tensors).items():
            key, _, parameter = name.partition(".")
            states.setdefault(parameter, {})[key] = tensor.clone()
        for name, parameter in self.network.named_parameters():
            if name in states:
                self.optimizer.state[parameter] = {
                    key: tensor.to(parameter.device) if key == "step" else _laid_out_as(parameter, tensor)
                    for key, tensor in states[name].items()
                }
        self.silent.restore(_without("silent", tensors))
        if isinstance(self.step, Stateful):
            self.step.restore(_without("step", tensors))


class Checkpoints:
    """The checkpoints of one training in a folder; where there is none, nothing is kept.

    The first of several processes writes them, from a copy in memory and in a thread, so that the others do not wait
    for the disk; one process alone has written an epoch before it is reported.
    """

    def __init__(self, folder: Path | None, trained: Trained, ranks: Ranks, seconds: float | None) -> None:
        self._folder, self._trained, self._ranks, self._seconds = folder, trained, ranks, seconds
        self._writer = ThreadPoolExecutor(1, "checkpoints")
        self._written: Future[None] | None = None
        self._last = time.monotonic()

    def restore(self) -> Place:
        """Load what was kept last, if there is anything, and say how far that is.

        Raises `CheckpointError` where all is damaged, or where the processes do not find the same.
        """
        if self._folder is None:
            return Place()
        if self._ranks.count == 1:
            return self._load(self._folder)
        place = self._load(self._folder) if self._ranks.rank == 0 else Place()
        device = next(self._trained.network.parameters()).device
        self._ranks.total(torch.zeros(1, device=device))  # the first one sets aside what is damaged, then others look
        place = place if self._ranks.rank == 0 else self._load(self._folder)
        found = torch.tensor([place.epoch, place.batch], dtype=torch.int64, device=device)
        if not torch.equal(self._ranks.total(found), found * self._ranks.count):
            raise CheckpointError(
                f"the training workers do not find the same checkpoints in {self._folder}: the run must be on storage "
                "that every node mounts at the same path"
            )
        return place

    def _load(self, folder: Path) -> Place:
        latest = latest_checkpoint(folder)
        place = Place(latest.number) if latest else Place()
        tensors = latest.tensors if latest else None
        if (folder / WITHIN / MANIFEST).exists():
            try:
                within, meta = load_checkpoint(folder / WITHIN)
                if meta["epoch"] >= place.epoch:
                    sums = within.pop("place")
                    place = Place(meta["epoch"], meta["batch"], float(sums[0]), int(sums[1]))
                    tensors = within
            except CheckpointError as error:
                warnings.warn(f"the checkpoint within an epoch is left out: {error}", CheckpointWarning, stacklevel=2)
        if tensors is not None:
            self._trained.restore(tensors)
        return place

    def epoch_ended(self, epochs: int) -> None:
        """Keep the training after so many epochs."""
        if self._folder is None or self._ranks.rank != 0:
            return
        self.wait()
        if self._ranks.count == 1:
            save_step(self._folder, epochs, self._trained.tensors(), {})
        else:
            self._written = self._writer.submit(save_step, self._folder, epochs, self._copy(), {})
        self._last = time.monotonic()

    def batch_ended(self, place: Place) -> None:
        """Keep the training within an epoch, where it is time to."""
        if self._folder is None or self._seconds is None or self._ranks.rank != 0:
            return
        if time.monotonic() - self._last < self._seconds or (self._written and not self._written.done()):
            return
        self.wait()
        sums = torch.tensor([float(place.loss), float(place.images)], dtype=torch.float64)
        meta: Json = {"epoch": place.epoch, "batch": place.batch}
        tensors = {**self._copy(), "place": sums}
        self._written = self._writer.submit(save_checkpoint, self._folder / WITHIN, tensors, meta)
        self._last = time.monotonic()

    def wait(self) -> None:
        """Wait until all is on disk. Raises what writing raised."""
        written, self._written = self._written, None
        if written is not None:
            written.result()

    def _copy(self) -> dict[str, Tensor]:
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in self._trained.tensors().items()}


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


def _laid_out_as(parameter: nn.Parameter, tensor: Tensor) -> Tensor:
    """A copy in the parameter's memory layout: fused optimisers read both in step, and a file has only one layout."""
    return torch.empty_like(parameter).copy_(tensor)
