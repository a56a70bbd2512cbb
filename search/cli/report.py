"""Commands that tell what came out: a report, the network to take, a comparison of runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.output import fail, parse_count, print_json, print_table, stderr, stdout

if TYPE_CHECKING:
    from analysis.findings.choice import Choice
    from analysis.findings.comparison import Comparison
    from analysis.measures.intervals import Interval

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, finished or not.")]
RunFolders = Annotated[list[Path], typer.Argument(metavar="RUN...", help="The folders of runs, finished or not.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("report")(report)
    app.command("best")(best)
    app.command("compare")(compare)
    app.command("tensorboard")(tensorboard)


def report(
    runs: RunFolders,
    out: Annotated[
        Path | None, typer.Option(help="The file; report.html in the run's folder, or here for several, if left out.")
    ] = None,
) -> None:
    """Write one HTML file on a run, or on several side by side, that opens without a network.

    Into a run's own folder it also writes the frontier alone, as plots/frontier.html.
    """
    from analysis.report.frontier import write_frontier
    from analysis.report.page import write_report

    stdout().print(f"report: {write_report(runs, out)}", soft_wrap=True, markup=False)
    if out is None and len(runs) == 1 and runs[0].is_dir():
        stdout().print(f"frontier: {write_frontier(runs[0])}", soft_wrap=True, markup=False)


def best(
    run: RunFolder,
    ops_max: Annotated[
        float | None, typer.Option(parser=parse_count, metavar="OPS", help="At most so many OPs: 5M.")
    ] = None,
    accuracy_min: Annotated[
        float | None, typer.Option(help="At least this validation accuracy, as a fraction: 0.95.")
    ] = None,
    latency_max: Annotated[float | None, typer.Option(metavar="MS", help="At most so many milliseconds.")] = None,
    params_max: Annotated[
        float | None, typer.Option(parser=parse_count, metavar="COUNT", help="At most so many parameters: 500k.")
    ] = None,
    bytes_max: Annotated[
        float | None, typer.Option(parser=parse_count, metavar="BYTES", help="At most so many bytes: 100k.")
    ] = None,
    as_json: Json = False,
) -> None:
    """The network to take: the most accurate within the limits, or the cheapest with the accuracy that is asked for."""
    from analysis.findings.choice import Limits, NoCandidateError, choose

    try:
        chosen = choose(run, Limits(ops_max, accuracy_min, latency_max, params_max, bytes_max))
    except NoCandidateError as error:
        fail(str(error), 1)
    if as_json:
        print_json(_choice_json(chosen))
        return
    from analysis.runs.schema import LATENCY
    from analysis.units import cost_words, percent

    tested = "not measured" if chosen.test_accuracy is None else percent(chosen.test_accuracy)
    costs: dict[str, float | None] = {
        "ops": chosen.ops, "params": chosen.params, "bytes": chosen.bytes, LATENCY: chosen.latency_ms,
    }  # fmt: skip
    lines = {
        "architecture": chosen.architecture,
        "accuracy": f"{percent(chosen.accuracy)} (validation), {tested} (test)",
        "cost": ", ".join(cost_words(name, value) for name, value in costs.items() if value is not None),
        "weights": f"{chosen.stage}, trial {chosen.number}, id {chosen.id}",
        "folder": str(chosen.folder) if chosen.folder else f"none: {chosen.weights}",
    }
    for name, value in lines.items():
        typer.echo(f"{name + ':':<14}{value}")


def compare(runs: RunFolders, as_json: Json = False) -> None:
    """Compare runs at the same number of trials: hypervolume, and accuracy at equal operations, over seeds."""
    from analysis.findings import comparison
    from analysis.report.sections.compare import headings, interval_words, run_cells

    found = comparison.compare(runs)
    if as_json:
        print_json(_comparison_json(found))
        return
    for note in found.notes:
        stderr().print(f"note: {note}", soft_wrap=True, markup=False)
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


def tensorboard(
    run: RunFolder,
    out: Annotated[Path | None, typer.Option(help="The folder; tensorboard in the run's folder if left out.")] = None,
) -> None:
    """Write a run's epochs and trials for TensorBoard; again to add what has happened since."""
    from search.outputs.tensorboard import export

    folder = export(run, out)
    stdout().print(f"written; look at it with: tensorboard --logdir {folder}", soft_wrap=True, markup=False)


def _choice_json(chosen: "Choice") -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(chosen), "folder": str(chosen.folder) if chosen.folder else None}


def _comparison_json(found: "Comparison") -> dict[str, Any]:
    return {
        "trials": found.trials,
        "box": {"reference": found.reference, "ideal": found.ideal, "axes": ["ops", "accuracy"]},
        "levels": list(found.levels),
        "runs": [
            {
                "name": r.name,
                "group": r.group,
                "seed": r.seed,
                "trials": r.trials,
                "finished": r.finished,
                "failed": r.failed,
                "front": _front_json(found, r.name),
                "hypervolume": r.hypervolume,
                "best": _finite(r.best),
                "reached": [_finite(value) for value in r.reached],
            }
            for r in found.runs
        ],
        "groups": [
            {
                "name": g.name,
                "runs": list(g.runs),
                "hypervolume": _interval_json(g.hypervolume),
                "best": _interval_json(g.best),
                "reached": [_interval_json(interval) for interval in g.reached],
            }
            for g in found.groups
        ],
        "notes": list(found.notes),
    }


def _front_json(found: "Comparison", name: str) -> list[dict[str, Any]]:
    from analysis.findings.front import front

    rows = front(found.frames[name])
    return [
        {"architecture": str(text), "id": str(identity), "ops": float(ops), "accuracy": float(accuracy)}
        for text, identity, ops, accuracy in zip(
            rows["architecture"], rows["id"], rows["ops"], rows["accuracy"], strict=True
        )
    ]


def _interval_json(interval: "Interval") -> dict[str, Any]:
    return {
        "mean": _finite(interval.value),
        "low": _finite(interval.low),
        "high": _finite(interval.high),
        "n": interval.count,
    }


def _finite(value: float) -> float | None:
    import math

    return value if math.isfinite(value) else None
