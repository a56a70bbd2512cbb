"""Draws trials as lines over parallel axes, one per column, to show which values occur together."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from analysis.findings.genes import SUMMARIES, gene_table, summary_table
from analysis.measures.pareto import Directions, Floats, pareto_front
from analysis.plots import style
from analysis.runs.foreign import OTHER
from analysis.runs.schema import BY_NAME
from analysis.runs.trials import Source, directions_of, load_trials, numbers
from analysis.stages import competing
from analysis.units import axis_scale, plural, quantity

DEFAULT = ("ops", "bytes", *SUMMARIES, "accuracy")
_MOST_LINES = 1500  # more would give a grey area and a large file
_LOG_FROM = 100.0
_MEANS = {"width": "mean width", "kernel_size": "mean kernel", "groups": "mean groups"}
_WORDS = _MEANS | {"ops": "OPs", "bytes": "size", "params": "parameters", "bops": "binary MACs", "depth": "layers"}
# where the label of a mark at either end of an axis goes: the offset in points, and its alignment there
_BESIDE = {0.0: ((0, -3), "center", "top"), 1.0: ((0, 3), "center", "bottom")}


@dataclass(frozen=True, eq=False)
class ParallelData:
    """What `plot_parallel` draws: the finished trials except references, of shape (trials, columns), in their units.

    `front` says which trials are on the front, `colour` is the column that the colours of their lines show; `missing`
    says what is not shown, and why; `ids` are the trials' own.
    """

    columns: tuple[str, ...]
    values: Floats
    front: tuple[bool, ...]
    colour: str
    missing: str
    ids: tuple[str, ...]

    def table(self) -> pd.DataFrame:
        """One row per trial: `id`, one column per axis, and `front`."""
        values = pd.DataFrame(self.values, columns=list(self.columns)).assign(front=list(self.front))
        values.insert(0, "id", list(self.ids))
        return values


def parallel_data(
    trials: Source,
    columns: Sequence[str] | None = None,
    x: str = "ops",
    y: str = "accuracy",
    directions: Directions | None = None,
) -> ParallelData:
    """Gather what `plot_parallel` shows; the front is that of `x` and `y`.

    Columns are numbers of the schema (objectives, `seconds`, ...), genes by name (see
    `analysis.findings.genes.genes_of`), or `depth`, `width`, `kernel_size` and `groups`, the number of layers and means
    over them. Trials that lack a value are left out and, unless they were asked for, columns without any.

    Raises `ValueError` for a column that does not exist.
    """
    trials = load_trials(trials)
    ways = directions_of(trials, (x, y), directions)
    done = trials[competing(trials)]
    wanted = list(dict.fromkeys(columns or (*DEFAULT[:-1], x, y)))
    known = [str(name) for name in done.columns if pd.api.types.is_numeric_dtype(done[name])]
    if columns is None and OTHER in set(done["stage"]):  # the columns of a table that no run of ours wrote
        wanted = [name for name in wanted if name in known]
    texts = done["architecture"]
    genes = gene_table(texts) if set(wanted) - {*known, *SUMMARIES} else None
    summary = summary_table(texts) if set(wanted) & {*SUMMARIES} else None
    parts: dict[str, Floats] = {}
    for name in wanted:
        frame = done if name in known else summary if name in SUMMARIES else genes
        if frame is None or name not in frame.columns or not pd.api.types.is_numeric_dtype(frame[name]):
            if len(done) == 0:
                continue
            raise ValueError(f"unknown column or gene {name!r}: none of that name has numbers in these trials")
        parts[name] = numbers(frame, name)[:, 0]
    if columns is None:
        parts = {name: part for name, part in parts.items() if np.isfinite(part).any()}
    values = np.column_stack([np.empty((len(done), 0)), *parts.values()])
    whole = np.isfinite(values).all(axis=1) & np.isfinite(numbers(done, x, y)).all(axis=1)
    missing = "" if whole.all() else f"{plural(int((~whole).sum()), 'finished trial')} without all values"
    on_front = pareto_front(numbers(done, x, y), ways)
    ids = tuple(str(each) for each in done["id"].fillna("").to_numpy()[whole])
    return ParallelData(tuple(parts), values[whole], tuple(on_front[whole].tolist()), y, missing, ids)


@overload
def plot_parallel(
    data: ParallelData | Source,
    *,
    x: str = "ops",
    y: str = "accuracy",
    directions: Directions | None = None,
    ax: None = None,
) -> Figure: ...
@overload
def plot_parallel(
    data: ParallelData | Source, *, x: str = "ops", y: str = "accuracy", directions: Directions | None = None, ax: Axes
) -> Axes: ...
def plot_parallel(
    data: ParallelData | Source,
    *,
    x: str = "ops",
    y: str = "accuracy",
    directions: Directions | None = None,
    ax: Axes | None = None,
) -> Figure | Axes:
    """All trials lightly; those on the front in colours that show their value of the column `colour`.

    Instead of the data, takes trials as `parallel_data` does, with its columns `x` and `y`. On `ax` where it is
    given, which is then returned.
    """
    if not isinstance(data, ParallelData):
        data = parallel_data(data, x=x, y=y, directions=directions)
    figure, axes = style.on(ax, height=3.9)
    front = np.array(data.front, dtype=np.bool_)
    axes.set_title(f"{plural(len(front), 'trial')}, {front.sum():,} on the front", fontsize=style.TEXT_SIZE, loc="left")
    if len(data.values) == 0 or len(data.columns) < 2:
        style.say_instead(axes, "no finished trial to show" if not data.missing else f"nothing to show: {data.missing}")
        return style.drawn(figure, ax)
    low, high = data.values.min(axis=0), data.values.max(axis=0)
    heights = np.column_stack([_heights(data, column, data.values[:, column]) for column in range(len(low))])
    at = np.arange(len(data.columns))
    _draw_axes(axes, data, low, high)
    others = heights[~front]
    if len(others) > _MOST_LINES:
        others = others[np.linspace(0, len(others) - 1, _MOST_LINES).astype(int)]
    opacity = float(np.clip(40 / max(len(others), 1), 0.04, 0.35))
    axes.plot(at, others.T, color=style.GREY, alpha=opacity, linewidth=0.7, zorder=2)
    if front.any():
        _draw_front(figure, axes, data, heights[front], data.values[front])
    notes = [data.missing] if data.missing else []
    if len(front) - front.sum() > _MOST_LINES:
        notes.append(f"{_MOST_LINES:,} of the other trials are drawn")
    if notes:
        words = "; ".join(notes)
        if style.is_ours(figure):
            figure.supxlabel(words, fontsize=style.SMALL_SIZE, color=style.GREY)
        else:
            style.add_note(axes, words)
    return style.drawn(figure, ax)


def _heights(data: ParallelData, column: int, values: Floats) -> Floats:
    """The places of a column's values on its axis, 0 to 1; the middle for a column with one value.

    A hyperparameter that spans two orders of magnitude or more, such as a rate, has a logarithmic axis.
    """
    low, high = float(data.values[:, column].min()), float(data.values[:, column].max())
    if low > 0 and high / low >= _LOG_FROM and data.columns[column] not in BY_NAME:
        low, high, values = np.log(low), np.log(high), np.log(values)
    return (values - low) / (high - low) if high > low else np.full(len(values), 0.5)


def _draw_front(figure: Figure, axes: Axes, data: ParallelData, heights: Floats, values: Floats) -> None:
    column = data.columns.index(data.colour) if data.colour in data.columns else len(data.columns) - 1
    name = data.columns[column]
    scale = axis_scale(name, float(np.abs(values[:, column]).max(initial=0.0)))
    shown = values[:, column] / scale.factor
    norm = Normalize(float(shown.min()), float(shown.max()) if np.ptp(shown) > 0 else float(shown.min()) + 1e-9)
    colours = colormaps["viridis_r"](norm(shown))
    for line, colour in zip(heights, colours, strict=True):
        axes.plot(np.arange(len(line)), line, color=colour, linewidth=1.5, alpha=0.9, zorder=3)
    if np.ptp(shown) > 0:
        style.colour_bar(figure, ScalarMappable(norm, "viridis_r"), axes, f"front: {scale.label}")


def _draw_axes(axes: Axes, data: ParallelData, low: Floats, high: Floats) -> None:
    """A vertical line per column, with its least and largest value at the ends, or all values where they are few."""
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set(yticks=[], xlim=(-0.3, len(data.columns) - 0.4), ylim=(-0.1, 1.1))
    axes.set_xticks(range(len(data.columns)), [style.plain(_WORDS.get(name, name)) for name in data.columns])
    axes.tick_params(axis="x", length=0, labelsize=style.SMALL_SIZE, rotation=0 if len(data.columns) <= 9 else 30)
    for place, name in enumerate(data.columns):
        axes.axvline(place, ymin=1 / 12, ymax=11 / 12, color=style.BLACK, linewidth=0.9, zorder=4)
        column = data.values[:, place]
        different = np.unique(column)
        marks = different if len(different) <= 5 else np.array([low[place], high[place]])
        for mark in marks.tolist():
            height = float(_heights(data, place, np.array([mark]))[0])
            away, ha, va = _BESIDE.get(height, ((3, 0), "left", "center"))
            box = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.3}
            look = {"ha": ha, "va": va, "zorder": 5, "fontsize": 6.5, "bbox": box}
            style.name_point(axes, _written(name, mark), (place, height), away, **look)


def _written(column: str, value: float) -> str:
    if column == "accuracy":
        return f"{100 * value:.1f} %"
    unit = {"bytes": "B", "bits": "bit"}.get(column, "")
    if value >= 1e3 and column in BY_NAME and BY_NAME[column].direction:
        return quantity(value, unit)
    return f"{value:.3g} {unit}".strip()
