"""What `binarynas compare --table` prints of a race of proposers, and the files that it writes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from search.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from analysis.measures.intervals import Interval
    from analysis.measures.pairs import Match
    from analysis.tables.race import Race
    from search.config.search import SearchConfig


def race(
    source: str,
    proposers: Sequence[str],
    common: "SearchConfig",
    seeds: int,
    workers: int,
    out: Path | None,
    json: bool,
) -> None:
    """Search a table with every proposer and seed, print who finds how much of its front, and draw it into `out`."""
    from analysis.tables.table import load_table
    from search.proposers.race import run_race

    table = load_table(source)
    done = run_race(
        table, proposers, common, seeds, workers, lambda each: note(f"{each.name}: {len(each.curves)} searches")
    )
    if json:
        print_json(race_json(done))
    else:
        print_race(done)
    if out is not None:
        draw_race(done, out, json)


def race_json(found: "Race") -> dict[str, object]:
    """A race for programs: what it was measured by, standings and matches."""
    measure = found.yardstick
    return {
        "table": found.table,
        "trials": found.trials,
        "objectives": measure.objectives,
        "reference": measure.reference,
        "whole": measure.whole.tolist(),
        "proposers": [asdict(each) for each in found.standings()],
        "pairs": [asdict(each) for each in found.matches()],
    }


def print_race(found: "Race") -> None:
    """Print standings and matches."""
    from analysis.tables.race import LEVELS

    standings, matches = found.standings(), found.matches()
    measure, trials = found.yardstick, found.trials
    corner = ", ".join(f"{n} {v:,.6g}" for n, v in zip(measure.objectives, measure.reference, strict=True))
    seeds = len(next(iter(found.entrants.values())).curves)
    typer.echo(f"{found.table}: {seeds} seeds, {trials} trials each; reference point: {corner}")
    typer.echo("hypervolume, as a share of that of the table's own front: median (95 % interval of the median)")
    parts = [f"after {count}" for count in (round(0.25 * trials), round(0.5 * trials), trials)]
    print_table(
        ("proposer", *parts, "missing at the end", "its own ms/trial"),
        [
            (
                each.name,
                *map(_shares, each.hypervolumes),
                _shares(each.regret),
                "-" if math.isnan(each.milliseconds) else f"{each.milliseconds:.2g}",
            )
            for each in standings
        ],
    )
    typer.echo("\ntrials to a share of the table's front: median (95 % interval); -: not within these trials")
    first = standings[0].name
    print_table(
        ("proposer", *(f"{level:.0%}" for level in LEVELS), f"what {first} has at its end"),
        [(each.name, *map(_counts, each.trials), _counts(each.trials_to_first)) for each in standings],
    )
    _print_matches(matches)


def _print_matches(matches: "Sequence[Match]") -> None:
    """Print who is better than whom, nothing without pairs."""
    if matches:
        typer.echo("\nwho is better at the end, seed by seed (Wilcoxon's signed ranks; p by Holm over all pairs)")
        print_table(_MATCH_HEADINGS, map(_match_cells, matches))


_MATCH_HEADINGS = ("pair", "better", "worse", "equal", "median difference, points", "p")


def _match_cells(match: "Match") -> list[str]:
    """Who is better than whom, below `_MATCH_HEADINGS`; the difference, of shares, with its 95 % interval."""
    found = match.duel
    counts = map(str, (found.better, found.worse, found.equal))
    ends = (
        f" ({100 * found.difference.low:+.1f} to {100 * found.difference.high:+.1f})" if found.difference.known else ""
    )
    difference = f"{100 * found.difference.value:+.1f}{ends}"
    return [f"{match.one} against {match.other}", *counts, difference, f"{match.adjusted:.2g}"]


def draw_race(found: "Race", out: Path, json: bool) -> None:
    """Write the plot of a race and its data into a folder; of JSON nothing else may be on standard output."""
    from analysis.plots.race import plot_race
    from analysis.plots.style import save_figure

    out.mkdir(parents=True, exist_ok=True)
    for file in save_figure(plot_race(found), out / "race", found.frame()):
        typer.echo(f"written: {file}", err=json)


def _shares(interval: "Interval") -> str:
    return _words(interval, lambda value: f"{100 * value:.1f}", " %")


def _counts(interval: "Interval") -> str:
    return _words(interval, lambda value: f"{value:.0f}" if math.isfinite(value) else "-", "")


def _words(interval: "Interval", word: Callable[[float], str], unit: str) -> str:
    """A median with its interval, where there is one; a dash where nothing was ever reached."""
    middle, ends = word(interval.value), (word(interval.low), word(interval.high))
    if math.isnan(interval.low) or ends == (middle, middle) == ("-", "-"):
        return middle if middle == "-" else f"{middle}{unit}"
    return f"{middle}{'' if middle == '-' else unit} ({ends[0]} to {ends[1]})"
