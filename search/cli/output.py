"""How the commands print: results, tables and JSON on standard output, everything else on standard error."""

import json
import math
from collections.abc import Container, Iterable, Sequence
from functools import cache
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NoReturn, cast

import typer

from search.execution.signals import INTERRUPTED, sentence_said

if TYPE_CHECKING:
    from rich.console import Console

BAD_INPUT = 2


@cache
def stdout() -> "Console":
    """The console for tables."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


@cache
def stderr() -> "Console":
    """The console for progress, so that standard output can be piped."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def note(message: str) -> None:
    """Tell on standard error what is worth knowing."""
    typer.echo(f"note: {message}", err=True)


def fail(message: str, code: int = BAD_INPUT) -> NoReturn:
    """Say on standard error what is wrong, in one sentence, and end with an exit code."""
    typer.echo(f"binarynas: {message}", err=True)
    if code == INTERRUPTED:
        sentence_said()
    raise SystemExit(code)


def print_json(value: object) -> None:
    """Print a value as JSON, for programs: a number that is not finite is null, and a path a text."""
    typer.echo(json.dumps(_finite(value), indent=2, allow_nan=False, default=str))


def _finite(value: Any) -> object:
    match value:
        case dict():
            return {key: _finite(each) for key, each in cast("dict[str, object]", value).items()}
        case list() | tuple():
            return [_finite(each) for each in cast("list[object]", value)]
        case _:
            return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    total: Sequence[str] = (),
    left: Container[int] = (0,),
    wrapped: int | None = None,
) -> None:
    """Print a table, ruled in a terminal that is wide enough for it and as plain lines elsewhere; nothing is cut off.

    `total` is a last row; `left` holds the numbers of the columns that are flush left. `wrapped` is the number of the
    column that stands on lines of its own in a terminal that is too narrow, and is the last one; None for none.
    """
    body = list(rows)
    lines = [columns, *body, total] if total else [columns, *body]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    too_narrow = sum(widths) + 2 * len(widths) + 2 > stdout().width
    if not stdout().is_terminal or (too_narrow and wrapped is None):
        for line in lines:
            cells = [
                cell.ljust(width) if index in left else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            typer.echo("  ".join(cells).rstrip())
        return
    if too_narrow and wrapped is not None:
        _print_in_two(columns, body, widths, left)
        return
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, show_footer=bool(total))
    for index, column in enumerate(columns):
        justify = "left" if index in left else "right"
        table.add_column(column, total[index] if total else "", justify=justify, no_wrap=True)
    for row in body:
        table.add_row(*row)
    stdout().print(table)


def _print_in_two(
    columns: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int], left: Container[int]
) -> None:
    """Print a table whose last column stands on lines of its own, as do others that do not fit; words are not cut."""
    width, fits = stdout().width, len(columns) - 1
    while fits > 1 and sum(widths[:fits]) + 2 * (fits - 1) > width:
        fits -= 1
    for line in (columns, *rows):
        cells = [
            cell.ljust(size) if index in left else cell.rjust(size)
            for index, (cell, size) in enumerate(zip(line[:fits], widths, strict=False))
        ]
        typer.echo("  ".join(cells).rstrip())
        for rest in ("  ".join(line[fits:-1]), line[-1]):
            for part in wrap(rest, max(width - 4, 20), break_long_words=False, break_on_hyphens=False):
                typer.echo(f"    {part}")
