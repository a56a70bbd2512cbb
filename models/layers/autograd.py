"""Base and decorator of gradients that are written by hand."""

from collections.abc import Callable
from typing import TypeVar

from torch.autograd.function import Function
from torch.autograd.function import once_differentiable as _once_differentiable

__all__ = ["Function", "once_differentiable"]

R = TypeVar("R")


def once_differentiable(backward: Callable[..., R]) -> Callable[..., R]:
    """torch's decorator of a `backward` that has no derivative itself; typed so that it may name its gradients."""
    return _once_differentiable(backward)
