"""The plain executor: tasks one after another, in this process."""

from search.run import Run
from search.work import Executor, Work
from search.worker import Worker


class InlineExecutor:
    """Runs every task in this process, in the order in which they are handed out. Needs no Ray."""

    def __init__(self, run: Run) -> None:
        self._worker = Worker(run.path)

    def run(self, work: Work) -> None:
        """See `Executor.run`."""
        while (task := work.next_task()) is not None:  # nothing else is running, so None means the end
            for report in self._worker.run(task):
                work.report(task, report)


def make_executor(run: Run) -> Executor:
    """The executor that the run's configuration names."""
    if run.config.execution.executor == "inline":
        return InlineExecutor(run)
    from search.tune_executor import TuneExecutor

    return TuneExecutor(run)
