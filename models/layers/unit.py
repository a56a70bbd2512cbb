"""One unit of a block: RSign, a binary convolution, and the tail; on its own and on slices of shared channels."""

import math
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.autograd import Function, once_differentiable, part_of
from models.layers.channels import first, pad_to, per_channel
from models.layers.convolution import Terms, convolve, half_type, in_own_type, input_gradient, weight_gradient
from models.layers.kernels import Kernel
from models.layers.modes import Activations
from models.layers.tail import Tail


class BinaryUnit(nn.Module):
    """RSign -> convolution -> batch norm -> + shortcut -> RPReLU (ReActNet; NAS-BNN, Figure 1), or another `tail`.

    Holds everything but the convolution's weight, which its owner supplies at each call; fewer input or output channels
    than declared use the first of each.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(in_channels))
        self.tail: nn.Module = Tail(out_channels)
        self.bound = 1.0
        """Of the pseudo-gradient of activations; see `binary_convolution`."""

    def run(
        self, x: Tensor, kernel: Kernel, stride: int, groups: int, activations: Activations, *choices: int
    ) -> Tensor:
        """(N, in, H, W) -> (N, out, H / stride, W / stride); the shortcut is averaged where the stride is 2. `choices`
        are for a tail that has some."""
        terms = Terms.FLOATS if kernel.scale is None or activations is Activations.FLOAT else Terms.SIGNS
        if isinstance(self.tail, Tail) and self.tail.fuses(x):
            from models.layers.fused.unit import Settings, fused_unit

            settings = Settings(stride, groups, activations, terms, self.bound, batch=self.tail.training)
            numbers_of = partial(self.tail.numbers, scale=kernel.scale)
            return fused_unit(x, self.shift, kernel.weight, numbers_of, settings, self.tail.values())
        sums = binary_convolution(x, self.shift, kernel.weight, stride, groups, activations, self.bound, terms)
        shortcut = x if stride == 1 else F.avg_pool2d(x, stride)
        return self.tail(sums, kernel.scale, shortcut, *choices)


class _BinaryConvolution(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        shift: Tensor,
        weight: Tensor,
        stride: int,
        groups: int,
        activations: Activations,
        bound: float,
        terms: Terms,
    ) -> Tensor:
        dtype = half_type(x)
        ctx.declared = shift.shape[0]
        shift = first(shift, x.shape[1])
        u = x + per_channel(shift + 0.0)  # no element is -0.0, as no shift is: copysign then gives sign(0) = +1
        inputs, weight = u.to(dtype), weight.to(dtype)  # which keeps the sign of what it rounds to 0
        if activations is Activations.BINARY:
            inputs = torch.copysign(inputs.new_ones(()), inputs)
        ctx.save_for_backward(u, inputs, weight)  # and not x, which nobody else keeps
        ctx.settings = stride, groups, activations, bound
        with in_own_type(x):
            return convolve(inputs, weight, stride, groups, terms).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        u, inputs, weight = ctx.saved_tensors
        stride, groups, activations, bound = ctx.settings
        gradient = gradient.to(inputs.dtype)
        to_input = to_shift = to_weight = None
        if ctx.needs_input_grad[2]:
            to_weight = weight_gradient(gradient, inputs, weight, stride, groups).to(u.dtype)
        if ctx.needs_input_grad[0] or ctx.needs_input_grad[1]:
            # the tent's slope is 2 / bound (1 - distance): a factor that rounds nothing may act on the weight, which is
            # the smallest
            factor = 2 / bound if activations is Activations.BINARY else 1.0
            early = math.frexp(factor)[0] == 0.5
            scaled = weight * factor if early and factor != 1 else weight
            to_input = input_gradient(gradient, inputs, scaled, stride, groups).to(u.dtype)
            if activations is Activations.BINARY:
                to_input = to_input.addcmul_(to_input, part_of(u.abs(), bound), value=-1)
                to_input = to_input if early else to_input.mul_(factor)
            (to_shift,) = pad_to(ctx.declared, to_input.sum((0, 2, 3)))
        return to_input, to_shift, to_weight, None, None, None, None, None


def binary_convolution(
    x: Tensor,
    shift: Tensor,
    weight: Tensor,
    stride: int,
    groups: int,
    activations: Activations,
    bound: float = 1.0,
    terms: Terms = Terms.FLOATS,
) -> Tensor:
    """conv(sign(x + shift), weight), padded with zeros by half a kernel; (N, in, H, W) -> (N, out, H / s, W / s).

    Forward: sign(0) = +1; a padded zero stays zero and adds nothing to a sum. Pseudo-gradient of the sign at
    u = x + shift: 2 / b (1 - |u| / b) where |u| <= b, the bound, and 0 elsewhere. With float activations there is no
    sign: u itself is convolved. Of `shift`, as many entries are used as x has channels.

    Under autocast the convolution and its gradients run in the autocast type and everything else in the type of x.
    Where `terms` are signs, as with binary weights, its sums are exact in every type (`models.layers.convolution`).
    """
    return _BinaryConvolution.apply(x, shift, weight, stride, groups, activations, bound, terms)
