"""What follows a convolution and its gradient, as operators: see `pixels` and `settling`."""

# Triton's functions have no types
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportIndexIssue=false
# pyright: reportArgumentType=false, reportCallIssue=false

from typing import Any

import torch
from torch import Tensor

from models.layers.fused import pixels, settling
from models.layers.fused.launch import CHANNELS, CHUNKS, EXACT, PIXELS, SETTLED, blocks, images, operator, steps


def _two_of_chunks(sums: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    shape = steps(sums)[2], sums.shape[1]
    return sums.new_empty(shape, dtype=dtype), sums.new_empty(shape, dtype=dtype)


@operator("moments(Tensor sums, ScalarType dtype) -> (Tensor, Tensor)", _two_of_chunks)
def _moments(out: tuple[Tensor, Tensor], sums: Tensor, dtype: torch.dtype) -> None:
    count, rows, chunks = steps(sums)
    grid = (chunks, blocks(sums.shape[1]))
    pixels.moments[grid](sums, *out, count, sums.shape[1], rows, PIXELS, CHANNELS, **EXACT)


@operator(
    "statistics(Tensor means, Tensor squares, Tensor? scale, Tensor weight, Tensor bias, Tensor shift,"
    " Tensor(a!) running_mean, Tensor(b!) running_var, int pixels, float momentum, float epsilon) -> Tensor",
    lambda means, *_: means.new_empty(4, means.shape[1]),
)
def _statistics(
    out: Tensor,
    means: Tensor,
    squares: Tensor,
    scale: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    shift: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    count: int,
    momentum: float,
    epsilon: float,
) -> None:
    chunks, channels = means.shape
    high = float(torch.tensor(momentum, dtype=torch.float32))
    settling.statistics[(blocks(channels),)](
        means, squares, means if scale is None else scale, weight, bias, shift, running_mean, running_var, out,
        chunks, channels, count, -(-blocks(count, PIXELS) // CHUNKS) * PIXELS, high, momentum - high,
        epsilon, scale is not None, **SETTLED,
    )  # fmt: skip


@operator(
    "tail(Tensor sums, Tensor? shortcut, Tensor factor, Tensor constant, Tensor slope, Tensor shift) -> Tensor",
    lambda sums, shortcut, factor, *_: images(sums, dtype=factor.dtype),
)
def _tail(
    out: Tensor, sums: Tensor, shortcut: Tensor | None, factor: Tensor, constant: Tensor, slope: Tensor, shift: Tensor
) -> None:
    count, _, _ = steps(sums)
    channels = sums.shape[1]
    given = sums if shortcut is None else shortcut
    pixels.tail[(blocks(count, PIXELS), blocks(channels))](
        sums, given, factor, constant, slope, shift, out, count, channels, given.shape[1],
        PIXELS, CHANNELS, shortcut is not None, **EXACT,
    )  # fmt: skip


@operator(
    "tail_totals(Tensor gradient, Tensor sums, Tensor? shortcut, Tensor mean, Tensor factor, Tensor constant,"
    " Tensor slope) -> Tensor",
    lambda gradient, sums, *_: gradient.new_empty(4, steps(sums)[2], sums.shape[1]),
)
def _tail_totals(
    out: Tensor,
    gradient: Tensor,
    sums: Tensor,
    shortcut: Tensor | None,
    mean: Tensor,
    factor: Tensor,
    constant: Tensor,
    slope: Tensor,
) -> None:
    count, rows, chunks = steps(sums)
    channels = sums.shape[1]
    given = sums if shortcut is None else shortcut
    pixels.tail_totals[(chunks, blocks(channels))](
        gradient, sums, given, mean, factor, constant, slope, out,
        count, channels, given.shape[1], rows, PIXELS, CHANNELS, shortcut is not None, **EXACT,
    )  # fmt: skip


@operator(
    "tail_parameters(Tensor totals, Tensor inverse, int declared, int pixels, bool batch) -> (Tensor, Tensor)",
    lambda totals, inverse, declared, *_: (totals.new_empty(5, declared), totals.new_empty(2, totals.shape[2])),
)
def _tail_parameters(
    out: tuple[Tensor, Tensor], totals: Tensor, inverse: Tensor, declared: int, count: int, batch: bool
) -> None:
    _, chunks, channels = totals.shape
    settling.tail_parameters[(blocks(declared),)](
        totals, inverse, *out, chunks, channels, declared, count, batch, **SETTLED
    )


def _tail_gradients(gradient: Tensor, sums: Tensor, shortcut: Tensor | None, *rest: Any) -> tuple[Tensor, Tensor]:
    width = 0 if shortcut is None else shortcut.shape[1]
    return images(sums, dtype=rest[-1]), images(sums, width, gradient.dtype)


@operator(
    "tail_gradient(Tensor gradient, Tensor sums, Tensor? shortcut, Tensor mean, Tensor factor, Tensor constant,"
    " Tensor slope, Tensor part, Tensor line, ScalarType dtype) -> (Tensor, Tensor)",
    _tail_gradients,
)
def _tail_gradient(
    out: tuple[Tensor, Tensor],
    gradient: Tensor,
    sums: Tensor,
    shortcut: Tensor | None,
    mean: Tensor,
    factor: Tensor,
    constant: Tensor,
    slope: Tensor,
    part: Tensor,
    line: Tensor,
    dtype: torch.dtype,
) -> None:
    count, _, _ = steps(sums)
    channels = sums.shape[1]
    given = sums if shortcut is None else shortcut
    width = given.shape[1]
    pixels.tail_gradient[(blocks(count, PIXELS), blocks(width))](
        gradient, sums, given, mean, factor, constant, slope, part, line, *out,
        count, channels, width, -(-channels // width), PIXELS, CHANNELS, shortcut is not None, **EXACT,
    )  # fmt: skip
