"""Draws the channels of architectures, layer by layer."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast, overload

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.findings.genes import architectures_of, split_text
from analysis.plots import style
from analysis.units import plural
from spaces import CellSpace, NasBnnSpace, Space, WidthSpace
from spaces.nasbnn.architecture import STEM_KERNEL_SIZE, Architecture, parse
from spaces.width.bases import LayerKind

COLUMNS = ("architecture", "stage", "layer", "width", "kernel_size", "groups", "name")


class Row(NamedTuple):
    """A layer: its stage and its place there, channels, kernel size, groups and name."""

    stage: int
    layer: int
    width: int
    kernel_size: int
    groups: int
    name: str


@dataclass(frozen=True, eq=False)
class ChannelsData:
    """`layers` has, by the architecture's name, one row per layer.

    Stages and layers count from 1. The stem of NAS-BNN is the one layer of stage 0; in networks of widths, a stage is
    the convolutions that write maps of one size. `stages` names the stages.
    """

    layers: dict[str, tuple[Row, ...]]
    stages: dict[int, str]

    @property
    def rows(self) -> list[Row]:
        """The layers of all architectures."""
        return [row for rows in self.layers.values() for row in rows]

    def table(self) -> pd.DataFrame:
        """One row per layer of an architecture."""
        rows = [(name, *layer) for name, layers in self.layers.items() for layer in layers]
        return pd.DataFrame(rows, columns=list(COLUMNS))


def channels_data(architectures: Mapping[str, str] | Iterable[str], space: Space[object] | None = None) -> ChannelsData:
    """The layers of text forms by name, or of a list of text forms, which are then numbered; without hyperparameters.

    Those of NAS-BNN need no space; texts of widths need theirs, which knows the layers. Raises `ValueError` that quotes
    what cannot be read, for cells, which `draw_cell` draws, and for other families.
    """
    if isinstance(architectures, Mapping):
        named = list(cast("Mapping[str, str]", architectures).items())
    else:
        named = [(str(number), text) for number, text in enumerate(architectures, 1)]
    texts = {name: split_text(text)[0] for name, text in named}
    space = architectures_of(space)
    if isinstance(space, WidthSpace):
        return _of_widths(texts, space)
    if isinstance(space, CellSpace):
        raise ValueError(f"networks of space {space.name!r} are made of cells: draw them with draw_cell")
    if space is not None and not isinstance(space, NasBnnSpace):
        raise ValueError(f"networks of space {space.name!r} have no stages of layers whose channels could be drawn")
    layers = {name: _rows(parse(text)) for name, text in texts.items()}
    found = sorted({row.stage for rows in layers.values() for row in rows})
    return ChannelsData(layers, {stage: "stem" if stage == 0 else f"stage {stage}" for stage in found})


def _rows(architecture: Architecture) -> tuple[Row, ...]:
    rows = [Row(0, 1, architecture.stem, STEM_KERNEL_SIZE, 1, "stem")]
    for stage, layers in enumerate(architecture.stages, 1):
        rows += [Row(stage, at, *layer[:3], f"s{stage}l{at}") for at, layer in enumerate(layers, 1)]
    return tuple(rows)


def _of_widths(texts: Mapping[str, str], space: WidthSpace) -> ChannelsData:
    """The convolutions of networks of widths; these differ in their channels only, so the stages are the same."""
    layers: dict[str, tuple[Row, ...]] = {}
    stages: dict[int, str] = {}
    for name, text in texts.items():
        rows: list[Row] = []
        sizes: list[int] = []
        for layer in space.layers(space.parse(text)):
            if layer.kind is LayerKind.LINEAR:
                continue
            if layer.out_size not in sizes:
                sizes.append(layer.out_size)
                stages[len(sizes)] = f"{layer.out_size}×{layer.out_size}"
            stage = sizes.index(layer.out_size) + 1
            place = 1 + sum(row.stage == stage for row in rows)
            rows.append(Row(stage, place, layer.cout, layer.kernel_size, 1, layer.name))
        layers[name] = tuple(rows)
    return ChannelsData(layers, stages)


@overload
def plot_channels(data: ChannelsData, *, ax: None = None) -> Figure: ...
@overload
def plot_channels(data: ChannelsData, *, ax: Axes) -> Axes: ...
def plot_channels(data: ChannelsData, *, ax: Axes | None = None) -> Figure | Axes:
    """One line per architecture over its layers, stages side by side, widths on a scale that doubles.

    Layers of the same place stand above each other; a stage is as broad as its deepest one. A filled dot is a layer
    with a kernel of 5 or more.

    On `ax` where it is given, which is then returned.
    """
    figure, axes = style.on(ax, height=3.9)
    style.label_axes(axes, y="channels")
    if not data.rows:
        style.say_instead(axes, "no architecture to show")
        return style.drawn(figure, ax)
    depths = {stage: max(row.layer for row in data.rows if row.stage == stage) for stage in data.stages}
    starts: dict[int, float] = {}
    end = 0.0
    for stage, depth in depths.items():
        starts[stage] = end
        end += depth + (0.6 if depth > 1 or stage == 0 else 1.2)  # room for a name
    few = len(data.layers) <= len(style.LINES)
    for index, (name, rows) in enumerate(data.layers.items()):
        # a little apart, so that architectures that agree are all seen
        shift = 1 + 0.03 * (index - (len(data.layers) - 1) / 2) if few else 1.0
        places = [(starts[row.stage] + row.layer, row.width * shift) for row in rows]
        _line(axes, rows, places, name if few else None, style.LINES[index % len(style.LINES)])
    widths = _apart(sorted({row.width for row in data.rows}))
    axes.set_yscale("log", base=2)
    axes.set_yticks(widths, list(map(str, widths)))
    axes.minorticks_off()
    axes.set_xticks([starts[stage] + (depths[stage] + 1) / 2 for stage in starts], [data.stages[s] for s in starts])
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")
    for stage in list(starts)[1:]:
        axes.axvline(starts[stage] + 0.2, color=style.GREY, linewidth=0.7, linestyle=":", zorder=1)
    title = plural(len(data.layers), "architecture")
    if any(row.kernel_size >= 5 for row in data.rows):
        title += "; filled: kernel of 5 or more"
    axes.set_title(title, fontsize=style.TEXT_SIZE, loc="left")
    style.legend_below(figure, axes)
    return style.drawn(figure, ax)


def _line(
    axes: Axes, rows: Sequence[Row], places: Sequence[tuple[float, float]], name: str | None, look: tuple[str, str]
) -> None:
    """One architecture: with a name in a look of its own, without one as one of many."""
    look, width, alpha, dots = (look, 1.2, 0.9, 1.0) if name is not None else ((style.BLUE, "-"), 0.8, 0.25, 0.3)
    label = None if name is None else style.plain(name)
    x, y = zip(*places, strict=True)
    style.curve(axes, x, y, look, linewidth=width, alpha=alpha, label=label)
    for large, face in ((True, look[0]), (False, "white")):
        chosen = [place for place, row in zip(places, rows, strict=True) if (row.kernel_size >= 5) == large]
        own = [place[0] for place in chosen], [place[1] for place in chosen]
        dot = {"marker": "o", "markersize": 4, "markerfacecolor": face, "markeredgewidth": 0.9}
        style.curve(axes, *own, (look[0], ""), alpha=dots, **dot)


def _apart(widths: list[int]) -> list[int]:
    """Widths that are each at least a sixth above the one before, so that their numbers do not touch."""
    kept: list[int] = []
    for width in widths:
        if not kept or width >= kept[-1] * 7 / 6:
            kept.append(width)
    return kept
