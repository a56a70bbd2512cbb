"""What follows every convolution, in few passes over memory: batch norm, the shortcut, RPReLU.

Written as one autograd function because on a CPU these passes cost as much as the convolutions: torch's own chain of
scale, batch norm, addition, shift, PReLU and shift reads and writes the activations about three times as often.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn

from models.layers.autograd import Function, evaluates, once_differentiable
from models.layers.channels import first, pad_to, per_channel
from models.layers.convolution import in_own_type
from models.layers.fused.choice import fuses
from models.layers.statistics import Pooled

BATCH_NORM_EPSILON = 1e-5
BATCH_NORM_MOMENTUM = 0.1


class Tail(nn.Module):
    """batch norm(scale * c) + shortcut, then RPReLU, on the first of the declared channels.

    The sums c of a convolution have shape (N, C, H, W), C at most `channels`; parameters and running statistics are cut
    to their first C entries, which is how the subnets of a supernet share them. Running statistics are those of
    scale * c, with the unbiased variance, and move by `momentum` at every forward pass in training mode.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.shift_in = nn.Parameter(torch.zeros(channels))
        self.slope = nn.Parameter(torch.full((channels,), 0.25))
        self.shift_out = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.momentum = BATCH_NORM_MOMENTUM  # plain, so that recalibration can average instead
        self.pooling: Callable[[Tensor, Tensor, int], tuple[Pooled, Tensor, Tensor]] | None = None
        """How mean, variance and count of this process become those of all; None where it is alone."""

    def forward(self, sums: Tensor, scale: Tensor | None, shortcut: Tensor | None) -> Tensor:
        """(N, C, H, W), scale (C,) or None for 1, shortcut (N, S, H, W) -> (N, C, H, W).

        A shortcut with fewer channels is repeated along them, one with more is cut (NAS-BNN, Figure 1).
        """
        if evaluates(self):
            return self.finish(sums, *self.folded(sums.shape[1], scale), shortcut)
        parameters = self.values()
        if self.fuses(parameters[0]):
            from models.layers.fused.unit import fused_tail

            return fused_tail(sums, shortcut, self.numbers(sums.detach(), scale), parameters, batch=self.training)
        if self.training:
            statistics, mean, inverse = self._observe(sums.detach(), scale)
        else:
            statistics, mean, inverse = _Statistics.RUNNING, *self._remembered(sums.shape[1], scale)
        return _Tail.apply(sums, shortcut, statistics, mean, inverse, *parameters)

    def values(self) -> tuple[Tensor, ...]:
        """Weight, bias, shift_in, slope and shift_out."""
        return self.weight, self.bias, self.shift_in, self.slope, self.shift_out

    def fuses(self, x: Tensor) -> bool:
        """Whether what follows sums of a network whose activations are of the type of x runs as fused kernels; not
        where statistics are those of several processes."""
        here = fuses(x) and self.pooling is None
        return here and fuses(x, *self.values(), self.running_mean, self.running_var)

    @torch.no_grad()
    def numbers(self, sums: Tensor, scale: Tensor | None) -> Tensor:
        """For fused kernels: mean and inverse deviation of sums, factor and constant (see `folded`), (4, C); in
        training those of these sums, by which the running statistics move."""
        channels = sums.shape[1]
        if not self.training:
            return torch.stack([*self._remembered(channels, scale), *self.folded(channels, scale)])
        from models.layers.fused.unit import observe

        _require_several(sums)
        running = self.running_mean, self.running_var
        return observe(sums, scale, self.values(), running, self.momentum, BATCH_NORM_EPSILON)

    @torch.no_grad()
    def folded(self, channels: int, scale: Tensor | None) -> tuple[Tensor, Tensor]:
        """In evaluation mode batch norm(scale * c) + shift_in is factor * c + constant: both, of the first channels."""
        mean, inverse = self._remembered(channels, scale)
        weight, bias, shift_in = (first(p, channels) for p in (self.weight, self.bias, self.shift_in))
        factor = weight * inverse
        return factor, torch.addcmul(bias, factor, mean, value=-1).add_(shift_in)

    @torch.no_grad()
    def finish(self, sums: Tensor, factor: Tensor, constant: Tensor, shortcut: Tensor | None) -> Tensor:
        """prelu(factor * sums + constant + shortcut) + shift_out, one rounding after the other.

        The 1-bit engine rounds so, and every later sign is the same in both. (`addcmul` on a CPU, a fused
        multiplication and addition, rounds once less: now and then a value falls on the other side of a threshold.)
        """
        if self.fuses(factor):
            from models.layers.fused.unit import finish

            return finish(sums, shortcut, factor, constant, self.slope, self.shift_out)
        u = (sums * per_channel(factor)).add_(per_channel(constant))
        if shortcut is not None:
            _add_tiled(u, shortcut)
        slope, shift_out = (first(p, sums.shape[1]) for p in (self.slope, self.shift_out))
        with in_own_type(u):  # which would run prelu in half precision
            return torch.prelu(u, slope).add_(per_channel(shift_out))

    @torch.no_grad()
    def _observe(self, sums: Tensor, scale: Tensor | None) -> "tuple[_Statistics | Pooled, Tensor, Tensor]":
        """What the statistics are of, mean and inverse deviation of these sums, with the epsilon meant for scale *
        sums; moves the running ones."""
        channels = sums.shape[1]
        count: Tensor | int = _require_several(sums)
        mean, variance = torch.batch_norm_update_stats(sums, None, None, 0.0)
        statistics: _Statistics | Pooled = _Statistics.BATCH
        if self.pooling is not None:
            statistics, mean, variance = self.pooling(mean, variance, count)
            count = statistics.count
        scaled_mean = mean if scale is None else mean * scale
        scaled_variance = variance if scale is None else variance * scale * scale
        first(self.running_mean, channels).lerp_(scaled_mean.to(self.running_mean), self.momentum)
        unbiased = scaled_variance * (count / (count - 1))
        first(self.running_var, channels).lerp_(unbiased.to(self.running_var), self.momentum)
        inverse = (scaled_variance + BATCH_NORM_EPSILON).rsqrt_()
        return statistics, mean, inverse if scale is None else inverse * scale

    @torch.no_grad()
    def _remembered(self, channels: int, scale: Tensor | None) -> tuple[Tensor, Tensor]:
        """Running mean, over the scale, and inverse deviation, times the scale: those of the sums themselves."""
        mean = first(self.running_mean, channels)
        inverse = (first(self.running_var, channels) + BATCH_NORM_EPSILON).rsqrt_()
        if scale is None:
            return mean, inverse
        return mean / scale.clamp(min=1e-20), inverse * scale  # a scale of 0 has a mean of 0


