"""The published figures are whole and plausible, and those that the papers' text quotes are the ones in the table."""

import pytest

from analysis.runs.published import published_points


@pytest.mark.parametrize(("dataset", "rows"), [("imagenet", 62), ("cifar10", 8)])
def test_every_row_is_complete(dataset, rows):
    points = published_points(dataset)
    assert len(points) == rows
    assert set(points["design"]) == {"auto", "manual"}
    assert set(points["precision"]) == {"1-bit", "32-bit"}
    assert points["top1"].between(0.4, 0.95).all()
    assert points["ops"].dropna().between(11e6, 2e9).all()
    assert points[["model", "paper", "source", "top1"]].notna().all().all()
    assert points["source"].is_unique
    assert points.loc[points["ops"].isna(), "note"].notna().all()


@pytest.mark.parametrize(
    ("model", "ops", "top1"),
    [
        ("NAS-BNN-A", 21e6, 0.6058),
        ("NAS-BNN-B #100", 57e6, 0.6820),
        ("NAS-BNN-C #100", 87e6, 0.6949),
        ("NAS-BNN-F", 180e6, 0.6954),
        ("NAS-BNN-F #100", 180e6, 0.7080),
        ("BNAS-D v2 Multi-Stage", 148e6, 0.6603),
        ("Res18-Auto-B", 660e6, 0.6965),
    ],
)
def test_figures_that_the_papers_quote_in_their_text(model, ops, top1):
    points = published_points().set_index("model")
    assert (points.loc[model, "ops"], points.loc[model, "top1"]) == (ops, top1)


def test_table_2_of_nas_bnn_is_there_in_full_and_in_order_of_operations():
    table = published_points()[lambda points: points["source"].str.startswith("NAS-BNN Table 2")]
    assert len(table) == 29
    assert table["ops"].dropna().is_monotonic_increasing
    assert sum(name.startswith("NAS-BNN-") for name in table["model"]) == 12


def test_table_3_of_nas_bnn_is_there_in_full():
    points = published_points("coco")
    assert len(points) == 17
    assert points["top1"].isna().all()
    assert points["map"].between(0.17, 0.33).all()
    assert points["ops"].is_monotonic_increasing
    best = points.set_index("model")["map"]
    assert (best["NAS-BNN-A"], best["NAS-BNN-D"], best["NAS-BNN-F"]) == (0.25, 0.316, 0.322)


def test_a_caller_cannot_spoil_the_figures_for_the_next():
    points = published_points()
    points.loc[:, "top1"] = 0
    assert published_points()["top1"].min() > 0


def test_a_data_set_without_figures_is_named():
    with pytest.raises(ValueError, match="'digits'; there are some for cifar10, coco, imagenet"):
        published_points("digits")
