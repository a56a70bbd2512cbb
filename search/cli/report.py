"""Commands that tell the results of runs: a report, the best network, events for TensorBoard."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import Json, OpsMax, RunFolder, parse_count
from search.cli.output import fail, print_json

RunFolders = Annotated[list[Path], typer.Argument(metavar="RUN...", help="The folders of runs, finished or not.")]


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

    typer.echo(f"report: {write_report(runs, out)}")
    if out is None and len(runs) == 1 and runs[0].is_dir():
        typer.echo(f"frontier: {write_frontier(runs[0])}")


def best(
    run: RunFolder,
    ops_max: OpsMax = None,
    accuracy_min: Annotated[
        float | None, typer.Option(help="At least this validation accuracy, as a fraction: 0.95.")
    ] = None,
    latency_max: Annotated[float | None, typer.Option(metavar="MS", help="Most milliseconds per image.")] = None,
    params_max: Annotated[
        float | None, typer.Option(parser=parse_count, metavar="COUNT", help="Most parameters, such as 500K.")
    ] = None,
    bytes_max: Annotated[
        float | None, typer.Option(parser=parse_count, metavar="BYTES", help="Most bytes, such as 100K.")
    ] = None,
    as_json: Json = False,
) -> None:
    """The best network: the most accurate one within the limits, or the cheapest one with the accuracy asked for."""
    from analysis.findings.choice import Limits, NoCandidateError, choose

    try:
        chosen = choose(run, Limits(ops_max, accuracy_min, latency_max, params_max, bytes_max))
    except NoCandidateError as error:
        fail(str(error), 1)
    if as_json:
        print_json(asdict(chosen))
        return
    from analysis.runs.schema import LATENCY
    from analysis.stages import score_of
    from analysis.units import cost_words, percent

    tested = "not measured" if chosen.test_accuracy is None else percent(chosen.test_accuracy)
    costs = {"ops": chosen.ops, "params": chosen.params, "bytes": chosen.bytes, LATENCY: chosen.latency_ms}
    lines = {
        "architecture": chosen.architecture,
        score_of(chosen.stage): f"{percent(chosen.accuracy)} (validation), {tested} (test)",
        "cost": ", ".join(cost_words(name, value) for name, value in costs.items() if value is not None),
        "weights": f"{chosen.stage}, trial {chosen.number}, id {chosen.id}",
        "folder": str(chosen.folder) if chosen.folder else f"none: {chosen.weights}",
    }
    for name, value in lines.items():
        typer.echo(f"{name + ':':<14}{value}")


def tensorboard(
    run: RunFolder,
    out: Annotated[Path | None, typer.Option(help="The folder; tensorboard in the run's folder if left out.")] = None,
) -> None:
    """Write a run's epochs and trials for TensorBoard; repeat it to add what has happened since."""
    from search.outputs.tensorboard import export

    typer.echo(f"written; look at it with: tensorboard --logdir {export(run, out)}")
