"""Optuna's samplers as proposers: NSGA-II and TPE.

Every generation makes a new study in memory from the trials of the finished generations, with a sampler whose seed
comes from the root seed and the generation, so nothing depends on the order in which trials end. A suggestion that was
tried before, or lies outside the budget, is repaired by a short walk of mutations.
"""

import copy
import warnings
from abc import abstractmethod
from datetime import datetime
from typing import ClassVar

import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from search.config.search import SearchConfig
from search.proposers.base import A, History, Picker, Proposer
from search.proposers.budget import Coster
from search.runs.records import Proposal, Record
from search.runs.study import direction, distributions, quiet
from search.seeds import derive_rng, derive_seed
from spaces import Space


class _Past(FrozenTrial):
    """A trial that has ended. Nobody changes it, so studies share what Optuna would copy deeply for each of them."""

    def __deepcopy__(self, memo: dict[int, object]) -> "_Past":
        return copy.copy(self)


class _SamplerProposer(Proposer[A]):
    """What the two have in common; `name` is that of the operator, and of the random streams."""

    name: ClassVar[str]

    def __init__(self, space: Space[A], config: SearchConfig, seed: int, coster: Coster | None = None) -> None:
        super().__init__(space, config, seed, coster)
        self._declared = distributions(space.parameters())
        self._past: dict[int, tuple[Record, _Past]] = {}  # by number; each record's trial is made once

    @abstractmethod
    def sampler(self, seed: int) -> BaseSampler:
        """The sampler of one generation."""

    def propose(self, generation: int, size: int, history: History) -> list[Proposal]:
        """See `Proposer.propose`."""
        rng = derive_rng(self.seed, self.name, generation)
        picker = Picker(self.space, self.budget, size, history.taken)
        storage = InMemoryStorage()
        with warnings.catch_warnings(), quiet():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = self.sampler(derive_seed(self.seed, self.name, "sampler", generation) % 2**32)
            directions = [direction(name) for name in self.config.objectives]
            study = optuna.create_study(storage=storage, sampler=sampler, directions=directions)
        study_id = storage.get_study_id_from_name(study.study_name)
        for record in history.measured:
            storage.create_new_trial(study_id, self._trial(record))
        for _ in range(size):
            trial = study.ask()
            suggested = self.space.suggest(trial)
            member = picker.repair(suggested, rng)
            if member is None:
                break
            trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
            operator = self.name if member == suggested else f"{self.name}+repair"
            picker.offer(member, operator, **storage.get_trial_system_attrs(trial_id))
        return picker.fill(rng)

    def _trial(self, record: Record) -> _Past:
        """A record as Optuna's trial. One that was stopped early counts with what it had reached: were it left out,
        NSGA-II would wait for its generation to become whole."""
        known, past = self._past.get(record.number, (None, None))
        if past is None or known is not record:
            params = self.space.encode(self.space.parse(record.architecture))
            now = datetime.now()  # noqa: DTZ005 - Optuna's times have no zone
            past = _Past(
                number=-1,  # number and trial_id are given by the study
                trial_id=-1,
                state=TrialState.COMPLETE,
                value=None,
                values=[record.metrics[objective] for objective in self.config.objectives],
                params=dict(params),
                distributions={name: self._declared[name] for name in params},
                user_attrs={},
                system_attrs=dict(record.sampler_state),
                intermediate_values={},
                datetime_start=now,
                datetime_complete=now,
            )
            self._past[record.number] = (record, past)
        return past


class Nsga2Proposer(_SamplerProposer[A]):
    """NSGA-II; a population is a generation (Deb et al., "A fast and elitist multiobjective genetic algorithm", 2002).

    Trials are sorted by the number of the front that they are on once all fronts before it are taken away, then by
    crowding distance, the sum over objectives m of (f_m(next) - f_m(previous)) / (max f_m - min f_m). The best
    `generation` of them are the parents; each is the winner of a tournament of two. Genes are crossed uniformly, and
    mutated with probability 1 / genes.
    """

    name = "nsga2"

    def sampler(self, seed: int) -> BaseSampler:
        """See `_SamplerProposer.sampler`."""
        return NSGAIISampler(population_size=max(2, self.config.generation), seed=seed)


class TpeProposer(_SamplerProposer[A]):
    """Multivariate TPE with several objectives (Bergstra et al., "Algorithms for hyper-parameter optimization", 2011;
    Ozaki et al., "Multiobjective tree-structured Parzen estimator", 2022).

    Parzen estimators l(x) of the best trials (by front, then by hypervolume) and g(x) of the others are fitted over all
    genes together; of several draws from l the one with the largest l(x) / g(x) is proposed. Trials of the generation
    that is being proposed count as bad ones (constant liar), which keeps its candidates apart.
    """

    name = "tpe"

    def sampler(self, seed: int) -> BaseSampler:
        """See `_SamplerProposer.sampler`."""
        return TPESampler(multivariate=True, constant_liar=True, seed=seed)
