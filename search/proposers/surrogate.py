"""A model of accuracy over genes chooses, of many candidates, those that are expected to move the front."""

# scikit-learn is untyped
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false

import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from search.config.search import SearchConfig
from search.proposers.base import A, History, Picker, Proposer
from search.proposers.budget import Coster
from search.proposers.evolution import EvolutionProposer
from search.runs.records import Proposal, Record
from search.seeds import derive_rng, derive_seed
from spaces import Space
from spaces.parameters import Choice, to_places

Floats = npt.NDArray[np.float64]

_TREES = 64
_EVOLVED, _DRAWN = 8, 3
"""Candidates of the evolution, and random ones, from which each that is proposed is chosen."""
_DIRECTIONS = 96
_QUANTILES = (-1.6, -0.7, 0.0, 0.7, 1.6)
"""In deviations, with weights as the normal density has them: five points of an expectation."""


class SurrogateProposer(Proposer[A]):
    """The first generation is that of `evolution`. Then a random forest learns accuracy from the genes and the logs of
    the costs of what was measured; a pool of candidates, from the evolution and drawn uniformly within the budget, is
    predicted; and those are taken, one after another, that are expected to add most to the
    hypervolume. Their costs are known; the accuracy of one is normal with the mean and the deviation of the trees.

    The hypervolume of a front Y, scaled so that its reference is the origin, is the mean over directions w on the
    positive sphere of max over y in Y of min over i of (y_i / w_i)^k, for k objectives, but for a constant (Golovin and
    Zhang, "Random hypervolume scalarizations for provable multi-objective black box optimization", 2020). So an
    improvement is, for each direction, what the candidate has above the front's largest, for any number of objectives.
    A candidate that is taken counts as measured, with the mean that was predicted, which keeps the next ones apart.
    """

    def __init__(self, space: Space[A], config: SearchConfig, seed: int, coster: Coster | None = None) -> None:
        super().__init__(space, config, seed, coster)
        self._evolution = EvolutionProposer(space, config, seed, coster)
        self._parameters = space.parameters()
        self._coster = coster

    def propose(self, generation: int, size: int, history: History) -> list[Proposal]:
        """See `Proposer.propose`."""
        measured = [record for record in history.measured if set(self.config.objectives) <= record.metrics.keys()]
        if len(measured) < 2:
            return self._evolution.propose(generation, size, history)
        rng = derive_rng(self.seed, "surrogate", generation)
        picker = Picker(self.space, self.budget, size, history.taken)
        pool = self._pool(generation, size, history, rng)
        if not pool:
            return picker.fill(rng)
        members = [self.space.parse(proposal.architecture) for proposal in pool]
        means, deviations = self._predicted(measured, members, derive_seed(self.seed, "forest", generation))
        for place in self._chosen(measured, members, means, deviations, size, generation):
            proposal = pool[place]
            picker.offer(members[place], f"surrogate+{proposal.operator}", proposal.parents)
        return picker.fill(rng)

    def _pool(self, generation: int, size: int, history: History, rng: random.Random) -> list[Proposal]:
        """Candidates from the evolution, and random ones."""
        found = self._evolution.propose(generation, _EVOLVED * size, history)
        taken = history.taken | {proposal.id for proposal in found}
        drawn = Picker(self.space, self.budget, _DRAWN * size, taken)
        return [*found, *drawn.fill(rng)]

    def _features(self, members: Sequence[A]) -> Floats:
        """Genes as numbers, of choices one for each of them, and the logs of operations and parameters; (members,
        features)."""
        rows: list[list[float]] = []
        for member in members:
            places = to_places(self._parameters, self.space.encode(member))
            row: list[float] = []
            for parameter in self._parameters:
                value = places.get(parameter.name)
                if isinstance(parameter, Choice):
                    row += [float(value == choice) for choice in parameter.choices]
                else:
                    row.append(-1.0 if value is None else float(value))
            rows.append(row)
        costs = self.space.costs(list(members))
        return np.column_stack([np.asarray(rows), np.log1p(costs.ops), np.log1p(costs.params)])

    def _predicted(self, measured: Sequence[Record], members: Sequence[A], seed: int) -> tuple[Floats, Floats]:
        """Mean and deviation of the quality of candidates, by the trees of a forest; (members,) each."""
        from sklearn.ensemble import RandomForestRegressor  # takes a second to load

        forest = RandomForestRegressor(_TREES, min_samples_leaf=2, max_features=0.5, random_state=seed % 2**32)
        known = self._features([self.space.parse(record.architecture) for record in measured])
        forest.fit(known, [record.metrics[self.config.objectives[0]] for record in measured])
        wanted = self._features(members).astype(np.float32)
        each = np.stack([tree.tree_.predict(wanted)[:, 0] for tree in forest.estimators_])
        return each.mean(axis=0), each.std(axis=0)

    def _costs(self, members: Sequence[A]) -> Floats:
        """What the members cost, in the order of the objectives: (members, objectives - 1)."""
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

    def _chosen(
        self, measured: Sequence[Record], members: Sequence[A], means: Floats, deviations: Floats, size: int, turn: int
    ) -> list[int]:
        """The places of the candidates that are taken, in turn."""
        names = self.config.objectives
        seen = np.asarray([[record.metrics[name] for name in names] for record in measured])
        costs = self._costs(members)
        worst = np.vstack([seen[:, 1:], costs]).max(axis=0, initial=1.0) * 1.01
        low, high = seen[:, 0].min() - 0.01, max(seen[:, 0].max(), means.max()) + 0.01

        def gains(quality: Floats, cost: Floats) -> Floats:
            """How much better than the reference, in shares of the range; (..., objectives)."""
            better = 1 - np.log1p(cost) / np.log1p(worst)
            shape = (*quality.shape, better.shape[-1])
            spread = np.broadcast_to(better if quality.ndim == 1 else better[:, None, :], shape)
            return np.concatenate([((quality - low) / (high - low))[..., None], spread], axis=-1).clip(min=0)

        directions = _directions(len(names), derive_rng(self.seed, "directions", turn))
        front = _scaled(gains(seen[:, 0], seen[:, 1:]), directions).max(axis=0)  # (directions,)
        weights = np.exp(-0.5 * np.square(_QUANTILES))
        possible = means[:, None] + deviations[:, None] * np.asarray(_QUANTILES)  # (members, quantiles)
        hoped = _scaled(gains(possible, costs), directions)  # (members, quantiles, directions)
        expected = _scaled(gains(means, costs), directions)  # (members, directions)
        chosen: list[int] = []
        for _ in range(min(size, len(members))):
            improvement = np.maximum(hoped - front, 0).mean(axis=2) @ (weights / weights.sum())
            improvement[chosen] = -1
            chosen.append(int(improvement.argmax()))
            front = np.maximum(front, expected[chosen[-1]])
        return chosen


def _directions(objectives: int, rng: random.Random) -> Floats:
    """Directions on the positive part of the unit sphere, uniform; (directions, objectives)."""
    drawn = np.abs([[rng.gauss(0, 1) for _ in range(objectives)] for _ in range(_DIRECTIONS)]) + 1e-9
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def _scaled(gains: Floats, directions: Floats) -> Floats:
    """min over i of (gain_i / w_i)^objectives: (..., objectives) -> (..., directions)."""
    return (gains[..., None, :] / directions).min(axis=-1) ** directions.shape[1]
