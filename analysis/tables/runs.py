"""Runs that searched one table of networks, as a race over its own front."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.findings.comparison import Comparison
from analysis.findings.facts import RunFacts, section
from analysis.measures.pareto import Floats
from analysis.runs.trials import numbers
from analysis.stages import competing
from analysis.tables.race import Entrant, Race, entrant
from analysis.tables.table import TableError, load_table
from analysis.tables.yardstick import Yardstick, yardstick

_Question = tuple[str, tuple[str, ...], float | None]


def race_of_runs(found: Comparison, runs: Sequence[RunFacts]) -> Race | None:
    """Runs that were compared, by their groups, against the front of the table that all of them searched with the same
    objectives and limit of operations; None where they did not, or where the table is not here."""
    asked = {_question(run) for run in runs}
    (first, *others) = asked
    if others or first is None or not found.trials:
        return None
    source, objectives, most = first
    try:
        table = load_table(source)
        measure = yardstick(table, objectives, most)
    except TableError:
        return None
    replicates = {run.name: int(str(section(run.config, "table").get("replicate") or 0)) for run in runs}
    if max(replicates.values()) >= table.replicates:
        return None
    entrants = [_entrant(found, group.name, measure, replicates) for group in found.groups]
    return Race(table.name, measure, {each.name: each for each in entrants if each is not None})


def _question(run: RunFacts) -> _Question | None:
    """The table of a run, its objectives, and the most operations of a candidate."""
    source, search = section(run.config, "table").get("source"), section(run.config, "search")
    if run.config.get("method") != "table" or not isinstance(source, str):
        return None
    most = search.get("ops_max")
    return source, run.objectives, float(most) if isinstance(most, int | float) else None


def _entrant(found: Comparison, group: str, measure: Yardstick, replicates: Mapping[str, int]) -> Entrant | None:
    """The runs of a group that have trials, in the order of their seeds; None where none has."""
    own = sorted((each for each in found.runs if each.group == group), key=lambda each: each.seed or 0)
    searches = [
        (_points(found.frames[each.name], measure), _ends(found.frames[each.name]), replicates[each.name])
        for each in own
        if len(found.frames[each.name])
    ]
    return entrant(group, searches, measure, [math.nan] * len(searches)) if searches else None


def _points(frame: pd.DataFrame, measure: Yardstick) -> Floats:
    """The objectives of trials; NaN for those that do not compete."""
    points = numbers(frame, *measure.objectives)
    points[~competing(frame).to_numpy()] = np.nan
    return points


def _ends(frame: pd.DataFrame) -> Floats:
    """When trials had ended, in seconds since the first one began."""
    begun = (frame["started"] - frame["started"].min()).dt.total_seconds().to_numpy(dtype=np.float64)
    return begun + numbers(frame, "seconds")[:, 0]
