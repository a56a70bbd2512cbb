"""Squeeze-and-excites: gates from 0 to 1 for every channel, made of means by two linear layers.

In evaluation mode without gradients they round as the 1-bit engine does: the same bits on every device.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.autograd import evaluates
from models.layers.convolution import convolve_in_order
from models.layers.kernels import new_weight
from models.layers.lsq import HIGH, LOW, initial_step, keep_positive, quantise_weights
from spaces.cost import SQUEEZED

EIGHT = 8
"""Bits of a weight that is quantised."""


def squeezed(channels: int) -> int:
    """Channels between the two layers of a squeeze-and-excite."""
    return max(1, channels // SQUEEZED)


class Projection(nn.Module):
    """A linear layer of means, (N, in) -> (N, out), whose weights are floats or, with a step per output, of 8 bits.

    Fewer inputs and outputs than declared are the first of each.
    """

    def __init__(self, in_channels: int, out_channels: int, excites: tuple[int, ...]) -> None:
        super().__init__()
        self.weight = new_weight(out_channels, in_channels)
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.step: nn.Parameter | None = None
        if EIGHT in excites:
            self.step = nn.Parameter(torch.empty(out_channels) if self.weight.is_meta else initial_step(self.weight))

    def step_taken(self) -> None:
        """The optimiser has moved the weights: keep the steps positive."""
        if self.step is not None:
            keep_positive(self.step)

    def forward(self, x: Tensor, channels: int, bits: int) -> Tensor:
        """(N, in) -> (N, channels), with weights of 8 bits or of 32."""
        weight = self.weight[:channels, : x.shape[1]]
        if bits == EIGHT:
            assert self.step is not None
            weight = quantise_weights(weight, self.step[:channels])
        return F.linear(x, weight, self.bias[:channels])

    @torch.no_grad()
    def deployed(self, in_channels: int, channels: int, bits: int) -> tuple[Tensor, Tensor | None]:
        """Weights (channels, in) as the 1-bit engine has them, and what its sums are multiplied with: whole numbers and
        steps where they are of 8 bits, else floats and None for 1."""
        weight = self.weight[:channels, :in_channels]
        if bits != EIGHT:
            return weight, None
        assert self.step is not None
        step = self.step[:channels]
        return (weight / step[:, None]).clamp_(LOW, HIGH).round_(), step

    @torch.no_grad()
    def sums(self, x: Tensor, channels: int, bits: int) -> tuple[Tensor, Tensor | None]:
        """What the engine computes before factor and bias, to the bit, and the factor: (N, in) -> (N, channels)."""
        weight, factor = self.deployed(x.shape[1], channels, bits)
        return convolve_in_order(x[:, :, None, None], weight[:, :, None, None], 1).flatten(1), factor


class Excitation(nn.Module):
    """hard_sigmoid(expand(relu(reduce(means)))): a gate for every channel that a convolution makes.

    `excites` are the numbers of bits that its weights may be asked to have. Fewer channels than declared use the first
    of each.
    """

    def __init__(self, in_channels: int, out_channels: int, excites: tuple[int, ...]) -> None:
        super().__init__()
        self.reduce = Projection(in_channels, squeezed(in_channels), excites)
        self.expand = Projection(squeezed(in_channels), out_channels, excites)

    def gates(self, means: Tensor, channels: int, bits: int) -> Tensor:
        """(N, in) -> (N, channels)."""
        hidden = squeezed(means.shape[1])
        if not evaluates(self):
            return F.hardsigmoid(self.expand(F.relu(self.reduce(means, hidden, bits)), channels, bits))
        sums, factor = self.reduce.sums(means, hidden, bits)
        between = F.relu((sums if factor is None else sums * factor) + self.reduce.bias[:hidden])
        sums, _ = self.expand.sums(between, channels, bits)
        factor, constant = self.folded(hidden, channels, bits)
        return (sums * factor + constant).clamp_(0, 1)

    @torch.no_grad()
    def folded(self, hidden: int, channels: int, bits: int) -> tuple[Tensor, Tensor]:
        """The hard sigmoid of the second layer is clip(factor * sums + constant, 0, 1): both, per channel."""
        step = self.expand.deployed(hidden, channels, bits)[1]
        ones = torch.ones_like(self.expand.bias[:channels])
        return (ones if step is None else step) / 6, self.expand.bias[:channels] / 6 + 0.5


def means_of(module: nn.Module, x: Tensor) -> Tensor:
    """Means of maps, in the engine's order where the module evaluates: (N, C, H, W) -> (N, C)."""
    return means_in_order(x) if evaluates(module) else x.mean((2, 3))


@torch.no_grad()
def means_in_order(x: Tensor) -> Tensor:
    """Means of maps whose pixels are added one after the other, as the 1-bit engine adds them: (N, C, H, W) -> (N, C).

    Libraries add in orders of their own.
    """
    pixels = x.flatten(2)
    total = torch.zeros_like(pixels[:, :, 0])
    for place in range(pixels.shape[2]):
        total += pixels[:, :, place]
    return total / total.new_full((), pixels.shape[2])  # a division, where a number might be multiplied by its inverse