class NormTail(Tail):
    """A `Tail` whose RPReLU is the identity and stays so: batch norm alone."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        for name, value in (("shift_in", 0.0), ("slope", 1.0), ("shift_out", 0.0)):
            delattr(self, name)
            self.register_buffer(name, torch.full((channels,), value))


def _require_several(sums: Tensor) -> int:
    """How many values per channel sums (N, C, H, W) have. Raises `ValueError` where that is one."""
    count = sums.numel() // sums.shape[1]
    if count < 2:
        raise ValueError(f"batch norm needs more than one value per channel to train, got sums {tuple(sums.shape)}")
    return count


class _Statistics(Enum):
    BATCH = "of this batch, so that gradients flow through them"
    RUNNING = "constants"


class _Tail(Function):
    """Forward: prelu(u) + shift_out, with u = gamma (c - mean) * inverse + beta + shortcut + shift_in.

    What is the same within a channel is folded into one factor and one constant, so that c is read once. Backward: the
    true gradient, through mean and inverse where they are the batch's. The slope at 0 is that of the negative side.
    """

    @staticmethod
    def forward(
        ctx: Any,
        sums: Tensor,
        shortcut: Tensor | None,
        statistics: _Statistics | Pooled,
        mean: Tensor,
        inverse: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        ctx.declared = len(parameters[0])
        weight, bias, shift_in, slope, shift_out = (first(p, sums.shape[1]) for p in parameters)
        factor = weight * inverse
        constant = torch.addcmul(bias, factor, mean, value=-1).add_(shift_in)
        u = torch.addcmul(per_channel(constant), sums, per_channel(factor))
        if shortcut is not None:
            _add_tiled(u, shortcut)
        ctx.save_for_backward(sums, u, mean, inverse, weight, slope)
        ctx.shortcut_channels = None if shortcut is None else shortcut.shape[1]
        ctx.statistics = statistics
        with in_own_type(u):  # which would run prelu in half precision
            return torch.prelu(u, slope).add_(per_channel(shift_out))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        sums, u, mean, inverse, weight, slope = ctx.saved_tensors
        positive = torch.ops.aten.threshold_backward(gradient, u, 0)  # the gradient where u > 0, else 0
        negative = gradient - positive
        to_slope, sum_of_negative = _dot_and_sum(negative, u)
        to_u = positive.addcmul_(negative, per_channel(slope))
        if ctx.statistics is _Statistics.BATCH:
            to_sums, to_weight, to_bias = _batch_norm_backward(to_u, sums, weight, mean, inverse, [True] * 3)
        else:
            dot, to_bias = _dot_and_sum(to_u, sums)
            to_weight = (dot - mean * to_bias) * inverse
            factor = weight * inverse
            if ctx.statistics is _Statistics.RUNNING:
                to_sums = to_u * per_channel(factor)
            else:
                to_sums = ctx.statistics.input_gradient(to_u, sums, factor, mean, inverse, dot, to_bias)
        # to_bias is the sum of positive + slope * negative, and the sum of both is wanted: another pass is saved
        to_shift_out = torch.addcmul(to_bias, 1 - slope, sum_of_negative)
        to_shortcut = None if ctx.shortcut_channels is None else _untile(to_u, ctx.shortcut_channels)
        of_parameters = pad_to(ctx.declared, to_weight, to_bias, to_bias, to_slope, to_shift_out)
        return to_sums, to_shortcut, None, None, None, *of_parameters


def _batch_norm_backward(
    gradient: Tensor, x: Tensor, weight: Tensor | None, mean: Tensor, inverse: Tensor, wanted: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, gamma and beta of a batch norm in training, in two passes over memory."""
    return torch.ops.aten.native_batch_norm_backward(
        gradient, x, weight, None, None, mean, inverse, True, 0.0, wanted  # noqa: FBT003
    )  # fmt: skip


