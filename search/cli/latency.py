"""The commands that measure tables of latencies, here and elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import Json
from search.cli.output import note, print_json

if TYPE_CHECKING:
    from search.config.space import AnySpace

Source = Annotated[
    str, typer.Argument(metavar="SPACE|PRESET|FILE.yaml", help="The space whose networks are to be predicted.")
]


def latency_table(
    source: Source,
    out: Annotated[Path, typer.Option(help="The file to write, such as latency.json.")],
    as_json: Json = False,
) -> None:
    """Time the operations of a space's networks on this machine, so that searches can predict latencies.

    Keep the machine idle meanwhile. A search takes the table with --set execution.latency_table=FILE.
    """
    from search.latency.table import engine_here, measure_table

    space = _space(source)
    if hint := engine_here().hint:
        note(hint)
    table = measure_table(space)
    table.write(out)
    facts = {
        "space": space.name,
        "processor": table.processor,
        "engine": table.engine,
        "operations": len(table.operations),
        "repeatability": table.repeatability,
        "fit": dict(table.fit),
    }
    if as_json:
        print_json(facts)
        return
    typer.echo(
        f"{out}: {len(table.operations)} operations on {table.processor}, {table.engine}; "
        f"readings within {100 * table.repeatability:.1f} % (half of the quartiles' distance), "
        f"whole networks fitted within {100 * table.fit['median_error']:.1f} % (median)"
    )


def latency_kit(
    source: Source,
    out: Annotated[Path, typer.Option(help="The folder to write, new or empty.")],
    classes: Annotated[int | None, typer.Option(min=1, help="Classes of your images; the space's if left out.")] = None,
    channels: Annotated[int | None, typer.Option(min=1, help="Of your images; the space's where left out.")] = None,
    networks: Annotated[
        int, typer.Option(min=16, help="Random networks whose operations are looked at, at most.")
    ] = 2000,
) -> None:
    """Write a C program that measures the latency table of a space on the machine that counts.

    There `make table` needs a C compiler alone. A search here takes the table, for that machine's milliseconds.
    """
    from search.latency.kit import write_kit

    space = _space(source)
    space = space.for_data(classes=classes or space.classes, channels=channels or space.channels)
    count = write_kit(out, space, networks)
    typer.echo(
        f"{out}: a program that measures the {count} operations of {space.name} ({space.channels} channels, "
        f"{space.image_size} pixels, {space.classes} classes). Copy the folder to the machine that counts and run "
        "`make table` there; then search with --set execution.latency_table=latency.json."
    )


def _space(source: str) -> "AnySpace":
    from search.config.loading import load_config
    from spaces import SPACES, get_space

    return get_space(source) if source in SPACES else load_config(source).space.architectures()
