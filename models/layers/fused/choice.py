"""Whether the elementwise parts of layers run as fused kernels."""

from collections.abc import Generator
from contextlib import contextmanager
from enum import Enum
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor


class Fusion(Enum):
    """Where kernels are fused: AUTO on CUDA, if Triton is installed; NEVER; ALWAYS, also where Triton's interpreter
    runs them, or nothing does, as on torch's meta device."""

    AUTO = "auto"
    NEVER = "never"
    ALWAYS = "always"


_chosen = Fusion.AUTO


@contextmanager
def fusion(choice: Fusion) -> Generator[None]:
    """Within the block, forward passes fuse so; every backward pass is as its forward pass was. For all threads."""
    global _chosen
    before, _chosen = _chosen, choice
    try:
        yield
    finally:
        _chosen = before


@cache
def has_triton() -> bool:
    """Whether Triton is installed; torch brings it along on Linux with CUDA only."""
    return find_spec("triton") is not None


def fuses(x: Tensor, *others: Tensor) -> bool:
    """Whether what is done to these tensors, all of one type, runs as fused kernels."""
    if _chosen is Fusion.NEVER or (_chosen is Fusion.AUTO and x.device.type != "cuda"):
        return False
    same = all(each.dtype == x.dtype for each in others)
    return same and x.dtype in (torch.float32, torch.float64) and has_triton()
