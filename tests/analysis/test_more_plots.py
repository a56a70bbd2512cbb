"""Figures of several runs, genes, stages, trainings and cells: the values they show, and what they say of odd runs."""

import json
import math

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis.findings.agreement import operator_table
from analysis.findings.effects import gene_effects
from analysis.findings.importance import Importance, gene_importance
from analysis.plots import (
    attainment_data,
    cell_data,
    channels_data,
    draw_cell,
    frontier_data,
    genes_data,
    hypervolume_data,
    parallel_data,
    plot_attainment,
    plot_channels,
    plot_frontier,
    plot_gene_effects,
    plot_gene_frequency,
    plot_genes_along_front,
    plot_hypervolume,
    plot_importance,
    plot_operators,
    plot_parallel,
    plot_seeds,
    plot_stages,
    plot_training,
    save_figure,
    seeds_data,
    stages_data,
    training_data,
)

CELLS = "normal: none@1 dil3@0 ; conv3@1 none@2 | reduce: max@0 max@1 ; avg@0 conv5@2"


def words(figure: Figure) -> str:
    """Everything that is written in a figure, as it is seen."""
    figure.draw_without_rendering()
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    return "\n".join(text.get_text().replace(r"\$", "$") for text in texts)


def every_plot(trials: pd.DataFrame) -> dict[str, Figure]:
    """All figures that a frame of trials alone makes."""
    genes = genes_data(trials)
    return {
        "frontier": plot_frontier(frontier_data(trials)),
        "hypervolume": plot_hypervolume(hypervolume_data({"first": trials, "second": trials})),
        "attainment": plot_attainment(attainment_data({"first": [trials, trials], "second": [trials]})),
        "seeds": plot_seeds(seeds_data({"first": [trials, trials], "second": [trials]})),
        "parallel": plot_parallel(parallel_data(trials)),
        "frequency": plot_gene_frequency(genes),
        "along": plot_genes_along_front(genes),
        "effects": plot_gene_effects(gene_effects(trials)),
        "importance": plot_importance(gene_importance(trials)),
        "stages": plot_stages(stages_data(trials)),
        "operators": plot_operators(operator_table(trials)),
    }


