"""The stem's weights at eight bits: a quantiser with learned steps (LSQ)."""

from typing import Any

import torch
from torch import Tensor

from models.layers.autograd import Function, once_differentiable

BITS = 8
LOW, HIGH = -(2 ** (BITS - 1)), 2 ** (BITS - 1) - 1
SMALLEST_STEP = torch.finfo(torch.float32).eps
"""About 1.2e-7: the least step in training, as in the code of NAS-BNN's authors."""


class _Quantise(Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, step: Tensor) -> Tensor:
        levels = weight / step
        ctx.save_for_backward(levels)
        return levels.clamp(LOW, HIGH).round_().mul_(step)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        (levels,) = ctx.saved_tensors
        clipped = levels.clamp(LOW, HIGH)
        inside = clipped == levels
        # LSQ, equation 3: round(v) - v inside the range, the bound itself outside
        slope = clipped.round() - levels * inside
        gradient_scale = (levels.numel() * HIGH) ** -0.5
        return gradient * inside, (gradient * slope).sum(1, keepdim=True) * gradient_scale


def initial_step(weight: Tensor) -> Tensor:
    """A first step per output channel, so that three standard deviations fit the range; (out, ...) -> (out,).

    max(|mean - 3 std|, |mean + 3 std|) / 128 (as LSQ+ starts).
    """
    rows = weight.detach().flatten(1)
    mean, deviation = rows.mean(1), rows.std(1, correction=0)
    return torch.maximum((mean - 3 * deviation).abs(), (mean + 3 * deviation).abs()).clamp_(min=1e-8) / -LOW


@torch.no_grad()
def keep_positive(step: Tensor) -> None:
    """Raise learned steps, in place, to at least `SMALLEST_STEP`; for use after every step of the optimiser."""
    step.clamp_(min=SMALLEST_STEP)


def quantise_weights(weight: Tensor, step: Tensor) -> Tensor:
    """Weights rounded to whole multiples, -128 to 127, of their output channel's step.

    Forward: clip(round(w / step)) * step. Gradient of `weight`: the identity inside the range, 0 outside. Gradient of
    `step` (LSQ, equation 3): round(v) - v inside, with v = w / step, and the bound outside, times
    1 / sqrt(weights * 127), with all weights of the layer counted. `weight` is (out, in, k, k), `step` is (out,).
    """
    rows = _Quantise.apply(weight.flatten(1), step.unsqueeze(1))
    return rows.view(weight.shape)
