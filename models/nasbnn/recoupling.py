"""What follows a binary convolution in BNext: batch norm, RPReLU, squeeze-and-excite, product, batch norm, shortcut.

BNext (Guo et al., 2022) calls it information recoupling and element-wise attention. `docs/papers.md` lists where it
differs from its authors' code.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.channels import first, per_channel
from models.layers.convolution import convolve_in_order
from models.layers.kernels import new_weight
from models.layers.lsq import HIGH, LOW, initial_step, keep_positive, quantise_weights
from models.layers.tail import NormTail, Tail
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


class Gate(nn.Module):
    """A squeeze-and-excite of what a convolution reads and of what comes out: one factor from 0 to 1 per channel.

    hard_sigmoid(expand(relu(reduce(mean of what is read + balance * mean of what comes out)))). The first layer may
    scale its inputs, so one balance per channel mixes both as well as BNext's two, which sum to 1.
    """

    def __init__(self, channels: int, excites: tuple[int, ...]) -> None:
        super().__init__()
        self.balance = nn.Parameter(torch.ones(channels))
        self.reduce = Projection(channels, squeezed(channels), excites)
        self.expand = Projection(squeezed(channels), channels, excites)

    def forward(self, read: Tensor, made: Tensor, bits: int) -> Tensor:
        """(N, S, H, W), repeated along channels or cut, and (N, C, H, W) -> (N, C, 1, 1)."""
        channels = made.shape[1]
        exact = not self.training and not torch.is_grad_enabled()
        mean = means_in_order if exact else _means
        mixed = mean(made) * self.balance[:channels] + _fitted(mean(read), channels)
        gate = (self._evaluate if exact else self._gate)(mixed, squeezed(channels), bits)
        return gate.to(made.dtype)[:, :, None, None]

    def _gate(self, mixed: Tensor, hidden: int, bits: int) -> Tensor:
        return F.hardsigmoid(self.expand(F.relu(self.reduce(mixed, hidden, bits)), mixed.shape[1], bits))

    def _evaluate(self, mixed: Tensor, hidden: int, bits: int) -> Tensor:
        """What the 1-bit engine computes, to the bit."""
        sums, factor = self.reduce.sums(mixed, hidden, bits)
        squeezed = F.relu((sums if factor is None else sums * factor) + self.reduce.bias[:hidden])
        channels = mixed.shape[1]
        sums, _ = self.expand.sums(squeezed, channels, bits)
        factor, constant = self.folded(channels, bits)
        return (sums * factor + constant).clamp_(0, 1)

    @torch.no_grad()
    def folded(self, channels: int, bits: int) -> tuple[Tensor, Tensor]:
        """The hard sigmoid of the second layer is clip(factor * sums + constant, 0, 1): both, per channel."""
        step = self.expand.deployed(squeezed(channels), channels, bits)[1]
        ones = torch.ones_like(self.expand.bias[:channels])
        return (ones if step is None else step) / 6, self.expand.bias[:channels] / 6 + 0.5


class Recoupling(nn.Module):
    """norm(gate * rprelu(norm(scale * c)) [* r]) + r, with r the shortcut, or its PReLU where the product is with it.

    Takes the place of a `models.layers.tail.Tail`. `excites` are the bits of the gates that may be asked for, 0 for
    none. Fewer channels than declared use the first of each.
    """

    def __init__(self, channels: int, excites: tuple[int, ...], *, multiplies: bool) -> None:
        super().__init__()
        self.excites = excites
        self.tail = Tail(channels)
        self.gate = Gate(channels, excites) if any(excites) else None
        self.slope = nn.Parameter(torch.full((channels,), 0.25)) if multiplies else None
        self.norm = NormTail(channels)

    def forward(self, sums: Tensor, scale: Tensor | None, shortcut: Tensor, excite: int | None = None) -> Tensor:
        """(N, C, H, W), scale (C,) or None for 1, shortcut (N, S, H, W) -> (N, C, H, W).

        A shortcut with fewer channels is repeated along them, one with more is cut; one that is multiplied has as many.
        """
        bits = self.excites[-1] if excite is None else excite
        x = self.tail(sums, scale, None)
        if bits:
            assert self.gate is not None
            x = x * self.gate(shortcut, x, bits)
        if self.slope is not None:
            slope = per_channel(first(self.slope, x.shape[1]))
            shortcut = torch.where(shortcut > 0, shortcut, shortcut * slope)  # prelu, which autocast would run in half
            x = x * shortcut
        return self.norm(x, None, shortcut)


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


def _means(x: Tensor) -> Tensor:
    return x.mean((2, 3))


def _fitted(x: Tensor, channels: int) -> Tensor:
    """(N, S) repeated along channels and cut: (N, channels)."""
    if x.shape[1] < channels:
        x = x.repeat(1, -(-channels // x.shape[1]))
    return x[:, :channels]
