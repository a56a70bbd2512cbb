"""The network to take: what the limits let through, the order among it, and what is said where nothing is left."""

import pytest

from analysis.findings.choice import Limits, NoCandidateError, choose
from analysis.runs.layout import RunError
from analysis.runs.trials import load_trials


@pytest.fixture
def three(make_run, make_row):
    """Three networks, dearer and better one after another, and a failed one that would beat them all."""
    rows = [
        make_row(0, 1e6, 0.80, id="a", params=300, bytes=30),
        make_row(1, 2e6, 0.90, id="b", params=100, bytes=90),
        make_row(2, 3e6, 0.95, id="c", params=200, bytes=60),
        make_row(3, 1.0, None, id="d", state="failed", reason="lost"),
        make_row(4, 1.0, float("nan"), id="e"),
    ]
    return make_run(rows=rows)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(), "c"),
        (Limits(ops=2e6), "b"),
        (Limits(ops=1_999_999), "a"),
        (Limits(accuracy=0.85), "b"),  # the cheapest that has it
        (Limits(accuracy=0.80), "a"),
        (Limits(ops=3e6, accuracy=0.85), "c"),  # the best that can be afforded
        (Limits(params=150), "b"),
        (Limits(bytes=60), "c"),
        (Limits(bytes=60, ops=2e6), "a"),
    ],
)
def test_limits(three, limits, expected):
    assert choose(three, limits).id == expected


def test_choice_is_the_best_by_brute_force(make_run):
    run = make_run()
    trials = load_trials(run)
    done = trials[trials["state"] == "finished"]
    for ops in done["ops"].quantile([0.1, 0.5, 0.9]):
        chosen = choose(run, Limits(ops=float(ops)))
        assert chosen.accuracy == done.loc[done["ops"] <= ops, "accuracy"].max()
        assert chosen.ops <= ops


def test_of_equal_trials_the_one_with_weights_counts(make_run, make_row):
    run = make_run(rows=[make_row(0, 1e6, 0.9, id="a"), make_row(0, 1e6, 0.9, id="a", stage="finetuned")])
    folder = run / "finetuned" / "a" / "network"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (run / "front.csv").unlink()
    chosen = choose(run)
    assert (chosen.stage, chosen.folder, chosen.test_accuracy) == ("finetuned", folder, None)


def test_weights_of_the_front_are_found(three):
    folder = three / "front" / "c"
    folder.mkdir(parents=True)
    assert choose(three).folder is None  # not whole: no manifest
    (folder / "manifest.json").write_text("{}")
    chosen = choose(three)
    assert chosen.folder == folder
    assert chosen.test_accuracy == pytest.approx(0.94)


def test_without_candidate_the_nearest_are_named(three):
    with pytest.raises(NoCandidateError, match=r"at most 500 K OPs; the nearest are a with 1.00 M OPs at 80.00 % and"):
        choose(three, Limits(ops=5e5))
    with pytest.raises(NoCandidateError, match=r"at least 99.00 % accuracy; the nearest are c with 3.00 M OPs"):
        choose(three, Limits(accuracy=0.99))


def test_nothing_has_finished(make_run, make_row):
    run = make_run(rows=[make_row(0, 1e6, None, state="failed", reason="lost")], finished=False)
    with pytest.raises(NoCandidateError, match=r"no trial of .* has finished"):
        choose(run)
    with pytest.raises(NoCandidateError, match=r"no trial of .* has finished"):
        choose(make_run("empty", rows=[], finished=False))


def test_latency_is_refused_where_there_is_none(three):
    with pytest.raises(RunError, match="has no latencies"):
        choose(three, Limits(latency=5))


def test_latency_counts_where_there_is_one(make_run, make_row):
    rows = [make_row(0, 1e6, 0.8, id="a", latency_ms=1.0), make_row(1, 2e6, 0.9, id="b", latency_ms=4.0)]
    run = make_run(rows=rows)
    assert choose(run, Limits(latency=2)).id == "a"
    with pytest.raises(NoCandidateError, match=r"at most 0.5 ms"):
        choose(run, Limits(latency=0.5))


@pytest.mark.parametrize("wrong", [{"ops": 0}, {"ops": float("nan")}, {"accuracy": 95}, {"bytes": -1}])
def test_impossible_limits_are_refused(wrong):
    with pytest.raises(ValueError, match=r"positive number|fraction from 0 to 1"):
        Limits(**wrong)
