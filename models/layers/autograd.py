"""Gradients that are written by hand: torch's own means, and the shortest way for a function of one tensor."""

from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor
from torch.autograd.function import Function
from torch.autograd.function import once_differentiable as _once_differentiable

__all__ = ["Function", "once_differentiable", "with_gradient"]

R = TypeVar("R")
Forward = Callable[[Tensor], Tensor]
Backward = Callable[[Tensor, Tensor], Tensor]


def once_differentiable(backward: Callable[..., R]) -> Callable[..., R]:
    """torch's decorator of a `backward` that has no derivative itself; typed so that it may name its gradients."""
    return _once_differentiable(backward)


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
