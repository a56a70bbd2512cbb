"""The section of a report that prices every network of the front layer by layer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from analysis.findings.facts import RunFacts
from analysis.findings.genes import architectures_of, split_text
from analysis.report.html import Html, copyable, join, table, tag
from analysis.runs.trials import numbers
from analysis.units import percent, quantity
from spaces import Space, SpaceError


def layers_section(run: RunFacts, key: str) -> Html:
    """Every network of the front with the costs of its layers; `key` begins the ids of its elements."""
    if run.space is None:
        return tag("p", "The space of this run is not known here, so the costs of layers cannot be counted.")
    if not len(run.front):
        return tag("p", "There is no network to price yet.")
    return join(
        [
            tag("p", "OPs = float operations + 8-bit operations / 8 + binary operations / 64, in multiply-accumulates "
                "an image. The bar is a layer's share of the network's OPs.", class_="note"),
            *(_priced(run.space, row, key) for row in _rows(run)),
        ]
    )  # fmt: skip


def _rows(run: RunFacts) -> Iterable[tuple[str, str, float]]:
    accuracy = numbers(run.front, "accuracy")[:, 0].tolist()
    return zip(run.front["architecture"].astype("str"), run.front["id"].astype("str"), accuracy, strict=True)


def _priced(space: Space[Any], row: tuple[str, str, float], key: str) -> Html:
    architecture, identity, accuracy = row
    try:
        # a joint text may stand beside the space of architectures alone, and the other way round
        alone = architectures_of(space) or space
        cost = alone.cost(alone.parse(split_text(architecture)[0]))
    except SpaceError as error:
        return tag("details", tag("summary", identity), tag("p", f"cannot be priced: {error}"), id=f"{key}{identity}")
    rows: list[list[Html | str]] = []
    for layer in cost.layers:
        share = 100 * layer.ops / cost.ops if cost.ops else 0.0
        bar = tag("span", class_="share", style=f"width: {share * 0.06:.2f}rem")
        counts = [quantity(float(count), "") if count else "-" for count in (layer.flops, layer.int8_ops, layer.bops)]
        rows.append(
            [layer.name, f"{layer.out_channels}×{layer.out_size}×{layer.out_size}", *counts, quantity(layer.ops, ""),
             join([bar, f" {share:.0f} %"]), quantity(float(layer.params), ""), quantity(layer.bytes, "B")]
        )  # fmt: skip
    sums = [quantity(float(count), "") for count in (cost.flops, cost.int8_ops, cost.bops)]
    total = [
        "in all",
        "",
        *sums,
        quantity(cost.ops, ""),
        "",
        quantity(float(cost.params), ""),
        quantity(float(cost.bytes), "B"),
    ]
    headings = ("layer", "output", "float", "8-bit", "binary", "OPs", "share", "parameters", "size")
    summary = tag("summary", tag("b", identity), f": {percent(accuracy)} at {quantity(cost.ops, 'OPs')}")
    form = copyable(architecture, "code")
    return tag("details", summary, form, table(headings, [*rows, [tag("b", cell) for cell in total]], left=(0, 6)),
               id=f"{key}{identity}")  # fmt: skip
