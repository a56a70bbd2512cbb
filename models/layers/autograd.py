"""Gradients that are written by hand, of any function by torch's own means, of one tensor by `with_gradient`; and
where none are wanted."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.function import Function
from torch.autograd.function import once_differentiable as _once_differentiable

R = TypeVar("R")
Forward = Callable[[Tensor], Tensor]
Backward = Callable[[Tensor, Tensor], Tensor]


def once_differentiable(backward: Callable[..., R]) -> Callable[..., R]:
    """torch's decorator of a `backward` that has no derivative itself; typed so that it may name its gradients."""
    return _once_differentiable(backward)


def evaluates(module: nn.Module) -> bool:
    """Whether a module is in evaluation mode without gradients, where what is exact rounds as the 1-bit engine."""
    return not module.training and not torch.is_grad_enabled()


class _WithGradient(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, function: Forward, gradient: Backward) -> Tensor:
        ctx.save_for_backward(x)
        ctx.gradient = gradient
        return function(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return ctx.gradient(gradient, x), None, None


def with_gradient(x: Tensor, function: Forward, gradient: Backward) -> Tensor:
    """function(x), with gradient(g, x) as the gradient of x, where g is that of the result: its own or a pseudo one."""
    return _WithGradient.apply(x, function, gradient)


def step_gradient(gradient: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    """The gradient where low <= x <= high, else 0, in one pass over memory; for bounds of 0, 1 and -1."""
    info = torch.finfo(x.dtype)
    # hardtanh's gradient leaves its bounds out, so they are put next to the numbers that belong to the range
    outside = low - max(abs(low) * info.eps, info.tiny), high + max(abs(high) * info.eps, info.tiny)
    return torch.ops.aten.hardtanh_backward(gradient, x, *outside)


def tent_gradient(gradient: Tensor, x: Tensor, bound: float = 1.0) -> Tensor:
    """The gradient times 2 / bound (1 - |x| / bound) where |x| <= bound, else 0: 2, the jump of a sign, in all."""
    return torch.addcmul(gradient, gradient, part_of(x.abs(), bound), value=-1).mul_(2 / bound)


def part_of(distance: Tensor, bound: float) -> Tensor:
    """distance / bound, 1 at most, in place: exactly 1 from the bound on, so that no gradient is left there."""
    return (distance if bound == 1 else distance.div_(bound)).clamp_(max=1)


def window_gradient(gradient: Tensor, x: Tensor, centre: float, bound: float) -> Tensor:
    """The gradient where |x - centre| <= bound, else 0."""
    return gradient * ((x - centre).abs() <= bound)
