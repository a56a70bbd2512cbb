"""What goes into a trials file comes out of it, and what does not belong is refused by name."""

import datetime
import io
import json

import pyarrow.parquet as pq
import pytest

from analysis.runs.schema import (
    BY_NAME,
    COLUMNS,
    LATENCY,
    SCHEMA_VERSION,
    VERSION_KEY,
    objective_direction,
    to_table,
    trial_schema,
    write_trials,
)

DETECTORS = ("map", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar", "detector_ops")


def test_the_schema_is_version_1_with_the_columns_that_came_later():
    types = {field.name: str(field.type) for field in trial_schema()}
    text = ["stage", "state", "reason", "space", "architecture", "id", "proposer", "operator", "host", "worker"]
    whole = ["number", "flops", "int8_ops", "bops", "params", "bits", "bytes", "seed"]
    assert SCHEMA_VERSION == 1
    assert trial_schema().metadata == {VERSION_KEY: b"1"}
    assert types == {
        **dict.fromkeys([*text, "versions", "facts"], "string"),
        **dict.fromkeys(whole, "int64"),
        **dict.fromkeys(["generation", "attempt", "epochs"], "int32"),
        **dict.fromkeys(
            ["accuracy", "balanced_accuracy", "loss", "ops", "seconds", "latency_ms", *DETECTORS], "double"
        ),
        "parents": "list<item: string>",
        "started": "timestamp[us, tz=UTC]",
    }


def test_every_column_says_what_it_means():
    assert len(BY_NAME) == len(COLUMNS)
    for field in trial_schema():
        assert field.metadata[b"description"]
        assert b"unit" in field.metadata


def test_rows_come_back_as_they_went_in(make_row):
    row = make_row(
        3, 2e7, 0.6, balanced_accuracy=0.5, parents=["a", "b"],
        versions=json.dumps({"torch": "2.10"}), host="h", worker="w", reason=None,
        stage="searched", latency_ms=0.25, epochs=50, facts=json.dumps({"genotype": "normal: none@1"}),
        **dict.fromkeys(DETECTORS, 0.5),
    )  # fmt: skip
    file = io.BytesIO()
    write_trials([row], file)
    assert pq.read_table(io.BytesIO(file.getvalue())).to_pylist() == [row]


def test_what_a_row_leaves_out_is_null():
    table = to_table([{"number": 1}, {}])
    assert table["number"].to_pylist() == [1, None]
    assert table["accuracy"].null_count == table["parents"].null_count == 2


def test_no_rows_give_a_table_with_all_columns():
    assert to_table([]).schema == trial_schema()


def test_times_become_utc():
    zone = datetime.timezone(datetime.timedelta(hours=2))
    table = to_table([{"started": datetime.datetime(2026, 1, 1, 2, tzinfo=zone)}])
    assert table["started"].to_pylist()[0].isoformat() == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"acuracy": 0.5}, r"unknown column .*'acuracy'; did you mean 'accuracy'\?"),
        ({"zzzz": 0.5}, "unknown column of a trial 'zzzz'$"),
        ({"number": "one"}, "'number' .* int64"),
        ({"number": 1.5}, "'number' .* int64"),
        ({"generation": 2**40}, "'generation' .* int32"),
        ({"accuracy": "high"}, "'accuracy' .* double"),
        ({"state": "done"}, "state must be one of running, finished, failed, pruned, got 'done'"),
        ({"stage": "search"}, "stage must be one of inherited, finetuned, scratch, trained, searched, final, refer"),
        ({"started": datetime.datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001
    ],
)
def test_a_row_that_does_not_belong_is_refused(row: dict[str, object], words: str):
    with pytest.raises(ValueError, match=words):
        to_table([row])


def test_objectives_know_which_way_is_better():
    assert (objective_direction("accuracy"), objective_direction("ops")) == ("max", "min")
    with pytest.raises(ValueError, match=r"unknown objective 'opps'; did you mean 'ops'\? The objectives are acc"):
        objective_direction("opps")
    assert objective_direction(LATENCY) == "min"
    with pytest.raises(ValueError, match="unknown objective 'seed'"):
        objective_direction("seed")
