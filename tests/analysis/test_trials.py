"""A run is read, or the reader learns in a sentence why not."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.schema import COLUMNS, VERSION_KEY, to_table, write_trials
from analysis.trials import RunError, load_trials

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
