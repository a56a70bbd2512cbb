"""The look of all figures (palette, axes, legends, notes), and how a figure is saved."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

import os
from pathlib import Path
from typing import Protocol

import matplotlib as mpl
import numpy.typing as npt
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import Collection
from matplotlib.colorbar import Colorbar
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator

# Okabe and Ito, Color Universal Design (2008): colours that can be distinguished with every colour vision
BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#767676"

# lines differ in their dashes too, so that they can be distinguished in a grey print
LINES = ((BLUE, "-"), (VERMILION, "--"), (GREEN, "-."), (PURPLE, ":"), (ORANGE, "-"), (SKY, "--"), (BLACK, "-."))

TEXT_SIZE = 9.0
SMALL_SIZE = 7.5
BACKED = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.2}  # the box of a label over a busy place


def plain(text: str) -> str:
    """A name that users chose, escaped so that a figure shows it unchanged.

    matplotlib reads text between two dollar signs as mathematics, and hides a legend's entry whose name begins with an
    underscore.

    >>> plain("cost in $")
    'cost in \\\\$'
    """
    text = text.replace("$", r"\$")
    return f"\u200a{text}" if text.startswith("_") else text


def new_figure(width: float = 7.2, height: float = 4.6) -> tuple[Figure, Axes]:
    """An empty figure of a size in inches, with one pair of axes; it is not registered with pyplot."""
    figure, axes = new_panels(1, 1, width, height)
    return figure, axes[0][0]


def on(ax: Axes | None, width: float = 7.2, height: float = 4.6) -> tuple[Figure, Axes]:
    """The axes to draw on, in the project's look, and their figure: those of the user, or of a new figure of a size in
    inches."""
    if ax is None:
        return new_figure(width, height)
    _look(ax)
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure), "axes are in a figure"
    return figure, ax


def _look(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=TEXT_SIZE, color=GREY)


def is_ours(figure: Figure) -> bool:
    """Whether a figure is one of `new_panels`, and not the user's."""
    return getattr(figure, _OURS, False)


_OURS = "_binarynas"


def new_panels(rows: int, columns: int, width: float = 7.2, height: float = 4.6) -> tuple[Figure, list[list[Axes]]]:
    """An empty figure of a size in inches, with rows of axes; it is not registered with pyplot."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    setattr(figure, _OURS, True)
    panels = [
        [figure.add_subplot(rows, columns, 1 + row * columns + column) for column in range(columns)]
        for row in range(rows)
    ]
    for axes in (axes for row in panels for axes in row):
        _look(axes)
    return figure, panels


def label_axes(axes: Axes, x: str = "", y: str = "", title: str = "") -> None:
    """Name both axes and, where there is one, write a title above their left end."""
    axes.set_xlabel(x, fontsize=TEXT_SIZE)
    axes.set_ylabel(y, fontsize=TEXT_SIZE)
    if title:
        axes.set_title(title, fontsize=TEXT_SIZE, loc="left")


def legend_below(figure: Figure, axes: Axes, most: int = 4) -> None:
    """The legend of some axes under the figure, in rows of at most `most` entries; none without entries. On axes of the
    user's it stays within them."""
    handles, labels = axes.get_legend_handles_labels()
    if handles and not is_ours(figure):
        axes.legend(handles, labels, fontsize=SMALL_SIZE, frameon=False)
    elif handles:
        columns, place = min(len(handles), most), "outside lower center"
        figure.legend(handles, labels, loc=place, ncols=columns, fontsize=SMALL_SIZE, frameon=False)


def write(axes: Axes, x: float, y: float, words: str, **look: object) -> None:
    """Write words around a place, small and centred unless `look` says otherwise."""
    axes.text(x, y, words, None, **({"ha": "center", "va": "center", "fontsize": SMALL_SIZE} | look))


def name_point(
    axes: Axes, words: str, point: tuple[float, float], away: tuple[float, float], **look: object
) -> Annotation:
    """Write words beside a point, `away` from it in points of the page."""
    label = axes.annotate(words, point, away, textcoords="offset points")
    label.set(**({"va": "center", "fontsize": SMALL_SIZE} | look))
    return label


def curve(axes: Axes, x: npt.ArrayLike, y: npt.ArrayLike, look: tuple[str, str], **more: object) -> None:
    """Draw a line of a colour and dashes (see `LINES`)."""
    axes.plot(x, y)[0].set(**({"color": look[0], "linestyle": look[1], "linewidth": 1.5} | more))


def whole_numbers(axes: Axes) -> None:
    """Put the ticks of the x axis at whole numbers."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def say_instead(axes: Axes, words: str) -> None:
    """Write what is missing into axes that have nothing to show, and remove their numbers."""
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    write(axes, 0.5, 0.5, words, transform=axes.transAxes, color=GREY, fontsize=TEXT_SIZE, wrap=True)


def add_note(axes: Axes, words: str) -> None:
    """Write what the figure does not show into its lower right corner."""
    write(axes, 0.99, 0.015, words, transform=axes.transAxes, ha="right", va="bottom", color=GREY)


def drawn(figure: Figure, ax: Axes | None) -> Figure | Axes:
    """What a plot returns: the axes of the user that it drew on, or else the new figure, which a notebook shows."""
    return figure if ax is None else ax


def nothing(words: str, height: float = 3, ax: Axes | None = None) -> Figure:
    """A figure that says why there is nothing to show."""
    figure, axes = on(ax, height=height)
    say_instead(axes, words)
    return figure


def colour_bar(
    figure: Figure,
    drawn: ScalarMappable | Collection,
    axes: Axes | list[Axes],
    label: str,
    pad: float = 0.02,
    aspect: float = 30,
) -> Colorbar:
    """The scale of what was drawn in colours, beside its axes."""
    bar = figure.colorbar(drawn, ax=axes, pad=pad, aspect=aspect)
    bar.set_label(label, fontsize=TEXT_SIZE)
    bar.ax.tick_params(labelsize=SMALL_SIZE)
    bar.outline.set_visible(False)
    return bar


def shades(count: int) -> list[str]:
    """Blues from light to dark, for values that have an order."""
    if count == 1:
        return ["#d0d0d0"]  # a single value has no place in an order
    blues = colormaps["Blues"]
    return [to_hex(blues(0.25 + 0.7 * index / (count - 1))) for index in range(count)]


class Tabular(Protocol):
    """What a plot shows, as a value that can be written as a table."""

    def table(self) -> pd.DataFrame:
        """The data of the figure, one row per mark."""
        ...


def save_figure(
    figure: Figure | Axes, path: str | os.PathLike[str], data: Tabular | pd.DataFrame | None = None
) -> tuple[Path, ...]:
    """Write a figure, or that of some axes, as PNG (150 dpi) and SVG, and its data as CSV; returns the paths, in order.

    `path` has no suffix, and its folder exists. Text stays text in the SVG, and equal figures give equal files.
    """
    if isinstance(figure, Axes):
        figure, _ = on(figure)
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
