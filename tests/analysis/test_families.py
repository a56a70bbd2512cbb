"""Runs on spaces of widths and cells: references beside the front, channels, and a report that tells of them."""

import doctest
import json
import random

import numpy as np
import pandas as pd
import pytest

from analysis.findings.facts import run_facts
from analysis.plots import channels_data, frontier_data, plot_channels, plot_frontier, save_figure
from analysis.report.cells import cells_figure
from analysis.report.frontier import frontier_page
from analysis.report.page import report_html
from analysis.report.sections import space as report_space
from spaces.cell import CellSpace
from spaces.hyperparameters.space import HyperparameterSpace
from spaces.hyperparameters.values import Listed
from spaces.joint.space import JointSpace
from spaces.width import WidthSpace

WIDTHS = WidthSpace("small", "vgg-small")
CELLS = CellSpace("cells", "cifar", cells=5, width=8, image_size=8, classes=10, channels=1)
TRAINING = HyperparameterSpace("training", (Listed("learning_rate", (0.001, 0.01)),))
HOSTILE = "<script>alert(1)</script> $x$"


def priced(space, member, make_row, number, accuracy, cost=None, **more):
    cost = cost or space.cost(member)
    counts = {name: getattr(cost, name) for name in ("flops", "int8_ops", "bops", "params", "bits", "bytes")}
    text = {"architecture": space.format(member), "id": space.id(member), "space": space.name}
    return make_row(number, cost.ops, accuracy, **{**text, **counts, "latency_ms": cost.ops / 1e7, **more})


def references(make_row):
    uniform = [
        priced(WIDTHS, WIDTHS.uniform(ratio), make_row, number, 0.88 + 0.01 * ratio, stage="reference",
               operator=f"uniform {ratio}x")
        for number, ratio in enumerate((2, 1))
    ]  # fmt: skip
    one = WIDTHS.uniform(1)
    twin = WIDTHS.full_precision_cost(one)
    twins = [
        priced(WIDTHS, one, make_row, 2 + n, accuracy, twin, stage="reference", operator="full precision 1x", id="fp")
        for n, accuracy in enumerate((0.93, 0.95))
    ]
    return [*uniform, *twins]


@pytest.fixture
def width_rows(make_row):
    rng = random.Random(0)
    rows = [
        priced(WIDTHS, WIDTHS.sample(rng), make_row, number, 0.8 + number / 1000, stage="trained", epochs=10)
        for number in range(30)
    ]
    rows[3] |= {"state": "pruned", "accuracy": 0.1, "epochs": 1, "reason": "stopped after 1 of 10 epochs"}
    return [*rows, *references(make_row)]


def test_references_stand_beside_the_front(width_rows, make_frame, tmp_path):
    trials = make_frame(width_rows)
    data = frontier_data(trials)
    costs = [WIDTHS.cost(WIDTHS.uniform(ratio)).ops for ratio in (1, 2)]
    assert [(c.name, c.x, c.y, c.count) for c in data.compared] == [
        ("uniform 1x", costs[0], 0.89, 1), ("uniform 2x", costs[1], 0.9, 1),
        ("full precision 1x", WIDTHS.full_precision_cost(WIDTHS.uniform(1)).ops, pytest.approx(0.94), 2),
    ]  # fmt: skip
    assert len(data.points) == 29
    figure = plot_frontier(data)
    axes = figure.axes[0]
    words = [text.get_text() for text in axes.texts]
    assert {"uniform 1x", "uniform 2x", "full precision 1x: 94.00 %, 608 M OPs"} <= set(words)
    assert any("1 pruned" in text for text in words)
    (squares,) = [line for line in axes.lines if line.get_marker() == "s"]
    assert squares.get_xydata().tolist() == [[costs[0] / 1e6, 89], [costs[1] / 1e6, 90]]
    assert squares.get_linestyle() == "-"
    # the twin's cost lies far beyond the others: only its level is drawn
    assert axes.get_xlim()[1] < 300
    levels = [float(np.asarray(line.get_ydata())[0]) for line in axes.lines if line.get_linestyle() == "--"]
    assert levels == [pytest.approx(94)]
    *_, csv = save_figure(figure, tmp_path / "front", data)
    table = pd.read_csv(csv)
    assert table.loc[table["kind"] == "reference", "name"].tolist() == [c.name for c in data.compared]


@pytest.mark.parametrize("x", ["params", "bytes", "latency_ms"])
def test_any_cost_is_an_axis(x, width_rows, make_frame):
    data = frontier_data(make_frame(width_rows), x)
    figure = plot_frontier(data)
    figure.draw_without_rendering()
    label = {"params": "parameters (M)", "bytes": "size (MB)", "latency_ms": "latency of one image (ms)"}[x]
    assert figure.axes[0].get_xlabel() == label
    unit = {"params": "parameters", "bytes": "MB", "latency_ms": "ms"}[x]
    assert any(text.get_text().endswith(unit) for text in figure.axes[0].texts)


def test_references_alone_are_drawn(make_row, make_frame):
    data = frontier_data(make_frame(references(make_row)))
    assert len(data.front) == 0
    words = [text.get_text() for text in plot_frontier(data).axes[0].texts]
    assert "no finished trial to show" in words
    assert "uniform 2x" in words


