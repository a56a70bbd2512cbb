"""Commands that start, resume and look at runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.options import Json, OpsMax, OpsMin, RunFolder, complete_preset, parse_bytes, parse_duration
from search.cli.output import fail, note, print_json, print_table, stderr

if TYPE_CHECKING:
    from search.config.run import RunConfig
    from search.data.config import DataConfig
    from search.runs.folder import Run

NOTE = "note: "
"""How a phrase about a data set begins that says something else than what is left out."""
ADDRESS = "A Ray cluster: auto, or HOST:PORT of its head. The run's folder must be on storage that its nodes share."


def search(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[PRESET|FILE.yaml]",
            help="A preset or a configuration; without, --data is planned for.",
            autocompletion=complete_preset,
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Your images: a folder, Parquet or tar files, or the name of a data set.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/PRESET where left out.")] = None,
    duration: Annotated[
        float | None,
        typer.Option("--time", parser=parse_duration, metavar="TIME", help="For a plan: 30m, 2h, 1d; an hour else."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, print it as a configuration, and stop.")
    ] = False,
    trials: Annotated[int | None, typer.Option(help="How many candidates to try.")] = None,
    ops_min: OpsMin = None,
    ops_max: OpsMax = None,
    latency_max: Annotated[
        float | None, typer.Option(metavar="MS", help="Most milliseconds per image, in one thread of this machine.")
    ] = None,
    bytes_max: Annotated[
        float | None, typer.Option(parser=parse_bytes, metavar="SIZE", help="Largest network, such as 100KB.")
    ] = None,
    objectives: Annotated[str | None, typer.Option(help="Such as accuracy,ops or accuracy,latency.")] = None,
    workers: Annotated[int | None, typer.Option(help="Candidates in flight.")] = None,
    seed: Annotated[int | None, typer.Option(help="The root of all randomness.")] = None,
    address: Annotated[str | None, typer.Option(help=ADDRESS)] = None,
    callback: Annotated[
        list[str] | None, typer.Option(metavar="MODULE:NAME", help="Your own callback, Tune's or ours; repeatable.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any other setting, e.g. supernet.epochs=5.")
    ] = None,
) -> None:
    """Search for accurate binary networks; ends with a frontier, its networks as files, and a plot."""
    import time

    begun = time.monotonic()
    from search.config.loading import left_out, load_config
    from search.data.config import recognise

    options = {
        "seed": seed,
        "data": recognise(data).model_dump(mode="json", exclude_unset=True) if data is not None else None,
        "search": {
            "trials": trials,
            "ops_min": ops_min,
            "ops_max": ops_max,
            "latency_max": latency_max,
            "bytes_max": bytes_max,
            "objectives": objectives.split(",") if objectives else None,
        },
        "execution": {"workers": workers, "address": address, "callbacks": callback},
    }
    if source is None:
        if data is None:
            fail("give a preset, a configuration, or --data alone to have a search planned for your images")
        config = _planned(recognise(data), duration, options, settings or [], begun)
        if dry_run:
            typer.echo(config.to_short_yaml(), nl=False)
            return
        source = Path(data).name or "images"
    else:
        if duration is not None or dry_run:
            fail("--time and --dry-run plan a search of --data alone: leave the preset out, or set epochs and trials")
        if data is not None and (dropped := left_out(source, recognise(data))):
            note(f"--data gives other images than {source} has: its {', '.join(dropped)} are left out")
        config = load_config(source, settings or (), options)

    from search.config.run import Method
    from search.execution.address import require_reachable
    from search.pipeline.prepare import prepare
    from search.worker.tasks import ExecutionError

    try:
        require_reachable(config.execution.address)
    except ExecutionError as error:
        fail(str(error))
    folder = (out or Path("runs") / Path(source).stem).expanduser()
    run = prepare(config, folder)
    for sentence in use_of(run.info["data"]) if config.method is not Method.TABLE else ():
        note(sentence)
    for sentence in run.info.get("notes", []):
        note(sentence)
    _carry_out(run)


def use_of(data: Mapping[str, Any]) -> list[str]:
    """Which images a run uses, and which not and why, on one line; then what else there is to say of them."""
    counts = ", ".join(f"{data[part]} {part}" for part in ("train", "validation", "test"))
    said: list[str] = data.get("left_out") or []
    left_out = [each for each in said if not each.startswith(NOTE)]
    line = f"images: {counts}; not used: {'; '.join(left_out)}" if left_out else f"images: {counts}"
    return [line, *(each.removeprefix(NOTE) for each in said if each.startswith(NOTE))]


def _planned(
    data: "DataConfig", seconds: float | None, options: Mapping[str, Any], settings: Sequence[str], begun: float
) -> "RunConfig":
    """The configuration that is planned for some images; the plan is shown as a table on standard error."""
    from search.config.loading import changed
    from search.pipeline.planner.plan import Wanted, make_plan
    from search.pipeline.planner.survey import machine, survey
    from search.pipeline.planner.table import rows
    from search.pipeline.planner.teaching import asked_for

    given, beside = options["search"], asked_for(data, {**options, "data": None}, settings)
    wanted = Wanted(seconds, given["ops_max"], given["bytes_max"], given["latency_max"], beside)
    seed, here = options["seed"] or 0, machine()
    images = beside.data  # as many of them as settings leave
    found = survey(images, seed)
    config = make_plan(images, found, here, wanted, seed, begun)
    config = changed(config, {**options, "data": None}, settings)
    table = rows(config, found, here)
    widths = [max(len(row[column]) for row in table) for column in (0, 1)]
    for what, much, long in table:
        typer.echo(f"{what.ljust(widths[0])}  {much.ljust(widths[1])}  {long.rjust(8)}".rstrip(), err=True)
    return config


def resume(
    folder: RunFolder,
    address: Annotated[str | None, typer.Option(help=ADDRESS + " Here: local.")] = None,
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
        if told := changes.other_precision(run):
            note(told)
    else:
        run = changes.fork(run, fork.expanduser())
    _carry_out(run, address, take_over=take_over)


def begin(run: "Run", address: str | None = None) -> None:
    """Carry out a run that was just made, and show its front."""
    _carry_out(run, address)


def _carry_out(run: "Run", address: str | None = None, *, take_over: bool = False) -> None:
    """Do what is left of a run, and show its front."""
    from search.execution.signals import INTERRUPTED, heed_termination, told_to_stop

    remedy = f"go on with: binarynas resume {run.path}"
    heed_termination(f"stopped; {remedy}")
    from search.execution.executors import make_executor
    from search.pipeline.callbacks import Telling, callbacks_of
    from search.pipeline.carry_out import carry_out
    from search.pipeline.view import make_view
    from search.runs.locking import writing
    from search.training.loop import DIVERGED, TrainingError
    from search.worker.tasks import ExecutionError

    try:
        with writing(run, take_over=take_over), make_view(stderr()) as view:
            carry_out(run, make_executor(run, address), Telling(view, callbacks_of(run.config)))
    except KeyboardInterrupt:
        fail(f"stopped; {remedy}", INTERRUPTED)
    except (TrainingError, ExecutionError) as error:
        if told_to_stop():
            fail(f"stopped; {remedy}", INTERRUPTED)
        if DIVERGED in str(error):
            fail(f"{error} in {run.path / 'config.yaml'}, and go on with: binarynas resume {run.path} --fork FOLDER", 1)
        fail(f"{error}; {remedy}", 1)
    except OSError as error:
        if error.filename is None:
            raise
        fail(f"cannot use {error.filename}: {error.strerror}; when that is solved (is the disk full?), {remedy}", 1)
    _show_front(run)


def _show_front(run: "Run") -> None:
    from analysis.findings.front import front_rows, guessing, load_front
    from analysis.runs.layout import FRONT, FRONT_FILE, PLOTS

    found = load_front(run.path)
    rows = front_rows(found)
    if not rows:
        from search.runs.study import read_records

        reason = next((record.reason for record in read_records(run.journal) if record.reason), "none is known")
        fail(f"no trial of {run.path} has finished; the reason of the first one: {reason.splitlines()[0]}", 1)
    _print_front(_all_trained(run.path) or rows)
    if said := guessing(found, len(run.info["data"]["class_names"])):
        note(said)
    typer.echo(f"networks: {run.path / FRONT}, table: {run.path / FRONT_FILE}, plot: {run.path / PLOTS}")


def _all_trained(run: Path) -> list[dict[str, str]]:
    """The rows of all networks of a run that trains given ones; none of other runs."""
    from analysis.findings.front import front_rows, read_table
    from analysis.runs.layout import NETWORKS_FILE

    return front_rows(read_table(run / NETWORKS_FILE)) if (run / NETWORKS_FILE).is_file() else []


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
        _print_front([_in_words(row) for row in found.front])


def _in_words(row: Mapping[str, float | str]) -> dict[str, str]:
    """A row of the front with units, its accuracy under the name that it has in the row's stage."""
    from analysis.stages import score_of
    from analysis.units import cost_words, percent

    written = {
        name: value if isinstance(value, str) else percent(value) if name == "accuracy" else cost_words(name, value)
        for name, value in row.items()
    }
    return {score_of(str(row["stage"])): written.pop("accuracy"), **written}


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
