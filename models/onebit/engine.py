"""What people call: a program on images of numpy or torch, in either layout, by the best engine this machine has.

Loads numpy alone: whoever has a tensor has loaded torch before.
"""

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
import numpy.typing as npt

from models.onebit import portable
from models.onebit.native.build import BuildError
from models.onebit.native.engine import NativeEngine
from models.onebit.operations import Floats
from models.onebit.program import Program

if TYPE_CHECKING:
    from torch import Tensor

Images = TypeVar("Images", "Tensor", npt.NDArray[np.float32])


class Layout(StrEnum):
    """How images lie: channels first (N, C, H, W), as torch has them, or last (N, H, W, C)."""

    NCHW = "NCHW"
    NHWC = "NHWC"


class Backend(StrEnum):
    """Which engine: the best there is; numpy alone; C without the kernels for this processor, to compare with."""

    BEST = "best"
    PORTABLE = "portable"
    PLAIN_C = "plain C"


class Engine:
    """Runs a program. `name` says by which engine; `hint` what would make it faster, and is empty where nothing would.

    All backends, threads and batch sizes give the same bits. An engine may be called from several threads.

    >>> engine = Engine(program)  # doctest: +SKIP
    >>> engine(torch.randn(16, 3, 224, 224), threads=2).shape  # doctest: +SKIP
    torch.Size([16, 1000])
    """

    def __init__(self, program: Program, backend: Backend = Backend.BEST) -> None:
        self.program = program
        self.hint = ""
        self._native: NativeEngine | None = None
        if backend is not Backend.PORTABLE:
            try:
                self._native = NativeEngine(program, vectors=backend is Backend.BEST)
            except BuildError as error:
                self.hint = f"numpy runs the network, correctly but slowly: {error}"

    @property
    def name(self) -> str:
        """What runs, for people."""
        return self._native.name if self._native else "portable, numpy"

    def __call__(self, images: Images, layout: Layout = Layout.NCHW, threads: int = 1) -> Images:
        """Logits (N, classes), of the kind that `images` are: numpy or torch, on the CPU, any float or integer type.

        A batch is split over threads, an image is not. Raises `ValueError` for images of another shape.
        """
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(images, torch.Tensor):
            tensor = cast("Tensor", images).detach().to("cpu", torch.float32)
            return cast("Images", torch.from_numpy(self._run(tensor.numpy(), layout, threads)))
        return cast("Images", self._run(np.asarray(images, np.float32), layout, threads))

    def _run(self, images: Floats, layout: Layout, threads: int) -> Floats:
        image = self.program.image
        first = layout is Layout.NCHW
        wanted = tuple(image) if first else (*image[1:], image[0])
        if images.ndim != 4 or images.shape[1:] != wanted:
            raise ValueError(f"images must have the shape (N, {', '.join(map(str, wanted))}), got {images.shape}")
        if not len(images):
            return np.empty((0, self.program.classes), np.float32)
        last = images.transpose(0, 2, 3, 1) if first else images
        if self._native is None:
            return portable.run(self.program, last)
        if first and not last.flags.c_contiguous:
            return self._native.run(np.ascontiguousarray(images), planes=True, threads=threads)
        return self._native.run(np.ascontiguousarray(last), planes=False, threads=threads)  # torch's channels_last, too
