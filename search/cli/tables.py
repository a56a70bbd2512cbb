"""The command that makes a table of networks from runs that measured them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.output import fail
from spaces.errors import listed

if TYPE_CHECKING:
    from analysis.tables.table import Table
    from search.runs.folder import Run


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

    from models.onebit.timing import processor
    from search.outputs.measured import table_of, write_table

    if out.suffix != ".parquet":
        fail(f"--out is the table's file, NAME.parquet; got {out}")
    made = table_of([_opened(each) for each in sources], out.stem)
    card = write_table(made, out, machine or f"{processor()}, {os.cpu_count()} cores")
    typer.echo(f"{len(made)} of {made.space.count()} networks, {made.replicates} seeds: {out}, card: {card}")


def _opened(source: Path) -> "Run | Table":
    from analysis.tables.table import load_table, shipped_tables
    from search.runs.folder import open_run

    if source.is_dir():
        return open_run(source)
    if not source.is_file() and str(source) not in (known := shipped_tables()):
        fail(f"{source} is neither the folder of a run nor a table: a file, or one of {listed(known)}")
    return load_table(str(source))
