"""The native engine: one C call runs a program on some images; as exact as the portable one, and far faster."""

import ctypes
import os
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
from models.onebit.native.plan import Level, NativeOperation, NativeProgram, aligned
from models.onebit.operations import Floats
from models.onebit.program import Program
from spaces.errors import BinarynasError, listed

_INT, _LONG, _POINTER = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p
_NAMES = {Level.PLAIN: "plain C", Level.AVX2: "AVX2", Level.AVX512: "AVX-512", Level.NEON: "NEON"}
KERNELS = "BINARYNAS_KERNELS"
"""The environment variable that names kernels: plain, avx2, avx512 or neon; without it the best run."""


class KernelError(BinarynasError, ValueError):
    """Kernels that this processor does not run: says which ones it does."""


class Library:
    """The loaded library; `level` is the best of its kernels that this processor runs, or what the environment names.

    Raises `BuildError` where it cannot be loaded, `KernelError` where `KERNELS` names kernels that do not run here.
    """

    def __init__(self, path: Path) -> None:
        try:
            self.calls = ctypes.CDLL(str(path))
        except OSError as error:
            raise build.BuildError(
                f"cannot load the engine: {error}; delete {path} so that it is built again"
            ) from error
        for name, result, arguments in (
            ("bnn_start", _INT, ()),
            ("bnn_supports", _INT, (_INT,)),
            ("bnn_operation_size", _LONG, ()),
            ("bnn_choose_kernel", _INT, (_POINTER, _INT)),
            ("bnn_arranged_size", _LONG, (_POINTER,)),
            ("bnn_base_size", _LONG, (_POINTER,)),
            ("bnn_arrange", None, (_POINTER,) * 4),
            ("bnn_scratch_size", _LONG, (_POINTER, _INT)),
            ("bnn_run", None, (_POINTER, _INT, _INT, _POINTER, _LONG, _INT, _INT, _LONG, *(_POINTER,) * 3, _INT)),
            ("bnn_run_one", None, (_POINTER, _INT, _POINTER, _POINTER, _POINTER)),
        ):
            function = getattr(self.calls, name)
            function.restype, function.argtypes = result, arguments
        self.level = Level(self.calls.bnn_start())
        if named := os.environ.get(KERNELS):
            self.level = self.supported(named)
        assert self.calls.bnn_operation_size() == ctypes.sizeof(NativeOperation)

    @property
    def vectors(self) -> bool:
        """Whether there are kernels for this processor, rather than plain C alone."""
        return self.level is not Level.PLAIN

    def supported(self, name: str) -> Level:
        """The level of a name, if its kernels run here; else raises `KernelError`."""
        levels = {level.name.lower(): level for level in Level if self.calls.bnn_supports(level)}
        if name.lower() not in levels:
            raise KernelError(f"{KERNELS}={name}: this processor runs {listed(levels)}; name one of these, or none")
        return levels[name.lower()]


@cache
def load() -> Library:
    """The library, built if need be; one per process. Raises `BuildError`."""
    ready = build.prebuilt()
    try:
        return Library(ready if ready.is_file() else build.library())
    except build.BuildError:
        if not ready.is_file():
            raise
    return Library(build.library())  # the one that came with the package is not for this machine


class NativeEngine:
    """A program, planned for the native engine.

    `vectors` may be switched off to run the plain C kernels where there are better ones; `level` asks for others than
    the library's best. May be called from several threads; each call takes memory of its own. Raises `BuildError`
    where there is no library, `KernelError` where the processor does not run the kernels.
    """

    def __init__(
        self, program: Program, library: Library | None = None, *, vectors: bool = True, level: Level | None = None
    ) -> None:
        self.program = program
        self._library = library or load()
        wanted = self._library.level if level is None else level
        self.level = self._library.supported(wanted.name) if vectors else Level.PLAIN
        self._plan = NativeProgram(program, self._library.calls, self.level)
        self._count = len(self._plan.operations)
        self._scratch = self._library.calls.bnn_scratch_size(self._plan.operations, self._count)
        self._free: SimpleQueue[tuple[Floats, npt.NDArray[np.uint8]]] = SimpleQueue()

    @property
    def name(self) -> str:
        """What runs, for people."""
        return f"native, {_NAMES[self.level]}"

    @property
    def vectors(self) -> bool:
        """Whether kernels for this processor run, rather than plain C."""
        return self.level is not Level.PLAIN

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
                self._plan.operations, self._count, int(self.level), images.ctypes.data, len(images), int(planes),
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
        self._library.calls.bnn_run_one(ctypes.byref(native), int(self.level), *pointers)
        return sums
