"""The width search's evolution: one number for accuracy and cost, and the fittest are the parents."""

from typing import Any

from search.config.search import SearchConfig
from search.proposers.base import History, Picker
from search.proposers.budget import Budget, Coster
from search.runs.records import Proposal, Record
from search.seeds import derive_rng
from spaces import Space

_ATTEMPTS = 50


class FitnessProposer:
    """K random individuals, then generations of K: half crossovers, half mutants of the K fittest so far.

    Fitness is max(100 accuracy - lambda OPs / OPs of the uniform 1x network, 0) ("Searching for accurate binary neural
    architectures", equation 4); a space without uniform networks takes its largest one for that. Parents are drawn in
    proportion to their fitness; the paper says neither how they are drawn nor how many survive.
    """

    def __init__(self, space: Space[Any], config: SearchConfig, seed: int, coster: Coster | None = None) -> None:
        self._space = space
        self._config = config
        self._budget = Budget.of(config, coster)
        self._seed = seed
        largest = space.split(space.largest())
        unit = largest.space.uniform(1) if largest.space.uniform_ratios else largest.architecture
        self._unit = largest.space.cost(unit).ops

    def fitness(self, record: Record) -> float:
        """The fitness of a finished trial."""
        cost = self._config.fitness_weight * record.metrics["ops"] / self._unit
        return max(100 * record.metrics["accuracy"] - cost, 0.0)

    def propose(self, generation: int, size: int, history: History) -> list[Proposal]:
        """See `Proposer.propose`."""
        rng = derive_rng(self._seed, "fitness", generation)
        picker = Picker(self._space, self._budget, size, history.taken)
        ranked = sorted(history.finished, key=lambda record: (-self.fitness(record), record.number))
        population = ranked[: self._config.generation]
        if not population:
            return picker.fill(rng)
        parents = [(record.id, self._space.parse(record.architecture)) for record in population]
        weights = [self.fitness(record) + 1e-9 for record in population]
        crossovers = size // 2 if len(parents) > 1 else 0
        for _ in range(size * _ATTEMPTS):
            if picker.full:
                break
            (one, first), (two, second) = rng.choices(parents, weights, k=2)
            if len(picker.proposals) < crossovers:
                picker.offer(self._space.crossover(first, second, rng), "crossover", [one, two])
            else:
                mutant = self._space.mutate(first, rng, self._config.mutation_probability)
                picker.offer(mutant, "mutation", [one])
        return picker.fill(rng)
