"""Times whole programs for people: engines called in turns, beside torch's float operations; medians and quartiles."""

import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import torch
from torch import Tensor

from models.onebit.program import Program
from models.onebit.simulation import Simulation

WARM_UP = 2
"""Calls before timing begins."""
_FEWEST = 5


class Timing(NamedTuple):
    """Milliseconds per image: median and quartiles over `calls` calls."""

    median: float
    low: float
    high: float
    calls: int

    @classmethod
    def of(cls, readings: Sequence[float]) -> Self:
        """Median and quartiles of milliseconds."""
        low, median, high = statistics.quantiles(readings, n=4)
        return cls(median, low, high, len(readings))

    def words(self) -> tuple[str, str, str, str]:
        """Median, quartiles, images per second and calls, for a table."""
        quartiles = f"{self.low:.3g} to {self.high:.3g}"
        return f"{self.median:.3g}", quartiles, f"{1000 / self.median:.4g}", str(self.calls)


def time_in_turns(tasks: Mapping[str, Callable[[], object]], images: int, seconds: float) -> dict[str, Timing]:
    """Call each task in turn, so that a busy spell of the machine meets all of them, for about `seconds` each.

    Times are wall-clock times, per image; a call takes `images` of them.
    """
    for task in tasks.values():
        for _ in range(WARM_UP):
            task()
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    end = time.perf_counter() + seconds * len(tasks)
    while time.perf_counter() < end or min(map(len, taken.values())) < _FEWEST:
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            taken[name].append((time.perf_counter() - start) * 1000 / images)
    return {name: Timing.of(readings) for name, readings in taken.items()}


def torch_alternatives(program: Program, images: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Torch's float operations on the same network, in both layouts of its images."""
    simulation = Simulation(program)
    last = images.contiguous(memory_format=torch.channels_last)
    return {
        "torch float32, channels last": lambda: simulation(last),
        "torch float32, channels first": lambda: simulation(images),
    }


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
