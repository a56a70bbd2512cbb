"""Reads trials from a run's journal, so that an unfinished run can be looked at.

The journal is Optuna's: one JSON object per line, each an operation on a study or a trial. Studies and trials are
numbered by their creation, over the whole file; a trial's own number counts within its study, which is a stage. This
reader needs no Optuna, and skips what takes Optuna most of its time and no table needs: the distribution of every
parameter of every trial.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast

from analysis.runs.journal_lines import Chain, JournalError, Json
from analysis.runs.schema import BY_NAME, WHOLE

CREATE_STUDY, DELETE_STUDY, SET_STUDY_ATTRIBUTE, CREATE_TRIAL, SET_STATE, SET_ATTRIBUTE = 0, 1, 2, 4, 6, 8
_STATES = {0: "running", 1: "finished", 2: "pruned", 3: "failed", 4: "waiting"}
_PROPOSED = ("architecture", "id", "generation", "proposer", "operator", "parents", "seed")
_MEASURED = ("reason", "attempt", "seconds", "host", "worker")


@dataclass
class _Trial:
    stage: str
    number: int
    state: str
    attributes: dict[str, object]

    @property
    def ended(self) -> bool:
        return self.state in ("finished", "failed", "pruned")


def journal_rows(journal: Path) -> list[dict[str, object]]:
    """Every trial that was started, stage by stage, as rows for `analysis.runs.schema.to_table`.

    Waiting trials are left out, as are the columns `space` and `versions`, which are not in a journal. Text after the
    last line end is still being written and is not read. Raises `JournalError` for a line that is damaged or not an
    operation.
    """
    studies: list[str | None] = []
    trials: list[_Trial] = []
    counts: dict[int, int] = {}
    records = Chain(journal).read(_lines(journal))
    for number, entry in enumerate(records, 1):
        try:
            _apply(entry, studies, trials, counts)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise JournalError(f"line {number} of {journal} is not an operation of a study's journal") from error
    stages = [stage for stage in studies if stage is not None]
    started = [trial for trial in trials if trial.state != "waiting" and trial.stage in stages]
    return [_row(trial) for trial in sorted(started, key=lambda trial: stages.index(trial.stage))]


def early_ends(journal: Path) -> list[str]:
    """Why stages ended before all their trials, in the journal's words. Raises as `journal_rows` does."""
    entries = Chain(journal).read(_lines(journal))
    attributes = [cast("Json", entry["user_attr"]) for entry in entries if entry["op_code"] == SET_STUDY_ATTRIBUTE]
    return [str(each["ended"]) for each in attributes if "ended" in each]


def corrected_amounts(journal: Path) -> Json:
    """What the correction of a planned run decided: amounts by name, none without. Raises as `journal_rows` does."""
    entries = Chain(journal).read(_lines(journal))
    attributes = [cast("Json", entry["user_attr"]) for entry in entries if entry["op_code"] == SET_STUDY_ATTRIBUTE]
    found = [cast("Json", each["plan"]) for each in attributes if "plan" in each]
    return found[0] if found else {}


def _lines(journal: Path) -> Iterator[bytes]:
    with journal.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1]


def _apply(entry: Json, studies: list[str | None], trials: list[_Trial], counts: dict[int, int]) -> None:
    """Apply one operation; as in Optuna, an operation on a trial that has ended does nothing."""
    operation = entry["op_code"]
    if operation == CREATE_STUDY:
        name = str(entry["study_name"])
        if name not in studies:  # where two processes create one study, the second finds it
            studies.append(name)
        return
    if operation == DELETE_STUDY:
        studies[cast("int", entry["study_id"])] = None
        return
    if operation == CREATE_TRIAL:
        study = cast("int", entry["study_id"])
        stage = studies[study]
        if stage is not None:
            counts[study] = counts.get(study, -1) + 1
            attributes = dict(cast("Json", entry.get("user_attrs") or {}))
            trials.append(_Trial(stage, counts[study], _STATES[cast("int", entry.get("state", 0))], attributes))
        return
    if operation not in (SET_STATE, SET_ATTRIBUTE):
        return
    trial = trials[cast("int", entry["trial_id"])]
    if trial.ended:
        return
    if operation == SET_STATE:
        trial.state = _STATES[cast("int", entry["state"])]
    else:
        trial.attributes.update(cast("Json", entry["user_attr"]))


def _row(trial: _Trial) -> dict[str, object]:
    row: dict[str, object] = {"stage": trial.stage, "number": trial.number, "state": trial.state, "attempt": 1}
    row |= {name: trial.attributes.get(name) for name in _PROPOSED}
    # the outcome is written before the state, and counts only once the state says that the trial has ended
    outcome = cast("Json", trial.attributes.get("outcome", {}) if trial.ended else {})
    row |= {name: outcome[name] for name in _MEASURED if name in outcome}
    facts, rungs = outcome.get("facts"), cast("Json", trial.attributes.get("rungs") or {})
    if facts:
        row["facts"] = json.dumps(facts)
    if rungs:  # the accuracy after each of these epochs, also while the trial is running
        row["epochs"] = max(map(int, rungs))
    if outcome.get("started") is not None:
        row["started"] = datetime.fromisoformat(str(outcome["started"]))
    for name, value in cast("Mapping[str, float]", outcome.get("metrics", {})).items():
        if name in BY_NAME:
            row[name] = int(value) if name in WHOLE else float(value)
    return row
