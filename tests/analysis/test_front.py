"""The frontier of a run and the table that tells of it."""

import numpy as np
import pandas as pd
import pytest

from analysis.findings.front import front, front_rows, front_table, guessing, load_front
from analysis.runs.layout import RunError
from analysis.runs.schema import write_trials


def test_the_front_holds_finished_trials_that_nothing_beats(make_row, make_frame):
    best = front(
        make_frame(
            [
                make_row(0, 3e7, 0.66),
                make_row(1, 2e7, 0.60),
                make_row(2, 4e7, 0.65),
                make_row(3, 3e7, 0.66, stage="finetuned"),
                make_row(4, 1e7, 0.90, state="pruned", reason="behind"),
                make_row(5, 1e7, 0.90, state="running"),
                make_row(6, 1e7, float("nan")),
                make_row(7, 1e7, None, state="failed", reason="out of memory"),
                make_row(8, 1e7, float("inf")),
            ]
        )
    )
    assert best["number"].tolist() == [1, 0, 3]
    assert best.index.tolist() == [0, 1, 2]


def test_other_objectives_know_their_direction(make_row, make_frame):
    trials = make_frame([make_row(0, 1e7, 0.5, bytes=9, loss=2.0), make_row(1, 1e7, 0.5, bytes=8, loss=1.0)])
    assert front(trials, "bytes", "loss")["number"].tolist() == [1]
    with pytest.raises(ValueError, match="whether less or more of 'seconds' is better is not known: say so"):
        front(trials, "seconds", "accuracy")


def test_a_front_of_nothing_is_empty_with_all_columns(make_frame, make_row):
    empty = front(make_frame([]))
    assert len(empty) == len(front_table(empty)) == len(front_rows(empty)) == 0
    failed = front(make_frame([make_row(0, 1e7, None, state="failed", reason="x")]))
    assert list(failed.columns) == list(empty.columns)


def test_the_table_reads_well(make_row, make_frame):
    best = front(make_frame([make_row(0, 20_772_760, 0.6058, bytes=1_234_567, params=3_400_000)]))
    assert list(front_table(best).columns) == [
        "architecture", "id", "accuracy", "ops", "params", "bytes", "stage", "number",
    ]  # fmt: skip
    row = front_rows(best.assign(test_accuracy=[float("nan")]))[0]
    assert row == {
        "accuracy": "60.58 %",
        "test accuracy": "-",
        "OPs": "20.8 M",
        "parameters": "3.40 M",
        "size": "1.23 MB",
        "stage": "inherited",
        "id": "00000000",
        "architecture": "c24k3g1 | c48k3g1 c48k3g1 | number 0",
    }


def test_a_run_without_a_front_file_shows_the_front_of_its_trials(tmp_path, make_rows):
    write_trials(make_rows(60), tmp_path / "trials.parquet")
    best = load_front(tmp_path)
    assert len(best) > 3
    assert np.isnan(best["test_accuracy"]).all()


def test_a_front_file_comes_back_with_its_test_accuracy(tmp_path, make_rows, make_frame):
    best = front(make_frame(make_rows(60)))
    # ids that a careless reader takes for numbers
    best = best.assign(id=[f"{index}e{index}" for index in range(len(best))], test_accuracy=best["accuracy"] - 0.01)
    front_table(best).to_csv(tmp_path / "front.csv", index=False)
    pd.testing.assert_frame_equal(load_front(tmp_path), front_table(best), check_dtype=False)
    assert load_front(tmp_path)["id"].tolist() == best["id"].tolist()


@pytest.mark.parametrize("text", ["", 'a,b\n"1', "id,accuracy\nx,0.5\n", "a,b\n1,2,3,4\n5\n"])
def test_a_broken_front_file_is_said_to_be_so(tmp_path, text):
    (tmp_path / "front.csv").write_text(text)
    with pytest.raises(RunError, match=r"front.csv .*remove it"):
        load_front(tmp_path)


def test_no_run_is_no_front(tmp_path):
    with pytest.raises(RunError, match="no run at"):
        load_front(tmp_path / "nothing")


def test_a_front_that_only_guesses_is_told():
    table = pd.DataFrame({"balanced_accuracy": [0.5, 0.51], "accuracy": [0.03, 0.97]})
    assert "no network of the front is better than guessing: the mean over the 2 classes is 51.00 %" in guessing(
        table, 2
    )
    assert (
        guessing(table, 30) == guessing(table, None) == guessing(table[["accuracy"]], 2) == guessing(table[:0], 2) == ""
    )
    tested = table.assign(test_balanced_accuracy=[0.5, 0.8])
    assert guessing(tested, 2) == "", "what was tested counts"
