"""Commands that start, resume and look at runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import Json, OpsMax, OpsMin, RunFolder, complete_preset
from search.cli.output import fail, print_json, print_table, stderr

if TYPE_CHECKING:
    from search.runs.folder import Run

_ADDRESS = "A Ray cluster: auto, or HOST:PORT of its head. The run's folder must be on storage that its nodes share."


def search(
    source: Annotated[
        str,
        typer.Argument(
            metavar="PRESET|FILE.yaml",
            help="A preset's name, or a configuration.",
            autocompletion=complete_preset,
        ),
    ],
    data: Annotated[
        str | None, typer.Option(help="Your images: a folder, a Parquet file, or the name of a data set.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/PRESET where left out.")] = None,
    trials: Annotated[int | None, typer.Option(help="How many candidates to try.")] = None,
    ops_min: OpsMin = None,
    ops_max: OpsMax = None,
    latency_max: Annotated[
        float | None, typer.Option(metavar="MS", help="Most milliseconds per image, in one thread of this machine.")
    ] = None,
    objectives: Annotated[str | None, typer.Option(help="Such as accuracy,ops or accuracy,latency.")] = None,
    workers: Annotated[int | None, typer.Option(help="Candidates in flight.")] = None,
    seed: Annotated[int | None, typer.Option(help="The root of all randomness.")] = None,
    address: Annotated[str | None, typer.Option(help=_ADDRESS)] = None,
    callback: Annotated[
        list[str] | None, typer.Option(metavar="MODULE:NAME", help="Your own callback, Tune's or ours; repeatable.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any other setting, e.g. supernet.epochs=5.")
    ] = None,
) -> None:
    """Search for accurate binary networks; ends with a frontier, its networks as files, and a plot."""
    from search.config.loading import load_config
    from search.data.config import recognise

    options = {
        "seed": seed,
        "data": recognise(data).model_dump(mode="json", exclude_unset=True) if data is not None else None,
        "search": {
            "trials": trials,
            "ops_min": ops_min,
            "ops_max": ops_max,
            "latency_max": latency_max,
            "objectives": objectives.split(",") if objectives else None,
        },
        "execution": {"workers": workers, "address": address, "callbacks": callback},
    }
    config = load_config(source, settings or (), options)

    from search.execution.address import require_reachable
    from search.pipeline.prepare import prepare
    from search.worker.tasks import ExecutionError

    try:
        require_reachable(config.execution.address)
    except ExecutionError as error:
        fail(str(error))
    run = prepare(config, out or Path("runs") / Path(source).stem)
    _carry_out(run)


def resume(
    folder: RunFolder,
    address: Annotated[str | None, typer.Option(help=_ADDRESS + " Here: local.")] = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Also from another machine, when its process has ended for sure.")
    ] = False,
    fork: Annotated[
        Path | None, typer.Option(help="Go on in a new folder, with the configuration that was edited in this one.")
    ] = None,
) -> None:
    """Resume a run that was stopped, killed or lost; nothing that was finished is done again."""
    from search.pipeline import changes
    from search.runs.folder import open_run

    run = open_run(folder)
    if fork is None:
        changes.require_unchanged(run)
    else:
        run = changes.fork(run, fork)
    _carry_out(run, address, take_over=take_over)


def _carry_out(run: "Run", address: str | None = None, *, take_over: bool = False) -> None:
    """Do what is left of a run, and show its front."""
    from search.execution.signals import INTERRUPTED, heed_termination, told_to_stop

    heed_termination()
    from search.execution.executors import make_executor
    from search.pipeline.callbacks import Telling, callbacks_of
    from search.pipeline.carry_out import carry_out
    from search.pipeline.view import make_view
    from search.runs.locking import writing
    from search.training.loop import TrainingError
    from search.worker.tasks import ExecutionError

    remedy = f"go on with: binarynas resume {run.path}"
    try:
        with writing(run, take_over=take_over), make_view(stderr()) as view:
            carry_out(run, make_executor(run, address), Telling(view, callbacks_of(run.config)))
    except KeyboardInterrupt:
        fail(f"stopped; {remedy}", INTERRUPTED)
    except (TrainingError, ExecutionError) as error:
        if told_to_stop():
            fail(f"stopped; {remedy}", INTERRUPTED)
        fail(f"{error}; {remedy}", 1)
    except OSError as error:
        if error.filename is None:
            raise
        fail(f"cannot use {error.filename}: {error.strerror}; when that is solved (is the disk full?), {remedy}", 1)
    _show_front(run)


def _show_front(run: "Run") -> None:
    from analysis.findings.front import front_rows, load_front
    from analysis.runs.layout import FRONT, FRONT_FILE, PLOTS

    rows = front_rows(load_front(run.path))
    if not rows:
        fail(f"no trial of {run.path} has finished; see the reasons in its trials.parquet", 1)
    _print_front(rows)
    typer.echo(f"networks: {run.path / FRONT}, table: {run.path / FRONT_FILE}, plot: {run.path / PLOTS}")


def _print_front(rows: Sequence[Mapping[str, object]]) -> None:
    """A table that ends with the architecture's text, which is long."""
    columns = list(rows[0])
    last = len(columns) - 1
    print_table(columns, [[str(cell) for cell in row.values()] for row in rows], left=(last - 1, last), wrapped=last)


def status(folder: RunFolder, as_json: Json = False) -> None:
    """How far a run is, and its front so far; it may be running meanwhile."""
    from search.runs.folder import open_run
    from search.runs.progress import progress

    found = progress(open_run(folder))
    head = {"run": found.run, "state": found.state, "method": found.method, **found.start}
    if as_json:
        print_json({**head, "trials": found.trials, "of": found.of, "front": found.front})
        return
    counts = (
        f"{stage} {', '.join(f'{count} {state}' for state, count in states.items())}"
        for stage, states in found.trials.items()
    )
    words = {**head, "trials": "; ".join(counts) or "none yet", "of": f"{found.of} candidates"}
    typer.echo("\n".join(f"{key}: {value}" for key, value in words.items()))
    if found.front:
        _print_front([{name: _with_unit(name, value) for name, value in row.items()} for row in found.front])


def _with_unit(name: str, value: float | str) -> str:
    from analysis.units import cost_words, percent

    if isinstance(value, str):
        return value
    return percent(value) if name == "accuracy" else cost_words(name, value)


def presets() -> None:
    """The presets, with what each is for."""
    from search.config.loading import presets as texts

    for name, text in texts().items():
        typer.echo(f"{name}: {text.splitlines()[0].removeprefix('#').strip()}")


def import_nasbnn(
    file: Annotated[Path, typer.Argument(help="The checkpoint that the authors of NAS-BNN published.")],
    out: Annotated[Path, typer.Option(help="The folder for the supernet.")],
) -> None:
    """Read the published NAS-BNN supernet, so that its subnets can be searched without training one."""
    from models.checkpoints.networks import save_supernet
    from models.nasbnn.published import import_checkpoint

    if out.exists() and any(out.iterdir()):
        fail(f"{out} is not empty; choose another folder with --out")
    supernet = import_checkpoint(file)
    save_supernet(out, supernet, {"imported_from": file.name})
    typer.echo(f"supernet: {out}; search it with: binarynas search nasbnn-imagenet --set supernet.checkpoint={out}")
