"""A unit of a block, and a tail on its own, as autograd functions around the fused kernels."""

# operators of torch's have no types
# pyright: reportUnknownMemberType=false

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from models.layers.autograd import Function, once_differentiable
from models.layers.convolution import (
    Terms,
    convolve_unwidened,
    half_type,
    in_own_type,
    input_gradient,
    weight_gradient,
)
from models.layers.fused import signs, tails, weights  # noqa: F401 - they register operators
from models.layers.modes import Activations

Numbers = Callable[[Tensor], Tensor]
"""What a tail makes of sums (N, C, H, W): mean and inverse deviation, factor and constant, (4, C)."""


class Settings(NamedTuple):
    """Of a convolution, and whether the statistics of its sums are the batch's."""

    stride: int
    groups: int
    activations: Activations
    terms: Terms
    bound: float
    batch: bool


def observe(
    sums: Tensor, scale: Tensor | None, parameters: tuple[Tensor, ...], running: tuple[Tensor, Tensor],
    momentum: float, epsilon: float,
) -> Tensor:  # fmt: skip
    """The numbers of a tail in training: statistics of these sums, of which the running ones are moved."""
    sums = _laid_out(sums)
    count = sums.numel() // sums.shape[1]
    means, squares = torch.ops.binarynas.moments(sums, parameters[0].dtype)
    return torch.ops.binarynas.statistics(means, squares, scale, *parameters[:3], *running, count, momentum, epsilon)


def finish(
    sums: Tensor, shortcut: Tensor | None, factor: Tensor, constant: Tensor, slope: Tensor, shift: Tensor
) -> Tensor:
    """prelu(factor * sums + constant + shortcut) + shift: see `Tail.finish`."""
    return torch.ops.binarynas.tail(_laid_out(sums), _laid_out(shortcut), factor, constant, slope, shift)


class _Tail(Function):
    @staticmethod
    def forward(
        ctx: Any, sums: Tensor, shortcut: Tensor | None, numbers: Tensor, batch: bool, *parameters: Tensor
    ) -> Tensor:
        sums, shortcut = _laid_out(sums), _laid_out(shortcut)
        ctx.save_for_backward(sums, shortcut, numbers, parameters[3])
        ctx.batch = batch
        return finish(sums, shortcut, *numbers[2:], *parameters[3:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        sums, shortcut, numbers, slope = ctx.saved_tensors
        to_sums, to_shortcut, of_parameters = _tail_backward(
            gradient, sums, shortcut, numbers, slope, sums.dtype, batch=ctx.batch
        )
        return to_sums, to_shortcut, None, None, *of_parameters


class _Unit(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        shift: Tensor,
        weight: Tensor,
        numbers_of: Numbers,
        settings: Settings,
        *parameters: Tensor,
    ) -> Tensor:
        x = _laid_out(x)
        dtype = half_type(x)
        exact = _exact(x, dtype, settings.terms)
        inputs, weight = _inputs(x, shift, settings, exact), weight.to(dtype)
        with in_own_type(x):
            sums = convolve_unwidened(inputs, weight.to(exact), settings.stride, settings.groups, settings.terms)
            sums = _laid_out(sums)
        inputs = inputs if exact == dtype else None  # a backward pass makes them again, in the other type
        shortcut = None if settings.stride == 1 else F.avg_pool2d(x, settings.stride)
        numbers = numbers_of(sums)
        ctx.save_for_backward(x, shift, inputs, weight, sums, shortcut, numbers, parameters[3])
        ctx.settings = settings
        return finish(sums, x if shortcut is None else shortcut, *numbers[2:], *parameters[3:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, shift, inputs, weight, sums, shortcut, numbers, slope = ctx.saved_tensors
        stride, groups, activations, _, bound, batch = ctx.settings
        to_sums, to_shortcut, of_parameters = _tail_backward(
            gradient, sums, x if shortcut is None else shortcut, numbers, slope, weight.dtype, batch=batch
        )
        if inputs is None:
            inputs = _inputs(x, shift, ctx.settings, weight.dtype)
        to_weight = to_x = to_shift = None
        if ctx.needs_input_grad[2]:
            to_weight = weight_gradient(to_sums, inputs, weight, stride, groups)  # in the type of the kernel
        if ctx.needs_input_grad[0] or ctx.needs_input_grad[1]:
            to_input = _laid_out(input_gradient(to_sums, inputs, weight, stride, groups))
            if shortcut is not None and to_shortcut is not None:
                to_shortcut = _averaged_back(to_shortcut, x, stride)
            to_x, totals = torch.ops.binarynas.signs_gradient(
                to_input, x, shift, to_shortcut, bound, activations is Activations.BINARY
            )
            to_shift = torch.ops.binarynas.shift_gradient(totals, len(shift))
        return to_x, to_shift, to_weight, None, None, *of_parameters


def fused_tail(
    sums: Tensor, shortcut: Tensor | None, numbers: Tensor, parameters: tuple[Tensor, ...], *, batch: bool
) -> Tensor:
    """What a `Tail` with these parameters makes of sums, given its numbers; `batch`: they are this batch's."""
    return _Tail.apply(sums, shortcut, numbers, batch, *parameters)


def fused_unit(
    x: Tensor, shift: Tensor, weight: Tensor, numbers_of: Numbers, settings: Settings, parameters: tuple[Tensor, ...]
) -> Tensor:
    """What a `BinaryUnit` makes of x (N, in, H, W) with a kernel's weight, the numbers and parameters of its tail."""
    return _Unit.apply(x, shift, weight, numbers_of, settings, *parameters)


def _tail_backward(
    gradient: Tensor, sums: Tensor, shortcut: Tensor | None, numbers: Tensor, slope: Tensor, dtype: torch.dtype,
    *, batch: bool,
) -> tuple[Tensor, Tensor | None, tuple[Tensor, ...]]:  # fmt: skip
    """Gradients of sums (in a type of its own), of the shortcut and of the five parameters."""
    gradient = _laid_out(gradient)
    mean, inverse, factor, constant = numbers.unbind()
    given = gradient, sums, shortcut, mean, factor, constant, slope
    totals = torch.ops.binarynas.tail_totals(*given)
    pixels = sums.numel() // sums.shape[1]
    of_parameters, coefficients = torch.ops.binarynas.tail_parameters(totals, inverse, len(slope), pixels, batch)
    to_sums, to_shortcut = torch.ops.binarynas.tail_gradient(*given, *coefficients.unbind(), dtype)
    return to_sums, None if shortcut is None else to_shortcut, of_parameters.unbind()


def _averaged_back(gradient: Tensor, x: Tensor, size: int) -> Tensor:
    """The gradient of x, of which averages of size x size pixels were taken."""
    settings = [size] * 2, [size] * 2, [0, 0], False, True, None
    return torch.ops.aten.avg_pool2d_backward(gradient, x, *settings)


def _inputs(x: Tensor, shift: Tensor, settings: Settings, dtype: torch.dtype) -> Tensor:
    """What a convolution reads, in a type: signs, or x + shift."""
    return torch.ops.binarynas.signs(x, shift, dtype, settings.activations is Activations.BINARY)


def _exact(x: Tensor, dtype: torch.dtype, terms: Terms) -> torch.dtype:
    """The type of a forward product: on GPUs whole numbers are added in float16 (`models.layers.convolution.sums`)."""
    return torch.float16 if terms is not Terms.FLOATS and x.device.type != "cpu" and dtype != torch.float64 else dtype


def _laid_out(x: Any) -> Any:
    """Channels last in memory, as the kernels read activations: most often they are."""
    return None if x is None else x.contiguous(memory_format=torch.channels_last)
