"""The section of a report on the costs of every network of the front, layer by layer."""

from analysis.findings.facts import RunFacts
from analysis.findings.genes import architectures_of, split_text
from analysis.report.html import Html, copyable, join, table, tag
from analysis.runs.trials import numbers
from analysis.units import percent, quantity
from spaces import Cost, LayerCost, Space, SpaceError

HEADINGS = ("layer", "output", "float", "8-bit", "binary", "OPs", "share", "parameters", "size")
_NOTE = (
    "OPs = float operations + 8-bit operations / 8 + binary operations / 64, in multiply-accumulates per image. "
    "The bar is a layer's share of the network's OPs."
)
_OF_DETECTORS = "These are the backbones, as networks that classify images of {} pixels."


def layers_section(run: RunFacts, key: str) -> Html:
    """Every network of the front with the costs of its layers; `key` begins the ids of its elements."""
    if run.space is None:
        return tag("p", "The space of this run is not known here, so the costs of layers cannot be counted.")
    if not len(run.front):
        return tag("p", "There is no network yet whose costs could be counted.")
    texts = zip(run.front["architecture"].astype("str"), run.front["id"].astype("str"), strict=True)
    accuracies = numbers(run.front, "accuracy")[:, 0].tolist()
    priced = [
        tag("details", _network(run.space, *text, accuracy), id=f"{key}{text[1]}")
        for text, accuracy in zip(texts, accuracies, strict=True)
    ]
    note = f"{_NOTE} {_OF_DETECTORS.format(run.space.image_size)}" if run.detects else _NOTE
    return join([tag("p", note, class_="note"), *priced])


def _network(space: Space[object], architecture: str, identity: str, accuracy: float) -> list[Html]:
    try:
        # hyperparameters cost nothing, whether the text or the space has some
        space = architectures_of(space) or space
        cost = space.cost(space.parse(split_text(architecture)[0]))
    except SpaceError as error:
        return [tag("summary", identity), tag("p", f"its costs cannot be counted: {error}")]
    summary = tag("summary", tag("b", identity), f": {percent(accuracy)} at {quantity(cost.ops, 'OPs')}")
    counts = [quantity(float(count), "") for count in (cost.flops, cost.int8_ops, cost.bops)]
    total = ["in all", "", *counts, quantity(cost.ops, ""), "", *_size(cost)]
    rows = [*(_layer(layer, cost) for layer in cost.layers), [tag("b", cell) for cell in total]]
    return [summary, copyable(architecture, "code"), table(f"Layers of {identity}", HEADINGS, rows, left=(0, 6))]


def _layer(layer: LayerCost, cost: Cost) -> list[str]:
    share = 100 * layer.ops / cost.ops if cost.ops else 0.0
    bar = tag("span", class_="share", style=f"width: {share * 0.06:.2f}rem")
    counts = [quantity(float(count), "") if count else "-" for count in (layer.flops, layer.int8_ops, layer.bops)]
    output = f"{layer.out_channels}×{layer.out_size}×{layer.out_size}"
    return [layer.name, output, *counts, quantity(layer.ops, ""), join([bar, f" {share:.0f} %"]), *_size(layer)]


def _size(part: Cost | LayerCost) -> list[str]:
    return [quantity(float(part.params), ""), quantity(float(part.bytes), "B")]
