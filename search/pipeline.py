"""A run from its first second to its report: supernet, search, finetuning, the front's networks as files."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from analysis.front import TEST_ACCURACY, front_table
from analysis.pareto import pareto_front
from analysis.plots import frontier_data, plot_frontier, save_figure
from analysis.schema import write_trials
from analysis.trials import load_trials
from models.checkpoint import CheckpointError
from models.files import replacing, write_atomically
from models.storage import load_supernet
from search.config import ConfigError, RunConfig
from search.data.dataset import DataSet
from search.data.errors import DataError
from search.data.opening import open_data
from search.phases import Tasks, Trials, evaluation_task, finetune_task
from search.proposers import History, make_proposer
from search.records import Proposal, Record, Stage, State
from search.run import Run, create_run
from search.study import Study, read_records
from search.view import View
from search.work import Executor
from spaces import NasBnnSpace, SpaceError
from spaces.limits import require_reachable


def prepare(config: RunConfig, path: Path) -> Run:
    """Check everything that can be wrong, and make the run's folder, with the decoded images in it.

    Raises `ConfigError` that lists every problem, `DataError` or `RunError`, before anything is trained.
    """
    base = config.space.build()
    problems: list[str] = []
    if config.execution.device == "cuda" and not torch.cuda.is_available():
        problems.append("execution.device is cuda, but torch sees no CUDA device: leave it at auto")
    data = None
    try:
        data = open_data(config.data, image_size=base.image_size, seed=config.seed)
    except DataError as error:
        problems.append(str(error))
    if data is not None:
        problems += _misfits(config, data)
    if problems:
        raise ConfigError("; ".join(problems))
    assert data is not None
    run = create_run(path, config, data.describe())
    open_data(config.data, image_size=base.image_size, seed=config.seed, cache=run.data_cache)
    return run


def _misfits(config: RunConfig, data: DataSet) -> list[str]:
    """What in a configuration does not go with the data or with itself."""
    problems: list[str] = []
    try:
        space = config.space.build(classes=len(data.class_names), channels=data.channels)
        require_reachable(space, config.search.limits)
        if config.supernet.checkpoint is not None:
            problems += _checkpoint_misfits(Path(config.supernet.checkpoint), space)
    except SpaceError as error:
        problems.append(str(error))
    sections = {"supernet": config.supernet.batch_size, "evaluation": config.evaluation.recalibration_batch_size}
    if config.finetune.networks:
        sections["finetune"] = config.finetune.batch_size
    problems += [
        f"the batch size of {section} is {size}, but there are {len(data.train)} training images"
        for section, size in sections.items()
        if size > len(data.train)
    ]
    return problems


def _checkpoint_misfits(folder: Path, space: NasBnnSpace) -> list[str]:
    try:
        theirs = load_supernet(folder).space
    except CheckpointError as error:
        return [str(error)]
    ours = dataclasses.replace(space, name=theirs.name, non_decreasing=theirs.non_decreasing)
    return [] if ours == theirs else [f"the supernet in {folder} was trained for another space, {theirs.name!r}"]


def carry_out(run: Run, executor: Executor, view: View) -> None:
    """Do what is left to do of a run; of a finished one, nothing. The caller holds the run's lock."""
    _train_supernet(run, executor, view)
    searched = _search(run, executor, view)
    export_trials(run)
    finetuned = _finetune(run, executor, view, searched)
    export_trials(run)
    _deploy(run, executor, view, [*searched, *finetuned])


def _train_supernet(run: Run, executor: Executor, view: View) -> None:
    if (run.supernet / "manifest.json").exists():
        load_supernet(run.supernet)  # raises where it is damaged, before anything is measured with it
        return
    view.phase("Supernet", run.config.supernet.epochs)
    tasks = [{"kind": "train_supernet"}]
    executor.run(Tasks(tasks, view, run.config.execution.retries, exclusive=True))


def _study(run: Run, stage: Stage) -> Study:
    config = run.config
    return Study(run.journal, stage, config.search.objectives, run.space.parameters(), config.seed)


def _workers(run: Run) -> int:
    return run.config.execution.workers or os.cpu_count() or 1


def _search(run: Run, executor: Executor, view: View) -> list[Record]:
    config, space = run.config.search, run.space
    proposer = make_proposer(space, config, run.config.seed)
    first = config.first_generation or config.generation

    def propose(generation: int, history: History) -> Sequence[Proposal]:
        before = 0 if generation == 0 else first + (generation - 1) * config.generation
        size = min(config.generation if generation else first, config.trials - before)
        return proposer.propose(generation, size, history) if size > 0 else []

    view.phase("Search", config.trials)
    trials = Trials(
        _study(run, Stage.INHERITED),
        propose,
        lambda text: space.encode(space.parse(text)),
        evaluation_task,
        view,
        proposer=config.proposer,
        candidates_per_task=run.config.execution.candidates_per_task,
        workers=_workers(run),
        retries=run.config.execution.retries,
    )
    executor.run(trials)
    return trials.records


