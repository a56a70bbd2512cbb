"""What the commands share: the two consoles, errors in one sentence, and numbers for people."""

import json
import math
import re
from collections.abc import Container, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

BAD_INPUT = 2
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_COUNT = re.compile(r"([0-9]+(?:\.[0-9]*)?(?:e\+?[0-9]{1,3})?) ?([kMGT]?)", re.IGNORECASE)


@cache
def stdout() -> "Console":
    """The console for results."""
    from rich.console import Console

    return Console(highlight=False)


@cache
def stderr() -> "Console":
    """The console for everything else: progress, notes and errors, so that standard output can be piped."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def fail(message: str, code: int = BAD_INPUT) -> NoReturn:
    """Say on standard error what is wrong, in one sentence, and end with an exit code."""
    typer.echo(f"binarynas: {message}", err=True)
    raise SystemExit(code)


def print_json(value: Any) -> None:
    """Print a value as JSON, for programs."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    total: Sequence[str] = (),
    left: Container[int] = (0,),
    wrapped: int | None = None,
) -> None:
    """Print a table, ruled in a terminal that is wide enough for it and as plain lines elsewhere; nothing is cut off.

    `total` is a last row, `left` numbers the columns that are flush left. In a terminal that is too narrow, the column
    numbered `wrapped` takes several lines, where there is one.
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
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, show_footer=bool(total))
    for index, column in enumerate(columns):
        justify = "left" if index in left else "right"
        table.add_column(column, total[index] if total else "", justify=justify, no_wrap=index != wrapped)
    for row in body:
        table.add_row(*row)
    stdout().print(table)


def human(value: float) -> str:
    """A count with three or four digits and a unit.

    >>> human(20_772_760), human(768), human(3.3235e17)
    ('20.77 M', '768', '3.324e+17')
    """
    if not math.isfinite(value) or abs(value) < 1000:
        return f"{value:.4g}"
    if abs(value) >= 1e15:
        return f"{value:.3e}"
    power = min(int(math.log10(abs(value))) // 3, 4)
    if round(abs(value) / 1000**power, 2) >= 1000 and power < 4:
        power += 1
    scaled = value / 1000**power
    digits = max(0, 3 - int(math.log10(abs(scaled))))
    return f"{scaled:.{min(digits, 2)}f} {list(UNITS)[power]}"


def human_bytes(value: float) -> str:
    """A size in bytes with a unit, by thousands: `1.04 MB`."""
    text = human(value)
    return f"{text}B" if " " in text else f"{text} B"


def parse_count(text: str) -> float:
    """Read a count such as `60M`, `20.5 M`, `5e6` or `60000000`; for options (`typer.Option(parser=parse_count)`)."""
    match = _COUNT.fullmatch(text.strip().replace("_", "").replace(",", ""))
    value = math.inf
    if match:
        unit = next(factor for name, factor in UNITS.items() if name.lower() == match[2].lower())
        value = float(match[1]) * unit
    if not math.isfinite(value):
        raise typer.BadParameter(f"{text!r} is no number of operations; write it like 60M, 20.5M or 5e6")
    return value
