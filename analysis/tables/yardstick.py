"""What searches on a table are measured by: a fixed reference point, and the hypervolume of the table's own front."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.measures.hypervolume import hypervolume, hypervolume_history
from analysis.measures.pareto import Direction, Floats, pareto_front
from analysis.runs.schema import objective_direction
from analysis.tables.table import Table, TableError

MARGIN = 0.1
"""The share of the front's ranges by which the reference point lies outside of its corner."""
OBJECTIVES = ("accuracy", "ops")


@dataclass(frozen=True, eq=False)
class Yardstick:
    """The reference point of a table, the same for all its replicates, and `whole`, the hypervolume above it of each
    replicate's own front, shape (replicates,)."""

    objectives: tuple[str, ...]
    reference: tuple[float, ...]
    whole: Floats

    @property
    def directions(self) -> list[Direction]:
        """Which way each objective is better."""
        return [objective_direction(name) for name in self.objectives]

    def history(self, points: npt.ArrayLike, replicate: int = 0) -> Floats:
        """After every trial of a search, the share of the replicate's whole hypervolume that it has: trials' objectives
        of shape (trials, objectives) to (trials,), 0 to 1."""
        return hypervolume_history(points, self.reference, self.directions) / self.whole[replicate]


def yardstick(table: Table, objectives: Sequence[str] = OBJECTIVES, ops_max: float | None = None) -> Yardstick:
    """The yardstick of a table, of its networks with at most so many operations.

    The reference point is the corner of the fronts of all replicates together: the worst value of every objective on
    any of them, moved outwards by a tenth of the fronts' range. It follows from the table alone, so figures of
    different searches, and of different people, have the same one; the table's card has it.

    Raises `TableError` for an objective that the table has not, and where no network is that cheap.
    """
    names = tuple(objectives)
    ways: list[Direction] = [objective_direction(name) for name in names]
    cheap = np.ones(len(table), dtype=bool) if ops_max is None else table.values("ops") <= ops_max
    if not cheap.any():
        raise TableError(f"table {table.name!r} has no network with at most {ops_max:,.0f} operations")
    fronts: list[Floats] = []
    for replicate in range(table.replicates):
        points = table.points(names, replicate)[cheap]
        fronts.append(points[pareto_front(points, ways)])
    together = np.concatenate(fronts)
    low, high = together.min(axis=0), together.max(axis=0)
    margin = MARGIN * (high - low)
    upwards = np.asarray([way == "max" for way in ways])
    corner = high + margin
    corner[upwards] = (low - margin)[upwards]
    reference = tuple(map(float, corner))
    return Yardstick(names, reference, np.asarray([hypervolume(front, reference, ways) for front in fronts]))
