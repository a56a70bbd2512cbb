"""Commands about search spaces: what they hold, what an architecture costs, and random members."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.output import human, human_bytes, parse_count, print_json, print_table, stdout

if TYPE_CHECKING:
    from spaces import Cost, LayerCost, NasBnnSpace

SpaceName = Annotated[str, typer.Argument(metavar="SPACE", help="A space by name; `binarynas spaces` lists them.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
COLUMNS = ("flops", "int8_ops", "bops", "ops", "params", "bits", "bytes")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("spaces")(list_spaces)
    app.command("ops")(show_cost)
    app.command("sample")(draw)


def list_spaces(
    space: Annotated[str | None, typer.Argument(metavar="[SPACE]", help="Only this one, gene by gene.")] = None,
    as_json: Json = False,
) -> None:
    """List the search spaces, or describe one."""
    from spaces import SPACES, get_space

    if as_json:
        print_json(_describe(get_space(space)) if space else [_describe(each) for each in SPACES.values()])
    elif space:
        chosen = get_space(space)
        _print_summary([chosen])
        stdout().print()
        print_table(
            ("gene", "choices"), [(gene, " ".join(map(str, c))) for gene, c in chosen.genes().items()], left=(0, 1)
        )
    else:
        _print_summary(list(SPACES.values()))


def show_cost(
    space: SpaceName,
    architecture: Annotated[str, typer.Argument(metavar="TEXT", help="An architecture: 'c24k3g1 | c48k3g1 ...'.")],
    image_size: Annotated[
        int | None, typer.Option(help="Height and width of the images; the space's own if left out.")
    ] = None,
    classes: Annotated[int | None, typer.Option(help="Number of classes; the space's own if left out.")] = None,
    as_json: Json = False,
) -> None:
    """Count what an architecture costs, layer by layer: operations an image, parameters and size.

    OPs = float + 8-bit / 8 + binary / 64.
    """
    from spaces import get_space

    chosen = get_space(space)
    member = chosen.parse(architecture)
    cost = chosen.cost(member, image_size, classes)
    if as_json:
        layers = [{"name": layer.name} | _numbers(layer) for layer in cost.layers]
        shape = {"image_size": image_size or chosen.image_size, "classes": classes or chosen.classes}
        names = {"space": chosen.name, "architecture": chosen.format(member), "id": chosen.id(member)}
        print_json(names | shape | _numbers(cost) | {"layers": layers})
        return
    print_table(
        ("layer", "output", "float", "int8", "binary", "OPs", "params", "size"),
        [
            (layer.name, f"{layer.out_channels}×{layer.out_size}×{layer.out_size}", *_cells(layer))
            for layer in cost.layers
        ],
        total=("in all", "", *_cells(cost)),
    )


def draw(
    space: SpaceName,
    number: Annotated[int, typer.Option("-n", "--number", min=1, help="How many.")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed draws the same architectures.")] = 0,
    ops_min: Annotated[
        float | None, typer.Option(parser=parse_count, metavar="OPS", help="At least so many OPs: 20M.")
    ] = None,
    ops_max: Annotated[
        float | None, typer.Option(parser=parse_count, metavar="OPS", help="At most so many OPs: 60M.")
    ] = None,
) -> None:
    """Draw random architectures, uniform over the space, one a line."""
    from spaces import Limits, get_space, sample_within
    from spaces.seeds import derive_rng

    chosen = get_space(space)
    for member in sample_within(chosen, derive_rng(seed, "sample"), Limits(ops_min, ops_max), number):
        typer.echo(chosen.format(member))


def _describe(space: "NasBnnSpace") -> dict[str, Any]:
    return {
        "name": space.name,
        "count": space.count(),
        "image_size": space.image_size,
        "classes": space.classes,
        "channels": space.channels,
        "non_decreasing": space.non_decreasing,
        "genes": {gene: list(choices) for gene, choices in space.genes().items()},
    }


def _print_summary(spaces: "list[NasBnnSpace]") -> None:
    print_table(
        ("space", "architectures", "images", "classes", "OPs", "widths"),
        [
            (
                space.name,
                human(space.count()),
                f"{space.channels}×{space.image_size}×{space.image_size}",
                str(space.classes),
                " to ".join(human(space.cost(end).ops) for end in (space.smallest(), space.largest())),
                "non-decreasing" if space.non_decreasing else "free",
            )
            for space in spaces
        ],
        left=(0, 5),
    )


def _numbers(cost: "Cost | LayerCost") -> dict[str, float]:
    return {column: getattr(cost, column) for column in COLUMNS}


def _cells(cost: "Cost | LayerCost") -> tuple[str, ...]:
    counts = (cost.flops, cost.int8_ops, cost.bops, cost.ops, cost.params)
    return (*(human(count) if count else "-" for count in counts), human_bytes(cost.bytes))
