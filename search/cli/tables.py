"""The command that makes a table of networks from runs that measured them."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.output import fail


def table(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Runs of one space, and tables of such, that differ in their seed.", metavar="SOURCE..."),
    ],
    out: Annotated[Path, typer.Option(help="The table, as NAME.parquet; a card, NAME.md, is written beside it.")],
    machine: Annotated[
        str | None, typer.Option(help="What the card says of the hardware; this machine if left out.")
    ] = None,
) -> None:
    """Make a table of all networks that runs have measured, on which searches can be tried (method: table).

    A source is the folder of a run, or a table: its file, or the name of one that comes with the package.
    """
    import os

    from analysis.tables.table import load_table
    from models.onebit.timing import processor
    from search.outputs.measured import table_of, write_table
    from search.runs.folder import open_run

    if out.suffix != ".parquet":
        fail(f"--out is the table's file, NAME.parquet; got {out}")
    made = table_of([open_run(each) if each.is_dir() else load_table(str(each)) for each in sources], out.stem)
    card = write_table(made, out, machine or f"{processor()}, {os.cpu_count()} cores")
    typer.echo(f"{len(made)} of {made.space.count()} networks, {made.replicates} seeds: {out}, card: {card}")
