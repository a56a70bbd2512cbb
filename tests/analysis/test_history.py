"""The history of a differentiable search: read, summed up and drawn."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.plots import (
    draw_cell,
    plot_entropy,
    plot_layer_probabilities,
    plot_search_accuracy,
    save_figure,
)
from analysis.runs.history import layer_probabilities, load_history, search_accuracy, search_entropy, search_histories
from analysis.runs.layout import RunError

TYPES = ("none", "max", "conv3", "conv5")
EDGES = [(source, target) for target in (2, 3) for source in range(target)]  # a cell of two nodes


def labels(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_a_history_of_the_search_itself_is_read(tmp_path):
    """What `search.training.bilevel_history` writes."""
    torch = pytest.importorskip("torch")
    from search.training.bilevel_history import History, history_table

    probabilities = torch.softmax(torch.arange(3 * 2 * 5 * 4.0).reshape(3, 2, 5, 4).sin(), -1)
    numbers = [torch.tensor([0.1, 0.2, float("nan")], dtype=torch.float64) for _ in range(4)]
    rows = history_table(History(probabilities, *numbers), TYPES)
    pd.DataFrame(rows).to_parquet(tmp_path / "history.parquet")
    found = load_history(tmp_path)
    assert len(found) == 3 * 2 * 5 * 4
    means = layer_probabilities(found).set_index(["cell", "source", "epoch", "layer"])["probability"]
    assert means["reduce", "cell inputs", 2, "conv3"] == pytest.approx(float(probabilities[1, 1, :4, 2].mean()))
    assert means["normal", "nodes", 3, "none"] == pytest.approx(float(probabilities[2, 0, 4, 0]))
    entropy = search_entropy(found).set_index(["cell", "epoch"])
    exact = torch.special.entr(probabilities).sum(-1)
    assert entropy.loc[("normal", 1), "entropy"] == pytest.approx(float(exact[0, 0].mean()))
    assert entropy.loc[("reduce", 3), "least"] == pytest.approx(float(exact[2, 1].min()))
    assert search_accuracy(found)["accuracy"].tolist()[:2] == [0.1, 0.2]
    for plot in (plot_layer_probabilities, plot_entropy, plot_search_accuracy):
        plot(found).draw_without_rendering()


@pytest.fixture
def history():
    """Two epochs: all layer types alike, then Zeroise certain on the edges from nodes."""
    rows = [
        {
            "epoch": epoch, "cell": cell, "edge": edge, "from": source, "to": target, "layer": layer,
            "probability": (1.0 if layer == "none" else 0.0) if epoch == 2 and source > 1 else 0.25,
            "entropy": 0.0 if epoch == 2 and source > 1 else float(np.log(4)), "accuracy": 0.5 + 0.1 * epoch,
        }
        for epoch in (1, 2)
        for cell in ("normal", "reduce")
        for edge, (source, target) in enumerate(EDGES)
        for layer in TYPES
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_probabilities_are_means_over_a_group_of_edges(history, tmp_path):
    data = layer_probabilities(history)
    assert len(data) == 2 * 2 * 2 * 4
    sums = data.groupby(["cell", "source", "epoch"])["probability"].sum()
    assert sums.tolist() == [pytest.approx(1)] * 8
    nodes = data[(data["source"] == "nodes") & (data["epoch"] == 2) & (data["cell"] == "normal")]
    assert nodes.set_index("layer")["probability"].to_dict() == {"none": 1, "max": 0, "conv3": 0, "conv5": 0}
    assert data.groupby("source")["edges"].first().to_dict() == {"cell inputs": 4, "nodes": 1}
    figure = plot_layer_probabilities(history)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "normal cell: 4 edges from cell inputs", "normal cell: 1 edge from nodes",
        "reduce cell: 4 edges from cell inputs", "reduce cell: 1 edge from nodes",
    ]  # fmt: skip
    lines = {line.get_label(): line for line in figure.axes[1].lines}
    assert list(lines) == labels(figure) == ["Zeroise", "max pool", "3×3", "5×5"]
    assert lines["Zeroise"].get_ydata().tolist() == [25, 100]
    # a kind of layer has one colour in every figure, and a larger kernel a dashed line
    assert lines["3×3"].get_color() == lines["5×5"].get_color()
    assert lines["3×3"].get_linestyle() != lines["5×5"].get_linestyle()
    cell = draw_cell("normal: conv3@0 max@1 | reduce: conv3@0 max@1")
    colours = {text.get_text(): text.get_color() for text in cell.axes[0].texts}
    assert colours["conv3"] == lines["3×3"].get_color()
    assert colours["max"] == lines["max pool"].get_color()
    *_, csv = save_figure(figure, tmp_path / "probabilities", data)
    assert len(pd.read_csv(csv)) == len(data)


def test_entropy_and_accuracy_over_epochs(history):
    entropy = search_entropy(history).set_index(["cell", "epoch"])
    assert entropy.loc[("normal", 1)].tolist() == pytest.approx([np.log(4)] * 4)
    assert entropy.loc[("reduce", 2)].tolist() == pytest.approx([0.8 * np.log(4), 0, np.log(4), np.log(4)])
    assert labels(plot_entropy(history)) == ["all layer types alike", "normal cell", "reduce cell"]
    assert search_accuracy(history).to_numpy().tolist() == [[1, 0.6], [2, 0.7]]
    (line,) = plot_search_accuracy(history).axes[0].lines
    assert line.get_ydata().tolist() == pytest.approx([60, 70])
    more = history.assign(architecture_accuracy=0.9)
    assert labels(plot_search_accuracy(more)) == ["validation images", "images that move the architecture"]


def test_histories_that_have_only_begun_are_drawn(history):
    for part in (history.iloc[:0], history[history["epoch"] == 1]):
        for plot in (plot_layer_probabilities, plot_entropy, plot_search_accuracy):
            plot(part).draw_without_rendering()
    unmeasured = plot_search_accuracy(history.assign(accuracy=float("nan")))
    assert "no accuracy was measured" in unmeasured.axes[0].texts[0].get_text()


def test_what_is_no_history_is_said_to_be_so(history, tmp_path):
    with pytest.raises(RunError, match="no history at"):
        load_history(tmp_path)
    file = tmp_path / "history.parquet"
    history.drop(columns=["layer", "entropy"]).to_parquet(file)
    with pytest.raises(RunError, match="lacks layer, entropy"):
        load_history(file)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(RunError, match="not a whole Parquet file"):
        load_history(file)


def test_a_run_knows_its_histories(history, tmp_path):
    assert search_histories(tmp_path) == {}
    for name in ("b", "a"):
        (tmp_path / "searches" / name).mkdir(parents=True)
        history.to_parquet(tmp_path / "searches" / name / "history.parquet")
    (tmp_path / "searches" / "begun").mkdir()
    assert list(search_histories(tmp_path)) == ["a", "b"]
