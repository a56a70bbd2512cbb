"""Several proposers on one table, with the same seeds: searches in memory, and what came out as a race."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from analysis.tables.race import Entrant, Race, entrant
from analysis.tables.table import Table, TableError
from analysis.tables.yardstick import Yardstick, yardstick
from search.config.search import SearchConfig
from search.config.sections import ConfigError
from search.proposers.simulation import BEGINNING, simulate, values_of
from search.registry import PROPOSERS, is_extension
from search.runs.records import Record
from spaces.errors import unknown

_SIZED = re.compile(r"(?P<proposer>[^@]+)(@(?P<first>[1-9]\d*)/(?P<generation>[1-9]\d*))?")


@dataclass(frozen=True)
class Start:
    """A proposer with its sizes, as a race names it: `surrogate`, or `surrogate@16/8` for a first generation of 16 and
    8 candidates in each one after it."""

    name: str
    config: SearchConfig

    @classmethod
    def of(cls, name: str, common: SearchConfig) -> Self:
        """What a name stands for, with the settings that all have in common. Raises `ConfigError` for others."""
        match = _SIZED.fullmatch(name.strip())
        if match is None:
            raise ConfigError(f"a proposer is a name, or one with its sizes such as surrogate@16/8; got {name!r}")
        if match["proposer"] not in PROPOSERS and not is_extension(match["proposer"]):
            raise ConfigError(unknown("proposer", match["proposer"], PROPOSERS))
        given = {"proposer": match["proposer"]}
        sizes = {"first_generation": match["first"], "generation": match["generation"]} if match["first"] else {}
        settings = {**common.model_dump(), **given, **{key: int(value) for key, value in sizes.items()}}
        return cls(match[0], SearchConfig.model_validate(settings))


def run_race(
    table: Table,
    proposers: Sequence[str],
    common: SearchConfig,
    seeds: int,
    workers: int = 1,
    done: Callable[[Entrant], None] = lambda each: None,
) -> Race:
    """Search a table with every proposer and the seeds 0, 1, ..., which take the table's replicates in turn; `done`
    gets each proposer when all its searches have ended.

    Raises `ConfigError` for a name that is none or comes twice, and `TableError` for objectives and limits that the
    table has no answer to.
    """
    starts = [Start.of(name, common) for name in proposers]
    if len({start.name for start in starts}) < len(starts):
        raise ConfigError(f"each proposer is named once; got {', '.join(proposers)}")
    known = [*table.measured, *table.costs]
    missing = [name for name in common.objectives if name not in known]
    if missing:
        raise TableError(f"table {table.name!r} has no {missing[0]}, which search.objectives names")
    measure = yardstick(table, common.objectives, common.ops_max)
    table.prepare(common.trials * seeds * len(starts))
    entrants: dict[str, Entrant] = {}
    for start in starts:
        entrants[start.name] = _entrant(table, start, measure, seeds, workers)
        done(entrants[start.name])
    return Race(table.name, measure, entrants)


def _entrant(table: Table, start: Start, measure: Yardstick, seeds: int, workers: int) -> Entrant:
    searches: list[tuple[Sequence[Record], int]] = []
    own: list[float] = []
    for seed in range(seeds):
        replicate, begun = seed % table.replicates, time.process_time()
        records = simulate(table, start.config, seed, replicate=replicate, workers=workers)
        own.append(1000 * (time.process_time() - begun) / len(records))
        searches.append((records, replicate))
    found = ((values_of(records, measure.objectives), _ends(records), replicate) for records, replicate in searches)
    return entrant(start.name, found, measure, own)


def _ends(records: Sequence[Record]) -> list[float]:
    """When trials had ended, in simulated seconds."""
    return [((each.started or BEGINNING) - BEGINNING).total_seconds() + (each.seconds or 0.0) for each in records]
