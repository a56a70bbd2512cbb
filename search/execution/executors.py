"""The executor that a configuration asks for."""

from search.config.run import Method
from search.execution.inline import InlineExecutor
from search.execution.simulated import TableExecutor
from search.runs.folder import Run
from search.worker.tasks import ExecutionError, Executor


def make_executor(run: Run, address: str | None = None) -> Executor:
    """The executor that the run's configuration names; `address` takes precedence over its own."""
    if run.config.method is Method.TABLE:
        if address is not None:
            raise ExecutionError("method is table, whose workers are simulated in this process: leave --address out")
        return TableExecutor(run)
    if run.config.execution.executor == "inline":
        if address is not None:
            raise ExecutionError("execution.executor is inline, which runs in this process: leave --address out")
        return InlineExecutor(run)
    from search.execution.tune import TuneExecutor  # loads Ray, which takes seconds

    return TuneExecutor(run, address)
