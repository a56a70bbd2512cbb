"""One unit of a block: RSign, a binary convolution, and the tail; on its own and on slices of shared channels."""

from enum import Enum
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable

from models.binary import Kernel, bireal_slope, per_channel
from models.tail import Tail


class Activations(Enum):
    """What a convolution reads: signs, or the shifted values themselves (for a teacher of full precision)."""

    BINARY = "binary"
    FLOAT = "float"


class BinaryUnit(nn.Module):
    """RSign -> convolution -> batch norm -> + shortcut -> RPReLU (ReActNet; NAS-BNN, Figure 1).

    Holds everything but the convolution's weight, which its owner supplies at each call; fewer input or output channels
    than declared use the first of each.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(in_channels))
        self.tail = Tail(out_channels)

    def run(self, x: Tensor, kernel: Kernel, stride: int, groups: int, activations: Activations) -> Tensor:
        """(N, in, H, W) -> (N, out, H / stride, W / stride); the shortcut is averaged where the stride is 2."""
        sums = binary_convolution(x, self.shift[: x.shape[1]], kernel.weight, stride, groups, activations)
        shortcut = x if stride == 1 else F.avg_pool2d(x, stride)
        return self.tail(sums, kernel.scale, shortcut)


class _BinaryConvolution(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, shift: Tensor, weight: Tensor, stride: int, groups: int, activations: Activations
    ) -> Tensor:
        dtype = _compute_dtype(x)
        inputs = x + per_channel(shift + 0.0)  # no element is -0.0, as no shift is: copysign then gives sign(0) = +1
        if activations is Activations.BINARY:
            inputs = torch.copysign(inputs.new_ones(()), inputs, out=inputs)
        inputs, weight = inputs.to(dtype), weight.to(dtype)
        ctx.save_for_backward(x, shift, inputs, weight)
        ctx.settings = stride, groups, activations
        with torch.autocast(x.device.type, enabled=False):
            return F.conv2d(inputs, weight, None, stride, weight.shape[-1] // 2, 1, groups).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, shift, inputs, weight = ctx.saved_tensors
        stride, groups, activations = ctx.settings
        padding = weight.shape[-1] // 2
        to_input, to_weight, _ = torch.ops.aten.convolution_backward(
            gradient.to(inputs.dtype), inputs, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups,  # noqa: FBT003
            [ctx.needs_input_grad[0] or ctx.needs_input_grad[1], ctx.needs_input_grad[2], False],
        )  # fmt: skip
        to_shift = None
        if to_input is not None:
            to_input = to_input.to(x.dtype)
            if activations is Activations.BINARY:
                to_input = to_input.mul_(bireal_slope(x + per_channel(shift)))
            to_shift = to_input.sum((0, 2, 3))
        return to_input, to_shift, None if to_weight is None else to_weight.to(x.dtype), None, None, None


def binary_convolution(
    x: Tensor, shift: Tensor, weight: Tensor, stride: int, groups: int, activations: Activations
) -> Tensor:
    """conv(sign(x + shift), weight), padded with zeros by half a kernel; (N, in, H, W) -> (N, out, H / s, W / s).

    Forward: sign(0) = +1; a padded zero stays zero and adds nothing to a sum. Pseudo-gradient of the sign: 2 - 2|u|
    inside [-1, 1], 0 outside, u = x + shift. With float activations there is no sign: u itself is convolved.

    Under autocast the convolution runs in the autocast type and everything else in the type of x. Sums of signs are
    then still exact in float16 up to 2048, more than any layer of Table 1 adds; bfloat16 rounds those beyond 256.
    """
    return _BinaryConvolution.apply(x, shift, weight, stride, groups, activations)


def _compute_dtype(x: Tensor) -> torch.dtype:
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
