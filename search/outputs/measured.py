"""From runs that measured many networks of a space to one table of them, with a card that says how it was made."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from analysis.runs.schema import TEST_ACCURACY
from analysis.tables.table import AT, Table, TableError
from search.runs.folder import Run
from search.runs.records import Record, Stage, State
from search.runs.study import read_records
from spaces.errors import listed
from spaces.tools.files import write_atomically

MEASURED = ("accuracy", TEST_ACCURACY, "loss", "seconds")
_SAME = ("method", "supernet", "training", "evaluation", "data")
"""Sections of the configuration in which the sources of one table agree."""


def table_of(sources: Sequence[Run | Table], name: str) -> Table:
    """The table of what runs have measured, and tables that were made of runs: each run is a replicate, its seed
    another one.

    Raises `TableError` where they are not of one space, differ in more than their seed, or have nothing to tell.
    """
    first, *others = tables = [each if isinstance(each, Table) else _measured(each) for each in sources]
    for other in others:
        _require_alike(first, other)
    seeds = [seed for each in tables for seed in each.about["seeds"]]
    if len(set(seeds)) < len(seeds):
        raise TableError(f"each run of a table has a seed of its own; theirs are {listed(seeds)}")
    places = np.unique(np.concatenate([each.places for each in tables]))
    columns = {column: np.full((len(places), len(seeds)), math.nan) for each in tables for column in each.measured}
    replicate = 0
    for each in tables:
        rows, to = np.searchsorted(places, each.places), replicate + each.replicates
        for column, values in each.measured.items():
            columns[column][rows, replicate:to] = values
        replicate = to
    hours = round(sum(each.about["hours"] for each in tables), 2)
    return Table(
        name, first.space, first.stage, first.rungs, places, columns, {**first.about, "seeds": seeds, "hours": hours}
    )


def _require_alike(first: Table, other: Table) -> None:
    """Raise `TableError` where two sources cannot be of one table."""
    if other.space.declaration() != first.space.declaration():
        raise TableError(f"{other.name} searches another space than {first.name}: a table is of one")
    one, two = (yaml.safe_load(each.about["configuration"]) for each in (first, other))
    differing = [each for each in _SAME if one.get(each) != two.get(each)]
    if differing:
        raise TableError(f"{other.name} differs from {first.name} in {listed(differing)}: sources differ in their seed")
    if (first.stage, first.rungs) != (other.stage, other.rungs):
        raise TableError(f"{other.name} was measured after {listed(other.rungs)} epochs, {first.name} after others")


def _measured(run: Run) -> Table:
    """What one run has measured: a table with one replicate."""
    found = _finished(run)
    places = {place: row for row, place in enumerate(sorted(found))}
    columns: dict[str, Any] = {}
    for place, record in found.items():
        for column, value in _numbers(record).items():
            columns.setdefault(column, np.full((len(places), 1), math.nan))[places[place], 0] = value
    rungs = sorted({epochs for record in found.values() for epochs in _epochs(record)})
    (stage,) = {record.stage.value for record in found.values()}
    about, numbers = _about(run, list(found.values())), np.asarray(list(places), dtype=np.int64)
    return Table(str(run.path), run.space, stage, tuple(rungs), numbers, columns, about)


def _finished(run: Run) -> dict[int, Record]:
    """The candidates of a run that were measured, by their place in the space."""
    trials = [each for each in read_records(run.journal) if each.stage in (Stage.INHERITED, Stage.TRAINED)]
    records = [each for each in trials if each.state is State.FINISHED]
    if not records:
        raise TableError(f"no trial of {run.path} has finished: there is nothing to make a table of")
    return {run.space.rank(run.space.parse(record.architecture)): record for record in records}


def _epochs(record: Record) -> list[int]:
    """The epochs after which a network was measured; none where it was not trained by itself."""
    last = record.metrics.get("epochs")
    return [] if last is None else [*record.rungs, int(last)]


def _numbers(record: Record) -> dict[str, float]:
    """What is kept of a trial, by column; at its rungs, too."""
    at_end = {**record.metrics, "seconds": record.seconds or 0.0}
    found = {name: float(at_end[name]) for name in MEASURED if name in at_end}
    for epochs, metrics in record.rungs.items():
        found |= {f"{name}{AT}{epochs}": float(metrics[name]) for name in MEASURED if name in metrics}
    return found


def _about(run: Run, records: Sequence[Record]) -> dict[str, Any]:
    """What the card says."""
    info = run.info
    data: Mapping[str, Any] = info["data"]
    return {
        "made": datetime.now(UTC).date().isoformat(),
        "data": {key: data[key] for key in ("name", "fingerprint", "train", "validation", "test") if key in data},
        "seeds": [run.config.seed],
        "hours": round(sum(record.seconds or 0.0 for record in records) / 3600, 2),
        "versions": info["versions"],
        "configuration": run.config.to_short_yaml(),
    }


def write_table(table: Table, file: Path, machine: str) -> Path:
    """Write a table, and its card beside it, as `FILE.md`; the card's path."""
    table.save(file)
    card = file.with_suffix(".md")
    write_atomically(card, card_of(table, machine))
    return card


def card_of(table: Table, machine: str) -> str:
    """The card of a table, as Markdown: what it holds, how it was made, and what it cannot tell."""
    about, data = table.about, table.about["data"]
    share = "every network" if len(table) == table.space.count() else f"{len(table):,} networks"
    trained = f"trained from scratch, and measured after {listed(table.rungs)} epochs" if table.rungs else "measured"
    weights = "" if table.rungs else " with the weights of one supernet for each seed"
    images = ", ".join(f"{data[part]:,} {part}" for part in ("train", "validation", "test") if data.get(part))
    proposer = yaml.safe_load(about["configuration"])["search"]["proposer"]
    best = max(table.front(), key=lambda text: table.metrics(text)["accuracy"])
    found = table.metrics(best)
    return f"""# {table.name}

**What.** {share[0].upper() + share[1:]} of {table.space.count():,} of the space `{table.space.name}`,
{trained}{weights}. Data: {data["name"]} ({images}). Per network and seed: {listed(table.measured)};
operations, parameters and bytes are counted by the space.

**How.** By `binarynas search` with the proposer `{proposer}`; seeds {listed(about["seeds"])}. The configuration is
below.

**Hardware, hours.** {machine}; {about["hours"]:.1f} hours of one worker in all. `seconds` are those of this machine,
which did other work, too.

**Licence.** That of this software. The images themselves are not in it.

**Limits.** Small networks on {data["name"]}: what is best here need not be best elsewhere. The most accurate network
of seed {about["seeds"][0]} has {100 * found["accuracy"]:.2f} % on the validation images at {found["ops"]:,.0f}
operations; one image of {data["validation"]} is {100 / data["validation"]:.2f} points.

```yaml
{about["configuration"].strip()}
```
"""
