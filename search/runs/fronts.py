"""The Pareto front of a run's trials, and an evenly spaced selection from it."""

from collections.abc import Sequence
from typing import TypeVar

from analysis.measures.pareto import pareto_front
from analysis.stages import NEVER_ON_A_FRONT
from search.runs.records import Record, State

T = TypeVar("T")


def front_records(records: Sequence[Record], costs: Sequence[str]) -> list[Record]:
    """The finished trials that no other one dominates in accuracy and all costs, by the first cost, or OPs, rising."""
    finished = [r for r in records if r.state is State.FINISHED and r.stage.value not in NEVER_ON_A_FRONT]
    if not finished:
        return []
    values = [[record.quality, *(record.metrics[cost] for cost in costs)] for record in finished]
    kept = pareto_front(values, ("max", *("min" for _ in costs)))
    best = [record for record, keep in zip(finished, kept, strict=True) if keep]
    cost = next(iter(costs), "ops")
    return sorted(best, key=lambda record: (record.metrics[cost], record.quality, record.number))


def spread(records: Sequence[T], count: int) -> list[T]:
    """At most `count` of the records, spread evenly from the first to the last."""
    if count >= len(records):
        return list(records)
    if count == 1:
        return [records[-1]]
    return [records[round(index * (len(records) - 1) / (count - 1))] for index in range(count)]


def best_per_architecture(records: Sequence[Record]) -> list[Record]:
    """The most accurate record of each architecture: that of the later stage, where both are on the front."""
    best: dict[str, Record] = {}
    for record in records:
        known = best.get(record.id)
        if known is None or record.quality > known.quality:
            best[record.id] = record
    return list(best.values())
