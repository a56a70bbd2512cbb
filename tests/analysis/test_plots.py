"""Figures: the values they show, and that they draw whatever a run holds."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.plots import frontier_data, hypervolume_data, plot_frontier, plot_hypervolume, save_figure
from analysis.plots.frontier.places import Box, place_labels
from analysis.runs.published import published_points


def texts(figure: Figure) -> str:
    figure.draw_without_rendering()
    axes = figure.axes[0]
    words = [
        axes.get_title(loc="left"),
        axes.get_xlabel(),
        axes.get_ylabel(),
        *(text.get_text() for text in axes.texts),
    ]
    words += [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return "\n".join(words)


def test_frontier_data_holds_what_the_plot_shows(make_row, make_frame):
    trials = make_frame(
        [
            make_row(0, 2e7, 0.50),
            make_row(1, 3e7, 0.64, generation=1),
            make_row(2, 4e7, 0.66, stage="finetuned", generation=None),
            make_row(3, 5e7, 0.67),
            make_row(4, 5e7, 0.60),
            make_row(5, 5e7, float("nan")),
            make_row(6, 5e7, None, state="failed", reason="x"),
            make_row(7, 5e7, None, state="running"),
        ]
    )
    other = make_frame([make_row(0, 3e7, 0.55), make_row(1, 4e7, 0.50)])
    data = frontier_data(trials, dataset="imagenet", budget=(2e7, 6e7), baseline=("random", other))
    assert data.points.tolist() == [[2e7, 0.5], [3e7, 0.64], [4e7, 0.66], [5e7, 0.67], [5e7, 0.6]]
    assert data.stages == ("inherited", "inherited", "finetuned", "inherited", "inherited")
    np.testing.assert_array_equal(data.generations, [0, 1, np.nan, 0, 0])
    assert data.front.tolist() == [[2e7, 0.5], [3e7, 0.64], [4e7, 0.66], [5e7, 0.67]]
    assert data.knee == (3e7, 0.64)
    assert data.counts == {"running": 1, "finished": 6, "failed": 1}
    assert (data.trials, data.unusable, data.space) == (8, 1, "nasbnn")
    assert data.baseline_front.tolist() == [[3e7, 0.55]]
    # up to 1.15 times the budget's end, which leaves NAS-BNN-C and XNOR-Net without operations out
    assert [reference.model for reference in data.published] == [
        "NAS-BNN-A", "NAS-BNN-A #100", "Binary MobileNet-M3", "MoBiNet-Mid (K=4)",
        "NAS-BNN-B", "NAS-BNN-B #100", "Binary MobileNet-M2",
    ]  # fmt: skip


def test_published_models_appear_for_imagenet_or_on_request(make_row, make_frame):
    trials = make_frame([make_row(0, 2e8, 0.9)])
    assert frontier_data(trials).published == ()
    assert frontier_data(trials, "params", dataset="imagenet").published == ()
    shown = frontier_data(trials, published=published_points("cifar10")).published
    assert [reference.model for reference in shown][-1] == "VGG-Auto-B"
    assert len(shown) == 6  # neither full precision nor the model without operations


def test_published_accuracy_is_not_drawn_beside_other_objectives(make_frame):
    with pytest.raises(ValueError, match="the plot shows bytes and accuracy"):
        frontier_data(make_frame([]), "bytes", published=published_points())


def test_a_budget_must_be_a_range(make_frame):
    with pytest.raises(ValueError, match="range"):
        frontier_data(make_frame([]), budget=(2.0, 1.0))


def test_a_full_figure_says_it_all(make_rows, make_frame):
    trials, other = make_frame(make_rows(300)), make_frame(make_rows(300, 1, "random"))
    data = frontier_data(trials, dataset="imagenet", budget=(20e6, 180e6), baseline=("random search", other))
    words = texts(plot_frontier(data))
    for piece in (
        "space nasbnn · ImageNet · 300 trials · 6 failed", "operations (M OPs)", "validation accuracy (%)",
        "weights from the supernet (294)", "front of random search", "knee", "budget", "NAS-BNN-B #100", "ReActNet-A",
    ):  # fmt: skip
        assert piece in words


def test_labels_do_not_overlap_at_any_resolution(make_rows, make_frame):
    figure = plot_frontier(frontier_data(make_frame(make_rows(300)), dataset="imagenet"))
    for resolution in (100, 150, 300):
        figure.set_dpi(resolution)
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
        assert len(boxes) > 20
        for index, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[:index])


RUNS = {
    "empty": ([], "this run has no trials yet"),
    "one": ([(2e7, 0.5, "finished")], "1 trial"),
    "all failed": ([(2e7, None, "failed")] * 3, "no finished trial to show"),
    "all NaN": ([(2e7, float("nan"), "finished")] * 3, "3 finished without finite values"),
    "equal": ([(2e7, 0.5, "finished")] * 3, "front (3 trials)"),
    "perfect": ([(2e7, 1.0, "finished"), (1e7, 0.0, "finished")], "front (2 trials)"),
    "pruned": ([(2e7, 0.5, "finished"), (3e7, 0.4, "pruned"), (3e7, None, "running")], "1 pruned; 1 still running"),
    "nothing costs": ([(0.0, 0.5, "finished")], "operations (OPs)"),
}


@pytest.mark.parametrize(("dataset", "colour"), [("imagenet", "stage"), ("digits", "generation")])
@pytest.mark.parametrize("name", RUNS)
def test_odd_runs_draw_and_say_what_is_missing(name, colour, dataset, make_row, make_frame):
    rows, words = RUNS[name]
    trials = make_frame([make_row(number, *row[:2], state=row[2]) for number, row in enumerate(rows)])
    assert words in texts(plot_frontier(frontier_data(trials, dataset=dataset), colour=colour))
    figure = plot_hypervolume(hypervolume_data({"a": trials, "b": make_frame([])}))
    assert "nothing to measure in" in texts(figure)
    plot_hypervolume(hypervolume_data(trials)).draw_without_rendering()


def test_hypervolume_data_shares_one_box(make_row, make_frame):
    good = make_frame(
        [make_row(1, 1e7, 0.6), make_row(0, 3e7, 0.2), make_row(2, 2e7, None, state="failed", reason="x")]
    )
    poor = make_frame([make_row(0, 2e7, 0.4), make_row(1, 1e7, 0.7, state="running")])
    data = hypervolume_data({"good": good, "poor": poor})
    assert (data.reference, data.ideal) == ((3e7, 0.2), (1e7, 0.6))
    assert data.curves["good"].tolist() == pytest.approx([0.0, 1.0, 1.0])
    assert data.curves["poor"].tolist() == pytest.approx([0.25])
    fixed = hypervolume_data(good, reference=(5e7, 0.2))
    assert fixed.curves[""].tolist() == pytest.approx([0.0, 1.0, 1.0])
    assert fixed.reference == (5e7, 0.2)


def test_hypervolume_takes_stages_in_turn_or_one_alone(make_row, make_frame):
    trials = make_frame([make_row(0, 1e7, 0.7, stage="finetuned"), make_row(0, 2e7, 0.4), make_row(1, 1e7, 0.5)])
    assert len(hypervolume_data(trials, stage="inherited").curves[""]) == 2
    assert (np.diff(hypervolume_data(trials).curves[""]) > 0).all()


def test_files_are_whole_and_repeat(make_rows, make_frame, tmp_path):
    data = frontier_data(make_frame(make_rows(50)), dataset="imagenet")
    png, svg = save_figure(plot_frontier(data), tmp_path / "front.v1")
    assert (png.name, svg.name) == ("front.v1.png", "front.v1.svg")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "NAS-BNN-B" in svg.read_text()
    _, again = save_figure(plot_frontier(data), tmp_path / "again")
    assert again.read_bytes() == svg.read_bytes()


def test_labels_keep_apart_and_inside():
    rng = np.random.default_rng(0)
    anchors = [(float(x), float(y)) for x, y in rng.random((40, 2)) * 400]
    bounds = Box(0, 0, 400, 400)
    boxes = place_labels(anchors, [(40.0, 8.0)] * 40, bounds, np.array(anchors))
    placed = [box for box in boxes if box]
    assert len(placed) > 30
    for index, box in enumerate(placed):
        assert box.inside(bounds)
        assert all(box.gap(*anchor) > 0 for anchor in anchors)
        assert not any(box.overlaps(other) for other in placed[:index])


def test_a_label_without_room_is_left_out():
    assert place_labels([(5, 5)], [(40, 8)], Box(0, 0, 10, 10)) == [None]
    assert place_labels([], [], Box(0, 0, 10, 10)) == []
