"""NAS-BNN's evolution: the best of every bin of the cost are the parents of the next generation."""

from typing import Any

from analysis.runs.schema import LATENCY
from search.config.search import SearchConfig
from search.proposers.base import History, Picker
from search.proposers.budget import Budget, Coster
from search.runs.records import Proposal, Record
from search.seeds import derive_rng
from spaces import Space

_ATTEMPTS = 50


class EvolutionProposer:
    """First random candidates, the smallest and the largest among them; then half mutants, half crossovers.

    Parents are drawn from the most accurate candidate of every bin of the first cost objective (OPs, unless another is
    searched), so the whole range of costs goes on being searched (NAS-BNN, section 4.1.2 and its public recipe). The
    bins divide the range of the limits or, without limits, the range between the smallest and the largest network;
    bins of latency, the range that has been seen so far, as the smallest network need not be the fastest.
    Mutants and crossovers are members of the space by construction; repeats and candidates outside the limits are drawn
    again.
    """

    def __init__(self, space: Space[Any], config: SearchConfig, seed: int, coster: Coster | None = None) -> None:
        self._space = space
        self._config = config
        self._budget = Budget.of(config, coster)
        self._seed = seed
        costs = config.objectives[1:]
        self._cost = costs[0] if costs else "ops"
        self._range = None if self._cost == LATENCY else self._known_range()

    def _known_range(self) -> tuple[float, float]:
        space, config = self._space, self._config
        low, high = (float(getattr(space.cost(end), self._cost)) for end in (space.smallest(), space.largest()))
        if self._cost == "ops":
            low, high = max(low, config.ops_min or low), min(high, config.ops_max or high)
        return low, high

    def propose(self, generation: int, size: int, history: History) -> list[Proposal]:
        """See `Proposer.propose`."""
        rng = derive_rng(self._seed, "evolution", generation)
        picker = Picker(self._space, self._budget, size, history.taken)
        elite = self.elite(history.finished)
        if not elite:
            picker.offer(self._space.smallest(), "smallest")
            picker.offer(self._space.largest(), "largest")
            return picker.fill(rng)
        parents = [(record.id, self._space.parse(record.architecture)) for record in elite]
        mutants = (size + 1) // 2
        for _ in range(mutants * _ATTEMPTS):
            if len(picker.proposals) == mutants:
                break
            identity, parent = rng.choice(parents)
            picker.offer(self._space.mutate(parent, rng, self._config.mutation_probability), "mutation", [identity])
        for _ in range(mutants * _ATTEMPTS):
            if picker.full:
                break
            (one, first), (two, second) = rng.choice(parents), rng.choice(parents)
            picker.offer(self._space.crossover(first, second, rng), "crossover", [one, two])
        return picker.fill(rng)

    def elite(self, finished: list[Record]) -> list[Record]:
        """The most accurate candidate of every bin (the first tried, where several are equal), by bin."""
        best: dict[int, Record] = {}
        costs = [record.metrics[self._cost] for record in finished]
        low, high = self._range or (min(costs, default=0.0), max(costs, default=0.0))
        width = max((high - low) / self._config.bins, 1e-9)
        for record, cost in zip(finished, costs, strict=True):
            place = int((cost - low) / width)
            place = min(max(place, 0), self._config.bins - 1)
            if place not in best or record.metrics["accuracy"] > best[place].metrics["accuracy"]:
                best[place] = record
        return [best[place] for place in sorted(best)]
