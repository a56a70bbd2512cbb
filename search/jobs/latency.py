"""The table of latencies that a run begins with."""

from collections.abc import Iterator

from search.context import Context
from search.latency import FILE, measure_table
from search.work import Report, Task


def measure_latencies(context: Context, task: Task) -> Iterator[Report]:
    """Time the operations of the run's space on this machine, and save them with the run."""
    table = measure_table(context.run.architectures, context.config.seed)
    table.write(context.run.path / FILE)
    yield {"kind": "measured", "operations": len(table.operations), "last": True}
