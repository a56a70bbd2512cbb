"""Optuna's samplers as proposers: NSGA-II, TPE and Gaussian processes by name, and any other of Optuna's or a package.

Every generation makes a new study in memory from the trials of the finished generations, with a sampler whose seed
comes from the root seed and the generation, so nothing depends on the order in which trials end. Numbers of a list are
searched by their places. A suggestion that was tried before, or lies outside the budget, is repaired by a short walk of
mutations.
"""

import copy
import inspect
import warnings
from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime

import optuna
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from search.config.search import SearchConfig
from search.config.sections import ConfigError
from search.proposers.base import A, History, Picker, Proposer
from search.proposers.budget import Coster
from search.runs.records import Proposal, Record
from search.runs.study import constraint_attributes, direction, distributions, quiet
from search.seeds import derive_rng, derive_seed
from spaces import Space
from spaces.errors import listed
from spaces.parameters import by_place, from_places, suggest_values, to_places


class _Past(FrozenTrial):
    """A trial that has ended. Nobody changes it, so studies share what Optuna would copy deeply for each of them."""

    def __deepcopy__(self, memo: dict[int, object]) -> "_Past":
        return copy.copy(self)


class SamplerProposer(Proposer[A]):
    """What all of them have in common; `name` is that of the operator, and of the random streams."""

    heeds_constraints = True
    name: str

    def __init__(self, space: Space[A], config: SearchConfig, seed: int, coster: Coster | None = None) -> None:
        super().__init__(space, config, seed, coster)
        self._parameters = space.parameters()
        self._asked = by_place(self._parameters)
        self._declared = distributions(self._asked)
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
            suggested = self.space.decode(from_places(self._parameters, suggest_values(self._asked, trial)))
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
            params = to_places(self._parameters, self.space.encode(self.space.parse(record.architecture)))
            now = datetime.now()  # noqa: DTZ005 - Optuna's times have no zone
            constraints = constraint_attributes(self.config.constraints, record.metrics)
            past = _Past(
                number=-1,  # number and trial_id are given by the study
                trial_id=-1,
                state=TrialState.COMPLETE,
                value=None,
                values=[record.metrics[objective] for objective in self.config.objectives],
                params=dict(params),
                distributions={name: self._declared[name] for name in params},
                user_attrs={},
                system_attrs={**record.sampler_state, **constraints},
                intermediate_values={},
                datetime_start=now,
                datetime_complete=now,
            )
            self._past[record.number] = (record, past)
        return past


class Nsga2Proposer(SamplerProposer[A]):
    """NSGA-II; a population is a generation (Deb et al., "A fast and elitist multiobjective genetic algorithm", 2002).

    Trials are sorted by the number of the front that they are on once all fronts before it are taken away, then by
    crowding distance, the sum over objectives m of (f_m(next) - f_m(previous)) / (max f_m - min f_m). The best
    `generation` of them are the parents; each is the winner of a tournament of two. Genes are crossed uniformly, and
    mutated with probability 1 / genes.
    """

    name = "nsga2"

    def sampler(self, seed: int) -> BaseSampler:
        """See `SamplerProposer.sampler`."""
        return NSGAIISampler(population_size=max(2, self.config.generation), seed=seed)


class TpeProposer(SamplerProposer[A]):
    """Multivariate TPE with several objectives (Bergstra et al., "Algorithms for hyper-parameter optimization", 2011;
    Ozaki et al., "Multiobjective tree-structured Parzen estimator", 2022).

    Parzen estimators l(x) of the best trials (by front, then by hypervolume) and g(x) of the others are fitted over all
    genes together; of several draws from l the one with the largest l(x) / g(x) is proposed. Trials of the generation
    that is being proposed count as bad ones (constant liar), which keeps its candidates apart.
    """

    name = "tpe"

    def sampler(self, seed: int) -> BaseSampler:
        """See `SamplerProposer.sampler`."""
        return TPESampler(multivariate=True, constant_liar=True, seed=seed)


class GpProposer(SamplerProposer[A]):
    """Optuna's Gaussian processes, one for each objective (Watanabe, "Optuna's GPSampler"; Daulton et al.,
    "Differentiable expected hypervolume improvement for parallel multi-objective Bayesian optimization", 2020).

    Matern kernels (nu = 5/2) with a length for every gene are fitted to all trials, of costs as well as of accuracy,
    and the member with the largest logarithm of expected hypervolume improvement is proposed. Trials of the generation
    that is being proposed are imagined to have the values that the processes expect. It takes a good part of a second
    a candidate.
    """

    name = "gp"

    def sampler(self, seed: int) -> BaseSampler:
        """See `SamplerProposer.sampler`."""
        return GPSampler(seed=seed)


class AnySamplerProposer(SamplerProposer[A]):
    """A sampler that a configuration names, with the arguments of `search.proposer_options`; see `for_sampler`."""

    def __init__(
        self, kind: type[BaseSampler], space: Space[A], config: SearchConfig, seed: int, coster: Coster | None
    ) -> None:
        super().__init__(space, config, seed, coster)
        self.name = kind.__name__.removesuffix("Sampler").lower()
        self._kind = kind
        check_arguments(kind, config.proposer, config.proposer_options, ("seed",))

    def sampler(self, seed: int) -> BaseSampler:
        """The sampler, with its own seed where it takes one; else what it draws cannot be repeated."""
        takes_seed = "seed" in inspect.signature(self._kind).parameters
        seeded: Mapping[str, object] = {"seed": seed} if takes_seed else {}
        try:
            return self._kind(**self.config.proposer_options, **seeded)
        except ImportError as error:
            raise ConfigError(f"search.proposer {self.config.proposer} needs a package: {error}") from error
        except (TypeError, ValueError) as error:
            raise ConfigError(f"search.proposer_options of {self.config.proposer}: {error}") from error


def check_arguments(kind: type[object], name: str, options: Mapping[str, object], taken: tuple[str, ...]) -> None:
    """Raise `ConfigError` for options that a class has no arguments for, or that are set already."""
    arguments = inspect.signature(kind).parameters.values()
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in arguments):
        return
    known = [each.name for each in arguments if each.name not in taken]
    wrong = [option for option in options if option not in known]
    if wrong:
        words = f"its arguments are {listed(known)}" if known else "it has none"
        raise ConfigError(f"search.proposer_options: {name} has no {listed(wrong)}; {words}")
