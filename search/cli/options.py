"""Arguments and options that several commands have."""

import math
import re
from pathlib import Path
from typing import Annotated

import typer

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_COUNT = re.compile(r"([0-9]+(?:\.[0-9]*)?(?:e\+?[0-9]{1,3})?) ?([kmgt]?)")


def parse_count(text: str) -> float:
    """Read a count such as `60M`, `20.5 M`, `5e6` or `60000000`; for options (`typer.Option(parser=parse_count)`)."""
    match = _COUNT.fullmatch(text.strip().replace("_", "").replace(",", "").lower())
    value = float(match[1]) * _UNITS[match[2]] if match else math.inf
    if not math.isfinite(value):
        raise typer.BadParameter(f"expected a number such as 60M, 20.5M or 5e6; got {text!r}")
    return value


def complete_preset(incomplete: str) -> list[str]:
    """Names of presets, for the shell's completion."""
    from search.config.loading import presets

    return [name for name in presets() if name.startswith(incomplete)]


def complete_space(incomplete: str) -> list[str]:
    """Names of spaces, for the shell's completion."""
    from spaces import SPACES

    return [name for name in SPACES if name.startswith(incomplete)]


def parse_duration(text: str) -> float:
    """Read a time such as `90s`, `30m`, `2h` or `1.5d` as seconds."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([smhd])", text.strip().lower())
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]] if match else 0.0
    if seconds <= 0:
        raise typer.BadParameter(f"expected a time such as 30m, 2h or 1d; got {text!r}")
    return seconds


def parse_bytes(text: str) -> float:
    """Read a size such as `100KB`, `1.5 MB`, `64KiB` or `40000` as bytes."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?(?:([kmg]?)(i?)b)?", text.strip().lower())
    if match is None or (match[3] and not match[2]) or float(match[1]) <= 0:
        raise typer.BadParameter(f"expected a size such as 100KB, 64KiB or 40000; got {text!r}")
    return float(match[1]) * (1024 if match[3] else 1000) ** " kmg".index(match[2] or " ")


RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, finished or not.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OpsMin = Annotated[float | None, typer.Option(parser=parse_count, metavar="OPS", help="Fewest OPs, such as 5M.")]
OpsMax = Annotated[float | None, typer.Option(parser=parse_count, metavar="OPS", help="Most OPs, such as 60M.")]
