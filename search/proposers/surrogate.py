"""A model of accuracy over genes chooses, of many candidates, those that are expected to move the front."""

import random
from collections.abc import Sequence
from typing import Generic

import numpy as np
import numpy.typing as npt

from analysis.measures.pareto import non_dominated_rank
from analysis.runs.schema import objective_direction
from search.config.search import SearchConfig
from search.proposers.base import A, History, Picker, Proposer
from search.proposers.budget import Coster
from search.proposers.evolution import EvolutionProposer
from search.proposers.improvement import Improvement
from search.proposers.model import AccuracyModel
from search.runs.records import Proposal, Record
from search.seeds import derive_rng
from spaces import Space

Floats = npt.NDArray[np.float64]

_EVOLVED, _DRAWN = 8, 4
"""Candidates of the evolution, and random ones, among which each that is proposed is looked for."""
_CLIMBS, _NEAR = 2, 8
"""Turns of looking around the best of them, and the candidates that each turn adds."""
_STEPS = (0.0, 0.1)  # probabilities of a mutation: one gene, or some
_CROSSED = 0.25
_MOST = 256
"""Trials that the model learns from: its time grows with the third power of their number."""


class SurrogateProposer(Proposer[A]):
    """The first generation is that of `evolution`. Then a Gaussian process learns accuracy from the genes and the costs
    of what was measured (`AccuracyModel`). Candidates from the evolution and others that are drawn uniformly within the
    budget are a pool; mutants and crossovers of its best are added to it, twice; and those are taken, one after
    another, that are expected to add most to the hypervolume (`Improvement`). Their costs are known.
    """

    def __init__(self, space: Space[A], config: SearchConfig, seed: int, coster: Coster | None = None) -> None:
        super().__init__(space, config, seed, coster)
        self._evolution = EvolutionProposer(space, config, seed, coster)
        self._coster = coster

    def propose(self, generation: int, size: int, history: History) -> list[Proposal]:
        """See `Proposer.propose`."""
        names = self.config.objectives
        measured = [record for record in history.measured if set(names) <= record.metrics.keys()]
        if len(measured) < 2:
            return self._evolution.propose(generation, size, history)
        rng = derive_rng(self.seed, "surrogate", generation)
        picker = Picker(self.space, self.budget, size, history.taken)
        seen = np.asarray([[record.metrics[name] for name in names] for record in measured])
        model = self._model([measured[row] for row in self._learnt(seen, rng)])
        improvement = Improvement(seen[:, 0], seen[:, 1:], derive_rng(self.seed, "directions", generation))
        pool = _Pool(self._begin(generation, size, history, rng), self, model, improvement)
        for _ in range(_CLIMBS):
            pool.add(self._around(pool.best(2 * size), size, history.taken | pool.ids, rng))
        for proposal, member in pool.best(size):
            picker.offer(member, f"surrogate+{proposal.operator}", proposal.parents)
        return picker.fill(rng)

    def _model(self, records: Sequence[Record]) -> AccuracyModel[A]:
        model = AccuracyModel(self.space)
        members = [self.space.parse(record.architecture) for record in records]
        model.fit(members, [record.metrics[self.config.objectives[0]] for record in records])
        return model

    def _learnt(self, seen: Floats, rng: random.Random) -> list[int]:
        """The trials that the model learns from, by row: all of them or, of many, half the nearest to the front and
        half drawn from the others."""
        if len(seen) <= _MOST:
            return list(range(len(seen)))
        ranks = non_dominated_rank(seen, [objective_direction(name) for name in self.config.objectives])
        order = np.argsort(ranks, kind="stable").tolist()
        near, rest = order[: _MOST // 2], order[_MOST // 2 :]
        return sorted([*near, *rng.sample(rest, _MOST - len(near))])

    def _begin(self, generation: int, size: int, history: History, rng: random.Random) -> list[Proposal]:
        """Candidates from the evolution, and random ones."""
        found = self._evolution.propose(generation, _EVOLVED * size, history)
        taken = history.taken | {proposal.id for proposal in found}
        return [*found, *Picker(self.space, self.budget, _DRAWN * size, taken).fill(rng)]

    def _around(
        self, best: Sequence[tuple[Proposal, A]], size: int, taken: set[str], rng: random.Random
    ) -> list[Proposal]:
        """Mutants of the best candidates, and crossovers of them."""
        picker = Picker(self.space, self.budget, _NEAR * size, taken)
        for _ in range(4 * picker.size if best else 0):
            if picker.full:
                break
            (proposal, member), (_, other) = rng.choice(best), rng.choice(best)
            if rng.random() < _CROSSED:
                picker.offer(self.space.crossover(member, other, rng), "crossover", proposal.parents)
            else:
                picker.offer(self.space.mutate(member, rng, rng.choice(_STEPS)), "mutation", proposal.parents)
        return picker.proposals

    def costs(self, members: Sequence[A]) -> Floats:
        """What members cost, in the order of the objectives: (members, objectives - 1)."""
        costs = self.space.costs(list(members))
        known = {"ops": costs.ops, "params": costs.params, "bytes": np.ceil(costs.bits / 8)}
        columns = [
            known[name] if name in known else [self._latency(member) for member in members]
            for name in self.config.objectives[1:]
        ]
        return np.asarray(columns, dtype=np.float64).T.reshape(len(members), -1)

    def _latency(self, member: A) -> float:
        assert self._coster is not None, "a search with latencies has a table of them"
        return self._coster.latency_ms(member)


class _Pool(Generic[A]):
    """Candidates with what a model expects of them."""

    def __init__(
        self,
        proposals: Sequence[Proposal],
        proposer: SurrogateProposer[A],
        model: AccuracyModel[A],
        improvement: Improvement,
    ) -> None:
        self._proposer, self._model, self._improvement = proposer, model, improvement
        self._proposals, self._members = list[Proposal](), list[A]()
        self._means, self._deviations = np.empty(0), np.empty(0)
        self._costs = np.empty((0, len(proposer.config.objectives) - 1))
        self.add(proposals)

    @property
    def ids(self) -> set[str]:
        """Those of all candidates."""
        return {proposal.id for proposal in self._proposals}

    def add(self, proposals: Sequence[Proposal]) -> None:
        """Take more candidates."""
        if not proposals:
            return
        members = [self._proposer.space.parse(proposal.architecture) for proposal in proposals]
        means, deviations = self._model.predict(members)
        self._proposals += proposals
        self._members += members
        self._means, self._deviations = np.append(self._means, means), np.append(self._deviations, deviations)
        self._costs = np.vstack([self._costs, self._proposer.costs(members)])

    def best(self, size: int) -> list[tuple[Proposal, A]]:
        """The candidates that add most to the front together, up to so many."""
        places = self._improvement.chosen(self._means, self._deviations, self._costs, size)
        return [(self._proposals[place], self._members[place]) for place in places]