FAILED = {"state": "failed", "accuracy": None, "loss": None, "reason": "out of memory"}
NOTHING = {
    "frontier": "no finished trial to show",
    "hypervolume": "nothing to measure in first, second",
    "attainment": "no run with a finished trial",
    "seeds": "no run with a finished trial",
    "parallel": "no finished trial to show",
    "frequency": "no finished trial to show",
    "along": "no finished trial to show",
    "effects": "too few trials",
    "importance": "trials are too few",
    "stages": "no architecture finished both",
}
ODD = {
    "empty": ([], NOTHING | {"frontier": "this run has no trials yet", "operators": "no trial to show"}),
    "all failed": ([FAILED] * 3, NOTHING | {"operators": "0 of 2, 2 failed"}),
    "all running": ([{"state": "running", "accuracy": None}] * 3, NOTHING | {"frontier": "3 still running"}),
    "all NaN": (
        [{"accuracy": math.nan}] * 3,
        NOTHING | {"frontier": "3 finished without finite values", "parallel": "3 finished trials without all values"},
    ),
    "one": ([{}], {"frontier": "1 trial", "parallel": "1 trial, 1 on the front", "frequency": "the 1 network"}),
    "equal": (
        [{"accuracy": 0.5, "architecture": "c8k3g1 | c16k3g1", "ops": 1e6}] * 40,
        {"importance": "nothing differs", "effects": "too few trials", "frequency": "the 1 network"},
    ),
    "other text form": (
        [{"architecture": f"1-0.5-{index}"} for index in range(40)],
        {"frequency": "without stages of layers", "parallel": "40 trials"},
    ),
    "unknown text form": ([{"architecture": None}] * 40, {"importance": "nothing differs"}),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_runs_draw_and_say_what_is_missing(name, make_search, make_frame):
    changes, expected = ODD[name]
    rows = [row | change for row, change in zip(make_search(len(changes)), changes, strict=True)]
    figures = every_plot(make_frame(rows))
    for plot, figure in figures.items():
        assert expected.get(plot, "") in words(figure), plot


def test_a_usual_run_draws_everything(make_search, make_frame, tmp_path):
    rows = make_search(50, kernel_effect=0.05)
    tuned = [row | {"stage": "finetuned", "accuracy": row["accuracy"] + 0.01} for row in rows[::8]]
    trials = make_frame([*rows, *tuned])
    expected = {
        "attainment": "first: median of 2 runs", "seeds": "one run has no interval", "parallel": "57 trials",
        "along": "kernel size", "effects": "s2l1_kernel_size", "importance": "s2l1_kernel_size",
        "stages": "Kendall 1.00", "operators": "mutation",
    }  # fmt: skip
    figures = every_plot(trials)
    for plot, figure in figures.items():
        assert expected.get(plot, "") in words(figure), plot
    for file in save_figure(figures["along"], tmp_path / "along"):
        assert file.stat().st_size > 1000


@pytest.mark.parametrize(
    ("x", "y"), [("params", "accuracy"), ("bytes", "loss"), ("accuracy", "ops"), ("bops", "params")]
)
def test_any_pair_of_objectives_draws(x, y, make_search, make_frame):
    trials = make_frame(make_search(60))
    data = frontier_data(trials, x, y)
    assert len(data.front) >= 1
    assert list(data.table().columns) == ["kind", "name", "id", x, y]
    found = words(plot_frontier(data))
    for column, label in {
        "params": "parameters",
        "bytes": "size (",
        "loss": "loss (nats)",
        "ops": " OPs)",
    }.items():
        assert (label in found) == (column in (x, y))
    plot_attainment(attainment_data([trials, trials], x, y)).draw_without_rendering()
    plot_seeds(seeds_data([trials, trials], x, y)).draw_without_rendering()
    plot_parallel(parallel_data(trials, x=x, y=y)).draw_without_rendering()
    plot_genes_along_front(genes_data(trials, x, y)).draw_without_rendering()


def test_names_are_shown_as_they_are(make_search, make_frame, tmp_path):
    name = r"_a $x_1$ \$ b^2"
    rows = [row | {"space": name, "operator": name} for row in make_search(40)]
    trials = make_frame(rows)
    architecture = str(trials["architecture"][0])
    figures = {
        "frontier": plot_frontier(frontier_data(trials, dataset=name, baseline=(name, trials))),
        "hypervolume": plot_hypervolume(hypervolume_data({name: trials, "other": trials})),
        "attainment": plot_attainment(attainment_data({name: [trials, trials], "other": [trials]})),
        "seeds": plot_seeds(seeds_data({name: [trials], "other": [trials]})),
        "operators": plot_operators(operator_table(trials)),
        "channels": plot_channels(channels_data({name: architecture, "other": architecture})),
        "importance": plot_importance(
            Importance(pd.DataFrame({"feature": [name], "importance": [1], "low": [0], "high": [2]}), 0.5, 9, name)
        ),
    }
    for plot, figure in figures.items():
        with mpl.rc_context({"svg.fonttype": "none"}):  # text stays text
            figure.savefig(tmp_path / "figure.svg")
        assert name in (tmp_path / "figure.svg").read_text(), plot


def test_attainment_data_holds_the_quartiles_of_the_fronts(make_row, make_frame):
    runs = [make_frame([make_row(0, 1e7, 0.5 + 0.1 * index), make_row(1, 2e7, 0.4)]) for index in range(4)]
    data = attainment_data(runs)
    assert data.runs == {"": 4}
    assert {share: surface.tolist() for share, surface in data.surfaces[""].items()} == {
        0.25: [[1e7, 0.8]], 0.5: [[1e7, 0.7]], 0.75: [[1e7, 0.6]],
    }  # fmt: skip
    assert data.table().to_numpy().tolist()[1] == ["", 4, 0.5, 1e7, 0.7]


def test_seeds_data_holds_student_s_interval(make_search, make_frame):
    runs = [make_frame(make_search(12, seed)) for seed in range(3)]
    data = seeds_data({"a": runs, "b": runs[:1]})
    values = np.array([hypervolume_data({str(i): run for i, run in enumerate(runs)}).curves[str(i)] for i in range(3)])
    np.testing.assert_allclose(data.mean["a"], values.mean(axis=0))
    half = 4.302652729 * values.std(axis=0, ddof=1) / math.sqrt(3)
    np.testing.assert_allclose(data.high["a"], np.minimum(values.mean(axis=0) + half, 1))
    assert np.isnan(data.low["b"]).all()
    assert len(data.table()) == 24


def test_parallel_data_takes_columns_summaries_and_genes(make_search, make_frame):
    rows = make_search(20)
    trials = make_frame([*rows, rows[0] | {"number": 20, **FAILED}])
    data = parallel_data(trials, ["seconds", "depth", "s1_depth", "stem_width", "ops", "accuracy"])
    assert data.values.shape == (20, 6)
    assert sum(data.front) >= 1
    assert data.values[:, 4].tolist() == [row["ops"] for row in rows]
    missing = parallel_data(trials, ["s3l3_width", "accuracy"])
    lacking = sum("s3l3_width" not in genes for genes in map(genes_of_row, rows))
    assert missing.missing == f"{lacking} finished trials without all values"
    with pytest.raises(ValueError, match="unknown column or gene 'acuracy'"):
        parallel_data(trials, ["acuracy"])


def genes_of_row(row: dict[str, object]) -> dict[str, object]:
    from analysis.findings.genes import genes_of

    return genes_of(str(row["architecture"]))


def test_genes_data_counts_layers_of_the_front(make_row, make_frame):
    texts = ["c8k3g1 | c16k3g1 | c32k3g2", "c8k3g1 | c16k3g1 c24k3g1 | c64k5g1", "c8k3g1 | c32k3g1 | c32k3g1 c48k5g2"]
    trials = make_frame([make_row(n, (n + 1) * 1e6, 0.5 + 0.1 * n, architecture=text) for n, text in enumerate(texts)])
    data = genes_data(trials)
    assert data.networks == 3
    shares = data.shares.set_index(["gene", "stage", "layer", "value"])["share"].sort_index()
    assert shares["width", 1, 1, 16] == pytest.approx(2 / 3)
    assert shares["width", 1, 2].to_dict() == pytest.approx({16: 0, 24: 1 / 3, 32: 0})
    assert shares["kernel_size", 2, 1].to_dict() == pytest.approx({3: 2 / 3, 5: 1 / 3})
    along = data.along.set_index(["network", "stage"])
    assert along["cost"].tolist() == [1e6, 1e6, 2e6, 2e6, 3e6, 3e6]
    assert along.loc[(2, 2), ["depth", "width", "kernel_size", "groups"]].tolist() == [2, 40, 4, 1.5]
    assert along.loc[(2, 2), "width_place"] == pytest.approx((0 + 0.5) / 2)  # of 32, 48 and 64
    assert along.loc[(2, 2), "kernel_size_place"] == 0.5
    assert along["kernel_size_place"].xs(1, level="stage").isna().all()  # nothing to choose


def test_stages_and_channels_as_tables(make_search, make_frame):
    rows = make_search(5)
    trials = make_frame([*rows, *(row | {"stage": "finetuned", "accuracy": 0.9} for row in rows[:2])])
    assert stages_data(trials).table()["finetuned"].tolist() == [0.9, 0.9]
    data = channels_data({"a": "c8k3g1 | c16k3g1 c24k3g1 | c32k5g2"})
    assert data.table()["width"].tolist() == [8, 16, 24, 32]
    assert data.table()[["stage", "layer"]].to_numpy().tolist() == [[0, 1], [1, 1], [1, 2], [2, 1]]
    plot_channels(channels_data([str(row["architecture"]) for row in make_search(30)])).draw_without_rendering()
    assert "no architecture" in words(plot_channels(channels_data([])))
    with pytest.raises(ValueError, match="'x'"):
        channels_data(["x"])


def test_trainings_are_drawn_however_far_they_are(tmp_path):
    assert "no epoch" in words(plot_training(training_data(tmp_path)))
    base = {"event": "epoch", "epochs": 10, "images_per_second": 9.0, "learning_rate": 0.1}
    lines = [base | {"phase": "supernet", "epoch": epoch, "loss": 2.0 / epoch} for epoch in (1, 2, 3)]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "supernet, 3 of 10 epochs so far" in words(plot_training(training_data(tmp_path)))
    lines += [
        {"event": "epoch", "phase": "finetuned", "id": f"_{number}$", "epoch": 1, "loss": float("nan")}
        for number in range(2)
    ]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    data = training_data(tmp_path)
    found = words(plot_training(data))
    assert "finetuned: 2 networks" in found
    assert "no value on record" in found
    assert "_1$" in found
    assert len(data.table()) == 5


def test_cells_are_laid_out_and_drawn(tmp_path):
    data = cell_data(CELLS)
    assert list(data.nodes["normal"]) == ["input 0", "input 1", "node 1", "node 2", "output"]
    assert data.edges["reduce"][:2] == (("input 0", "node 1", "max"), ("input 1", "node 1", "max"))
    assert data.table()["layer"].tolist().count("") == 4
    figure = draw_cell(CELLS)
    for word in ("normal cell", "reduce cell", "conv5", "dil3", "concatenated"):
        assert word in words(figure)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:index])


def test_data_stand_beside_the_figure(make_search, make_frame, tmp_path):
    data = frontier_data(make_frame(make_search(30)), budget=(1e5, 1e6))
    png, svg, csv = save_figure(plot_frontier(data), tmp_path / "front", data)
    assert [file.suffix for file in (png, svg, csv)] == [".png", ".svg", ".csv"]
    table = pd.read_csv(csv)
    assert table["kind"].value_counts()["trial"] == 30
    assert table["kind"].value_counts()["budget"] == 2
    assert (table["kind"] == "front").sum() == len(data.front)
    other = hypervolume_data(make_frame(make_search(30)))
    assert len(other.table()) == 30
    assert save_figure(plot_hypervolume(other), tmp_path / "hv", other.table())[2].name == "hv.csv"
