"""The Pareto front of a run's trials, and an evenly spaced selection from it."""

import math
from collections.abc import Collection, Sequence
from typing import TypeVar

from analysis.measures.pareto import pareto_front
from analysis.stages import NEVER_ON_A_FRONT
from search.runs.records import Record, State

T = TypeVar("T")


def front_records(records: Collection[Record], costs: Sequence[str]) -> list[Record]:
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


def spread_over(costs: Sequence[float], count: int) -> list[int]:
    """The places of at most `count` costs, all above 0, that are spread from the lowest to the highest in equal ratios
    as nearly as they can be; the lowest comes first, and where one is enough, it is the highest.
    """
    order = sorted(range(len(costs)), key=costs.__getitem__)
    if count >= len(order) or count == 1:
        return order[-count:]
    logs = [math.log(costs[place]) for place in order]
    step, chosen = (logs[-1] - logs[0]) / (count - 1), [0]
    for number in range(1, count - 1):
        left = range(chosen[-1] + 1, len(order) - (count - 1 - number))  # so many are wanted after it
        chosen.append(min(left, key=lambda place: abs(logs[place] - logs[0] - number * step)))
    highest = next(place for place in order[chosen[-1] + 1 :] if costs[place] == costs[order[-1]])
    return [*(order[place] for place in chosen), highest]


def best_per_architecture(records: Sequence[Record]) -> list[Record]:
    """The most accurate record of each architecture: that of the later stage, where both are on the front."""
    best: dict[str, Record] = {}
    for record in records:
        known = best.get(record.id)
        if known is None or record.quality > known.quality:
            best[record.id] = record
    return list(best.values())
