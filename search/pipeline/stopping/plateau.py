"""A search that ends by itself when its front no longer grows.

The hypervolume after each generation is measured from the worst value of every objective among all finished trials. A
plateau is reached when the mean gain of the last generations is surely small: when the upper end of its one-sided 95 %
interval, by Student's t, is below a threshold. Gains are few and uneven, so the interval is rough; it errs towards
going on, since one large gain among the last generations widens it.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from analysis.measures.hypervolume import hypervolume
from analysis.measures.intervals import student
from analysis.measures.pareto import Direction
from analysis.runs.schema import objective_direction
from search.config.search import PlateauConfig
from search.runs.records import Record

ONE_SIDED = 0.9
"""The two-sided interval whose upper end leaves out 5 %."""


def plateau(records: Sequence[Record], objectives: Sequence[str], rule: PlateauConfig) -> str | None:
    """The reason to end a search after these finished trials of whole generations; None while it should go on."""
    gains = hypervolume_gains(records, objectives)[-rule.generations :]
    if len(gains) < rule.generations:
        return None
    likely = float(np.mean(gains) + student(len(gains) - 1, ONE_SIDED) * np.std(gains, ddof=1) / len(gains) ** 0.5)
    if likely >= rule.gain:
        return None
    return (
        f"the front no longer grows: {np.mean(gains):.3%} of the hypervolume was gained per generation in the last "
        f"{len(gains)}, with 95 % certainty less than {max(likely, 0):.3%} (search.plateau.gain is {rule.gain:.3%})"
    )


def hypervolume_gains(records: Sequence[Record], objectives: Sequence[str]) -> list[float]:
    """What each generation after the first added to the front, as shares of the hypervolume of all, 0 to 1."""
    if not records:
        return []
    directions: list[Direction] = [objective_direction(objective) for objective in objectives]
    values = np.array([record.values for record in records], dtype=float)
    worst = [column.min() if way == "max" else column.max() for column, way in zip(values.T, directions, strict=True)]
    last = max(record.generation for record in records)
    generation = np.array([record.generation for record in records])
    volumes = [hypervolume(values[generation <= number], worst, directions) for number in range(last + 1)]
    whole = volumes[-1] or 1.0
    return [(after - before) / whole for before, after in pairwise(volumes)]
