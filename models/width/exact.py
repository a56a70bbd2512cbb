"""Float layers that round as the 1-bit engine does in evaluation mode without gradients, for networks with gates.

There every sign decides; see `models.width.gated`. Adding in the engine's order takes its time on large maps.
"""

from torch import Tensor, nn

from models.layers.autograd import evaluates
from models.layers.channels import per_channel
from models.layers.convolution import convolve_in_order
from models.onebit.lowering.folding import affine


class ExactConv2d(nn.Conv2d):
    """A float convolution without groups and bias, of an odd kernel that is padded by half of it."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """(N, in, H, W) -> (N, out, H / stride, W / stride)."""
        return convolve_in_order(input, self.weight, self.stride[0]) if evaluates(self) else super().forward(input)


class ExactNorm2d(nn.BatchNorm2d):
    """A batch norm."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """(N, C, H, W) -> the same."""
        if not evaluates(self):
            return super().forward(input)
        factor, constant = (per_channel(values).to(input.dtype) for values in affine(self))
        return (input * factor).add_(constant)
