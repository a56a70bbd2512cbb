"""The command that measures a table of latencies."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import Json
from search.cli.output import note, print_json


def latency_table(
    source: Annotated[
        str, typer.Argument(metavar="SPACE|PRESET|FILE.yaml", help="The space whose networks are to be predicted.")
    ],
    out: Annotated[Path, typer.Option(help="The file to write, such as latency.json.")],
    as_json: Json = False,
) -> None:
    """Time the operations of a space's networks on this machine, so that searches can predict latencies.

    Keep the machine idle meanwhile. A search takes the table with --set execution.latency_table=FILE.
    """
    from search.config.loading import load_config
    from search.latency.table import engine_here, measure_table
    from spaces import SPACES, get_space

    space = get_space(source) if source in SPACES or "@" in source else load_config(source).space.architectures()
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