def _finetune(run: Run, executor: Executor, view: View, searched: Sequence[Record]) -> list[Record]:
    config, space = run.config.finetune, run.space
    if config.networks == 0:
        return []
    chosen = spread(front_records(searched, run.config.search.objectives[1:]), config.networks)
    if not chosen:
        return []
    proposals = [Proposal(record.architecture, record.id, "finetune", (record.id,)) for record in chosen]
    view.phase("Finetuning", len(proposals))
    trials = Trials(
        _study(run, Stage.FINETUNED),
        lambda generation, _: proposals if generation == 0 else [],
        lambda text: space.encode(space.parse(text)),
        finetune_task,
        view,
        proposer="front",
        candidates_per_task=1,
        workers=_workers(run),
        retries=run.config.execution.retries,
    )
    executor.run(trials)
    return trials.records


def front_records(records: Sequence[Record], costs: Sequence[str] = ("ops",)) -> list[Record]:
    """The finished records that no other one beats, by cost."""
    finished = [record for record in records if record.state is State.FINISHED]
    if not finished:
        return []
    values = [[record.metrics["accuracy"], *(record.metrics[cost] for cost in costs)] for record in finished]
    kept = pareto_front(values, ("max", *("min" for _ in costs)))
    best = [record for record, keep in zip(finished, kept, strict=True) if keep]
    return sorted(best, key=lambda record: (record.metrics["ops"], record.metrics["accuracy"], record.number))


def spread(records: Sequence[Record], count: int) -> list[Record]:
    """At most `count` of the records, spread evenly from the first to the last."""
    if count >= len(records):
        return list(records)
    if count == 1:
        return [records[-1]]
    return [records[round(index * (len(records) - 1) / (count - 1))] for index in range(count)]


def _deploy(run: Run, executor: Executor, view: View, records: Sequence[Record]) -> None:
    """Write the front's networks as files, measure them on the test split once, and tell of them in `front.csv`."""
    if (run.path / "front.csv").exists():
        return
    best = _best_per_architecture(front_records(records, run.config.search.objectives[1:]))
    view.phase("Networks", len(best))
    tasks = Tasks(
        [
            {"kind": "deploy", "id": record.id, "architecture": record.architecture, "stage": record.stage.value}
            for record in best
        ],
        view,
        run.config.execution.retries,
        exclusive=False,
    )
    executor.run(tasks)
    tested = {result["id"]: result["test_accuracy"] for result in tasks.results}
    keys = {(record.stage.value, record.number) for record in best}
    trials = load_trials(run.path)
    chosen = trials[[key in keys for key in zip(trials["stage"], trials["number"], strict=True)]]
    table = chosen.assign(**{TEST_ACCURACY: chosen["id"].map(tested)}).sort_values(["ops", "number"])
    draw(run)
    write_atomically(run.path / "front.csv", front_table(table).to_csv(index=False).encode())


def _best_per_architecture(records: Sequence[Record]) -> list[Record]:
    """One record an architecture: the finetuned one where both stages are on the front, as it is the more accurate."""
    best: dict[str, Record] = {}
    for record in records:
        known = best.get(record.id)
        if known is None or record.metrics["accuracy"] > known.metrics["accuracy"]:
            best[record.id] = record
    return list(best.values())


def export_trials(run: Run) -> None:
    """Write `trials.parquet` from the journal."""
    versions = str(run.info["versions"])
    rows = [
        _row(record, run.space.name, versions)
        for record in read_records(run.journal)
        if record.state is not State.WAITING
    ]
    buffer = BytesIO()
    write_trials(rows, buffer)
    write_atomically(run.path / "trials.parquet", buffer.getvalue())


def _row(record: Record, space: str, versions: str) -> Mapping[str, object]:
    whole = {"flops", "int8_ops", "bops", "params", "bits", "bytes"}
    return {
        **{name: int(value) if name in whole else value for name, value in record.metrics.items()},
        "stage": record.stage.value,
        "number": record.number,
        "state": record.state.value,
        "reason": record.reason,
        "space": space,
        "architecture": record.architecture,
        "id": record.id,
        "generation": record.generation,
        "proposer": record.proposer,
        "operator": record.operator,
        "parents": list(record.parents),
        "seed": record.seed,
        "attempt": record.attempt,
        "started": record.started,
        "seconds": record.seconds,
        "host": record.host,
        "worker": record.worker,
        "versions": versions,
    }


def draw(run: Run) -> list[Path]:
    """Draw the frontier, as PNG and SVG, into the run's `plots`."""
    folder = run.path / "plots"
    folder.mkdir(exist_ok=True)
    figure = plot_frontier(frontier_data(load_trials(run.path)))
    with TemporaryDirectory(dir=folder) as scratch:
        return [file.replace(folder / file.name) for file in save_figure(figure, Path(scratch) / "frontier")]
