"""NAS-BNN's evolution: the best of every bin of the cost are the parents of the next generation."""

from analysis.runs.schema import LATENCY
from search.config.search import SearchConfig
from search.proposers.base import A, History, Picker, Proposer
from search.proposers.budget import Coster
from search.runs.records import Proposal, Record
from search.seeds import derive_rng
from spaces import Space

_ATTEMPTS = 50


class EvolutionProposer(Proposer[A]):
    """First random candidates, the smallest and the largest among them; then half mutants, half crossovers.

    Parents are drawn from the most accurate candidate of every bin of the first cost objective (OPs, unless another is
    searched), so that the search covers the whole range of costs (NAS-BNN, section 4.1.2 and its public recipe).
    A cost c between low and high is in bin floor((c - low) / w) of width w = (high - low) / bins. The bins divide the
    range of the limits or, without limits, the range between the smallest and the largest network; bins of latency, the
    range that was seen so far, as the smallest network need not be the fastest.
    Mutants and crossovers are members of the space by construction; repeats and candidates outside the limits are drawn
    again.
    """

    def __init__(self, space: Space[A], config: SearchConfig, seed: int, coster: Coster | None = None) -> None:
        super().__init__(space, config, seed, coster)
        self._cost = next(iter(config.objectives[1:]), "ops")
        self._range = None if self._cost == LATENCY else self._known_range()

    def _known_range(self) -> tuple[float, float]:
        space, config = self.space, self.config
        low, high = (float(getattr(space.cost(end), self._cost)) for end in (space.smallest(), space.largest()))
        if self._cost == "ops":
            low, high = max(low, config.ops_min or low), min(high, config.ops_max or high)
        return low, high

    def propose(self, generation: int, size: int, history: History) -> list[Proposal]:
        """See `Proposer.propose`."""
        rng = derive_rng(self.seed, "evolution", generation)
        picker = Picker(self.space, self.budget, size, history.taken)
        elite = self.elite(history.finished)
        if not elite:
            picker.offer(self.space.smallest(), "smallest")
            picker.offer(self.space.largest(), "largest")
            return picker.fill(rng)
        parents = [(record.id, self.space.parse(record.architecture)) for record in elite]
        mutants = (size + 1) // 2
        for _ in range(mutants * _ATTEMPTS):
            if len(picker.proposals) == mutants:
                break
            identity, parent = rng.choice(parents)
            picker.offer(self.space.mutate(parent, rng, self.config.mutation_probability), "mutation", [identity])
        for _ in range(mutants * _ATTEMPTS):
            if picker.full:
                break
            (one, first), (two, second) = rng.choice(parents), rng.choice(parents)
            picker.offer(self.space.crossover(first, second, rng), "crossover", [one, two])
        return picker.fill(rng)

    def elite(self, finished: list[Record]) -> list[Record]:
        """The most accurate candidate of every bin (the first tried, where several are equal), by bin."""
        best: dict[int, Record] = {}
        costs = [record.metrics[self._cost] for record in finished]
        low, high = self._range or (min(costs, default=0.0), max(costs, default=0.0))
        width = max((high - low) / self.config.bins, 1e-9)
        for record, cost in zip(finished, costs, strict=True):
            place = min(max(int((cost - low) / width), 0), self.config.bins - 1)
            if place not in best or record.quality > best[place].quality:
                best[place] = record
        return [best[place] for place in sorted(best)]
