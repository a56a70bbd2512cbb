"""How every figure looks: one palette, quiet axes, units on them; and how a figure becomes files."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from analysis.schema import BY_NAME
from analysis.units import prefix

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito, Color Universal Design (2008): eight colours that people of every colour vision tell apart
BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#767676"

# lines are told apart by their dashes too, so that a print in grey still tells them apart
LINES = ((BLUE, "-"), (VERMILION, "--"), (GREEN, "-."), (PURPLE, ":"), (ORANGE, "-"), (SKY, "--"), (BLACK, "-."))

TEXT_SIZE = 9.0
SMALL_SIZE = 7.5


@dataclass(frozen=True)
class Scale:
    """How a column is written on an axis: values are divided by `factor`, `label` holds name and unit."""

    label: str
    factor: float


def axis_scale(column: str, largest: float) -> Scale:
    """The scale for a column of the schema whose values reach up to `largest`.

    >>> axis_scale("ops", 180e6)
    Scale(label='operations (M OPs)', factor=1000000.0)
    """
    if column == "accuracy":
        return Scale("validation accuracy (%)", 0.01)
    factor, sign = prefix(largest)
    words = {
        "ops": ("operations", "OPs"),
        "flops": ("float operations", "MACs"),
        "int8_ops": ("8-bit operations", "MACs"),
        "bops": ("binary operations", "MACs"),
        "params": ("parameters", ""),
        "bits": ("size", "bit"),
        "bytes": ("size", "B"),
    }
    if column not in words:
        unit = BY_NAME[column].unit if column in BY_NAME else ""
        return Scale(f"{column} ({unit})" if unit else column, 1.0)
    name, unit = words[column]
    unit = f"{sign} {unit}" if unit in ("OPs", "MACs") else f"{sign}{unit}"
    return Scale(f"{name} ({unit.strip()})" if unit.strip() else name, factor)


def new_figure(width: float = 7.2, height: float = 4.6) -> tuple[Figure, Axes]:
    """An empty figure of a size in inches, with one pair of axes; it is not registered with pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=TEXT_SIZE, color=GREY)
    return figure, axes


class Tabular(Protocol):
    """What a plot shows, as a value that can be written as a table."""

    def table(self) -> pd.DataFrame:
        """The data of the figure, one row a mark."""
        ...


def save_figure(
    figure: Figure, path: str | os.PathLike[str], data: Tabular | pd.DataFrame | None = None
) -> tuple[Path, ...]:
    """Write a figure as PNG (150 dpi) and SVG, and its data as CSV; returns the paths, in this order.

    `path` has no suffix, and its folder exists. Text stays text in the SVG, and equal figures give equal files.
    """
    import matplotlib as mpl
    import pandas as pd

    png = Path(f"{os.fspath(path)}.png")
    svg = Path(f"{os.fspath(path)}.svg")
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "binarynas"}):
        figure.savefig(png, dpi=150, facecolor="white")
        figure.savefig(svg, facecolor="white", metadata={"Date": None})
    if data is None:
        return png, svg
    csv = Path(f"{os.fspath(path)}.csv")
    table = data if isinstance(data, pd.DataFrame) else data.table()
    table.to_csv(csv, index=False)
    return png, svg, csv
