"""A journal read here says what Optuna reads from it."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from analysis.runs.journal import journal_rows
from analysis.runs.journal_lines import JournalError
from analysis.runs.schema import to_table
from search.runs.records import Outcome, Proposal, Stage, State
from search.runs.study import Study, read_records
from spaces.parameters import Range

ARTEFACTS = Path(__file__).parent / "artefacts"
METRICS = {
    "accuracy": 0.5, "loss": 1.25, "flops": 650, "int8_ops": 4608, "bops": 200_000, "ops": 4351.0, "params": 9000,
    "bits": 80_001, "bytes": 10_001,
}  # fmt: skip
PARAMETERS = (Range("width", 0, 2, whole=True), Range("kernel", 0, 1, whole=True))


def study(journal: Path, stage: Stage = Stage.INHERITED) -> Study:
    return Study(journal, stage, ("accuracy", "ops"), PARAMETERS, seed=3)


def outcome(number: int, metrics: dict[str, float], reason: str | None = None) -> Outcome:
    return Outcome(number, metrics, reason, "2026-11-21T09:30:00.250000+00:00", 1.5, "host", "host-1")


def fill(journal: Path) -> None:
    """Two stages, with trials in every state that a run leaves them in."""
    first = study(journal)
    for index in range(6):
        parents = ("id0", "id1") if index else ()
        proposal = Proposal(f"c8k3g1 | c{16 + index}k3g1", f"id{index}", "random", parents, {"sampler": index})
        first.create(proposal, index // 2, "evolution", {"width": index % 3, "kernel": 0})
    first.finish(outcome(0, METRICS), 1)
    first.finish(outcome(1, {}, "out of memory"), 2)
    first.finish(outcome(2, METRICS | {"accuracy": float("nan")}), 1)
    first.finish(outcome(0, METRICS | {"accuracy": 0.9}), 2)  # it has ended: nothing changes
    first.start(3)
    first.finish(outcome(4, METRICS | {"accuracy": 0.75, "extra": 7.0}), 1)
    second = study(journal, Stage.FINETUNED)
    second.create(Proposal("c8k3g1 | c16k3g1", "id0", "finetune", ("id0",)), 0, "front", {"width": 0, "kernel": 0})
    second.finish(outcome(0, METRICS), 1)
    first.create(Proposal("c8k3g1 | c32k3g1", "late", "random"), 9, "evolution", {"width": 0, "kernel": 0})
    first.start(6)


def as_row(record) -> dict[str, object]:
    fields = dataclasses.asdict(record)
    for name in ("sampler_state", "values"):
        del fields[name]
    facts, rungs = fields.pop("facts"), fields.pop("rungs")
    fields["facts"] = json.dumps(facts) if facts else None
    fields["epochs"] = max(rungs) if rungs else None
    metrics = {name: value for name, value in fields.pop("metrics").items() if name != "extra"}
    return {**fields, **metrics, "parents": list(record.parents)}


def without_nulls(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if value is not None}


def test_rows_are_the_records_that_have_begun(tmp_path):
    journal = tmp_path / "journal.log"
    fill(journal)
    records = [record for record in read_records(journal) if record.state is not State.WAITING]
    # repr, because NaN is not equal to itself
    assert [repr(sorted(without_nulls(row).items())) for row in journal_rows(journal)] == [
        repr(sorted((name, str(value) if name in ("stage", "state") else value) for name, value in row.items()))
        for row in (without_nulls(as_row(record)) for record in records)
    ]
    assert [(row["stage"], row["number"], row["state"]) for row in journal_rows(journal)] == [
        ("inherited", 0, "finished"), ("inherited", 1, "failed"), ("inherited", 2, "failed"),
        ("inherited", 3, "running"), ("inherited", 4, "finished"), ("inherited", 6, "running"),
        ("finetuned", 0, "finished"),
    ]  # fmt: skip


def test_a_line_that_is_being_written_is_not_there_yet(tmp_path):
    journal = tmp_path / "journal.log"
    fill(journal)
    before = journal_rows(journal)
    with journal.open("ab") as file:
        file.write(b'{"op_code":6,"worker_id":"w","trial_id":3,"st')
    assert journal_rows(journal) == before


def test_every_beginning_of_a_journal_can_be_read(tmp_path):
    whole, part = tmp_path / "journal.log", tmp_path / "part.log"
    fill(whole)
    lines = whole.read_bytes().splitlines(keepends=True)
    for count in range(len(lines) + 1):
        part.write_bytes(b"".join(lines[:count]))
        begun = [record for record in read_records(part) if record.state is not State.WAITING]
        assert [(row["stage"], row["number"], row["state"]) for row in journal_rows(part)] == [
            (record.stage, record.number, record.state) for record in begun
        ]


@pytest.mark.parametrize(
    "line", [b"\n", b"{}\n", b"[1]\n", b'"text"\n', b'{"op_code":6,"trial_id":99}\n', b"\xff\xfe\n"]
)
def test_a_damaged_line_is_named(tmp_path, line):
    journal = tmp_path / "journal.log"
    fill(journal)
    count = len(journal.read_bytes().splitlines())
    with journal.open("ab") as file:
        file.write(line)
    with pytest.raises(JournalError, match=f"line {count + 1} of .*journal.log is not an operation"):
        journal_rows(journal)


def test_a_deleted_study_is_gone(tmp_path):
    journal = tmp_path / "journal.log"
    fill(journal)
    with journal.open("a") as file:
        file.write(json.dumps({"op_code": 1, "worker_id": "w", "study_id": 0}) + "\n")
    assert [row["stage"] for row in journal_rows(journal)] == ["finetuned"]
    assert len(read_records(journal)) == 1


def test_the_journal_of_optuna_5_is_read_for_ever(tmp_path):
    journal = tmp_path / "journal.log"
    shutil.copy(ARTEFACTS / "journal-optuna-5.log", journal)
    first, failed, running = journal_rows(journal)
    assert first["architecture"] == "c8k3g1 | c16k3g1"
    assert {name: first[name] for name in METRICS} == METRICS
    assert (failed["state"], failed["reason"], failed["attempt"]) == ("failed", "out of memory", 2)
    assert (running["state"], running["parents"]) == ("running", ["id0"])


def operations(journal: Path, *entries: dict[str, object]) -> None:
    journal.write_text("".join(json.dumps({"worker_id": "w", **entry}) + "\n" for entry in entries))


def test_pruned_trials_and_what_a_trial_found_are_read(tmp_path):
    journal = tmp_path / "journal.log"
    measured = {
        "metrics": {"accuracy": 0.3, "ops": 10.0}, "reason": "behind the others after 2 epochs",
        "attempt": 1, "started": "2026-11-21T09:30:00+00:00", "seconds": 1.0, "host": "h", "worker": "h-1",
    }  # fmt: skip
    searched = {**measured, "metrics": {"accuracy": 0.5, "epochs": 50.0}, "facts": {"genotype": "normal: none@1"}}
    operations(
        journal,
        {"op_code": 0, "study_name": "trained", "directions": [2]},
        {"op_code": 4, "study_id": 0, "state": 0, "user_attrs": {"architecture": "1-2"}},
        {"op_code": 8, "trial_id": 0, "user_attr": {"rungs": {"1": {"accuracy": 0.2}}}},
        {"op_code": 8, "trial_id": 0, "user_attr": {"rungs": {"1": {}, "2": {"accuracy": 0.3}}}},
        {"op_code": 8, "trial_id": 0, "user_attr": {"outcome": measured}},
        {"op_code": 6, "trial_id": 0, "state": 2, "values": None},
        {"op_code": 8, "trial_id": 0, "user_attr": {"outcome": {}}},  # it has ended: nothing changes
        {"op_code": 0, "study_name": "searched", "directions": [2]},
        {"op_code": 4, "study_id": 1, "state": 0, "user_attrs": {"architecture": "seed=0"}},
        {"op_code": 8, "trial_id": 1, "user_attr": {"outcome": searched}},
        {"op_code": 6, "trial_id": 1, "state": 1, "values": [0.5]},
    )
    table = to_table(journal_rows(journal)).to_pylist()
    assert [(row["stage"], row["state"], row["epochs"]) for row in table] == [
        ("trained", "pruned", 2), ("searched", "finished", 50),
    ]  # fmt: skip
    assert table[0]["reason"] == "behind the others after 2 epochs"
    assert json.loads(table[1]["facts"]) == {"genotype": "normal: none@1"}
