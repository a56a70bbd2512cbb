"""Whether the elementwise parts of layers run as fused kernels."""

import os
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from enum import Enum
from functools import cache
from importlib.util import find_spec
from shutil import which

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
    if x.dtype not in (torch.float32, torch.float64) or any(each.dtype != x.dtype for each in others):
        return False
    return has_triton() if _chosen is Fusion.ALWAYS else _ready()


@cache
def _ready() -> bool:
    """Whether kernels can be compiled for the GPU of this process; a warning says once why not."""
    reason = what_is_missing()
    if reason is not None:
        warnings.warn(f"training and evaluation on this GPU are slower than they could be: {reason}", stacklevel=2)
    return reason is None


def what_is_missing() -> str | None:
    """Why kernels cannot be compiled here, in a sentence; None where they can."""
    if not has_triton():
        return "Triton is not installed (torch brings it along on Linux)"
    if not any(which(compiler) for compiler in (os.environ.get("CC", "gcc"), "clang")):
        return "Triton needs a C compiler: install gcc or clang, or name one in CC"
    if torch.cuda.is_available() and torch.cuda.get_device_capability() < (7, 0):
        return "Triton compiles for GPUs of compute capability 7.0 or newer"
    return None
