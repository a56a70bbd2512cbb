"""The study: an Optuna journal that is the truth about a run's trials.

The journal is one file that optuna-dashboard opens. One record creates a trial with its architecture, one ends it.
Everything that matters about its end is in the attribute written before the state changes, so a trial counts as
finished only when all of it is on disk; `search.runs.journal` syncs when a trial ends.
"""

import dataclasses
import math
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from optuna import logging
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from analysis.runs.journal_lines import JournalError
from search.config.search import QUALITIES, ConstraintConfig
from search.runs.journal import Journal, ReadOnlyJournal
from search.runs.records import Outcome, Proposal, Record, Stage, State
from search.seeds import derive_seed
from spaces.parameters import Choice, Ordered, Parameter, Range, Values, by_place, is_active, to_places

_RUNGS = "rungs"
_REAL = ("parameters", "real values")  # an attribute of a study whose trials do not have places
_FAR = 1e30  # JSON has no infinity
_MEASURED = ("metrics", "facts", "reason", "attempt", "seconds", "host", "worker")
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")
_STATES = {
    TrialState.WAITING: State.WAITING,
    TrialState.RUNNING: State.RUNNING,
    TrialState.COMPLETE: State.FINISHED,
    TrialState.FAIL: State.FAILED,
    TrialState.PRUNED: State.PRUNED,
}


class Study:
    """The trials of one stage of a run, in a journal. One process writes at a time (the run's lock sees to that)."""

    def __init__(
        self,
        journal: Path,
        stage: Stage,
        objectives: Sequence[str],
        parameters: Sequence[Parameter],
        seed: int,
        constraints: Mapping[str, ConstraintConfig] | None = None,
    ) -> None:
        self.stage = stage
        self.objectives = tuple(objectives)
        self._seed = seed
        self._parameters, self._constraints = tuple(parameters), constraints or {}
        self._journal = Journal(journal)
        self._storage = JournalStorage(self._journal)

    @cached_property
    def _id(self) -> int:
        """The study in the journal, which is made with its first trial: one without trials is of no use to anyone."""
        if self._is_there():
            return self._storage.get_study_id_from_name(self.stage.value)
        directions = [direction(objective) for objective in self.objectives]
        with quiet():
            identity = self._storage.create_new_study(directions, self.stage.value)
        self._storage.set_study_system_attr(identity, "study:metric_names", list(self.objectives))
        self._storage.set_study_user_attr(identity, *_REAL)
        return identity

    def _is_there(self) -> bool:
        return any(study.study_name == self.stage.value for study in self._storage.get_all_studies())

    @cached_property
    def _by_place(self) -> bool:
        """Whether trials have places where lists have numbers: a study that began so, as earlier ones, goes on so."""
        return _REAL[0] not in self._storage.get_study_user_attrs(self._id)

    def at_once(self) -> AbstractContextManager[None]:
        """What is written inside is durable when this is left, and not before; see `Journal.at_once`."""
        return self._journal.at_once()

    @cached_property
    def _declared(self) -> dict[str, BaseDistribution]:
        return distributions(by_place(self._parameters) if self._by_place else self._parameters)

    def records(self) -> list[Record]:
        """Every trial, by number."""
        if not self._is_there():
            return []
        return [to_record(trial, self.stage) for trial in self._storage.get_all_trials(self._id, deepcopy=False)]

    def note(self, key: str, value: Mapping[str, int] | str) -> None:
        """Keep a decision or a result that is of no trial; durable when this returns."""
        self._storage.set_study_user_attr(self._id, key, value if isinstance(value, str) else dict(value))

    def noted(self, key: str) -> Any:
        """What was kept, None where nothing was."""
        return self._storage.get_study_user_attrs(self._id).get(key) if self._is_there() else None

    def create(self, proposal: Proposal, generation: int, proposer: str, setting: Values) -> Record:
        """Add a trial that waits to be run, with what counts of its parameters' setting."""
        parameters = [p for p in self._parameters if p.name in setting and is_active(p, setting)]
        params = dict(setting) if not self._by_place else to_places(self._parameters, setting)
        declared = {p.name: self._declared[p.name] for p in parameters}
        attributes = {
            "architecture": proposal.architecture,
            "id": proposal.id,
            "generation": generation,
            "proposer": proposer,
            "operator": proposal.operator,
            "parents": list(proposal.parents),
            "seed": derive_seed(self._seed, "candidate", self.stage.value, proposal.id),
        }
        template = create_trial(
            state=TrialState.WAITING,
            params={name: params[name] for name in declared},
            distributions=declared,
            user_attrs=attributes,
            system_attrs=dict(proposal.sampler_state),
        )
        trial_id = self._storage.create_new_trial(self._id, template)
        return to_record(self._storage.get_trial(trial_id), self.stage)

    def start(self, number: int) -> None:
        """Mark a waiting trial as running (a running one, left by a run that was killed, stays so)."""
        trial_id = self._trial_id(number)
        if self._storage.get_trial(trial_id).state == TrialState.WAITING:
            self._storage.set_trial_state_values(trial_id, TrialState.RUNNING)

    def note_rung(self, number: int, epochs: int, metrics: Mapping[str, float | str]) -> Record:
        """Keep what a trial reached after a number of epochs; durable when this returns."""
        trial_id = self._trial_id(number)
        rungs = self._storage.get_trial(trial_id).user_attrs.get(_RUNGS, {})
        self._storage.set_trial_user_attr(trial_id, _RUNGS, {**rungs, str(epochs): dict(metrics)})
        return to_record(self._storage.get_trial(trial_id), self.stage)

    def finish(self, outcome: Outcome, attempt: int, *, pruned: bool = False) -> Record:
        """End a trial with what a worker reported; durable when this returns. A trial that has ended stays as it is.

        A pruned trial was stopped early: its metrics are those of the epochs it had, and it has a reason.
        """
        trial_id = self._trial_id(outcome.number)
        if not self._storage.get_trial(trial_id).state.is_finished():
            self.start(outcome.number)
            self._storage.set_trial_user_attr(trial_id, "outcome", {**dataclasses.asdict(outcome), "attempt": attempt})
            for name, excess in constraint_attributes(self._constraints, outcome.metrics).items():
                self._storage.set_trial_system_attr(trial_id, name, excess)
            if pruned:
                self._storage.set_trial_state_values(trial_id, TrialState.PRUNED)
            elif outcome.reason is None:
                values = [outcome.metrics[objective] for objective in self.objectives]
                self._storage.set_trial_state_values(trial_id, TrialState.COMPLETE, values)
            else:
                self._storage.set_trial_state_values(trial_id, TrialState.FAIL)
        return to_record(self._storage.get_trial(trial_id), self.stage)

    def note_end(self, reason: str) -> None:
        """Keep why the stage ended before all its trials; once."""
        if "ended" not in self._storage.get_study_user_attrs(self._id):
            self._storage.set_study_user_attr(self._id, "ended", reason)

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)


