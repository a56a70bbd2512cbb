"""The command line: one module a group of commands, each with a function `register(app)`.

Nothing heavy is imported before a command needs it, so that `binarynas --help` answers at once.
"""

from typing import Annotated

import typer

from search.cli import deploy, latency, report, run, spaces
from search.cli.output import fail
from spaces.errors import BinarynasError

app = typer.Typer(
    help="Find binary neural networks that are accurate at the operations you can afford.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for group in (run, report, deploy, latency, spaces):  # in the order of the help text
    group.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"binarynas {version('binarynas')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; a `BinarynasError` is for the user to mend and becomes one sentence, no traceback."""
    try:
        app()
    except BinarynasError as error:
        fail(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        fail(f"cannot use {error.filename}: {error.strerror}")
