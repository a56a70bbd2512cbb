"""What Ray shows of a task: the name of its trial, the parameters of its candidates, and metrics by name."""

from typing import Any

from search.runs.folder import Run
from search.runs.records import EpochReport, Outcome, Stage
from search.worker.tasks import Evaluate, Fit, Report, SearchCells, Task, TrialTask, kind_of

OURS = "binarynas"
"""The key of a trial's configuration that holds what the worker needs."""

_PROPOSED = (Stage.INHERITED, Stage.TRAINED, Stage.SEARCHED, Stage.FINETUNED, Stage.SHARED)


def name_of(task: Task) -> str:
    """The name of a task: stage, number and id of its first candidate; the kind of a task without one."""
    if not isinstance(task, TrialTask):
        return kind_of(type(task)).replace("_", "-")
    first, more = task.trials[0], len(task.trials) - 1
    return f"{_stage(task)}-{first.number:04d}-{first.id}" + (f"-and-{more}-more" if more else "")


def parameters_of(run: Run, task: Task) -> dict[str, Any]:
    """The parameters of the task's candidate by name; none where several travel together, or it has none."""
    trials = task.trials if isinstance(task, TrialTask) and _stage(task) in _PROPOSED else ()
    if len(trials) != 1:
        return {}
    return dict(run.space.encode(run.space.parse(trials[0].architecture)))


def shown(task: Task, report: Report) -> dict[str, Any]:
    """A report as metrics by name, with the candidate that it is about."""
    match report:
        case EpochReport():
            accuracy = {} if report.accuracy is None else {"accuracy": report.accuracy}
            done = report.epoch if report.share == 1 else report.epoch - 1 + report.share
            return {"epoch": done, "train_loss": report.loss, **accuracy}
        case Outcome() if isinstance(task, TrialTask):
            trial = next(each for each in task.trials if each.number == report.number)
            about = {"number": trial.number, "id": trial.id, "architecture": trial.architecture}
            return {**about, "stage": _stage(task).value, **report.metrics, **report.facts}
        case _:
            return {}


def _stage(task: TrialTask) -> Stage:
    match task:
        case Fit() | Evaluate():
            return task.stage
        case SearchCells():
            return Stage.SEARCHED
        case _:
            return Stage.INHERITED
