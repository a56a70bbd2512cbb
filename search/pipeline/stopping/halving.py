"""Early stopping for several objectives: synchronous successive halving on the non-dominated rank.

All candidates of a generation train to the first rung; then one in `reduction` goes on to the next, and so forth. They
are compared with one another and with all candidates of earlier generations that reached the same rung, so accuracy is
only ever compared after the same number of epochs. A candidate that nothing dominates so far is never stopped: it may
be on the front in the end. A rung is judged when all have reached it, so the order of arrival does not matter.
(Jamieson and Talwalkar 2016 halve on one number; ASHA, which Tune offers, takes one scalar and judges on arrival.)
"""

import math
from collections.abc import Sequence

import numpy as np

from analysis.measures.pareto import Direction, non_dominated_rank
from analysis.runs.schema import objective_direction
from search.runs.records import Record


def survivors(
    candidates: Sequence[Record], before: Sequence[Record], rung: int, objectives: Sequence[str], reduction: float
) -> set[int]:
    """The numbers of the candidates that go on after a rung.

    At least `ceil(len / reduction)`, by non-dominated rank among all that reached the rung (those of `before` belong to
    earlier generations), then by isolation along the costs; and all that are not dominated.
    """
    everyone = [*candidates, *(record for record in before if rung in record.rungs)]
    values = np.array([[record.rungs[rung][name] for name in objectives] for record in everyone], dtype=float)
    directions: list[Direction] = [objective_direction(objective) for objective in objectives]
    ranks = non_dominated_rank(values, directions)
    wanted = math.ceil(len(candidates) / reduction)
    order = sorted(
        range(len(candidates)), key=lambda i: (int(ranks[i]), -_isolation(i, values, ranks), candidates[i].number)
    )
    first = int(ranks.min())
    return {candidates[i].number for place, i in enumerate(order) if place < wanted or int(ranks[i]) == first}


def _isolation(index: int, values: np.ndarray, ranks: np.ndarray) -> float:
    """NSGA-II's crowding distance within the candidate's rank: infinite at the ends."""
    peers = np.flatnonzero(ranks == ranks[index])
    distance = 0.0
    for column in values[peers].T:
        order = np.argsort(column, kind="stable")
        place = int(np.flatnonzero(peers[order] == index)[0])
        spread = float(column[order[-1]] - column[order[0]])
        if place in (0, len(peers) - 1):
            return math.inf
        if spread > 0:
            distance += float(column[order[place + 1]] - column[order[place - 1]]) / spread
    return distance
