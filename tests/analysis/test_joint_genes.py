"""Genes of widths, cells and hyperparameters: numbers stay numbers, and what decides is found."""

import doctest
import random

import numpy as np
import pytest

from analysis.findings import genes
from analysis.findings.effects import gene_effects
from analysis.findings.genes import architectures_of, gene_table, genes_of, hyperparameters_of, summary_table
from analysis.findings.importance import gene_importance
from analysis.plots import parallel_data, plot_gene_effects, plot_importance
from spaces.cell import CellSpace
from spaces.hyperparameters.space import HyperparameterSpace
from spaces.hyperparameters.values import Grid, Listed
from spaces.joint.fixed import OnlySpace
from spaces.joint.space import JointSpace
from spaces.width import WidthSpace

WIDTHS = WidthSpace("small", "vgg-digits", image_size=8, channels=1)
CELLS = CellSpace("cells", "cifar", cells=5, width=8, image_size=8, classes=10, channels=1)
TRAINING = HyperparameterSpace(
    "training", (Grid("learning_rate", 1e-4, 1e-1, 13, log=True), Listed("optimiser", ("sgd", "adam")))
)


@pytest.fixture
def joint_rows(make_row):
    """Trials of a joint space in which the learning rate decides, and a little the first ratio."""
    space, rng, errors = JointSpace(WIDTHS, TRAINING), random.Random(0), np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    for number in range(150):
        member = space.sample(rng)
        cost, rate = space.cost(member), float(dict(member.hyperparameters.values)["learning_rate"])
        accuracy = 0.9 - 0.1 * (np.log10(rate) + 2) ** 2 + 0.01 * np.log(cost.ops / 1e4) + 0.01 * errors.normal()
        rows.append(
            make_row(number, cost.ops, float(accuracy), stage="trained", architecture=space.format(member), epochs=5)
        )
    return rows


def test_what_decides_is_found_among_hyperparameters(joint_rows, make_frame):
    trials = make_frame(joint_rows)
    found = gene_importance(trials)
    assert found.frame["feature"][0] == "learning_rate"
    assert found.r2 > 0.5
    assert found.frame["importance"][0] > 5 * found.frame["importance"][1]
    assert set(found.frame["feature"]) > {"optimiser", "l1_width"}
    effects = gene_effects(trials)
    rates = effects[effects["gene"] == "learning_rate"]
    # thirteen rates are put into five ranges, of which that around 0.01 is best
    assert len(rates) == 5
    assert rates["trials"].sum() == 150
    best = str(rates.sort_values("effect")["value"].iloc[-1])
    low, _, high = best.partition(" to ")
    assert float(low) <= 0.01 <= float(high or low)
    optimiser = effects[effects["gene"] == "optimiser"]
    assert sorted(optimiser["value"]) == ["adam", "sgd"]
    assert (optimiser["low"] < 0).all()
    assert (optimiser["high"] > 0).all()
    plot_gene_effects(effects).draw_without_rendering()
    plot_importance(found).draw_without_rendering()


def test_hyperparameters_are_axes_of_parallel_plots(joint_rows, make_frame):
    data = parallel_data(make_frame(joint_rows), ["learning_rate", "width", "ops", "accuracy"])
    assert data.values.shape == (150, 4)
    assert data.values[:, 0].max() == 0.1


@pytest.mark.parametrize("space", [WIDTHS, CELLS], ids=["width", "cell"])
def test_a_space_is_asked_for_its_genes(space):
    rng = random.Random(0)
    for _ in range(20):
        member = space.sample(rng)
        found = genes_of(space.format(member), space)
        assert list(found) == [parameter.name for parameter in space.parameters()]
        assert all(found[name] in space.genes()[name] for name in found)
    text = f"{space.format(member)} with learning_rate=0.1"
    assert genes_of(text, JointSpace(space, TRAINING)) == found | {"learning_rate": 0.1}
    assert architectures_of(JointSpace(OnlySpace(space, member), TRAINING)) == space


def test_columns_end_with_hyperparameters():
    texts = [WIDTHS.format(WIDTHS.uniform(ratio)) + " with learning_rate=0.1 epochs=3" for ratio in (1, 2)]
    table = gene_table(texts, WIDTHS)
    assert list(table.columns) == [*WIDTHS.genes(), "learning_rate", "epochs"]
    assert table.iloc[1].tolist() == [2.0] * len(WIDTHS.genes()) + [0.1, 3]
    cells = [CELLS.format(CELLS.largest()) + " with learning_rate=0.1"]
    assert gene_table(cells).columns[-1] == "learning_rate"
    assert gene_table(["c8k3g1 | c16k3g1 with momentum=0.9"]).columns[-1] == "momentum"


def test_hyperparameters_alone_are_genes():
    assert genes_of("entropy_weight=1 entropy_decay=7.7 seed=3") == {
        "entropy_weight": 1, "entropy_decay": 7.7, "seed": 3,
    }  # fmt: skip
    assert hyperparameters_of("1-2 with learning_rate=1e-4 optimiser=sgd") == {
        "learning_rate": 1e-4, "optimiser": "sgd",
    }  # fmt: skip
    assert hyperparameters_of("c8k3g1 | c16k3g1") == {}
    with pytest.raises(ValueError, match="'fast' is not a hyperparameter"):
        genes_of("1-2 with fast")
    assert gene_table(["1-2 with fast"]).isna().all().all()


def test_summaries_read_the_architecture_of_a_joint_text():
    table = summary_table(["c8k3g1 | c16k3g1 c24k5g2 with learning_rate=0.1", "1-0.5-3 with learning_rate=0.1"])
    assert table["depth"].tolist()[0] == 2
    assert table["width"].tolist() == [20, 1.5]


def test_examples_in_docstrings_are_right():
    result = doctest.testmod(genes)
    assert result.attempted > 0
    assert result.failed == 0
