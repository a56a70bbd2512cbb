"""The command line: each module has a group of commands.

Nothing heavy is imported before a command needs it, so that `binarynas --help` answers at once.
"""

import codecs
import io
import sys
from typing import Annotated

import typer

from search.cli import compare, deploy, detect, latency, report, run, spaces, tables, train
from search.cli.output import fail
from search.execution.signals import INTERRUPTED, heed_termination, say_stopped, told_to_stop
from spaces.errors import BinarynasError
from spaces.tools.files import readable

app = typer.Typer(
    help="Find binary neural networks that are accurate at the operations you can afford.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
COMMANDS = {  # in the order of the help text
    "search": run.search,
    "detect": detect.detect,
    "train": train.train,
    "resume": run.resume,
    "status": run.status,
    "presets": run.presets,
    "networks": train.list_networks,
    "import-nasbnn": run.import_nasbnn,
    "report": report.report,
    "best": report.best,
    "compare": compare.compare,
    "tensorboard": report.tensorboard,
    "export": deploy.export,
    "bench": deploy.bench,
    "predict": deploy.predict,
    "latency-table": latency.latency_table,
    "latency-kit": latency.latency_kit,
    "spaces": spaces.list_spaces,
    "ops": spaces.show_cost,
    "sample": spaces.draw,
    "table": tables.table,
}
for name, command in COMMANDS.items():
    app.command(name)(command)


READABLE = "readable"
"""How streams write what is not UTF-8: as `spaces.tools.files.readable` does."""


def _escaped(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError), "streams of output only encode"
    return readable(error.object[error.start : error.end]).encode("ascii", "backslashreplace").decode(), error.end


codecs.register_error(READABLE, _escaped)


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
    """Run the command line. A `BinarynasError`, which the user can solve, becomes one sentence without a traceback."""
    for stream in (sys.stdout, sys.stderr):  # names of files may be any bytes
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=READABLE)
    heed_termination()
    try:
        app()
    except KeyboardInterrupt:
        fail("stopped", INTERRUPTED)
    except SystemExit as end:  # Typer makes one of an interruption, without a word
        if end.code == INTERRUPTED or told_to_stop():
            say_stopped()
            sys.exit(INTERRUPTED)
        raise
    except BinarynasError as error:
        fail(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        fail(f"cannot use {error.filename}: {error.strerror}")
