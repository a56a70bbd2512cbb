"""Differentiable searches by their settings: means over seeds, and differences that pair them."""

import doctest
import json
import math

import numpy as np
import pandas as pd
import pytest

from analysis.findings import cells, sweep
from analysis.findings.agreement import table_correlation
from analysis.findings.sweep import compare_settings, layer_shares, searches_table, setting_differences, sweep_table
from analysis.plots import paired_data, plot_stages

ZEROISE = "normal: none@0 none@1 ; none@0 conv3@2 | reduce: max@0 avg@1 ; dil3@0 none@1"
CONVOLUTIONS = "normal: conv3@0 conv5@1 ; dil3@0 dil5@2 | reduce: conv3@0 conv3@1 ; conv3@0 conv3@1"


def searched(make_row, number, text, accuracy, genotype, **more):
    facts = json.dumps({"genotype": genotype, "transfer": genotype}) if genotype else None
    row = make_row(number, 1e6, accuracy, stage="searched", architecture=text, id=f"search{number}", facts=facts)
    return row | more


@pytest.fixture
def trials(make_row, make_frame):
    """Two settings of three seeds; the diversity term gains 0.02 whatever the seed, and Zeroise goes away."""
    rows: list[dict[str, object]] = []
    for seed, base in enumerate((0.70, 0.74, 0.78)):
        for weight in (0, 1):
            number = len([row for row in rows if row["stage"] == "searched"])
            text = f"entropy_weight={weight} entropy_decay=7.7 seed={seed}"
            genotype = CONVOLUTIONS if weight else ZEROISE
            rows.append(searched(make_row, number, text, base + 0.1 * weight, genotype))
            # the accuracy of the search says the contrary for the last seed of the setting without the term
            rows.append(make_row(number, 1e6, base + 0.05 + 0.02 * weight, stage="final", architecture=genotype,
                                 id=f"final{number}", parents=[f"search{number}"]))  # fmt: skip
    failed = searched(make_row, 6, "entropy_weight=0 entropy_decay=7.7 seed=3", None, None)
    rows.append(failed | {"state": "failed", "reason": "out of memory"})
    rows.append(make_row(9, 1e6, 0.99, stage="reference", operator="published", parents=["search0"]))
    return make_frame(rows)


def test_a_row_holds_the_seeds_of_a_setting(trials):
    table = sweep_table(trials)
    assert table["setting"].tolist() == [
        "entropy_weight=1 entropy_decay=7.7", "entropy_weight=0 entropy_decay=7.7",
    ]  # fmt: skip
    best, other = table.to_dict("records")
    assert (best["searches"], best["search_seeds"], best["final_seeds"], best["failed"]) == (3, 3, 3, 0)
    assert (other["searches"], other["search_seeds"], other["final_seeds"], other["failed"]) == (4, 3, 3, 1)
    assert best["search_accuracy"] == pytest.approx(0.84)
    assert best["final_accuracy"] == pytest.approx(0.81)
    assert best["final_deviation"] == pytest.approx(0.04)
    half = 4.302652729 * 0.04 / math.sqrt(3)
    assert (best["final_low"], best["final_high"]) == (pytest.approx(0.81 - half), pytest.approx(0.81 + half))
    assert (best["zeroise"], best["pools"], best["convolutions"]) == (0, 0, 1)
    assert (other["zeroise"], other["pools"], other["convolutions"]) == (0.5, 0.25, 0.25)
    assert (best["entropy_weight"], best["entropy_decay"]) == (1, 7.7)


def test_settings_are_compared_seed_by_seed(trials):
    """The spread over seeds is twice the gain, and pairing takes it out."""
    found = compare_settings(trials, "entropy_weight=0 entropy_decay=7.7", "entropy_weight=1 entropy_decay=7.7")
    assert found.effect.interval.count == 3
    assert found.effect.interval.value == pytest.approx(0.02)
    assert found.effect.interval.low == pytest.approx(0.02)
    assert found.effect.interval.high == pytest.approx(0.02)
    back = compare_settings(trials, found.second, found.first, "search_accuracy")
    assert back.effect.interval.value == pytest.approx(-0.1)
    (only,) = setting_differences(trials)
    assert only == found
    with pytest.raises(ValueError, match="no search has the setting 'x'; there are entropy_weight=0"):
        compare_settings(trials, "x", found.first)
    with pytest.raises(ValueError, match="unknown measure 'loss'"):
        compare_settings(trials, found.first, found.second, "loss")


def test_runs_are_told_apart_though_their_searches_have_one_id(trials):
    both = pd.concat([trials.assign(run="a"), trials.assign(run="b", accuracy=trials["accuracy"] + 0.01)])
    table = sweep_table(both)
    assert table["final_seeds"].tolist() == [6, 6]
    assert table["final_accuracy"].tolist()[0] == pytest.approx(0.815)
    assert setting_differences(both)[0].effect.interval.count == 6


def test_searches_that_found_one_genotype_share_its_training(make_row, make_frame):
    rows = [searched(make_row, n, f"seed={n}", 0.5 + n / 10, ZEROISE) for n in range(2)]
    rows.append(make_row(0, 1e6, 0.9, stage="final", architecture=ZEROISE, parents=["search0", "search1"]))
    searches = searches_table(make_frame(rows))
    assert searches["final_accuracy"].tolist() == [0.9, 0.9]
    assert searches["setting"].tolist() == ["default settings"] * 2
    assert sweep_table(make_frame(rows))["search_accuracy"].tolist() == [pytest.approx(0.55)]


def test_odd_searches_have_a_table(make_row, make_frame):
    assert len(sweep_table(make_frame([]))) == 0
    assert setting_differences(make_frame([])) == []
    rows = [searched(make_row, 0, "nonsense", 0.5, None), searched(make_row, 1, "seed=1", 0.6, None, facts="[1")]
    table = sweep_table(make_frame(rows))
    assert table["search_seeds"].tolist() == [2]
    assert table[["final_accuracy", "zeroise"]].isna().all().all()
    assert math.isnan(layer_shares("no cell")["pools"])


def test_ranks_of_a_table_are_those_of_its_networks():
    rng = np.random.default_rng(0)
    scratch = pd.Series(rng.uniform(0.5, 0.7, 40))
    table = pd.DataFrame({"one_shot": scratch * 0.5 + 0.02 * rng.normal(size=40), "from_scratch": scratch})
    table.loc[40] = [float("nan"), 0.5]
    found = table_correlation(table)
    assert found.pairs == 40
    for interval in (found.kendall, found.spearman):
        assert 0 < interval.low < interval.value < interval.high < 1
    # any rising function of either keeps the ranks
    again = table_correlation(table.assign(one_shot=np.exp(table["one_shot"])))
    assert again == found
    assert table_correlation(table.assign(one_shot=-table["one_shot"])).kendall.value == -found.kendall.value
    data = paired_data(table)
    assert len(data.table()) == 40
    words = "\n".join(text.get_text() for text in plot_stages(data).axes[0].texts)
    assert f"Kendall {found.kendall.value:.2f}" in words
    assert "equal in both" not in words  # the values lie too far apart
    with pytest.raises(ValueError, match=r"unknown column 'scratch'.* The columns are one_shot, from_scratch"):
        table_correlation(table, "one_shot", "scratch")


@pytest.mark.parametrize("module", [sweep, cells])
def test_examples_in_docstrings_are_right(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
