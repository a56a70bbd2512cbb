"""The native engine: one C call runs a program on some images; as exact as the portable one, and far faster."""

import ctypes
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np
import numpy.typing as npt

from models.onebit.native import build
from models.onebit.native.plan import NativeOperation, NativeProgram, aligned
from models.onebit.operations import Floats
from models.onebit.program import Program

_INT, _LONG, _POINTER = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p


class Library:
    """The loaded library; `vectors` tells whether this processor runs its AVX2 kernels."""

    def __init__(self, path: Path) -> None:
        try:
            self.calls = ctypes.CDLL(str(path))
        except OSError as error:
            raise build.BuildError(
                f"cannot load the engine: {error}; delete {path} so that it is built again"
            ) from error
        for name, result, arguments in (
            ("bnn_start", _INT, ()),
            ("bnn_operation_size", _LONG, ()),
            ("bnn_choose_kernel", _INT, (_POINTER, _INT)),
            ("bnn_arranged_size", _LONG, (_POINTER,)),
            ("bnn_arrange", None, (_POINTER,) * 4),
            ("bnn_scratch_size", _LONG, (_POINTER, _INT)),
            ("bnn_run", None, (_POINTER, _INT, _INT, _POINTER, _LONG, _INT, _INT, _LONG, *(_POINTER,) * 3, _INT)),
            ("bnn_run_one", None, (_POINTER, _INT, _POINTER, _POINTER, _POINTER)),
        ):
            function = getattr(self.calls, name)
            function.restype, function.argtypes = result, arguments
        self.vectors = bool(self.calls.bnn_start())
        assert self.calls.bnn_operation_size() == ctypes.sizeof(NativeOperation)


@cache
def load() -> Library:
    """The library, built if need be; one per process. Raises `BuildError`."""
    return Library(build.library())


class NativeEngine:
    """A program, planned for the native engine.

    `vectors` may be switched off to run the plain C kernels where there are better ones. May be called from several
    threads; each call takes memory of its own. Raises `BuildError` where there is no library.
    """

    def __init__(self, program: Program, library: Library | None = None, *, vectors: bool = True) -> None:
        self.program = program
        self._library = library or load()
        self.vectors = vectors and self._library.vectors
        self._plan = NativeProgram(program, self._library.calls, vectors=self.vectors)
        self._count = len(self._plan.operations)
        self._scratch = self._library.calls.bnn_scratch_size(self._plan.operations, self._count)
        self._free: SimpleQueue[tuple[Floats, npt.NDArray[np.uint8]]] = SimpleQueue()

    @property
    def name(self) -> str:
        """What runs, for people."""
        return "native, AVX2" if self.vectors else "native, plain C"

    def run(self, images: Floats, *, planes: bool, threads: int = 1) -> Floats:
        """Logits (N, classes) of float32 images, (N, C, H, W) where `planes`, else (N, H, W, C); contiguous."""
        logits = np.empty((len(images), self.program.classes), np.float32)
        threads = max(1, min(threads, len(images)))
        if threads == 1:
            self._run(images, logits, planes)
            return logits
        bounds = [len(images) * part // threads for part in range(threads + 1)]
        with ThreadPoolExecutor(threads) as pool:
            parts = [slice(*pair) for pair in pairwise(bounds)]
            list(pool.map(lambda part: self._run(images[part], logits[part], planes), parts))
        return logits

    def _run(self, images: Floats, logits: Floats, planes: bool) -> None:  # noqa: FBT001
        image = self.program.image
        with self._memory() as (tensors, scratch):
            self._library.calls.bnn_run(
                self._plan.operations, self._count, int(self.vectors), images.ctypes.data, len(images), int(planes),
                image.channels, image.height * image.width, tensors.ctypes.data, scratch.ctypes.data,
                logits.ctypes.data, self.program.classes,
            )  # fmt: skip

    @contextmanager
    def _memory(self) -> Iterator[tuple[Floats, npt.NDArray[np.uint8]]]:
        """A thread's memory: used before, or new."""
        try:
            memory = self._free.get_nowait()
        except Empty:
            memory = aligned(self._plan.tensors, np.float32), aligned(self._scratch, np.uint8)
        try:
            yield memory
        finally:
            self._free.put(memory)

    def binary_sums(self, number: int, x: Floats) -> npt.NDArray[np.int16]:
        """The integers of a binary convolution, operation `number`, for one image of its input (H, W, in)."""
        native = NativeOperation.from_buffer_copy(self._plan.operations[self._plan.numbers[number]])
        native.input = native.packs = native.packed = 0
        tensors = aligned(x.size, np.float32)
        tensors[:] = x.ravel()
        sums = np.empty((native.out_height, native.out_width, native.out_channels), np.int16)
        scratch = aligned(self._scratch, np.uint8)
        pointers = (array.ctypes.data for array in (tensors, scratch, sums))
        self._library.calls.bnn_run_one(ctypes.byref(native), int(self.vectors), *pointers)
        return sums
