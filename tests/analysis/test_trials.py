"""A run is read, or the reader learns in a sentence why not."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.runs.layout import RunError
from analysis.runs.schema import COLUMNS, VERSION_KEY, to_table, write_trials
from analysis.runs.trials import load_trials, run_paths

ARTEFACTS = Path(__file__).parent / "artefacts"

NAMES = [column.name for column in COLUMNS]


@pytest.fixture
def run(tmp_path, make_rows):
    folder = tmp_path / "first-run"
    folder.mkdir()
    write_trials(make_rows(60), folder / "trials.parquet")
    return folder


def test_folder_and_file_give_the_same(run):
    trials = load_trials(run)
    pd.testing.assert_frame_equal(trials, load_trials(str(run / "trials.parquet")))
    assert list(trials.columns) == NAMES
    assert len(trials) == 60


def test_large_seeds_and_nulls_survive(run):
    trials = load_trials(run)
    assert trials["seed"].tolist() == [2**62 + number for number in range(60)]
    write_trials([{"number": 1}, {"seed": 2**62 + 1}], run / "trials.parquet")
    trials = load_trials(run)
    assert trials["seed"][1] == 2**62 + 1
    assert trials["seed"].isna().tolist() == [True, False]
    assert trials["accuracy"].isna().all()
    assert trials["reason"].isna().all()


def test_a_run_without_trials_is_an_empty_table(run):
    write_trials([], run / "trials.parquet")
    assert list(load_trials(run).columns) == NAMES
    assert len(load_trials(run)) == 0


def test_a_missing_run_is_named_with_those_beside_it(run, tmp_path):
    with pytest.raises(RunError, match=r"no run at .*firstrun; the runs in .* are first-run"):
        load_trials(tmp_path / "firstrun")


def test_a_folder_that_is_no_run_is_named_with_the_runs_in_it(run, tmp_path):
    with pytest.raises(RunError, match=r"not a run: it holds no trials.parquet, journal.log or run.json.*first-run"):
        load_trials(tmp_path)


@pytest.mark.parametrize("kept", [0, 3, 100, 2000])
def test_a_file_cut_off_is_said_to_be_so(run, kept):
    file = run / "trials.parquet"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(RunError, match=rf"trials.parquet \({kept} bytes\) is not a whole Parquet file"):
        load_trials(run)


def test_a_damaged_file_is_said_to_be_so(run):
    file = run / "trials.parquet"
    data = bytearray(file.read_bytes())
    data[len(data) // 4 : len(data) // 3] = bytes(len(data) // 3 - len(data) // 4)
    file.write_bytes(bytes(data))
    with pytest.raises(RunError, match="not a whole Parquet file"):
        load_trials(run)


def test_a_newer_version_asks_for_a_newer_binarynas(run):
    table = to_table([{"number": 1}]).replace_schema_metadata({VERSION_KEY: b"7"})
    pq.write_table(table, run / "trials.parquet")
    with pytest.raises(RunError, match="schema version 7, and this binarynas reads versions up to 1: install"):
        load_trials(run)


def test_parquet_of_something_else_is_refused(run):
    pq.write_table(pa.table({"a": [1]}), run / "trials.parquet")
    with pytest.raises(RunError, match="not one of trials"):
        load_trials(run)


def test_columns_may_come_and_go_but_not_change_their_type(run):
    table = to_table([{"number": 1}]).drop_columns(["loss"]).append_column("latency", pa.array([0.5]))
    pq.write_table(table, run / "trials.parquet")
    trials = load_trials(run)
    assert list(trials.columns) == [*NAMES, "latency"]
    assert trials["loss"].isna().all()

    at = table.column_names.index("number")
    pq.write_table(table.set_column(at, "number", pa.array(["one"])), run / "trials.parquet")
    with pytest.raises(RunError, match=r"column 'number' of .* holds string where int64 belongs"):
        load_trials(run)


def test_version_1_is_read_for_ever():
    trials = load_trials(ARTEFACTS / "trials-v1.parquet")
    assert list(trials.columns)[: len(NAMES)] == NAMES
    assert trials["state"].tolist() == ["finished", "failed", "running"]
    assert trials["stage"].tolist() == ["inherited", "inherited", "finetuned"]
    assert trials["seed"].tolist() == [2**62 + 1, 7, 8]
    assert trials["parents"].map(list).tolist() == [[], ["0123456789ab"], ["0123456789ab"]]
    assert (trials["accuracy"][0], trials["bytes"][0], trials["ops"][0]) == (0.875, 10_000, 650 + 4608 / 8 + 3125)
    assert trials["reason"][1] == "out of memory"
    assert trials["started"][0] == pd.Timestamp("2026-11-21T09:30Z")
    for later in ("latency_ms", "epochs", "facts"):  # columns that came without a new version
        assert trials[later].isna().all()
    assert (trials["latency_ms"].dtype, trials["epochs"].dtype) == ("float64", "Int32")


def going_on(folder: Path) -> Path:
    """A run whose journal says more than its table."""
    folder.mkdir(exist_ok=True)
    write_trials([{"number": 0, "state": "running", "stage": "inherited"}], folder / "trials.parquet")
    shutil.copy(ARTEFACTS / "journal-optuna-5.log", folder / "journal.log")
    (folder / "run.json").write_text(json.dumps({"versions": {"binarynas": "0.1.0"}}))
    (folder / "config.yaml").write_text("space:\n  name: nasbnn-digits\n")
    return folder


def test_of_a_run_that_goes_on_the_journal_counts(tmp_path):
    run = going_on(tmp_path / "run")
    trials = load_trials(run)
    assert list(trials.columns) == NAMES
    assert trials["state"].tolist() == ["finished", "failed", "running"]
    assert set(trials["space"]) == {"nasbnn-digits"}
    assert set(trials["versions"]) == {'{"binarynas": "0.1.0"}'}
    assert trials["bits"].dtype == "Int64"
    (run / "trials.parquet").unlink()
    pd.testing.assert_frame_equal(load_trials(run), trials)


def test_of_a_finished_run_the_table_counts(tmp_path):
    run = going_on(tmp_path / "run")
    (run / "front.csv").write_text("")
    assert len(load_trials(run)) == 1


def test_a_run_without_its_facts_still_shows_its_trials(tmp_path):
    run = going_on(tmp_path / "run")
    (run / "run.json").write_text("{")
    (run / "config.yaml").write_text("space: [")
    trials = load_trials(run)
    assert len(trials) == 3
    assert trials[["space", "versions"]].isna().all().all()


def test_a_run_that_has_no_trial_yet_is_empty(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    assert len(load_trials(tmp_path)) == 0
    assert list(load_trials(tmp_path).columns) == NAMES


def test_a_damaged_journal_is_said_to_be_so(tmp_path):
    run = going_on(tmp_path / "run")
    with (run / "journal.log").open("a") as file:
        file.write("###\n")
    with pytest.raises(RunError, match=r"line 16 of .*journal.log .*copy it again"):
        load_trials(run)


def test_several_runs_are_told_apart(run, tmp_path, make_rows):
    other = tmp_path / "other" / "first-run"
    other.mkdir(parents=True)
    write_trials(make_rows(5), other / "trials.parquet")
    both = load_trials([run, str(other)])
    assert list(both.columns) == ["run", *NAMES]
    assert both["run"].value_counts().to_dict() == {f"{tmp_path.name}/first-run": 60, "other/first-run": 5}
    pd.testing.assert_frame_equal(
        both[both["run"] == "other/first-run"].drop(columns="run").reset_index(drop=True), load_trials(other)
    )
    assert load_trials([run, run])["run"].tolist() == ["first-run"] * 60


def test_a_glob_takes_the_runs_and_nothing_else(run, tmp_path, make_rows):
    (tmp_path / "notes").mkdir()
    (tmp_path / "second-run").mkdir()
    write_trials(make_rows(3), tmp_path / "second-run" / "trials.parquet")
    assert load_trials(str(tmp_path / "*"))["run"].unique().tolist() == ["first-run", "second-run"]
    assert load_trials(tmp_path / "sec*")["run"].tolist() == ["second-run"] * 3
    assert list(run_paths([tmp_path / "sec*", run])) == ["second-run", "first-run"]
    with pytest.raises(RunError, match=r"the pattern .*third\*' finds nothing"):
        load_trials(tmp_path / "third*")
    with pytest.raises(RunError, match="1 paths, but no run"):
        load_trials(tmp_path / "not*")
    with pytest.raises(RunError, match="no run was given"):
        load_trials([])


def test_a_run_may_have_a_star_in_its_name(tmp_path, make_rows):
    (tmp_path / "a*[b]").mkdir()
    write_trials(make_rows(3), tmp_path / "a*[b]" / "trials.parquet")
    assert list(load_trials(tmp_path / "a*[b]").columns) == NAMES


def test_runs_with_other_columns_and_without_trials_go_together(run, tmp_path):
    (tmp_path / "empty").mkdir()
    write_trials([], tmp_path / "empty" / "trials.parquet")
    table = to_table([{"number": 1}]).append_column("latency", pa.array([0.5]))
    pq.write_table(table, tmp_path / "extra.parquet")
    trials = load_trials([run, tmp_path / "empty", tmp_path / "extra.parquet"])
    assert list(trials.columns) == ["run", *NAMES, "latency"]
    assert trials["latency"].notna().tolist() == [False] * 60 + [True]
    assert len(load_trials([tmp_path / "empty"])) == 0


def test_an_unfinished_run_is_read_from_its_export_only_while_that_is_all_of_the_journal(tmp_path, make_rows):
    journal = tmp_path / "journal.log"
    journal.write_text('{"op_code": 0, "worker_id": "w", "study_name": "inherited", "directions": [1]}\n')
    write_trials(make_rows(3), tmp_path / "trials.parquet", journal.stat().st_size)
    assert len(load_trials(tmp_path)) == 3
    with journal.open("a") as file:
        file.write('{"op_code": 4, "worker_id": "w", "study_id": 0, "state": 0, "user_attrs": {"seed": 1}}\n')
    assert len(load_trials(tmp_path)) == 1  # the export is older than the journal
    (tmp_path / "trials.parquet").write_bytes(b"torn")
    assert len(load_trials(tmp_path)) == 1
