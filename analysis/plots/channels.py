"""Draws the channels of architectures, layer by layer."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from analysis.findings.genes import architectures_of, split_text
from analysis.plots import style
from analysis.units import plural
from spaces.cell import CellSpace
from spaces.nasbnn.architecture import STEM_KERNEL_SIZE, Architecture, parse
from spaces.space import Space
from spaces.width import WidthSpace
from spaces.width.bases import LayerKind

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Row = tuple[int, int, int, int, int, str]
COLUMNS = ("architecture", "stage", "layer", "width", "kernel_size", "groups", "name")


@dataclass(frozen=True, eq=False)
class ChannelsData:
    """`layers` holds, by the architecture's name, one row (stage, layer, width, kernel size, groups, name) a layer.

    Stages and layers count from 1. Of NAS-BNN, the stem is the one layer of stage 0; of networks of widths, a stage is
    the convolutions that write maps of one size. `stages` names the stages.
    """

    layers: dict[str, tuple[Row, ...]]
    stages: dict[int, str]

    def table(self) -> pd.DataFrame:
        """One row a layer of an architecture."""
        import pandas as pd

        rows = [(name, *layer) for name, layers in self.layers.items() for layer in layers]
        return pd.DataFrame(rows, columns=list(COLUMNS))


def channels_data(architectures: Mapping[str, str] | Iterable[str], space: Space[Any] | None = None) -> ChannelsData:
    """Text forms by name, or text forms alone, which are then named 1, 2, ...; without their hyperparameters.

    Those of NAS-BNN need no space; texts of widths need theirs, which knows the layers. Raises `ValueError` that quotes
    what cannot be read, or for cells, which `draw_cell` draws.
    """
    if isinstance(architectures, Mapping):
        named = dict(cast("Mapping[str, str]", architectures))
    else:
        named = {str(number): text for number, text in enumerate(architectures, 1)}
    texts = {name: split_text(text)[0] for name, text in named.items()}
    space = architectures_of(space)
    if isinstance(space, WidthSpace):
        return _of_widths(texts, space)
    if isinstance(space, CellSpace):
        raise ValueError(f"networks of space {space.name!r} are made of cells: draw them with draw_cell")
    layers = {name: _rows(parse(text)) for name, text in texts.items()}
    found = sorted({stage for rows in layers.values() for stage, *_ in rows})
    return ChannelsData(layers, {stage: "stem" if stage == 0 else f"stage {stage}" for stage in found})


def _rows(architecture: Architecture) -> tuple[Row, ...]:
    rows: list[Row] = [(0, 1, architecture.stem, STEM_KERNEL_SIZE, 1, "stem")]
    for stage, layers in enumerate(architecture.stages, 1):
        rows += [(stage, at, layer[0], layer[1], layer[2], f"s{stage}l{at}") for at, layer in enumerate(layers, 1)]
    return tuple(rows)


def _of_widths(texts: Mapping[str, str], space: WidthSpace) -> ChannelsData:
    """The convolutions of networks of widths; they differ in their channels alone, so the stages are the same."""
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
            place = 1 + sum(row[0] == stage for row in rows)
            rows.append((stage, place, layer.cout, layer.kernel_size, 1, layer.name))
        layers[name] = tuple(rows)
    return ChannelsData(layers, stages)


def plot_channels(data: ChannelsData) -> Figure:
    """One line an architecture over its layers, stages side by side, widths on a scale that doubles.

    Layers of the same place stand above each other; a stage is as broad as its deepest one. A filled dot is a layer
    with a kernel of 5 or more.
    """
    figure, axes = style.new_figure(height=3.9)
    style.label_axes(axes, y="channels")
    depths: dict[int, int] = {}
    for stage, layer, *_ in (row for rows in data.layers.values() for row in rows):
        depths[stage] = max(depths.get(stage, 0), layer)
    if not depths:
        style.say_instead(axes, "no architecture to show")
        return figure
    starts: dict[int, float] = {}
    end = 0.0
    for stage in sorted(depths):
        starts[stage] = end
        end += depths[stage] + (0.6 if depths[stage] > 1 or stage == 0 else 1.2)  # room for a name
    few = len(data.layers) <= len(style.LINES)
    for index, (name, rows) in enumerate(data.layers.items()):
        colour, line = style.LINES[index % len(style.LINES)] if few else (style.BLUE, "-")
        # a little apart, so that architectures that agree are all seen
        shift = 1 + 0.03 * (index - (len(data.layers) - 1) / 2) if few else 1.0
        x = [starts[stage] + layer for stage, layer, *_ in rows]
        y = [width * shift for _, _, width, *_ in rows]
        label = style.plain(name) if few else None
        axes.plot(x, y, line, color=colour, linewidth=1.2 if few else 0.8, alpha=0.9 if few else 0.25, label=label)
        for large, face in ((True, colour), (False, "white")):
            chosen = [place for place, (_, _, _, kernel, *_) in enumerate(rows) if (kernel >= 5) == large]
            axes.plot(
                [x[place] for place in chosen], [y[place] for place in chosen], "o", color=colour, markersize=4,
                markerfacecolor=face, markeredgewidth=0.9, alpha=1 if few else 0.3,
            )  # fmt: skip
    widths = sorted({width for rows in data.layers.values() for _, _, width, *_ in rows})
    axes.set_yscale("log", base=2)
    axes.set_yticks(_apart(widths), [str(width) for width in _apart(widths)])
    axes.minorticks_off()
    axes.set_xticks([starts[stage] + (depths[stage] + 1) / 2 for stage in starts], [data.stages[s] for s in starts])
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")
    for stage in list(starts)[1:]:
        axes.axvline(starts[stage] + 0.2, color=style.GREY, linewidth=0.7, linestyle=":", zorder=1)
    title = plural(len(data.layers), "architecture")
    if any(kernel >= 5 for rows in data.layers.values() for _, _, _, kernel, *_ in rows):
        title += "; filled: kernel of 5 or more"
    axes.set_title(title, fontsize=style.TEXT_SIZE, loc="left")
    style.legend_below(figure, axes)
    return figure


def _apart(widths: list[int]) -> list[int]:
    """Widths of which each is at least a sixth above the one before, so that their numbers do not touch."""
    kept: list[int] = []
    for width in widths:
        if not kept or width >= kept[-1] * 7 / 6:
            kept.append(width)
    return kept
