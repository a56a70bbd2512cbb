"""Runs that are carried out to their end in this process, stopped and gone on with as often as a test wants."""

import io

from rich.console import Console

from search.execution.inline import InlineExecutor
from search.pipeline.carry_out import carry_out
from search.pipeline.view import PlainView
from search.runs.folder import open_run


class StoppingExecutor(InlineExecutor):
    """Stops as Ctrl-C does after so many reports."""

    def __init__(self, run, reports):
        super().__init__(run)
        self._left = reports

    def run(self, work):
        while (task := work.next_task()) is not None:
            for report in self._worker.run(task):
                if self._left == 0:
                    raise KeyboardInterrupt
                self._left -= 1
                work.report(task, report)


def finished(run, reports=None, out=None):
    """The run at its end; with `reports` it is stopped after so many, every time. `out` gets what a person sees."""
    view = PlainView(Console(file=out or io.StringIO()))
    for _ in range(100):
        try:
            carry_out(run, InlineExecutor(run) if reports is None else StoppingExecutor(run, reports), view)
        except KeyboardInterrupt:
            run = open_run(run.path)  # as a new process would
        else:
            return run
    raise AssertionError("the run came to no end")
