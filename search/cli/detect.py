"""Commands about detectors: what they cost, and training them on the networks of a run."""

from typing import TYPE_CHECKING

from search.cli.output import print_json, print_table

if TYPE_CHECKING:
    from search.config.space import AnySpace
    from spaces import Cost, DetectorCost

COCO_CLASSES = 80


def show_detector_cost(
    space: "AnySpace", text: str, design: str, image_size: int | None, classes: int | None, *, as_json: bool
) -> None:
    """Count a detector, part by part, and its three totals: as published, and whole at two sizes of images."""
    import dataclasses

    from analysis.units import quantity
    from spaces import SpaceError, detector_cost
    from spaces.cost.detector import DESIGNS, PUBLISHED_SIZE
    from spaces.errors import unknown

    if design not in DESIGNS:
        raise SpaceError(unknown("design of a detector", design, DESIGNS, "designs"))
    member, chosen = space.parse(text), dataclasses.replace(DESIGNS[design], classes=classes or COCO_CLASSES)
    sizes = dict.fromkeys((PUBLISHED_SIZE, image_size or PUBLISHED_SIZE))
    found = {size: detector_cost(space.cost(member, size), size, chosen, space.name) for size in sizes}
    counted, used = found[PUBLISHED_SIZE], found[image_size or PUBLISHED_SIZE]
    totals = {
        "published_ops": counted.published_ops,
        "ops_at_320": counted.whole.ops,
        "ops_at_size": used.whole.ops,
    }
    if as_json:
        shape = {"image_size": image_size or PUBLISHED_SIZE, "classes": chosen.classes, "design": design}
        parts = {name: cost.metrics() for name, cost in _parts(used).items()}
        layers = [{"name": layer.name} | layer.metrics() for layer in used.whole.layers]
        names = {"space": space.name, "architecture": space.format(member), "id": space.id(member)}
        print_json({**names, **shape, **totals, "parts": parts, "layers": layers})
        return
    rows = [(name, *_cells(cost)) for name, cost in _parts(used).items()]
    print_table(("part", "float", "int8", "binary", "OPs", "params", "size"), rows, total=("in all", *_cells(used.whole)))
    print_table(
        ("total", ""),
        [
            ("as Table 3 of NAS-BNN counts, at 320 pixels", quantity(totals["published_ops"], "OPs")),
            ("everything, at 320 pixels", quantity(totals["ops_at_320"], "OPs")),
            (f"everything, at {image_size or PUBLISHED_SIZE} pixels", quantity(totals["ops_at_size"], "OPs")),
        ],
    )


def _parts(cost: "DetectorCost") -> "dict[str, Cost]":
    return {"backbone": cost.backbone, "pyramid": cost.pyramid, "proposals": cost.proposals, "box head": cost.head}


def _cells(cost: "Cost") -> tuple[str, ...]:
    from analysis.units import quantity

    counts = (cost.flops, cost.int8_ops, cost.bops, cost.ops, cost.params)
    return (*(quantity(count, "") if count else "-" for count in counts), quantity(cost.bytes, "B"))
