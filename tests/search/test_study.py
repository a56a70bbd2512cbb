"""The journal: what Optuna's own tools see, what a torn end does, and that looking changes nothing."""

import logging

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search.runs.holder import FencedError
from search.runs.journal import Journal, ReadOnlyJournal, mend_journal
from search.runs.records import State
from search.runs.study import read_records
from spaces import get_space


def test_optunas_own_tools_open_the_study(make_search, tmp_path):
    records = make_search(objectives=("accuracy", "ops", "params")).run()
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "run" / "journal.log")))
    study = optuna.load_study(study_name="inherited", storage=storage)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]
    assert study.metric_names == ["accuracy", "ops", "params"]
    assert [tuple(trial.values) for trial in study.trials] == [record.values for record in records]
    space = get_space("nasbnn-digits")
    assert [str(space.decode(trial.params)) for trial in study.trials] == [record.architecture for record in records]
    assert {trial.state.name for trial in study.trials} == {"COMPLETE"}
    best = {trial.user_attrs["id"] for trial in study.best_trials}
    assert best
    assert best < {record.id for record in records}


def test_reading_writes_nothing_and_ignores_a_line_that_is_not_whole_yet(make_search, tmp_path):
    search = make_search()
    search.run(reports=7)
    journal = tmp_path / "run" / "journal.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code": 6, "wor')
    journal.chmod(0o444)
    found = read_records(journal)
    assert [record for record in found if record.done] == [r for r in search.trials.records if r.done]
    assert [record.id for record in found] == [record.id for record in search.trials.records]
    assert journal.read_bytes().startswith(whole)
    assert [file.name for file in journal.parent.iterdir()] == ["journal.log"]
    assert read_records(tmp_path / "no" / "journal.log") == []


@pytest.mark.parametrize("cut", [1, 20])
def test_a_torn_last_line_is_cut_off_so_that_no_record_is_glued_to_it(make_search, tmp_path, caplog, cut):
    search = make_search()
    search.run(reports=7)
    journal = tmp_path / "run" / "journal.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-cut])
    (tmp_path / "run" / "journal.log.lock").touch()
    with caplog.at_level(logging.WARNING):
        mend_journal(journal)
    assert str(journal) in caplog.text
    assert journal.read_bytes() == whole[: whole[:-1].rfind(b"\n") + 1]
    records = make_search().run()
    assert len(records) == 60
    assert all(record.state is State.FINISHED for record in records)


def test_a_whole_journal_is_left_as_it_is(make_search, tmp_path):
    make_search().run(reports=7)
    journal = tmp_path / "run" / "journal.log"
    before = journal.read_bytes()
    mend_journal(journal)
    assert journal.read_bytes() == before


def logs(number, count=3):
    """Records as Optuna makes them; their contents do not matter here."""
    return [{"op_code": 2, "worker_id": f"{number}", "study_id": 0, "user_attr": {"n": n}} for n in range(count)]


def test_what_is_kept_at_once_is_written_at_once_also_after_an_error(tmp_path):
    path = tmp_path / "journal.log"
    journal = Journal(path)
    journal.append_logs(logs(0))
    before = path.read_bytes()

    def fail():
        with journal.at_once():
            journal.append_logs(logs(1))
            with journal.at_once():  # one within another changes nothing
                journal.append_logs(logs(2))
            assert path.read_bytes() == before
            assert len(journal.read_logs(0)) == 9  # this process knows of them
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert path.read_bytes().startswith(before)
    workers = [log["worker_id"] for log in ReadOnlyJournal(path).read_logs(0)]
    assert workers == [*"000", *"111", *"222"]


def test_what_others_write_meanwhile_is_not_lost(tmp_path):
    path = tmp_path / "journal.log"
    ours, theirs = Journal(path), Journal(path)
    with ours.at_once():
        ours.append_logs(logs(1))
        theirs.append_logs(logs(2))
    ours.append_logs(logs(3))
    assert [log["worker_id"] for log in ReadOnlyJournal(path).read_logs(0)] == [*"222", *"111", *"333"]
    assert len(ours.read_logs(0)) == 9


def test_a_run_that_was_taken_over_meanwhile_writes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "journal.log"
    journal = Journal(path)

    def refuse(folder):
        raise FencedError("taken over")

    def write():
        with journal.at_once():
            journal.append_logs(logs(1))
            monkeypatch.setattr("search.runs.journal.require_held", refuse)

    with pytest.raises(FencedError):
        write()
    assert path.read_bytes() == b""
