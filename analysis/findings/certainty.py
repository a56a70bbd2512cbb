"""What the sizes of a run's splits allow to say about its accuracies."""

from dataclasses import dataclass

import numpy as np

from analysis.findings.facts import RunFacts
from analysis.measures.intervals import share_interval
from analysis.runs.schema import TEST_ACCURACY
from analysis.runs.trials import numbers
from analysis.stages import competing


@dataclass(frozen=True)
class Certainty:
    """How far the accuracies of a run can be trusted.

    `best` is the highest validation accuracy with its 95 % interval, `alike` the number of the `finished` trials whose
    accuracy is within that interval, `gap` the mean of validation minus test accuracy over the `tested` networks of the
    front, `worst_gap` the largest. None where a split's size or an accuracy is not known.
    """

    validation: int | None
    test: int | None
    best: tuple[float, float, float] | None
    alike: int
    finished: int
    tested: int
    gap: float | None
    worst_gap: float | None


def certainty(run: RunFacts) -> Certainty:
    """How far the accuracies of a run can be trusted."""
    accuracy = numbers(run.trials[competing(run.trials)], "accuracy")[:, 0]
    accuracy = accuracy[(accuracy >= 0) & (accuracy <= 1)]
    best, alike = None, 0
    if len(accuracy):
        top = share_interval(float(accuracy.max()), run.validation_images)
        if top.known:
            best, alike = (top.value, top.low, top.high), int((accuracy >= top.low).sum())
    validation, test = numbers(run.front, "accuracy", TEST_ACCURACY).T
    gaps = (validation - test)[np.isfinite(test)]
    return Certainty(
        validation=run.validation_images,
        test=run.test_images,
        best=best,
        alike=alike,
        finished=len(accuracy),
        tested=len(gaps),
        gap=float(gaps.mean()) if len(gaps) else None,
        worst_gap=float(gaps.max()) if len(gaps) else None,
    )
