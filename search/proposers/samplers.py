"""Optuna's samplers as proposers: NSGA-II and TPE.

A study is made anew in memory for every generation from the trials of the finished ones, with a sampler whose seed
comes from the root seed and the generation, so nothing depends on the order in which trials end. A suggestion that was
tried before, or lies outside the limits, is repaired by a short walk of mutations; Optuna is told the repaired one.
"""

import copy
import warnings
from abc import ABC, abstractmethod
from typing import Any

import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.config.search import SearchConfig
from search.proposers.base import History, Picker
from search.proposers.budget import Budget, Coster
from search.runs.records import Proposal, Record
from search.runs.study import direction, distributions
from search.seeds import derive_rng, derive_seed
from spaces import Space


class _Past(FrozenTrial):
    """A trial that has ended: nobody changes it, so what Optuna copies deeply for every study may be shared."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Past":
        return copy.copy(self)


class _SamplerProposer(ABC):
    """What the two have in common."""

    name = ""

    def __init__(self, space: Space[Any], config: SearchConfig, seed: int, coster: Coster | None = None) -> None:
        self._space = space
        self._config = config
        self._budget = Budget.of(config, coster)
        self._seed = seed
        self._declared = distributions(space.parameters())
        self._past: dict[int, tuple[Record, _Past]] = {}  # made once for every record, by number

    @abstractmethod
    def sampler(self, seed: int) -> BaseSampler:
        """The sampler of one generation."""

    def propose(self, generation: int, size: int, history: History) -> list[Proposal]:
        """See `Proposer.propose`."""
        rng = derive_rng(self._seed, self.name, generation)
        picker = Picker(self._space, self._budget, size, history.taken)
        study = self._study(derive_seed(self._seed, self.name, "sampler", generation) % 2**32, history)
        for _ in range(size):
            trial = study.ask()
            suggested = self._space.suggest(trial)
            architecture = picker.repair(suggested, rng)
            if architecture is None:
                break
            operator = self.name if architecture == suggested else f"{self.name}+repair"
            state = study._storage.get_trial_system_attrs(trial._trial_id)
            picker.offer(architecture, operator, **state)
        return picker.fill(rng)

    def _study(self, seed: int, history: History) -> optuna.Study:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = optuna.create_study(
                sampler=self.sampler(seed), directions=[direction(name) for name in self._config.objectives]
            )
        for record in history.measured:
            known, past = self._past.get(record.number, (None, None))
            if past is None or known is not record:
                past = self._trial(record)
                self._past[record.number] = (record, past)
            study._storage.create_new_trial(study._study_id, past)
        return study

    def _trial(self, record: Record) -> _Past:
        trial = create_trial(
            # one that was stopped early counts with what it had reached, which is less than the others': were it left
            # out, NSGA-II would wait for its generation to become whole
            state=TrialState.COMPLETE,
            values=[record.metrics[objective] for objective in self._config.objectives],
            params=dict(record.params),
            distributions={name: self._declared[name] for name in record.params},
            system_attrs=dict(record.sampler_state),
        )
        trial.__class__ = _Past
        return trial  # type: ignore[return-value]


class Nsga2Proposer(_SamplerProposer):
    """NSGA-II; a population is a generation."""

    name = "nsga2"

    def sampler(self, seed: int) -> BaseSampler:
        """See `_SamplerProposer.sampler`."""
        return NSGAIISampler(population_size=max(2, self._config.generation), seed=seed)


class TpeProposer(_SamplerProposer):
    """Multivariate TPE (multi-objective); trials of one generation are told apart as running (constant liar)."""

    name = "tpe"

    def sampler(self, seed: int) -> BaseSampler:
        """See `_SamplerProposer.sampler`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return TPESampler(multivariate=True, constant_liar=True, seed=seed)
