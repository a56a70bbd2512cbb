"""Runs at the same budget: what counts, which runs belong together, and what is said of runs that hardly compare."""

import math
from itertools import combinations

import pytest

from analysis.findings.comparison import compare
from analysis.measures.hypervolume import hypervolume
from analysis.measures.verdicts import holm
from analysis.runs.layout import RunError
from analysis.runs.trials import load_trials


def test_runs_are_cut_to_the_shortest(make_run, make_digits_rows):
    long, short = make_run("long", make_digits_rows(60)), make_run("short", make_digits_rows(40), seed=1)
    found = compare([long, short])
    assert found.trials == 40
    assert [run.trials for run in found.runs] == [60, 40]
    assert all(len(frame) == 40 for frame in found.frames.values())
    assert any("first 40 trials; long has 60" in note for note in found.notes)


def test_hypervolume_is_that_of_the_trials_in_one_box(make_run):
    found = compare([make_run("a"), make_run("b", seed=1, proposer="random")])
    (x0, y0), (x1, y1) = found.reference, found.ideal
    for run in found.runs:
        points = found.frames[run.name].loc[lambda t: t["state"] == "finished", ["ops", "accuracy"]].to_numpy(float)
        exact = hypervolume(points, found.reference, ("min", "max")) / ((x0 - x1) * (y1 - y0))
        assert run.hypervolume == pytest.approx(exact)


def test_seeds_of_one_configuration_form_a_group(make_run):
    runs = [make_run(f"{p}-{s}", seed=s, proposer=p) for p in ("evolution", "random") for s in (0, 1, 2)]
    found = compare(runs)
    assert [(group.name, len(group.runs)) for group in found.groups] == [
        ("proposer evolution", 3),
        ("proposer random", 3),
    ]
    group = found.groups[0]
    values = [run.hypervolume for run in found.runs if run.group == group.name]
    mean = sum(values) / 3
    half = 4.302653 * math.sqrt(sum((value - mean) ** 2 for value in values) / 2 / 3)  # Student's t, two degrees
    assert group.hypervolume.count == 3
    assert group.hypervolume.value == pytest.approx(mean)
    assert (group.hypervolume.low, group.hypervolume.high) == pytest.approx((mean - half, mean + half), rel=1e-5)


def test_groups_are_compared_by_the_seeds_that_both_have(make_run):
    runs = [make_run(f"{p}-{s}", seed=s, proposer=p) for p in ("evolution", "random", "nsga2") for s in (0, 1, 2)]
    found = compare([*runs[:5], *runs[6:]])  # random lacks the last seed
    by_seed = {(run.group, run.seed): run.hypervolume for run in found.runs}
    names = [f"proposer {name}" for name in ("evolution", "random", "nsga2")]
    assert [(each.first, each.second) for each in found.differences] == [*combinations(names, 2)]
    for each in found.differences:
        seeds = [seed for seed in range(3) if (each.first, seed) in by_seed and (each.second, seed) in by_seed]
        gains = [by_seed[each.second, seed] - by_seed[each.first, seed] for seed in seeds]
        assert each.hypervolume.interval.count == len(seeds) == 3 - ("proposer random" in (each.first, each.second))
        assert each.hypervolume.interval.value == pytest.approx(sum(gains) / len(gains))
    assert [each.adjusted for each in found.differences] == holm([each.hypervolume.p for each in found.differences])
    assert compare(runs[:2]).differences == ()


def test_where_a_run_was_executed_and_how_long_does_not_split_a_group(make_run, make_digits_rows):
    a, b = make_run("a"), make_run("b", make_digits_rows(50, 1), seed=1)
    config = b / "config.yaml"
    config.write_text(config.read_text().replace("executor: inline", "executor: tune"))
    assert len(compare([a, b]).groups) == 1


def test_one_run_a_group_has_no_interval(make_run):
    found = compare([make_run("a"), make_run("b", proposer="random")])
    assert all(group.hypervolume.count == 1 and math.isnan(group.hypervolume.low) for group in found.groups)


def test_accuracy_reached_within_operations(make_run):
    found = compare([make_run("a"), make_run("b", seed=1)])
    assert len(found.levels) == 4
    for run in found.runs:
        frame = found.frames[run.name]
        done = frame[frame["state"] == "finished"]
        for level, reached in zip(found.levels, run.reached, strict=True):
            best = done.loc[done["ops"] <= level, "accuracy"].max()
            assert reached == best or (math.isnan(reached) and math.isnan(best))


def test_finetuned_trials_do_not_count(make_run, make_digits_rows, make_row):
    rows = make_digits_rows(30)
    a, b = make_run("a", rows), make_run("b", [*rows, make_row(0, 1.0, 1.0, stage="finetuned")], seed=1)
    found = compare([a, b])
    assert found.runs[0].hypervolume == found.runs[1].hypervolume


def test_what_makes_runs_hard_to_compare_is_said(make_run):
    found = compare([make_run("a"), make_run("b", seed=1, fingerprint="other", finished=False)])
    assert any("its own validation split" in note for note in found.notes)
    assert any("not finished yet: b" in note for note in found.notes)
    found = compare([make_run("c"), make_run("d", fingerprint="other")])
    assert any("different data" in note for note in found.notes)


@pytest.mark.parametrize("kind", ["empty", "failed", "one", "equal"])
def test_poor_runs_are_compared_all_the_same(make_run, make_row, kind):
    rows = {
        "empty": [],
        "failed": [make_row(0, 1e6, None, state="failed", reason="lost")],
        "one": [make_row(0, 1e6, 0.5)],
        "equal": [make_row(number, 1e6, 0.5) for number in range(5)],
    }[kind]
    found = compare([make_run("poor", rows, finished=False), make_run("good", seed=1)])
    assert found.trials == (len(rows) or 60)
    assert found.runs[0].hypervolume == 0.0


def test_one_run_is_no_comparison(make_run):
    run = make_run()
    with pytest.raises(RunError, match="two different runs"):
        compare([run, run])


def test_a_file_of_trials_alone_is_compared(make_run):
    a = make_run("a")
    found = compare([a, make_run("b", seed=1) / "trials.parquet"])
    assert len(found.runs) == 2
    assert len(load_trials(a)) == 60
