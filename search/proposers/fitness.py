"""The width search's evolution: one number for accuracy and cost, and the fittest are the parents."""

from search.config.search import SearchConfig
from search.proposers.base import A, History, Picker, Proposer
from search.proposers.budget import Coster
from search.runs.records import Proposal, Record
from search.seeds import derive_rng
from spaces import Space

_ATTEMPTS = 50


class FitnessProposer(Proposer[A]):
    """K random individuals, then generations of K: half crossovers, half mutants of the K fittest so far.

    Fitness is max(100 accuracy - lambda OPs / OPs of the uniform 1x network, 0) ("Searching for accurate binary neural
    architectures", equation 4); a space without uniform networks takes its largest one for that. Parents are drawn in
    proportion to their fitness; the paper says neither how they are drawn nor how many survive.
    """

    def __init__(self, space: Space[A], config: SearchConfig, seed: int, coster: Coster | None = None) -> None:
        super().__init__(space, config, seed, coster)
        largest = space.split(space.largest())
        unit = largest.space.uniform(1) if largest.space.uniform_ratios else largest.architecture
        self._unit = largest.space.cost(unit).ops

    def fitness(self, record: Record) -> float:
        """The fitness of a finished trial."""
        cost = self.config.fitness_weight * record.metrics["ops"] / self._unit
        return max(100 * record.quality - cost, 0.0)

    def propose(self, generation: int, size: int, history: History) -> list[Proposal]:
        """See `Proposer.propose`."""
        rng = derive_rng(self.seed, "fitness", generation)
        picker = Picker(self.space, self.budget, size, history.taken)
        ranked = sorted(history.finished, key=lambda record: (-self.fitness(record), record.number))
        population = ranked[: self.config.generation]
        if not population:
            return picker.fill(rng)
        parents = [(record.id, self.space.parse(record.architecture)) for record in population]
        weights = [self.fitness(record) + 1e-9 for record in population]
        crossovers = size // 2 if len(parents) > 1 else 0
        for _ in range(size * _ATTEMPTS):
            if picker.full:
                break
            (one, first), (two, second) = rng.choices(parents, weights, k=2)
            if len(picker.proposals) < crossovers:
                picker.offer(self.space.crossover(first, second, rng), "crossover", [one, two])
            else:
                mutant = self.space.mutate(first, rng, self.config.mutation_probability)
                picker.offer(mutant, "mutation", [one])
        return picker.fill(rng)
