"""Commands about search spaces: what they hold, what an architecture costs, and random members."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import Json, OpsMax, OpsMin, complete_space
from search.cli.output import note, print_json, print_table
from search.data.errors import DataError

if TYPE_CHECKING:
    from search.config.space import AnySpace
    from spaces import Cost, LayerCost

SpaceName = Annotated[
    str,
    typer.Argument(
        metavar="SPACE|FILE.yaml",
        help="A space by name (`binarynas spaces` lists them), or a run's configuration.",
        autocompletion=complete_space,
    ),
]


def list_spaces(
    space: Annotated[
        str | None,
        typer.Argument(metavar="[SPACE|FILE.yaml]", help="Only this one, gene by gene.", autocompletion=complete_space),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the search spaces, or describe one."""
    from spaces import SPACES

    if as_json:
        print_json(_describe(_open(space)) if space else [_describe(each) for each in SPACES.values()])
    elif space:
        from spaces import HyperparameterSpace, JointSpace
        from spaces.hyperparameters.axes import value_text
        from spaces.parameters import Range

        chosen = _open(space)
        _print_summary([chosen])
        typer.echo()
        words = {gene: " ".join(map(value_text, choices)) for gene, choices in chosen.genes().items()}
        settings = chosen.hyperparameters if isinstance(chosen, JointSpace) else chosen
        if isinstance(settings, HyperparameterSpace):
            more = {p.name for p in settings.parameters() if isinstance(p, Range) or p.when}
            words |= {name: text for name, text in settings.described().items() if name in more}
        rows = list(words.items())
        print_table(("gene", "choices"), rows, left=(0, 1))
    else:
        _print_summary(list(SPACES.values()))


