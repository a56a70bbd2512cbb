"""How operations and networks are timed for tables: one thread on one core, in turns, medians and quartiles."""

import math
import os
import statistics
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.onebit.engine import Backend, Engine, Layout
from models.onebit.operations import LARGEST_PROGRAM, GlobalAverage, Operation, Shape, Zero, inputs_of, reading
from models.onebit.program import Program
from models.onebit.timing import WARM_UP, Timing

ROUNDS = 21
"""How often everything is read."""
BLOCK = 1e-3
"""Seconds that one reading takes at least, where the number of copies allows it."""
MOST_COPIES = 64
"""Copies of an operation in a program, at most."""
AT_ONCE = 32
"""Operations or networks timed in turns; more would fill the memory."""
PROTOCOL = (
    f"one image, one thread, pinned to one core; {WARM_UP} calls to warm up, then {ROUNDS} rounds in each of which "
    f"every one of up to {AT_ONCE} is read once; a reading is the processor's time of the thread, over about "
    f"{BLOCK * 1e3:g} ms; an operation is the difference between a program with many copies of it and one with one, "
    "a copy; medians, with quartiles as low and high"
)


def time_operations(
    operations: Mapping[str, tuple[Operation, tuple[Shape, ...]]], backend: Backend = Backend.BEST
) -> dict[str, Timing]:
    """The time of each operation by itself, by name. Each comes with the shapes of its program's tensors."""
    found: dict[str, Timing] = {}
    names = list(operations)
    for start in range(0, len(names), AT_ONCE):
        group = names[start : start + AT_ONCE]
        with pinned():
            pairs = [_pair(*operations[name], backend) for name in group]
            readings: list[list[float]] = [[] for _ in pairs]
            for _ in range(ROUNDS):
                for (one, many, more), values in zip(pairs, readings, strict=True):
                    values.append(max(many.read() - one.read(), 0.0) / more)
        found |= dict(zip(group, map(Timing.of, readings), strict=True))
    return found


def time_programs(programs: Sequence[Program], backend: Backend = Backend.BEST) -> list[Timing]:
    """The time of one image through each program."""
    found: list[Timing] = []
    for start in range(0, len(programs), AT_ONCE):
        with pinned():
            clocks = [_Clock.of(program, backend) for program in programs[start : start + AT_ONCE]]
            readings: list[list[float]] = [[] for _ in clocks]
            for _ in range(ROUNDS):
                for clock, values in zip(clocks, readings, strict=True):
                    values.append(clock.read())
        found += map(Timing.of, readings)
    return found


@dataclass
class _Clock:
    """Reads how long an engine takes for one image, as the mean of some calls."""

    engine: Engine
    image: npt.NDArray[np.float32]
    calls: int = 1

    @classmethod
    def of(cls, program: Program, backend: Backend) -> "_Clock":
        channels, height, width = program.image
        image = np.random.default_rng(0).standard_normal((1, height, width, channels), np.float32)
        clock = cls(Engine(program, backend), image)
        for _ in range(WARM_UP):
            clock.read()
        clock.calls = max(1, min(math.ceil(BLOCK / (clock.read() / 1e3)), 100))
        return clock

    def read(self) -> float:
        """Milliseconds per call."""
        start = time.thread_time()
        for _ in range(self.calls):
            self.engine(self.image, Layout.NHWC)
        return max(time.thread_time() - start, 1e-9) * 1e3 / self.calls


def _pair(operation: Operation, shapes: tuple[Shape, ...], backend: Backend) -> tuple[_Clock, _Clock, int]:
    """A program with one copy of an operation, one with some more, and how many these are."""
    one = _Clock.of(copies(operation, shapes, 1), backend)
    few = _Clock.of(copies(operation, shapes, 3), backend)
    each = statistics.median(max(few.read() - one.read(), 1e-5) / 2 for _ in range(5)) / 1e3
    size = max(shape.size for shape in copies(operation, shapes, 1).shapes)
    more = max(2, min(math.ceil(BLOCK / each), MOST_COPIES, LARGEST_PROGRAM // (4 * size)))
    return one, _Clock.of(copies(operation, shapes, 1 + more), backend), more


def copies(operation: Operation, shapes: tuple[Shape, ...], count: int) -> Program:
    """A program of `count` copies of an operation on tensors of its shapes, with the end that every program needs."""
    given = list(dict.fromkeys(shapes[tensor] for tensor in inputs_of(operation))) or [Shape(1, 1, 1)]
    sources = {tensor: given.index(shapes[tensor]) for tensor in inputs_of(operation)}
    begin = tuple(Zero(shape) for shape in given[1:])
    end = GlobalAverage(len(begin) + count)
    return Program(given[0], (*begin, *[reading(operation, sources)] * count, end))


@contextmanager
def pinned() -> Generator[None]:
    """Keep this thread, and threads that it starts meanwhile, on one core where the system supports it."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
