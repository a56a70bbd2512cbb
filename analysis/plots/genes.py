"""The genes of a front's networks, by layer and by stage along the front, as values and drawn."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure

from analysis.findings.front import front
from analysis.findings.genes import split_text
from analysis.plots import style
from analysis.runs.trials import numbers
from analysis.stages import NEVER_ON_A_FRONT
from analysis.units import axis_scale, plural
from spaces.nasbnn.architecture import Architecture, Layer, parse

GENES = ("width", "kernel_size", "groups")
EXCITE = "excite"
"""A gene that is shown where a layer has it."""
SHARES = ("gene", "stage", "layer", "value", "place", "places", "networks", "share")
ALONG = ("network", "cost", "stage", "depth", *GENES, "depth_place", *(f"{gene}_place" for gene in GENES))
_WORDS = {"width": "width", "kernel_size": "kernel size", "groups": "groups", "depth": "depth", EXCITE: "excite"}
_LEAST_TEXT = 0.14  # share of a bar that has room for a number

Values = dict[tuple[int, str], list[int]]


@dataclass(frozen=True, eq=False)
class GenesData:
    """The genes of the networks on a front.

    `shares` has one row per gene, layer and value: `gene` (width, kernel_size or groups; excite, the bits of
    squeeze-and-excites, where any trial has one), `stage` and `layer` in it (from 1), `value`, its `place` (from 0)
    among the `places` values that any trial has in this stage, how many of the front's `networks` have it, and their
    `share` of all networks of the front, 0 to 1. The shares of a layer that not all networks have sum to less than 1.

    `along` has one row per network and stage, by cost: `network` (from 0), `cost` (in the unit of `x`), `depth`
    (layers), the means over these layers of `width`, `kernel_size` and `groups`, and the place of each of the four
    between the least value that any trial has in this stage, 0, and the greatest, 1; NaN where there is only one. With
    two kernel sizes the place is the share of layers with the larger one.
    """

    x: str
    shares: pd.DataFrame
    along: pd.DataFrame
    networks: int
    missing: str

    def table(self) -> pd.DataFrame:
        """The shares; `along` is a table of its own."""
        return self.shares


def genes_data(trials: pd.DataFrame, x: str = "ops", y: str = "accuracy") -> GenesData:
    """Genes of the networks on the front of the finished trials; a network in several stages of trials counts once.

    Architectures without stages of layers (of another text form than NAS-BNN's) are left out, which `missing` says.
    """
    best = front(trials, x, y).drop_duplicates("architecture")
    pairs = [
        (cost, member)
        for cost, text in zip(numbers(best, x)[:, 0].tolist(), best["architecture"], strict=True)
        if (member := _parsed(text))
    ]
    members = [member for _, member in pairs]
    every = [member for text in _tried(trials).dropna().unique() if (member := _parsed(text))]
    values = _values(every)
    layers = {
        (stage, place)
        for member in members
        for stage, built in enumerate(member.stages, 1)
        for place in range(1, len(built) + 1)
    }
    genes = (*GENES, EXCITE) if any(layer.excite for member in every for layer in member.layers()) else GENES
    shares = [row for gene in genes for place in sorted(layers) for row in _shares(members, values, gene, *place)]
    along = [
        (network, cost, stage, len(built), *_means(built), *_places(values, stage, built))
        for network, (cost, member) in enumerate(pairs)
        for stage, built in enumerate(member.stages, 1)
        if built
    ]
    missing = "" if len(best) else "no finished trial to show"
    if len(members) < len(best):
        missing = f"{plural(len(best) - len(members), 'network')} of the front without stages of layers"
    return GenesData(
        x, pd.DataFrame(shares, columns=list(SHARES)), pd.DataFrame(along, columns=list(ALONG)), len(members), missing
    )


def _tried(trials: pd.DataFrame) -> "pd.Series[str]":
    """The architectures of a run's own trials, in any state."""
    return trials.loc[~trials["stage"].isin(NEVER_ON_A_FRONT), "architecture"]


def _parsed(text: object) -> Architecture | None:
    try:
        return parse(split_text(str(text))[0])
    except ValueError:
        return None


def _values(members: Sequence[Architecture]) -> Values:
    """The values of every stage and gene, depth among them, ascending and without repeats."""
    found: dict[tuple[int, str], set[int]] = {}
    for member in members:
        for stage, layers in enumerate(member.stages, 1):
            found.setdefault((stage, "depth"), set()).add(len(layers))
            for layer in layers:
                for gene, value in zip((*GENES, EXCITE), layer, strict=True):
                    found.setdefault((stage, gene), set()).add(value)
    return {key: sorted(values) for key, values in found.items()}


def _shares(
    members: Sequence[Architecture], values: Values, gene: str, stage: int, layer: int
) -> list[tuple[object, ...]]:
    built = [member.stages[stage - 1] for member in members if stage <= len(member.stages)]
    own = [getattr(layers[layer - 1], gene) for layers in built if layer <= len(layers)]
    choices = values[stage, gene]
    return [
        (gene, stage, layer, value, place, len(choices), own.count(value), own.count(value) / len(members))
        for place, value in enumerate(choices)
    ]


def _means(layers: Sequence[Layer]) -> list[float]:
    """Of the genes, in their order; that of bits would mean nothing."""
    return np.mean(layers, axis=0).tolist()[: len(GENES)]


def _places(values: Values, stage: int, layers: Sequence[Layer]) -> list[float]:
    """The places of depth and genes between the least and the greatest value, by rank, as means over the layers."""
    columns = {"depth": [len(layers)]} | dict(zip(GENES, map(list, zip(*layers, strict=True)), strict=False))
    places: list[float] = []
    for name, own in columns.items():
        choices = values[stage, name]
        steps = len(choices) - 1
        places.append(sum(map(choices.index, own)) / len(own) / steps if steps else float("nan"))
    return places


def plot_gene_frequency(data: GenesData) -> Figure:
    """Shares of widths, kernel sizes, groups (and excites) for every layer, stacked, the larger values darker.

    A bar ends below 100 % where some networks of the front do not have the layer.
    """
    if data.networks == 0:
        return style.nothing(data.missing)
    genes: list[str] = list(dict.fromkeys(map(str, data.shares["gene"].tolist())))
    figure, panels = style.new_panels(len(genes), 1, height=5.6)
    _title(figure, f"the {plural(data.networks, 'network')} on the front, layer by layer; darker: larger")
    stages, layers = data.shares["stage"].tolist(), data.shares["layer"].tolist()
    # with a gap between stages
    order = dict.fromkeys(zip(stages, layers, strict=True))
    at = {place: index + 0.7 * (place[0] - 1) for index, place in enumerate(order)}
    for gene, (axes,) in zip(genes, panels, strict=True):
        style.label_axes(axes, y=f"{_WORDS[gene]}\n(% of networks)")
        _stack(axes, data.shares[data.shares["gene"] == gene], at)
        axes.set(ylim=(0, 100), xlim=(-0.8, max(at.values()) + 0.8), yticks=[0, 50, 100])
        axes.grid(visible=False, axis="x")
        axes.set_xticks(list(at.values()), [str(layer) for _, layer in order], fontsize=style.SMALL_SIZE)
        axes.tick_params(axis="x", length=0)
    for stage in sorted(set(stages)):
        own = [x for (other, _), x in at.items() if other == stage]
        style.write(panels[0][0], (min(own) + max(own)) / 2, 103, f"stage {stage}", va="bottom")
    style.label_axes(panels[-1][0], "layer of the stage", f"{_WORDS[genes[-1]]}\n(% of networks)")
    _say_missing(figure, data)
    return figure


def plot_genes_along_front(data: GenesData) -> Figure:
    """Width, depth, kernels and groups of every stage of the front's networks, by cost.

    Colours are places between the least and the greatest value that any trial has in that stage (means over the stage's
    layers); a stage with one value is blank.
    """
    if data.networks == 0:
        return style.nothing(data.missing)
    figure, panels = style.new_panels(2, 2, height=4.6)
    _title(figure, f"stages of the {plural(data.networks, 'network')} on the front, from the cheapest to the dearest")
    flat = [axes for row in panels for axes in row]
    costs = numbers(data.along.drop_duplicates("network"), "cost")[:, 0]
    scale = axis_scale(data.x, float(costs.max()))
    marks = np.unique(np.linspace(0, len(costs) - 1, min(len(costs), 6)).round().astype(int))
    for gene, axes in zip(("width", "depth", "kernel_size", "groups"), flat, strict=True):
        table = data.along.pivot(index="stage", columns="network", values=f"{gene}_place")
        edges = np.arange(table.shape[1] + 1) - 0.5, np.arange(table.shape[0] + 1) + 0.5
        drawn = axes.pcolormesh(*edges, 100 * table.to_numpy("float64"), cmap="Blues", vmin=0, vmax=100)
        drawn.set(edgecolors="white", linewidth=0.4)
        axes.set_facecolor("#f0f0f0")  # a stage without a choice
        axes.grid(visible=False)
        axes.set_ylim(table.shape[0] + 0.5, 0.5)
        axes.set_yticks(range(1, table.shape[0] + 1))
        axes.set_xticks(marks.tolist(), [f"{costs[mark] / scale.factor:.3g}" for mark in marks])
        axes.tick_params(length=0, labelsize=style.SMALL_SIZE)
        axes.spines[["left", "bottom"]].set_visible(False)
        lower = axes in panels[1]
        style.label_axes(axes, scale.label if lower else "", "stage" if axes in (panels[0][0], panels[1][0]) else "")
        axes.set_title(_WORDS[gene], fontsize=style.TEXT_SIZE, loc="left")
    blues = ScalarMappable(Normalize(0, 100), "Blues")
    style.colour_bar(figure, blues, flat, "from the stage's least to its most (%)", aspect=35)
    _say_missing(figure, data)
    return figure


def _title(figure: Figure, words: str) -> None:
    figure.suptitle(words, fontsize=style.TEXT_SIZE, x=0.01, ha="left")


def _say_missing(figure: Figure, data: GenesData) -> None:
    if data.missing:
        figure.supxlabel(f"not shown: {data.missing}", fontsize=style.SMALL_SIZE, color=style.GREY)


def _stack(axes: Axes, shares: pd.DataFrame, at: dict[tuple[int, int], float]) -> None:
    bottoms = dict.fromkeys(at, 0.0)
    names = ("stage", "layer", "place", "places", "value", "share")
    for stage, layer, place, places, value, share in zip(*(shares[name].tolist() for name in names), strict=True):
        x, bottom = at[stage, layer], bottoms[stage, layer]
        colour = str(style.shades(int(places))[int(place)])
        axes.bar(x, 100 * share, 0.86, bottom=100 * bottom, color=colour, linewidth=0)
        if share >= _LEAST_TEXT:
            size = 5.5 if value > 999 else 6.5
            style.write(axes, x, 100 * (bottom + share / 2), str(value), color=_ink(colour), fontsize=size)
        bottoms[stage, layer] = bottom + share


def _ink(colour: str) -> str:
    """White on dark, black on light (luma of ITU-R BT.601)."""
    red, green, blue = to_rgb(colour)
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else style.BLACK
