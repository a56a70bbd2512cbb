"""The command that compares runs, or proposers on a table of networks."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import Json, OpsMax
from search.cli.output import fail, note, print_json, print_table

if TYPE_CHECKING:
    from analysis.findings.comparison import Comparison
    from analysis.measures.intervals import Interval


def compare(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUN...]", help="The folders of runs, finished or not.")
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="Search this table of networks instead: its name, or its .parquet file."),
    ] = None,
    proposers: Annotated[
        str,
        typer.Option(help="With --table: the ones to compare, such as surrogate or, with its sizes, surrogate@16/8."),
    ] = "evolution,random,nsga2,surrogate",
    seeds: Annotated[int, typer.Option(min=1, help="With --table: searches of each proposer.")] = 30,
    trials: Annotated[int, typer.Option(min=1, help="With --table: of each search.")] = 288,
    first_generation: Annotated[int, typer.Option(min=1, help="With --table: candidates that begin a search.")] = 32,
    generation: Annotated[int, typer.Option(min=1, help="With --table: candidates proposed at once.")] = 16,
    objectives: Annotated[str, typer.Option(help="With --table: of the searches.")] = "accuracy,ops",
    ops_max: OpsMax = None,
    workers: Annotated[int, typer.Option(min=1, help="With --table: simulated ones.")] = 1,
    out: Annotated[Path | None, typer.Option(help="A folder for the plot of a race and its numbers.")] = None,
    as_json: Json = False,
) -> None:
    """Compare runs at the same number of trials, over seeds: hypervolume, and accuracy at equal operations.

    Runs on one table of networks are also measured against its own front. With --table no runs are needed: proposers
    search the table now, in memory and simulated time.
    """
    if (table is None) == (not runs):
        fail("give the folders of runs, or --table with the name or the file of a table of networks")
    if table is None:
        _compare_runs(runs or [], out, as_json)
        return
    from search.cli.race import race
    from search.config.loading import check_config

    search = {
        "trials": trials,
        "first_generation": first_generation,
        "generation": generation,
        "objectives": _names(objectives),
        "ops_max": ops_max,
    }
    config = check_config({"method": "table", "table": {"source": table}, "search": search}, "the options")
    race(table, _names(proposers), config.search, seeds, workers, out, as_json)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _compare_runs(runs: list[Path], out: Path | None, as_json: bool) -> None:
    from analysis.findings import comparison
    from analysis.report.sections.compare import (
        DIFFERENCE_HEADINGS,
        difference_cells,
        headings,
        interval_words,
        run_cells,
    )
    from analysis.tables.runs import race_of_runs
    from search.cli.race import draw_race, print_race, race_json

    facts = comparison.facts_of(runs)
    found = comparison.compare_runs(facts)
    race = race_of_runs(found, facts)
    if out is not None and race is None:
        fail("--out is for runs that searched one table of networks; `binarynas report RUN...` draws any others")
    if as_json:
        print_json({**_comparison_json(found), "race": None if race is None else race_json(race)})
    else:
        for each in found.notes:
            note(each)
        named = headings(found)
        print_table(
            ("run", "trials", "failed", "front", *named),
            [(r.name, str(found.trials), str(r.failed), str(r.front), *run_cells(r)) for r in found.runs],
        )
        if len(found.groups) < len(found.runs):
            typer.echo("\nover seeds: mean (95 % interval of the mean)")
            print_table(
                ("configuration", "n", *named),
                [
                    (g.name, str(len(g.runs)), *map(interval_words, (g.hypervolume, g.best, *g.reached)))
                    for g in found.groups
                ],
            )
        if found.differences:
            typer.echo("\nwhat the second gains in hypervolume, seed by seed (Student's paired test; p by Holm)")
            print_table(DIFFERENCE_HEADINGS, map(difference_cells, found.differences))
        if race is not None:
            typer.echo("")
            print_race(race)
    if race is not None and out is not None:
        draw_race(race, out, as_json)


def _comparison_json(found: "Comparison") -> dict[str, object]:
    from analysis.findings.front import front

    fronts = {run.name: front(found.frames[run.name]) for run in found.runs}
    columns = ["architecture", "id", "ops", "accuracy"]
    return {
        "trials": found.trials,
        "box": {"reference": found.reference, "ideal": found.ideal, "axes": ["ops", "accuracy"]},
        "levels": found.levels,
        "runs": [{**asdict(run), "front": fronts[run.name][columns].to_dict("records")} for run in found.runs],
        "pairs": [asdict(difference) for difference in found.differences],
        "groups": [
            {
                "name": group.name,
                "runs": group.runs,
                "hypervolume": _interval_json(group.hypervolume),
                "best": _interval_json(group.best),
                "reached": [_interval_json(interval) for interval in group.reached],
            }
            for group in found.groups
        ],
        "notes": found.notes,
    }


def _interval_json(interval: "Interval") -> dict[str, object]:
    return {"mean": interval.value, "low": interval.low, "high": interval.high, "n": interval.count}