def test_channels_are_those_of_the_space():
    data = channels_data({"uniform 3x": "3-3-3-3-3-3", "found": "1-0.5-2-4-0.25-1 with learning_rate=0.1"}, WIDTHS)
    table = data.table()
    own = table[table["architecture"] == "found"]
    planned = WIDTHS.layers(WIDTHS.parse("1-0.5-2-4-0.25-1"))[:-1]
    assert own["width"].tolist() == [layer.cout for layer in planned] == [128, 64, 512, 1024, 128, 512]
    assert own["name"].tolist() == [layer.name for layer in planned]
    assert own["stage"].tolist() == [1, 1, 2, 2, 3, 3]
    assert data.stages == {1: "32×32", 2: "16×16", 3: "8×8"}
    assert table.loc[table["architecture"] == "uniform 3x", "width"].tolist() == [384, 384, 768, 768, 1536, 1536]
    figure = plot_channels(data)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["uniform 3x", "found"]
    assert "filled" not in figure.axes[0].get_title(loc="left")  # all kernels are alike
    with pytest.raises(ValueError, match="draw them with draw_cell"):
        channels_data([], CELLS)


def declared(run, space, **config):
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(info | {"space": space.declaration()}))
    (run / "config.yaml").write_text(json.dumps({"seed": 0, **config}))
    return run


def test_report_on_a_width_run(make_run, width_rows):
    run = declared(
        make_run(rows=width_rows), WIDTHS, method="training", final={"networks": 3, "epochs": 200, "batch_size": 64},
        training={"epochs": 10, "batch_size": 128, "early_stopping": True, "first_rung": 1, "reduction": 2.0},
    )  # fmt: skip
    facts = run_facts(run)
    assert (facts.space, facts.notes) == (WIDTHS, ())
    page = report_html([run])
    for said in (
        "every candidate is trained", "46.7 K networks", "10 epochs, batch 128", "3 of the front, 200 epochs",
        "29 finished", "1 pruned", "conv6", "For comparison", "uniform 2x", "full precision 1x", "conv1",
    ):  # fmt: skip
        assert said in page, said
    own = frontier_page(run)
    assert "uniform 1x, for comparison" in own
    assert "full precision 1x, 608 M OPs" in own
    assert "1 pruned trial not drawn" in own


def test_report_on_a_joint_run(make_run, make_row):
    space, rng = JointSpace(WIDTHS, TRAINING), random.Random(0)
    rows = [priced(space, space.sample(rng), make_row, n, 0.8 + n / 100, stage="trained") for n in range(8)]
    run = declared(make_run(rows=rows), space, method="training")
    page = report_html([run])
    for said in ("each with 2 settings of its training", "learning_rate 0.001, 0.01", "conv6", "with learning_rate="):
        assert said in page, said
    assert "costs cannot be counted" not in page


def test_report_on_differentiable_searches(make_run, make_row):
    rng = random.Random(0)
    rows: list[dict[str, object]] = []
    for number in range(4):
        member = CELLS.sample(rng)
        facts = json.dumps({"genotype": CELLS.format(member), "transfer": HOSTILE})
        text = f"entropy_weight={number % 2} seed={number // 2}"
        rows.append(priced(CELLS, member, make_row, number, 0.6, stage="searched", architecture=text,
                           id=f"search{number}", facts=facts, epochs=2))  # fmt: skip
        rows.append(priced(CELLS, member, make_row, number, 0.7 + 0.01 * (number % 2), stage="final",
                           parents=[f"search{number}"]))  # fmt: skip
    run = declared(make_run(rows=rows), CELLS, method="differentiable", differentiable={"epochs": 2, "batch_size": 8})
    history = pd.DataFrame(
        [
            {"epoch": epoch, "cell": "normal", "edge": 0, "from": 0, "to": 2, "layer": layer, "probability": 0.5,
             "entropy": 0.7, "accuracy": 0.5}
            for epoch in (1, 2)
            for layer in ("none", HOSTILE)
        ]
    )  # fmt: skip
    for name in ("search0", "lost"):
        (run / "searches" / name).mkdir(parents=True)
        history.to_parquet(run / "searches" / name / "history.parquet")
    (run / "searches" / "lost" / "history.parquet").write_bytes(b"half")
    page = report_html([run])
    for said in (
        "The differentiable searches", "entropy_weight=1", "+1.00", "the normal cell", "The cells of the front",
        "Zeroise", "is not a whole Parquet file", "differentiable searches, whose genotypes are trained",
    ):  # fmt: skip
        assert said in page, said
    assert "<script>alert" not in page
    assert "How sure one can be" in report_html([declared(make_run("bare", rows=rows[:1]), CELLS)])


def test_cells_of_a_page_are_those_of_the_text():
    drawn = cells_figure("normal: none@1 dil3@0 ; conv3@1 none@2 | reduce: max@0 max@1 ; avg@0 conv5@2")
    assert drawn.count("<svg") == 2
    assert drawn.count('class="head') == 8
    assert drawn.count("dashed") == 2 + 1  # both Zeroise arcs, and the legend's line
    assert "cannot be drawn" in cells_figure("no cell")


def test_examples_in_docstrings_are_right():
    result = doctest.testmod(report_space)
    assert result.attempted > 0
    assert result.failed == 0