def to_record(trial: FrozenTrial, stage: Stage) -> Record:
    """What the journal holds about one trial."""
    attributes = trial.user_attrs
    if not _ID.fullmatch(str(attributes.get("id"))):  # it names a folder
        raise JournalError(f"trial {trial.number} ({stage.value}) has {attributes.get('id')!r} where its id must be")
    ended = trial.state.is_finished() and "outcome" in attributes
    outcome: dict[str, Any] = attributes["outcome"] if ended else {}
    return Record(
        number=trial.number,
        stage=stage,
        state=_STATES[trial.state],
        **{name: attributes[name] for name in ("architecture", "id", "generation", "proposer", "operator", "seed")},
        parents=tuple(attributes["parents"]),
        rungs={int(epochs): metrics for epochs, metrics in attributes.get(_RUNGS, {}).items()},
        values=tuple(trial.values or ()),
        sampler_state=dict(trial.system_attrs),
        started=datetime.fromisoformat(outcome["started"]) if "started" in outcome else None,
        **{name: outcome[name] for name in _MEASURED if name in outcome},
    )


def read_records(journal: Path) -> list[Record]:
    """Every trial of a journal, of all stages, without writing anything; none where there is no journal yet."""
    if not journal.exists():
        return []
    storage = JournalStorage(ReadOnlyJournal(journal))
    return [
        to_record(trial, Stage(study.study_name))
        for study in storage.get_all_studies()
        for trial in storage.get_all_trials(storage.get_study_id_from_name(study.study_name), deepcopy=False)
    ]


def read_noted(journal: Path, stage: Stage, key: str) -> Mapping[str, int] | None:
    """A decision about a study that was kept in a journal, read without writing anything; None where there is none."""
    if not journal.exists():
        return None
    storage = JournalStorage(ReadOnlyJournal(journal))
    found = (study for study in storage.get_all_studies() if study.study_name == stage.value)
    return next((study.user_attrs.get(key) for study in found), None)


@contextmanager
def quiet() -> Generator[None]:
    """Optuna prints no notes about new studies inside, since the view tells what happens."""
    before = logging.get_verbosity()
    logging.set_verbosity(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.set_verbosity(before)


def direction(objective: str) -> StudyDirection:
    """Accuracy is to rise, every cost to fall."""
    return StudyDirection.MAXIMIZE if objective in QUALITIES else StudyDirection.MINIMIZE


def distributions(parameters: Sequence[Parameter]) -> dict[str, BaseDistribution]:
    """The declaration of a space's parameters that Optuna keeps with each trial: what `Space.suggest` asks for."""

    def of(p: Parameter) -> BaseDistribution:
        match p:
            case Ordered(step=None):
                return CategoricalDistribution(p.values)
            case Ordered():
                return IntDistribution(int(p.values[0]), int(p.values[-1]), step=p.step or 1)
            case Choice():
                return CategoricalDistribution(p.choices)
            case Range(whole=True):
                return IntDistribution(int(p.low), int(p.high), log=p.log)
            case Range():
                return FloatDistribution(p.low, p.high, log=p.log)

    return {p.name: of(p) for p in parameters}


def constraint_attributes(
    constraints: Mapping[str, ConstraintConfig], metrics: Mapping[str, float]
) -> dict[str, float]:
    """What `optuna.Trial.set_constraint` keeps of a trial, by attribute: how far each metric is beyond an end of its
    range, at most 0 within; very far where it was not measured."""
    found: dict[str, float] = {}
    for name, each in constraints.items() if metrics else ():
        value = metrics.get(name, math.nan)
        ends = {
            "max": None if each.max is None else value - each.max,
            "min": None if each.min is None else each.min - value,
        }
        for end, excess in ends.items():
            if excess is not None:
                found[f"constraints:{name} {end}"] = _FAR if math.isnan(excess) else excess
    return found
