"""From a layer's shared weight to the kernel of a convolution, in one launch, with its gradient."""

# Triton's functions have no types
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportIndexIssue=false
# pyright: reportArgumentType=false, reportCallIssue=false

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from models.layers.autograd import Function, once_differentiable
from models.layers.fused import filters
from models.layers.fused.launch import EXACT, operator

NUMBERS = 2048
"""So many numbers of a filter, at most, are held at a time by a program of `filters`."""


class Cut(NamedTuple):
    """Which part of a weight (filters, inputs, k, k) is used: so many filters and of each so many inputs, and the
    middle `side` x `side` taps.

    Filters read stored inputs in `runs` of `size` in turn (`models.nasbnn.sharing.slice_groups`): filter f reads from
    f // size % runs * size on.
    """

    filters: int
    inputs: int
    side: int
    size: int
    runs: int

    @classmethod
    def whole(cls, weight: Tensor) -> "Cut":
        """All of a weight."""
        return cls(weight.shape[0], weight.shape[1], weight.shape[3], weight.shape[0], 1)


def _place(weight: Tensor, cut: list[int]) -> tuple[int, ...]:
    """What kernels are told about where the numbers of a cut are stored: strides and places."""
    _, inputs, side, size, runs = cut
    by_tap = weight.stride(3) if weight.shape[3] > 1 else 1
    large = weight.shape[3]
    return weight.stride(0), weight.stride(1), by_tap, large, (large - side) // 2, side, size, runs, inputs


def _lanes(taps: int) -> dict[str, int]:
    """The power of two from `taps` on, and how many inputs are held with so many taps."""
    power = 1 << (taps - 1).bit_length()
    return {"T": power, "I": max(16, NUMBERS // power), **EXACT}


def _prepared(weight: Tensor, matrix: Tensor | None, cut: list[int], *rest: Any) -> tuple[Tensor, ...]:
    count, inputs, side = cut[:3]
    old = side * side
    normal = weight.new_empty(count, old if matrix is None else matrix.shape[0], inputs)
    dtype, binary = rest[-2:]
    separate = binary or dtype != weight.dtype
    kernel = torch.empty_like(normal, dtype=dtype) if separate else weight.new_empty(0)
    kept = weight.new_empty(0) if matrix is None else weight.new_empty(count, old, inputs)
    return kept, normal, kernel, *weight.new_empty(2, count)


@operator(
    "prepare(Tensor weight, Tensor? matrix, int[] cut, int degrees, float epsilon, ScalarType dtype, bool binary)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _prepared,
)
def _prepare(
    out: tuple[Tensor, ...],
    weight: Tensor,
    matrix: Tensor | None,
    cut: list[int],
    degrees: int,
    epsilon: float,
    dtype: torch.dtype,
    binary: bool,
) -> None:
    taps = out[1].shape[1]
    filters.prepare[(cut[0],)](
        weight, weight if matrix is None else matrix, *out, *_place(weight, cut), degrees,
        epsilon, matrix is not None, degrees > 0, binary, out[2].numel() > 0, **_lanes(taps), TAPS=taps,
    )  # fmt: skip


@operator(
    "prepare_gradient(Tensor gradient, Tensor normal, Tensor inverses, Tensor? weight, int[] cut, int degrees,"
    " bool binary) -> Tensor",
    lambda gradient, normal, inverses, weight, cut, *_: _room(normal, weight, cut),
)
def _prepare_gradient(
    out: Tensor,
    gradient: Tensor,
    normal: Tensor,
    inverses: Tensor,
    weight: Tensor | None,
    cut: list[int],
    degrees: int,
    binary: bool,
) -> None:
    taps = normal.shape[1]
    place = [0] * 8 + [cut[1]] if weight is None else _place(weight, cut)
    filters.prepare_gradient[(cut[0],)](
        gradient, normal, inverses, out, *place, degrees, weight is not None, degrees > 0, binary,
        **_lanes(taps), TAPS=taps,
    )  # fmt: skip


@operator(
    "lay(Tensor gradient, Tensor matrix, Tensor weight, int[] cut) -> Tensor",
    lambda gradient, matrix, weight, cut: _room(gradient, weight, cut),
)
def _lay(out: Tensor, gradient: Tensor, matrix: Tensor, weight: Tensor, cut: list[int]) -> None:
    taps, old = matrix.shape
    filters.lay[(cut[0],)](gradient, matrix, out, *_place(weight, cut), **_lanes(old), TAPS=taps)


def _room(normal: Tensor, weight: Tensor | None, cut: list[int]) -> Tensor:
    """Empty: as the normalised weights, or as the stored ones, where those that no filter reads are zero."""
    if weight is None:
        return torch.empty_like(normal)
    count, inputs, side = cut[:3]
    return (
        torch.empty_like(weight)
        if (count, inputs, side) == (*weight.shape[:2], weight.shape[3])
        else torch.zeros_like(weight)
    )


class _Prepare(Function):
    """Forward and backward as `filters` has them; the gradient of the matrix is a sum over filters and inputs."""

    @staticmethod
    def forward(
        ctx: Any,
        weight: Tensor,
        matrix: Tensor | None,
        cut: Cut,
        degrees: int,
        epsilon: float,
        dtype: torch.dtype,
        binary: bool,
    ) -> tuple[Tensor, Tensor]:
        weight = _dense(weight)
        kept, normal, kernel, scale, inverses = torch.ops.binarynas.prepare(
            weight, matrix, cut, degrees, epsilon, dtype, binary
        )
        ctx.save_for_backward(weight, matrix, kept, normal, inverses)
        ctx.settings = cut, degrees, binary
        ctx.mark_non_differentiable(scale)
        side = math.isqrt(normal.shape[1])
        result = kernel if kernel.numel() else normal
        return result.view(cut.filters, side, side, cut.inputs).permute(0, 3, 1, 2), scale

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        weight, matrix, kept, normal, inverses = ctx.saved_tensors
        cut, degrees, binary = ctx.settings
        gradient = gradient.permute(0, 2, 3, 1).contiguous()  # no copy where inputs lie last, as is usual
        laid = weight if matrix is None else None
        found = torch.ops.binarynas.prepare_gradient(gradient, normal, inverses, laid, cut, degrees, binary)
        if matrix is None:
            return found, None, None, None, None, None, None
        to_matrix = torch.bmm(found, kept.transpose(1, 2)).sum(0)
        return torch.ops.binarynas.lay(found, matrix, weight, cut), to_matrix, None, None, None, None, None


def _dense(weight: Tensor) -> Tensor:
    """With the taps of a kernel at one distance from each other."""
    usual = (torch.contiguous_format, torch.channels_last)
    return weight if any(weight.is_contiguous(memory_format=each) for each in usual) else weight.contiguous()


def prepare(
    weight: Tensor,
    matrix: Tensor | None,
    cut: Cut,
    degrees: int,
    epsilon: float,
    dtype: torch.dtype,
    *,
    binary: bool,
) -> tuple[Tensor, Tensor]:
    """The kernel (filters, inputs, k, k), of a type, of the `cut` of a weight, and the scale (filters,) of its signs.

    What was cut is multiplied by a matrix (k * k, side * side), tap by tap, where there is one, and standardised per
    filter, the variance being over so many `degrees`; 0 degrees leave it as it is. Where binary, signs are taken of it,
    with the gradient where |w| <= 1; else the scale means nothing.
    """
    return _Prepare.apply(weight, matrix, cut, degrees, epsilon, dtype, binary)
