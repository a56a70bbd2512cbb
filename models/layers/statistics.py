"""Means and variances of the values of several processes together."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.layers.channels import per_channel

Total = Callable[[Tensor], Tensor]
"""The sum of a tensor over all processes, the same in each; a new tensor."""


@dataclass(frozen=True)
class Pooled:
    """Statistics over all processes: how they sum, and of how many values per channel."""

    total: Total
    count: Tensor
    """Of shape (), on the device: a number in Python would have to wait for it."""

    @classmethod
    def of(cls, mean: Tensor, variance: Tensor, count: int, total: Total) -> tuple["Pooled", Tensor, Tensor]:
        """The pool, mean and (biased) variance of all values, given those of this process's `count`; both (C,).

        The variance is that of every process plus that of their means, which keeps its digits where the difference of
        large sums would not.
        """
        sums = total(torch.cat([mean.double() * count, mean.new_full((1,), count, dtype=torch.float64)]))
        every = sums[-1]
        mean_of_all = sums[:-1] / every
        spread = total((variance.double() + (mean.double() - mean_of_all) ** 2) * count) / every
        return cls(total, every), mean_of_all.to(mean), spread.to(variance)

    def input_gradient(
        self, gradient: Tensor, x: Tensor, factor: Tensor, mean: Tensor, inverse: Tensor, dot: Tensor, total: Tensor
    ) -> Tensor:
        """The gradient of a batch norm's input, through the statistics of all processes.

        `gradient` and `x` are (N, C, H, W) of this process, `factor` is gamma * inverse, `dot` and `total` are this
        process's sums of gradient * x and of gradient per channel.
        """
        sums = self.total(torch.cat([dot, total]).double())
        dot_of_all, total_of_all = sums.chunk(2)
        slope = (dot_of_all - mean * total_of_all) * inverse.double() ** 2 / self.count
        constant = total_of_all / self.count - slope * mean
        centred = gradient - per_channel(constant.to(gradient)) - x * per_channel(slope.to(gradient))
        return centred.mul_(per_channel(factor))
