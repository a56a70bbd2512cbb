"""Searches on a table of networks, in memory: nothing is trained, and no run is made."""

import heapq
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from analysis.tables.table import Table
from search.config.search import SearchConfig
from search.proposers.base import History, make_proposer
from search.runs.records import Proposal, Record, Stage, State
from search.seeds import derive_seed

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
"""When simulated time begins."""


class Clock:
    """Simulated time of some workers: what is given out goes to the one that is free first."""

    def __init__(self, workers: int, now: float = 0.0) -> None:
        self._free = [now] * workers

    def do(self, seconds: float) -> tuple[float, float]:
        """When something of this length begins and ends."""
        begun = heapq.heappop(self._free)
        heapq.heappush(self._free, begun + seconds)
        return begun, begun + seconds

    def wait(self) -> None:
        """All workers wait for the last one."""
        self._free = [max(self._free)] * len(self._free)


def simulate(table: Table, config: SearchConfig, seed: int, *, replicate: int = 0, workers: int = 1) -> list[Record]:
    """The trials of a search on a table, by number: as a run would have proposed and measured them, with simulated
    times. What a proposer itself takes is not in them."""
    proposer = make_proposer(table.space, config, seed)
    clock, records = Clock(workers), list[Record]()
    for generation, size in enumerate(_sizes(config)):
        proposals = proposer.propose(generation, size, History(tuple(records)))
        if not proposals:
            break
        records += _trials(table, proposals, generation, replicate, config, len(records), clock)
        clock.wait()
    return records


def _sizes(config: SearchConfig) -> Iterator[int]:
    """How many candidates each generation has."""
    left, size = config.trials, config.first_generation or config.generation
    while left > 0:
        yield min(size, left)
        left, size = left - size, config.generation


def _trials(
    table: Table,
    proposals: Sequence[Proposal],
    generation: int,
    replicate: int,
    config: SearchConfig,
    first: int,
    clock: Clock,
) -> Iterator[Record]:
    for number, proposal in enumerate(proposals, first):
        metrics = table.metrics(proposal.architecture, replicate)
        begun, ended = clock.do(metrics.get("seconds", 0.0))
        yield Record(
            number=number,
            stage=Stage(table.stage),
            state=State.FINISHED,
            architecture=proposal.architecture,
            id=proposal.id,
            generation=generation,
            proposer=config.proposer,
            operator=proposal.operator,
            parents=proposal.parents,
            seed=derive_seed(0, "candidate", table.stage, proposal.id),
            metrics=metrics,
            values=tuple(metrics[name] for name in config.objectives),
            sampler_state=proposal.sampler_state,
            started=BEGINNING + timedelta(seconds=begun),
            seconds=ended - begun,
        )


def values_of(records: Sequence[Record], names: Sequence[str]) -> list[list[Any]]:
    """Metrics of trials, one row each."""
    return [[record.metrics[name] for name in names] for record in records]
