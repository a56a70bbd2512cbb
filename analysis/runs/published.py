"""Accuracies and operations from papers, each with its paper, table and row."""

from functools import cache
from importlib.resources import files

import pandas as pd

from spaces.errors import listed


def published_points(dataset: str = "imagenet") -> pd.DataFrame:
    """What papers report on a data set, one row per row of a paper's table; a model in two tables is listed twice.

    Columns: `model`, `paper`, `design` (auto or manual), `dataset`, `ops` (equivalent operations per image, as that
    paper counts them; NaN where our source has no figure), `top1` (fraction 0 to 1, on the images that the paper calls
    validation or test), `precision` (1-bit or 32-bit weights and activations), `note` (null where there is none) and
    `source`, and `map` (fraction 0 to 1; of detectors, on "coco", which have no `top1`).

    Raises `ValueError` for a data set without figures.
    """
    points = _all_points()
    known = sorted(set(points["dataset"]))
    if dataset not in known:
        raise ValueError(f"no published figures for the data set {dataset!r}; there are some for {listed(known)}")
    return points[points["dataset"] == dataset].reset_index(drop=True)


@cache
def _all_points() -> pd.DataFrame:
    with files("analysis.runs").joinpath("published.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, dtype={"ops": "float64", "top1": "float64", "map": "float64"})
