"""Kernels as operators of torch's, `torch.ops.binarynas.NAME`: one operator is one launch.

So they can be counted, and run on fake and meta tensors, on which they only allocate.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

LIBRARY = torch.library.Library("binarynas", "DEF")
PIXELS, CHANNELS = 64, 32
"""What a program of `pixels` holds at a time."""
CHUNKS = 1024
"""At most so many partial sums per channel."""
EXACT = {"enable_fp_fusion": False}
"""Every product is rounded before it is added, as on the CPU and in the 1-bit engine."""
SETTLED = {"R": 32, "C": 32, **EXACT}
"""What a program of `settling` holds at a time."""

Allocate = Callable[..., Any]


def operator(schema: str, allocate: Allocate) -> Callable[[Callable[..., None]], None]:
    """Register a function that launches a kernel: its first argument is what `allocate` made of the others."""
    name = schema.partition("(")[0]

    def register(launch: Callable[..., None]) -> None:
        def run(first: Tensor, *arguments: Any) -> Any:
            with torch.cuda.device(first.device) if first.is_cuda else nullcontext():
                out = allocate(first, *arguments)
                launch(out, first, *arguments)
                return out

        LIBRARY.define(schema)
        LIBRARY.impl(name, run, "CompositeExplicitAutograd")
        torch.library.register_fake(f"binarynas::{name}", allocate, lib=LIBRARY)

    return register


def images(x: Tensor, channels: int | None = None, dtype: torch.dtype | None = None) -> Tensor:
    """Empty, as large as x (N, C, H, W) but for the channels, which lie last in memory."""
    size = (x.shape[0], x.shape[1] if channels is None else channels, *x.shape[2:])
    return torch.empty(size, dtype=dtype or x.dtype, device=x.device, memory_format=torch.channels_last)


def steps(x: Tensor) -> tuple[int, int, int]:
    """How many pixels x has, how many steps a chunk of them has, and how many chunks there are."""
    count = x.shape[0] * x.shape[2] * x.shape[3]
    all_steps = -(-count // PIXELS)
    rows = -(-all_steps // CHUNKS)
    return count, rows, -(-all_steps // rows)


def blocks(channels: int, size: int = CHANNELS) -> int:
    """How many programs of `size` channels, or pixels, it takes."""
    return -(-channels // size)
