"""The device of a worker, and whether its processor has vector instructions."""

from functools import cache

import torch


@cache
def has_vectors() -> bool:
    """Whether the 1-bit engine has kernels for this processor."""
    from models.onebit.native.build import BuildError
    from models.onebit.native.engine import load

    try:
        return load().vectors
    except BuildError:
        return False


def gpu_count() -> int:
    """How many GPUs this machine has."""
    return torch.cuda.device_count()


def pick_device(name: str) -> torch.device:
    """The device that a configuration names; `auto` is CUDA where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
