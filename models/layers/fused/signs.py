"""Signs of activations and their gradient, as operators: see `pixels`."""

# Triton's functions have no types
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportIndexIssue=false
# pyright: reportArgumentType=false, reportCallIssue=false

import torch
from torch import Tensor

from models.layers.fused import pixels, settling
from models.layers.fused.launch import CHANNELS, EXACT, PIXELS, SETTLED, blocks, images, operator, steps


@operator(
    "signs(Tensor x, Tensor shift, ScalarType dtype, bool binary) -> Tensor",
    lambda x, shift, dtype, binary: images(x, dtype=dtype),
)
def _signs(out: Tensor, x: Tensor, shift: Tensor, dtype: torch.dtype, binary: bool) -> None:
    count, _, _ = steps(x)
    grid = (blocks(count, PIXELS), blocks(x.shape[1]))
    pixels.signs[grid](x, shift, out, count, x.shape[1], PIXELS, CHANNELS, binary, **EXACT)


@operator(
    "signs_gradient(Tensor gradient, Tensor x, Tensor shift, Tensor? of_shortcut, float bound, bool binary)"
    " -> (Tensor, Tensor)",
    lambda gradient, x, *_: (images(x), x.new_empty(steps(x)[2], x.shape[1])),
)
def _signs_gradient(
    out: tuple[Tensor, Tensor],
    gradient: Tensor,
    x: Tensor,
    shift: Tensor,
    of_shortcut: Tensor | None,
    bound: float,
    binary: bool,
) -> None:
    count, rows, chunks = steps(x)
    pixels.signs_gradient[(chunks, blocks(x.shape[1]))](
        gradient, x, shift, x if of_shortcut is None else of_shortcut, *out, count, x.shape[1], rows,
        bound, PIXELS, CHANNELS, binary, of_shortcut is not None, **EXACT,
    )  # fmt: skip


@operator("shift_gradient(Tensor totals, int declared) -> Tensor", lambda totals, declared: totals.new_empty(declared))
def _shift_gradient(out: Tensor, totals: Tensor, declared: int) -> None:
    chunks, channels = totals.shape
    settling.shift_gradient[(blocks(declared),)](totals, out, chunks, channels, declared, **SETTLED)