def _dot_and_sum(gradient: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of gradient * x and of gradient per channel; on a CPU in one pass, by the gradient of a batch norm."""
    if x.device.type != "cpu":
        return (gradient * x).sum((0, 2, 3)), gradient.sum((0, 2, 3))
    zeros = x.new_zeros(x.shape[1])
    _, dot, total = _batch_norm_backward(gradient, x, None, zeros, zeros + 1, [False, True, True])
    return dot, total


def _add_tiled(x: Tensor, shortcut: Tensor) -> None:
    """Add, in place, a shortcut repeated along channels and cut to those of x; nothing is copied."""
    channels, width = x.shape[1], shortcut.shape[1]
    if channels == width:
        x += shortcut
        return
    for start in range(0, channels, width):
        part = x[:, start : start + width]
        part += shortcut[:, : part.shape[1]]


def _untile(gradient: Tensor, width: int) -> Tensor:
    """The gradient of a shortcut of `width` channels that was repeated and cut: the sum over its copies."""
    channels = gradient.shape[1]
    if channels == width:
        return gradient
    if channels < width:
        return torch.nn.functional.pad(gradient, (0, 0, 0, 0, 0, width - channels))
    total = gradient[:, :width].clone(memory_format=torch.channels_last)
    for start in range(width, channels, width):
        part = gradient[:, start : start + width]
        total[:, : part.shape[1]] += part
    return total