def show_cost(
    space: Annotated[
        str,
        typer.Argument(
            metavar="SPACE|FILE.yaml|NETWORK",
            help="A space by name, a run's configuration, or a network by name (`binarynas networks`).",
            autocompletion=complete_space,
        ),
    ],
    architecture: Annotated[
        str | None,
        typer.Argument(
            metavar="[TEXT]",
            help="An architecture's text form; `binarynas sample` shows some. None for a network's name.",
        ),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Height and width of the images; the space's own if left out.")
    ] = None,
    classes: Annotated[int | None, typer.Option(help="Number of classes; the space's own if left out.")] = None,
    detector: Annotated[
        str | None, typer.Option(help="Count a detector on this backbone: paper, float or binary.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Count what an architecture costs, layer by layer: operations per image, parameters and size.

    OPs = float + 8-bit / 8 + binary / 64.
    """
    from analysis.units import cost_words, quantity

    if architecture is None:
        space, architecture, fitted = _named(space, image_size)
    else:
        fitted = None
    if detector is not None:
        from search.cli.detect import show_detector_cost

        show_detector_cost(_open(space), architecture, detector, image_size, classes, as_json=as_json)
        return
    chosen = (fitted or _open(space)).for_data(image_size, classes)
    member = chosen.parse(architecture)
    cost = chosen.cost(member)
    twins, counted = _in_full_precision(chosen, member), _as_published(chosen, member)
    if as_json:
        layers = [{"name": layer.name} | layer.metrics() for layer in cost.layers]
        shape = {"image_size": chosen.image_size, "classes": chosen.classes}
        names = {"space": chosen.name, "architecture": chosen.format(member), "id": chosen.id(member)}
        floats = {key: twin.metrics() | {"speedup": twin.ops / cost.ops} for key, twin in twins.items()}
        print_json({**names, **shape, **cost.metrics(), **counted, **floats, "layers": layers})
        return
    print_table(
        ("layer", "output", "float", "int8", "binary", "OPs", "params", "size"),
        [
            (layer.name, f"{layer.out_channels}×{layer.out_size}×{layer.out_size}", *_cells(layer))
            for layer in cost.layers
        ],
        total=("in all", "", *_cells(cost)),
    )
    for ops in counted.values():
        typer.echo(f"As the paper counts: {quantity(ops, 'OPs')}")
    for key, twin in twins.items():
        if key != "full_precision" and twin == twins["full_precision"]:
            continue  # ratio 1 everywhere: the twin is the base network
        what = key.replace("_", " ").capitalize()
        words = f"{cost_words('ops', twin.ops)}, {cost_words('bytes', twin.bytes)}"
        typer.echo(f"{what}: {words}; speedup {twin.ops / cost.ops:.4g}")


def draw(
    space: SpaceName,
    number: Annotated[int, typer.Option("-n", "--number", min=1, help="How many.")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed draws the same architectures.")] = 0,
    ops_min: OpsMin = None,
    ops_max: OpsMax = None,
) -> None:
    """Draw random members, uniform over the space, one per line."""
    from search.seeds import derive_rng
    from spaces import Limits, sample_within

    chosen = _open(space)
    for member in sample_within(chosen, derive_rng(seed, "sample"), Limits(ops_min, ops_max), number):
        typer.echo(chosen.format(member))


def _open(source: str) -> "AnySpace":
    """The space of a name, or of a run's configuration."""
    from spaces import get_space

    if Path(source).suffix not in (".yaml", ".yml"):
        return get_space(source)
    from search.runs.folder import RUN_FILE, open_run

    folder = Path(source).parent
    if (folder / RUN_FILE).is_file():  # a run's own file: its data are known
        return open_run(folder).space
    from search.config.loading import load_config
    from search.data.opening import shape_of

    config = load_config(source)
    try:
        return config.space.build(*shape_of(config.data))
    except DataError as error:
        note(f"{error} Counted with the classes and channels of the space")
        return config.space.build()


def _named(name: str, image_size: int | None) -> "tuple[str, str, AnySpace]":
    """The space and the text form of a network that has a name, and its space for the images by the rule of sizes."""
    from spaces import SPACES, SpaceError
    from spaces.catalogue import NETWORKS, get_network
    from spaces.joint.networks import NetworksSpace

    if name in SPACES and name not in NETWORKS:
        raise SpaceError(
            f"{name} is a space: give the text form of one of its networks, too, such as binarynas sample has"
        )
    known = get_network(name)
    size = image_size or _open(known.space).image_size
    ((space, _),) = NetworksSpace(name, (name,), size).members.values()
    return known.space, known.architecture, space


def _describe(space: "AnySpace") -> dict[str, object]:
    return {
        "name": space.name,
        "family": space.family,
        "count": space.count(),
        "image_size": space.image_size,
        "classes": space.classes,
        "channels": space.channels,
        "genes": {gene: list(choices) for gene, choices in space.genes().items()},
        "declaration": space.declaration(),
    }


def _print_summary(spaces: "list[AnySpace]") -> None:
    from analysis.units import quantity

    print_table(
        ("space", "family", "members", "images", "classes", "OPs"),
        [
            (
                space.name,
                space.family,
                quantity(space.count(), ""),
                f"{space.channels}×{space.image_size}×{space.image_size}",
                str(space.classes),
                " to ".join(quantity(space.cost(end).ops, "") for end in (space.smallest(), space.largest())),
            )
            for space in spaces
        ],
        left=(0, 1),
        wrapped=5,
    )


def _in_full_precision(space: "AnySpace", member: object) -> "dict[str, Cost]":
    """What the float twins of a member of a width space cost: its own, and the base network's."""
    from spaces import Widths, WidthSpace

    candidate = space.split(member)
    if not isinstance(candidate.space, WidthSpace) or not isinstance(candidate.architecture, Widths):
        return {}
    return {
        "full_precision": candidate.space.full_precision_cost(candidate.architecture),
        "base_network_in_full_precision": candidate.space.base_full_precision_cost(),
    }


def _as_published(space: "AnySpace", member: object) -> dict[str, float]:
    """Operations of a network as its paper counts them, where it counts others."""
    candidate = space.split(member)
    counted = candidate.space.papers_ops(candidate.architecture)
    return {} if counted == candidate.space.cost(candidate.architecture).ops else {"papers_ops": counted}


def _cells(cost: "Cost | LayerCost") -> tuple[str, ...]:
    from analysis.units import quantity

    counts = (cost.flops, cost.int8_ops, cost.bops, cost.ops, cost.params)
    return (*(quantity(count, "") if count else "-" for count in counts), quantity(cost.bytes, "B"))
