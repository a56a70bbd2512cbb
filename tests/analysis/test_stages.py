"""What counts and what does not: references, differentiable searches and pruned trials get on no front and no scale."""

import doctest
import math

import numpy as np
import pandas as pd
import pytest

from analysis import stages
from analysis.findings.agreement import operator_table, stage_correlation
from analysis.findings.certainty import certainty
from analysis.findings.choice import choose
from analysis.findings.comparison import compare
from analysis.findings.effects import equal_cost_residuals, gene_effects
from analysis.findings.facts import run_facts
from analysis.findings.front import front, load_front
from analysis.findings.growth import hypervolume_table
from analysis.findings.importance import gene_importance
from analysis.plots import (
    attainment_data,
    frontier_data,
    genes_data,
    hypervolume_data,
    parallel_data,
    seeds_data,
    stages_data,
)
from analysis.report.frontier import frontier_page
from analysis.runs.schema import write_trials
from analysis.stages import competing, of_stage, search_stage

# each would beat everything, were it let on a front
UNCOUNTED = {
    "reference": {"stage": "reference", "operator": "uniform 1x"},
    "full precision": {"stage": "reference", "operator": "full precision 1x"},
    "searched": {"stage": "searched", "operator": "differentiable", "facts": '{"genotype": "normal: none@1"}'},
    "pruned": {"state": "pruned", "reason": "behind the others after 2 epochs", "epochs": 2},
}


@pytest.fixture(params=UNCOUNTED)
def both(request, make_search, make_frame):
    """Trials of a search, without and with three that do not count and would beat them all."""
    rows = [row | {"stage": "trained"} for row in make_search(60, kernel_effect=0.05)]
    better = {"accuracy": 0.999, "ops": 10.0, "loss": 0.001, "params": 1, "bytes": 1, "bits": 8, "latency_ms": 0.1}
    extra = [rows[n] | better | {"number": 60 + n} | UNCOUNTED[request.param] for n in range(3)]
    return make_frame(rows), make_frame([*rows, *extra])


def test_front_and_choice_leave_them_out(both, tmp_path):
    plain, mixed = both
    pd.testing.assert_frame_equal(front(plain), front(mixed))
    assert competing(mixed).sum() == 60
    mixed.drop(columns=["started"]).assign(started=None).pipe(
        lambda frame: write_trials(frame.replace({np.nan: None}).to_dict("records"), tmp_path / "trials.parquet")
    )
    assert load_front(tmp_path)["id"].tolist() == front(plain)["id"].tolist()
    chosen = choose(tmp_path)
    assert (chosen.accuracy, chosen.stage) == (plain["accuracy"].max(), "trained")


def test_figures_leave_them_out(both):
    plain, mixed = both
    first, second = frontier_data(plain), frontier_data(mixed)
    np.testing.assert_array_equal(first.front, second.front)
    np.testing.assert_array_equal(first.points, second.points)
    assert first.knee == second.knee
    assert attainment_data([plain]).table().equals(attainment_data([mixed]).table())
    assert genes_data(plain).shares.equals(genes_data(mixed).shares)
    np.testing.assert_array_equal(parallel_data(plain).values, parallel_data(mixed).values)
    assert parallel_data(plain).front == parallel_data(mixed).front


def test_hypervolume_and_its_box_leave_them_out(both):
    plain, mixed = both
    first, second = hypervolume_data(plain), hypervolume_data(mixed)
    assert (first.reference, first.ideal) == (second.reference, second.ideal)
    np.testing.assert_array_equal(first.curves[""], second.curves[""][:60])
    assert second.curves[""][-1] == first.curves[""][-1]  # a pruned trial takes its place and adds nothing
    assert seeds_data([plain]).mean[""][-1] == seeds_data([mixed]).mean[""][-1]
    assert hypervolume_table([plain], trials=60)["hypervolume"].equals(
        hypervolume_table([mixed], trials=60)["hypervolume"]
    )


def test_what_a_search_teaches_leaves_them_out(both):
    plain, mixed = both
    assert len(equal_cost_residuals(mixed)) == 60
    pd.testing.assert_frame_equal(gene_effects(plain), gene_effects(mixed))
    pd.testing.assert_frame_equal(gene_importance(plain).frame, gene_importance(mixed).frame)
    assert operator_table(mixed)["front"].sum() == len(front(plain))
    assert set(operator_table(mixed)["operator"]) == {"random", "mutation"}


@pytest.mark.parametrize("name", UNCOUNTED)
def test_pages_leave_them_out(make_run, make_digits_rows, name):
    rows = make_digits_rows(40)
    best = rows[0] | {"accuracy": 0.999, "ops": 10.0, "id": "uncounted", "number": 40} | UNCOUNTED[name]
    run, plain = make_run("mixed", [*rows, best]), make_run("plain", rows)
    assert certainty(run_facts(run)).best == certainty(run_facts(plain)).best
    assert certainty(run_facts(run)).finished == certainty(run_facts(plain)).finished
    page = frontier_page(run)
    assert "uncounted" not in page
    results = compare([run, plain]).runs
    assert results[0].best == results[1].best
    assert results[0].hypervolume == results[1].hypervolume


def test_a_run_is_judged_by_its_candidates(make_row, make_frame):
    def stage_of(*names: str) -> str:
        return search_stage(make_frame([make_row(n, 1e6, 0.5, stage=name) for n, name in enumerate(names)]))

    assert stage_of("finetuned", "inherited") == "inherited"
    assert stage_of("final", "trained", "reference") == "trained"
    assert stage_of("searched", "final", "reference") == "final"
    assert stage_of() == "inherited"


def test_candidates_and_their_final_training_are_paired(make_row, make_frame):
    accuracies = [(0.5, 0.7), (0.6, 0.8), (0.65, 0.75), (0.7, 0.9)]
    rows = [make_row(n, 1e6, early, stage="trained") for n, (early, _) in enumerate(accuracies)]
    rows += [make_row(n, 1e6, late, stage="final") for n, (_, late) in enumerate(accuracies)]
    trials = make_frame(rows)
    data = stages_data(trials)
    assert (data.first, data.second) == ("trained", "final")
    assert data.pairs.tolist() == [list(pair) for pair in accuracies]
    assert stage_correlation(trials).kendall.value == pytest.approx(4 / 6)
    assert len(of_stage(trials)) == 4
    searched = make_frame([make_row(0, 1e6, 0.5, stage="searched"), make_row(0, 1e6, 0.5, stage="final")])
    assert math.isnan(stage_correlation(searched).kendall.value)


def test_examples_in_docstrings_are_right():
    result = doctest.testmod(stages)
    assert result.attempted > 0
    assert result.failed == 0
