"""Accuracy and operations that papers report, with the paper, table and row that each figure is from."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def published_points(dataset: str = "imagenet") -> pd.DataFrame:
    """What papers report on a data set, one row a row of a table; a model that two tables list is there twice.

    Columns: `model`, `paper`, `design` (auto or manual), `dataset`, `ops` (equivalent operations an image, as that
    paper counts them; NaN where our source has no figure), `top1` (fraction 0 to 1, on the images that the paper calls
    validation or test), `precision` (1-bit or 32-bit weights and activations), `note` (null where there is none) and
    `source`.

    Raises `ValueError` for a data set without figures.
    """
    points = _all_points()
    known = sorted(set(points["dataset"]))
    if dataset not in known:
        raise ValueError(f"no published figures for the data set {dataset!r}; there are some for {', '.join(known)}")
    return points[points["dataset"] == dataset].reset_index(drop=True)


@cache
def _all_points() -> pd.DataFrame:
    import pandas as pd

    with files("analysis.runs").joinpath("published.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, dtype={"ops": "float64", "top1": "float64"})
