"""Times whole programs for people: engines called in turns; medians and quartiles. Loads nothing but Python's own."""

import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

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


def processor() -> str:
    """The processor's name, or that of the board which has it, as a Raspberry Pi tells."""
    try:
        pairs = [line.partition(":") for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()]
        told = {name.strip(): value.strip() for name, _, value in reversed(pairs)}  # the first one of a name
        return told.get("model name") or told["Model"]
    except (OSError, KeyError):
        return platform.processor() or platform.machine()
