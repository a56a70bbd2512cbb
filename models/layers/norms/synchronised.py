"""Batch norm over the images of several processes that train one network together, each on its share of a batch."""

from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from models.layers.autograd import Function, once_differentiable
from models.layers.channels import per_channel
from models.layers.statistics import Pooled, Total
from models.layers.tail import Tail


class _BatchNorm(Function):
    """gamma (x - mean) * inverse + beta, with the gradient through the statistics of all processes."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, inverse: Tensor, pool: Pooled
    ) -> Tensor:
        factor = weight * inverse
        ctx.save_for_backward(x, factor, mean, inverse)
        ctx.pool = pool
        return torch.addcmul(per_channel(bias - factor * mean), x, per_channel(factor))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, factor, mean, inverse = ctx.saved_tensors
        dot, total = (gradient * x).sum((0, 2, 3)), gradient.sum((0, 2, 3))
        to_x = ctx.pool.input_gradient(gradient, x, factor, mean, inverse, dot, total)
        return to_x, (dot - mean * total) * inverse, total, None, None, None


def _forward(norm: nn.BatchNorm2d, total: Total, x: Tensor) -> Tensor:
    """What a batch norm does while it is synchronised."""
    if not norm.training:
        return nn.BatchNorm2d.forward(norm, x)
    with torch.no_grad():
        variance, mean = torch.var_mean(x, (0, 2, 3), correction=0)
        pool, mean, variance = Pooled.of(mean, variance, x.numel() // x.shape[1], total)
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked += 1
        if norm.running_mean is not None and norm.running_var is not None and norm.momentum is not None:
            norm.running_mean.lerp_(mean.to(norm.running_mean), norm.momentum)
            unbiased = variance * (pool.count / (pool.count - 1))
            norm.running_var.lerp_(unbiased.to(norm.running_var), norm.momentum)
        inverse = (variance + norm.eps).rsqrt()
    weight = torch.ones_like(mean) if norm.weight is None else norm.weight
    bias = torch.zeros_like(mean) if norm.bias is None else norm.bias
    return _BatchNorm.apply(x, weight, bias, mean, inverse, pool)


@contextmanager
def synchronised(network: nn.Module, total: Total | None) -> Generator[None]:
    """Within the block every batch norm of a network takes its statistics from all processes; None: from its own.

    Every process must have as many images, as each one's loss is the mean of its own.
    """
    if total is None:
        yield
        return
    norms = [each for each in network.modules() if isinstance(each, Tail | nn.BatchNorm2d)]
    for norm in norms:
        if isinstance(norm, Tail):
            norm.pooling = partial(Pooled.of, total=total)
        else:
            vars(norm)["forward"] = partial(_forward, norm, total)
    try:
        yield
    finally:
        for norm in norms:
            if isinstance(norm, Tail):
                norm.pooling = None
            else:
                del vars(norm)["forward"]
