"""Effects and importances that were put into trials come out of them; what is not there does not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from analysis.findings.effects import equal_cost_residuals, gene_effects
from analysis.findings.genes import gene_table
from analysis.findings.importance import LEAST_TRIALS, gene_importance, importance


def test_a_smooth_trend_leaves_no_residual(make_frame, make_search):
    residuals = equal_cost_residuals(make_frame(make_search(100, noise=0.0)))
    assert residuals.name == "accuracy at equal ops"
    assert np.abs(residuals).max() < 1e-9


def test_residuals_are_those_of_numpy_s_polynomial(make_frame, make_search):
    trials = make_frame(make_search(80))
    logs = np.log(trials["ops"].to_numpy())
    fitted = np.polynomial.Polynomial.fit(logs, trials["accuracy"], 3)(logs)
    np.testing.assert_allclose(equal_cost_residuals(trials), trials["accuracy"] - fitted, atol=1e-10)


def test_residuals_are_taken_within_stage_and_run(make_frame, make_search):
    rows = make_search(60, noise=0.0)
    trials = make_frame([*rows, *({**row, "stage": "finetuned", "accuracy": row["accuracy"] + 0.1} for row in rows)])
    both = pd.concat([trials.assign(run="a"), trials.assign(run="b", accuracy=trials["accuracy"] - 0.2)])
    assert np.abs(equal_cost_residuals(both)).max() < 1e-9


def test_residuals_leave_out_what_has_no_number(make_row, make_frame):
    rows = [
        make_row(0, 1e7, 0.5), make_row(1, 0.0, 0.5), make_row(2, 1e7, float("nan")), make_row(3, 2e7, 0.7),
        make_row(4, 1e7, None, state="failed", reason="x"),
    ]  # fmt: skip
    residuals = equal_cost_residuals(make_frame(rows))
    assert residuals.index.tolist() == [0, 3]
    assert residuals.tolist() == pytest.approx([-0.1, 0.1])  # two trials make no trend
    assert len(equal_cost_residuals(make_frame([]))) == 0


def test_a_planted_effect_is_found_exactly_without_noise(make_frame, make_search):
    trials = make_frame(make_search(150, noise=0.0, kernel_effect=0.03))
    effects = gene_effects(trials).set_index(["gene", "value"])
    three, five = effects.loc[("s2l1_kernel_size", 3)], effects.loc[("s2l1_kernel_size", 5)]
    assert five["effect"] - three["effect"] == pytest.approx(0.03)
    # against the mean over the trials
    assert three["effect"] * three["trials"] + five["effect"] * five["trials"] == pytest.approx(0, abs=1e-9)
    assert three["trials"] + five["trials"] == 150


def test_intervals_cover_an_effect_of_nothing_as_often_as_they_say(make_frame, make_search):
    # every gene but one has no effect here, so about one interval in twenty misses 0
    searches = [gene_effects(make_frame(make_search(120, seed))).assign(seed=seed) for seed in range(12)]
    effects = pd.concat(searches, ignore_index=True)
    first = effects.groupby(["seed", "gene"]).cumcount() == 0  # values of one gene are not independent
    covered = ((effects["low"] < 0) & (effects["high"] > 0))[first]
    assert len(covered) > 200
    assert 0.9 < covered.mean() < 0.99


def test_runs_of_different_level_do_not_blur_an_effect(make_frame, make_search):
    trials = make_frame(make_search(150, noise=0.0, kernel_effect=0.03))
    both = pd.concat([trials.assign(run="a"), trials.assign(run="b", accuracy=trials["accuracy"] - 0.2)])
    effects = gene_effects(both).set_index(["gene", "value"])["effect"]
    assert effects["s2l1_kernel_size", 5] - effects["s2l1_kernel_size", 3] == pytest.approx(0.03)


@pytest.mark.parametrize("count", [0, 1, 4, 12])
def test_few_trials_have_no_effects_or_some(make_frame, count, make_search):
    effects = gene_effects(make_frame(make_search(count)))
    assert list(effects.columns) == ["gene", "value", "trials", "effect", "low", "high"]
    assert (effects["trials"] >= 5).all()
    assert len(effects) == 0 or count == 12


def test_equal_trials_have_no_effects(make_frame, make_search):
    assert len(gene_effects(make_frame(make_search(1) * 40))) == 0


def test_the_gene_that_matters_comes_first(make_frame, make_search):
    found = gene_importance(make_frame(make_search(200, kernel_effect=0.03)))
    assert found.frame["feature"][0] == "s2l1_kernel_size"
    assert found.frame["low"][0] > 0.3
    assert found.r2 > 0.4
    assert (found.trials, found.target, found.note) == (200, "accuracy at equal ops", "")
    pd.testing.assert_frame_equal(gene_importance(make_frame(make_search(200, kernel_effect=0.03))).frame, found.frame)


def test_noise_has_no_importance(make_frame, make_search):
    found = gene_importance(make_frame(make_search(200)))
    assert found.r2 < 0.1
    assert found.frame["importance"].max() < 0.1


def test_importance_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    features = pd.DataFrame(rng.normal(size=(600, 3)), columns=["a", "b", "c"])
    target = features["a"] + 0.5 * features["b"] + 0.1 * pd.Series(rng.normal(size=600))
    found = importance(features, target).frame.set_index("feature")["importance"]
    forest = RandomForestRegressor(64, min_samples_leaf=3, max_features=1 / 3, random_state=0)
    forest.fit(features[:480], target[:480])
    expected = permutation_importance(forest, features[480:], target[480:], n_repeats=10, random_state=0)
    assert found[["a", "b", "c"]].tolist() == pytest.approx(expected["importances_mean"].tolist(), abs=0.15)


def test_hyperparameters_may_be_texts_and_missing():
    rng = np.random.default_rng(0)
    optimiser = pd.Series(rng.choice(["adam", "sgd"], 120)).where(pd.Series(rng.random(120) > 0.1))
    features = pd.DataFrame({"optimiser": optimiser, "rate": rng.random(120), "same": 1})
    target = (optimiser == "adam").astype(float)
    target[::40] = np.nan
    found = importance(features, target)
    assert found.frame["feature"].tolist()[0] == "optimiser"
    assert "same" not in found.frame["feature"].tolist()
    assert found.trials == 117


def test_what_cannot_be_told_is_said(make_frame, make_search):
    few = gene_importance(make_frame(make_search(LEAST_TRIALS - 1)))
    assert "29 trials are too few" in few.note
    features = pd.DataFrame({"a": range(40)})
    assert importance(features, pd.Series([0.5] * 40)).note == "all trials are equally good"
    assert importance(features * 0, pd.Series(np.arange(40.0))).note == "nothing differs between the trials"
    assert len(few.table()) == 0
    assert gene_table([]).empty
