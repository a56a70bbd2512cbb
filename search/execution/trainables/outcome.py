"""What a worker reports of a trial, as metrics by name."""

from collections.abc import Iterable
from typing import Any

from search.runs.records import EpochReport, Outcome
from search.worker.tasks import Report, TaskError
from spaces.errors import BinarynasError


class TrialError(BinarynasError, RuntimeError):
    """A trial that failed, and why."""


def metrics_of(reports: Iterable[Report]) -> dict[str, Any]:
    """The outcome's metrics and facts, and how the epoch went. Raises `TrialError`."""
    metrics: dict[str, Any] = {}
    for report in reports:
        match report:
            case EpochReport():
                metrics |= {"train_loss": report.loss, "images_per_second": report.images_per_second}
            case Outcome(reason=None):
                metrics |= {**report.metrics, **report.facts}
            case Outcome() | TaskError():
                raise TrialError(report.reason)
            case _:
                raise TypeError(f"a trial does not report {report}")
    return metrics
