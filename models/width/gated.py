"""A layer of Real-to-Binary: a binary convolution whose sums are multiplied with a gate for every channel.

Martinez et al., "Training binary neural networks with real-to-binary convolutions" (2020), sections 4.1 and 4.3.
"""

import torch
from torch import Tensor, nn

from models.layers.autograd import evaluates
from models.layers.binary import BinaryConv2d
from models.layers.channels import per_channel
from models.layers.excitation import Excitation, means_of
from models.layers.modes import Mode
from models.onebit.lowering.folding import fold_threshold
from models.width.exact import ExactNorm2d

GATE_BITS = 32
"""Of the weights of a gate: they are floats."""


class GatedConvolution(nn.Module):
    """prelu(gate(mean n) * convolution(sign n)) + shortcut, where n is the batch norm of what is read.

    In evaluation mode without gradients, where it is binary, it rounds as the 1-bit engine does.
    """

    def __init__(self, convolution: BinaryConv2d) -> None:
        super().__init__()
        out_channels, in_channels, _, _ = convolution.weight.shape
        self.norm = ExactNorm2d(in_channels)
        self.convolution = convolution
        self.gate = Excitation(in_channels, out_channels, (GATE_BITS,))
        self.slope = nn.Parameter(torch.full((out_channels,), 0.25))

    def forward(self, x: Tensor, shortcut: Tensor) -> Tensor:
        """(N, in, H, W), (N, out, H / stride, W / stride) -> the same as the latter."""
        if evaluates(self) and self.convolution.mode is Mode.BWBA:
            means = self.norm(means_of(self, x)[:, :, None, None]).flatten(1)
            inputs = self._signs(x) if self.convolution.binariser.low == -1 else self.norm(x)
        else:
            inputs = self.norm(x)
            means = means_of(self, inputs)
        sums = self.convolution(inputs)
        gates = self.gate.gates(means, sums.shape[1], GATE_BITS).to(sums.dtype)
        x = sums * gates[:, :, None, None]
        x = torch.where(x > 0, x, x * per_channel(self.slope))  # prelu, which autocast would run in half
        return x + shortcut

    def _signs(self, x: Tensor) -> Tensor:
        """Those of the batch norm of x, each by the one comparison that the engine makes."""
        threshold, falling = map(per_channel, fold_threshold(self.norm))
        return torch.where((x >= threshold) != falling, 1.0, -1.0).to(x.dtype)
