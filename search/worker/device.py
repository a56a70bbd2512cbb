"""The device of a worker, the precision that it trains in, and whether its processor has vector instructions."""

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


SMALL_IMAGES = 16
"""Pixels of a side below which bfloat16 does not pay on a processor: there, convolutions take less than the rest."""


def pick_precision(name: str, device: torch.device, image_size: int) -> torch.dtype:
    """The precision that a configuration names, for networks that see images of this size. `auto` is bfloat16 where the
    device has instructions for it; on a processor for images of at least 16 pixels."""
    if name == "auto":
        pays = device.type == "cuda" or image_size >= SMALL_IMAGES
        name = "bfloat16" if pays and _computes_in_halves(device) else "float32"
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]


def precision_name(precision: torch.dtype) -> str:
    """What a configuration calls a precision."""
    return str(precision).removeprefix("torch.")


def lacks_precision(name: str, device: torch.device) -> str | None:
    """Why this machine cannot train in a precision that a configuration names; None where it can."""
    if name != "bfloat16" or device.type != "cpu":
        return None
    if torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return None
    return "execution.precision is bfloat16, which torch cannot compute on the processor here: leave it at auto"


def compute_in_float32() -> None:
    """Let float32 be float32 on CUDA: by default cuDNN rounds what convolutions multiply to 10 bits, and a network
    would not give there what it gives on a CPU."""
    torch.backends.cudnn.allow_tf32 = False


def _computes_in_halves(device: torch.device) -> bool:
    """Whether bfloat16 pays: GPUs from Ampere on, processors with AVX512_BF16 or AMX."""
    if device.type == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    # torch tells it by no public name in the oldest version that we take
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # pyright: ignore[reportPrivateUsage]


def pick_device(name: str) -> torch.device:
    """The device that a configuration names; `auto` is CUDA where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
