"""What the networks of a front are made of, as a plain value: genes by layer, and by stage along the front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.front import front, numbers
from analysis.genes import split_text
from analysis.plots import style
from analysis.stages import NEVER_ON_A_FRONT
from spaces.nasbnn.architecture import Architecture, Layer, parse

if TYPE_CHECKING:
    import pandas as pd

GENES = Layer._fields
SHARES = ("gene", "stage", "layer", "value", "place", "places", "networks", "share")
ALONG = ("network", "cost", "stage", "depth", *GENES, "depth_place", *(f"{gene}_place" for gene in GENES))

Values = dict[tuple[int, str], list[int]]


@dataclass(frozen=True, eq=False)
class GenesData:
    """What the networks on a front are made of.

    `shares` has one row a gene, layer and value: `gene` (width, kernel_size or groups), `stage` and `layer` in it (from
    1), `value`, its `place` (from 0) among the `places` values that any trial has in this stage, how many of the
    front's `networks` have it, and their `share` of all networks of the front, 0 to 1. Shares of a layer that some
    networks do without sum to less than 1.

    `along` has one row a network and stage, by cost: `network` (from 0), `cost` (in the unit of `x`), `depth` (layers),
    the means over these layers of `width`, `kernel_size` and `groups`, and for each of the four its place, 0 for the
    least value that any trial has in this stage, 1 for the greatest, NaN where there is only one. With two kernel sizes
    the place is the share of layers with the larger one.
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
    """Genes of the networks on the front of the finished trials; each network counts once, whatever its stages.

    Architectures without stages of layers (of another text form than NAS-BNN's) are left out, which `missing` says.
    """
    import pandas as pd

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
    shares = [row for gene in GENES for place in sorted(layers) for row in _shares(members, values, gene, *place)]
    along = [
        (network, cost, stage, len(built), *np.mean(built, axis=0).tolist(), *_places(values, stage, built))
        for network, (cost, member) in enumerate(pairs)
        for stage, built in enumerate(member.stages, 1)
        if built
    ]
    missing = "" if len(best) else "no finished trial to show"
    if len(members) < len(best):
        missing = f"{style.plural(len(best) - len(members), 'network')} of the front without stages of layers"
    return GenesData(
        x, pd.DataFrame(shares, columns=list(SHARES)), pd.DataFrame(along, columns=list(ALONG)), len(members), missing
    )


def _tried(trials: pd.DataFrame) -> pd.Series[str]:
    """The architectures of a run's own trials, whatever became of them."""
    return trials.loc[~trials["stage"].isin(NEVER_ON_A_FRONT), "architecture"]


def _parsed(text: object) -> Architecture | None:
    try:
        return parse(split_text(str(text))[0])
    except ValueError:
        return None


def _values(members: Sequence[Architecture]) -> Values:
    """The different values of every stage and gene, depth among them, ascending."""
    found: dict[tuple[int, str], set[int]] = {}
    for member in members:
        for stage, layers in enumerate(member.stages, 1):
            found.setdefault((stage, "depth"), set()).add(len(layers))
            for layer in layers:
                for gene, value in zip(GENES, layer, strict=True):
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


def _places(values: Values, stage: int, layers: Sequence[Layer]) -> list[float]:
    """Where depth and genes stand between the least and the greatest value, by rank, means over the layers."""
    columns = {"depth": [len(layers)]} | dict(zip(GENES, map(list, zip(*layers, strict=True)), strict=True))
    places: list[float] = []
    for name, own in columns.items():
        choices = values[stage, name]
        steps = len(choices) - 1
        places.append(sum(map(choices.index, own)) / len(own) / steps if steps else float("nan"))
    return places
