"""Several processes that train one network together, each on its share of every batch. Knows no Ray.

Every process has the same network, draws the same subnets and takes the same step; only images differ. Gradients are
reduced once per step, after all passes of a sandwich, in one sum over what the passes touched.
"""

# torch annotates its functions only in part
# pyright: reportUnknownMemberType=false

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class RankLostError(BaseException):
    """Another process of the group is gone. No `Exception`, since it is no fault of what is trained: nobody is to take
    it for the reason of a failure."""


class Ranks(Protocol):
    """The processes that train together, as one of them sees them."""

    @property
    def rank(self) -> int:
        """The number of this one, from 0. The first one writes checkpoints, and its batch norms' statistics count."""
        ...

    @property
    def count(self) -> int:
        """How many there are."""
        ...

    @property
    def synchronised(self) -> bool:
        """Whether batch norm takes its statistics from the images of all."""
        ...

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes, the same in each; a new tensor. Raises `RankLostError`."""
        ...


@dataclass(frozen=True)
class Alone:
    """One process."""

    rank: int = 0
    count: int = 1
    synchronised: bool = False

    def total(self, values: Tensor) -> Tensor:
        """See `Ranks.total`."""
        return values


ALONE = Alone()


@dataclass(frozen=True)
class TorchRanks:
    """The processes of torch's default process group: NCCL on GPUs, gloo on CPUs."""

    synchronised: bool = False

    @property
    def rank(self) -> int:
        """See `Ranks.rank`."""
        return torch.distributed.get_rank()

    @property
    def count(self) -> int:
        """See `Ranks.count`."""
        return torch.distributed.get_world_size()

    def total(self, values: Tensor) -> Tensor:
        """See `Ranks.total`."""
        values = values.clone()
        try:
            torch.distributed.all_reduce(values)
        except RuntimeError as error:  # gloo's errors, and NCCL's, which are a subclass
            raise RankLostError(str(error)) from error
        return values


def reduced(ranks: Ranks, parameters: Sequence[Tensor], loss: Tensor, images: int) -> tuple[Tensor, Tensor | int]:
    """The loss and the number of images of the whole batch; gradients become those of its mean loss.

    `loss` is the mean over this process's `images`. Each process counts by its images, so shares may differ. The
    gradients travel in one tensor, with the loss and the count at its end.
    """
    if ranks.count == 1:
        return loss, images
    touched = [parameter.grad for parameter in parameters if parameter.grad is not None]
    own = [*(gradient.flatten() for gradient in touched), loss.reshape(1), loss.new_ones(1)]
    sums = ranks.total(torch.cat(own).mul_(images))
    total = sums[-1].clone()
    start = 0
    for gradient in touched:
        gradient.copy_(sums[start : start + gradient.numel()].div_(total).view_as(gradient))
        start += gradient.numel()
    return sums[-2] / total, total
