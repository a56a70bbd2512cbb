"""How every figure looks: one palette, quiet axes, units on them; and how a figure becomes files."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

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


def plain(text: str) -> str:
    """A name that users chose, such that a figure shows it as it is.

    matplotlib takes what stands between two dollar signs for mathematics, and hides a legend's entry whose name begins
    with an underscore.

    >>> plain("cost in $")
    'cost in \\\\$'
    """
    text = text.replace("$", r"\$")
    return f"\u200a{text}" if text.startswith("_") else text


def new_figure(width: float = 7.2, height: float = 4.6) -> tuple[Figure, Axes]:
    """An empty figure of a size in inches, with one pair of axes; it is not registered with pyplot."""
    figure, axes = new_panels(1, 1, width, height)
    return figure, axes[0][0]


def new_panels(rows: int, columns: int, width: float = 7.2, height: float = 4.6) -> tuple[Figure, list[list[Axes]]]:
    """An empty figure of a size in inches, with rows of axes; it is not registered with pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = [
        [figure.add_subplot(rows, columns, 1 + row * columns + column) for column in range(columns)]
        for row in range(rows)
    ]
    for axes in (axes for row in panels for axes in row):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(visible=True, color="#e6e6e6", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=TEXT_SIZE, color=GREY)
    return figure, panels


def label_axes(axes: Axes, x: str = "", y: str = "", title: str = "") -> None:
    """Name both axes and, where there is one, write a title above their left end."""
    axes.set_xlabel(x, fontsize=TEXT_SIZE)
    axes.set_ylabel(y, fontsize=TEXT_SIZE)
    if title:
        axes.set_title(title, fontsize=TEXT_SIZE, loc="left")


def legend_below(figure: Figure, axes: Axes, most: int = 4) -> None:
    """The legend of some axes under the figure, in rows of at most `most` entries; none where there is nothing."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        columns = min(len(handles), most)
        figure.legend(
            handles, labels, loc="outside lower center", ncols=columns, fontsize=SMALL_SIZE, frameon=False
        )  # fmt: skip


def say_instead(axes: Axes, words: str) -> None:
    """Write what is missing into axes that have nothing to show, and take the numbers off them."""
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.text(
        0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", color=GREY, fontsize=TEXT_SIZE, wrap=True
    )  # fmt: skip


def add_note(axes: Axes, words: str) -> None:
    """Write what the figure does not show into its lower right corner."""
    axes.text(
        0.99, 0.015, words, transform=axes.transAxes, ha="right", va="bottom", color=GREY, fontsize=SMALL_SIZE
    )  # fmt: skip


def shades(count: int) -> list[str]:
    """So many blues from light to dark, for values that have an order."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    if count == 1:
        return ["#d0d0d0"]  # nothing to choose: no place in an order
    blues = colormaps["Blues"]
    return [to_hex(blues(0.25 + 0.7 * index / (count - 1))) for index in range(count)]


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
