"""What follows every convolution, in few passes over memory: batch norm, the shortcut, RPReLU.

Written as one autograd function because on a CPU these passes cost as much as the convolutions: torch's own chain of
scale, batch norm, addition, shift, PReLU and shift reads and writes the activations about three times as often.
"""

from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable

from models.binary import per_channel

BATCH_NORM_EPSILON = 1e-5
BATCH_NORM_MOMENTUM = 0.1


class Tail(nn.Module):
    """batch norm(scale * c) + shortcut, then RPReLU, on the first channels of as many as were declared.

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

    def forward(self, sums: Tensor, scale: Tensor | None, shortcut: Tensor | None) -> Tensor:
        """(N, C, H, W), scale (C,) or None for 1, shortcut (N, S, H, W) -> (N, C, H, W).

        A shortcut with fewer channels is repeated along them, one with more is cut (NAS-BNN, Figure 1).
        """
        channels = sums.shape[1]
        if scale is None:
            scale = torch.ones_like(self.running_mean[:channels])
        mean, variance = self.running_mean[:channels], self.running_var[:channels]
        if self.training:
            mean, variance = self._observe(sums, scale, mean, variance)
            statistics = _Statistics.BATCH
        else:
            statistics = _Statistics.RUNNING
        parameters = (self.weight, self.bias, self.shift_in, self.slope, self.shift_out)
        cut = [parameter[:channels] for parameter in parameters]
        return _Tail.apply(sums, shortcut, mean, variance, scale, statistics, *cut)

    @torch.no_grad()
    def _observe(self, sums: Tensor, scale: Tensor, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and biased variance of this batch of scale * sums; moves the running statistics."""
        count = sums.numel() // sums.shape[1]
        if count < 2:
            raise ValueError(f"batch norm needs more than one value a channel to train, got sums {tuple(sums.shape)}")
        batch_mean, batch_variance = torch.batch_norm_update_stats(sums.detach(), None, None, 0.0)
        batch_mean, batch_variance = batch_mean * scale, batch_variance * scale.square()
        mean.lerp_(batch_mean.to(mean.dtype), self.momentum)
        variance.lerp_((batch_variance * (count / (count - 1))).to(variance.dtype), self.momentum)
        return batch_mean, batch_variance


class _Statistics(Enum):
    BATCH = "of this batch, so that gradients flow through them"
    RUNNING = "constants"


class _Tail(Function):
    """Forward: prelu(u) + shift_out, u = gamma (scale c - mean) / sqrt(variance + eps) + beta + shortcut + shift_in.

    The two additions a channel are folded, so that c is read once. Backward: the true gradient, through the batch's
    statistics where they are the batch's; none to `scale`.
    """

    @staticmethod
    def forward(
        ctx: Any,
        sums: Tensor,
        shortcut: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        scale: Tensor,
        statistics: _Statistics,
        weight: Tensor,
        bias: Tensor,
        shift_in: Tensor,
        slope: Tensor,
        shift_out: Tensor,
    ) -> Tensor:
        inverse = (variance + BATCH_NORM_EPSILON).rsqrt_()
        factor = weight * inverse
        u = torch.addcmul(per_channel(bias + shift_in - factor * mean), sums, per_channel(factor * scale))
        if shortcut is not None:
            _add_tiled(u, shortcut)
        ctx.save_for_backward(sums, u, mean, inverse, scale, weight, slope)
        ctx.shortcut_channels = None if shortcut is None else shortcut.shape[1]
        ctx.statistics = statistics
        return torch.prelu(u, slope).add_(per_channel(shift_out))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        sums, u, mean, inverse, scale, weight, slope = ctx.saved_tensors
        negative = u.clamp(max=0)
        to_slope = _sum(negative * gradient)
        below = negative.sign_().mul_(gradient)  # minus the gradient where u < 0
        to_u = torch.addcmul(gradient, below, per_channel(1 - slope))
        to_bias = _sum(to_u)
        factor = weight * inverse * scale
        # sum of gradient * normalised value, a channel; `mean` and `inverse` are those of scale * sums
        to_weight = inverse * (scale * _sum(to_u * sums) - mean * to_bias)
        if ctx.statistics is _Statistics.BATCH:
            count = sums.numel() // sums.shape[1]
            # gradient - mean(gradient) - normalised * mean(gradient * normalised), times the factor; affine in `sums`
            along = factor * inverse * to_weight / -count
            constant = -factor * to_bias / count - along * mean
            to_sums = torch.addcmul(per_channel(constant), sums, per_channel(along * scale))
            to_sums.addcmul_(to_u, per_channel(factor))
        else:
            to_sums = to_u * per_channel(factor)
        to_shortcut = None if ctx.shortcut_channels is None else _untile(to_u, ctx.shortcut_channels)
        return to_sums, to_shortcut, None, None, None, None, to_weight, to_bias, to_bias, to_slope, _sum(gradient)


def _sum(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (C,)."""
    return x.sum((0, 2, 3))


def _add_tiled(x: Tensor, shortcut: Tensor) -> None:
    """Add, in place, a shortcut repeated along channels and cut to those of x; nothing is copied."""
    channels, width = x.shape[1], shortcut.shape[1]
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
