"""The table of latencies that a run begins with: of operations, or an empty one for networks that are timed whole."""

from models.onebit.timing import processor
from search.latency.table import LatencyTable, engine_here, measure_table
from search.worker.context import Context
from search.worker.tasks import Measured


def measure_latencies(context: Context) -> Measured:
    """Time the operations of the run's space on this machine, where latencies are predicted, and save the table."""
    config = context.config
    if config.execution.latency == "measured" and config.search.latency_max is None:
        table = LatencyTable(processor(), engine_here().name)
    else:
        table = measure_table(context.run.architectures, config.seed)
    table.write(context.run.latencies)
    return Measured(len(table.operations))
