"""What follows a binary convolution in BNext: batch norm, RPReLU, squeeze-and-excite, product, batch norm, shortcut.

BNext (Guo et al., 2022) calls it information recoupling and element-wise attention. `docs/papers.md` lists where it
differs from its authors' code.
"""

import torch
from torch import Tensor, nn

from models.layers.channels import first, per_channel
from models.layers.excitation import Excitation, means_of
from models.layers.tail import NormTail, Tail


class Gate(Excitation):
    """A squeeze-and-excite of what a convolution reads and of what comes out: one factor from 0 to 1 per channel.

    hard_sigmoid(expand(relu(reduce(mean of what is read + balance * mean of what comes out)))). The first layer may
    scale its inputs, so one balance per channel mixes both as well as BNext's two, which sum to 1.
    """

    def __init__(self, channels: int, excites: tuple[int, ...]) -> None:
        super().__init__(channels, channels, excites)
        self.balance = nn.Parameter(torch.ones(channels))

    def forward(self, read: Tensor, made: Tensor, bits: int) -> Tensor:
        """(N, S, H, W), repeated along channels or cut, and (N, C, H, W) -> (N, C, 1, 1)."""
        channels = made.shape[1]
        mixed = means_of(self, made) * self.balance[:channels] + _fitted(means_of(self, read), channels)
        return self.gates(mixed, channels, bits).to(made.dtype)[:, :, None, None]


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


def _fitted(x: Tensor, channels: int) -> Tensor:
    """(N, S) repeated along channels and cut: (N, channels)."""
    if x.shape[1] < channels:
        x = x.repeat(1, -(-channels // x.shape[1]))
    return x[:, :channels]
