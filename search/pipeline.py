"""A run from its first second to its report: supernet, search, finetuning, the front's networks as files."""

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from analysis.front import FRONT_FILE, TEST_ACCURACY, front_table
from analysis.html_frontier import write_frontier
from analysis.pareto import pareto_front
from analysis.plots import frontier_data, plot_frontier, save_figure
from analysis.schema import write_trials
from analysis.trials import load_trials
from models.checkpoint import CheckpointError
from models.files import write_atomically
from models.storage import load_supernet, save_supernet
from search.config import RunConfig
from search.data.dataset import DataSet
from search.data.errors import DataError
from search.data.opening import open_data
from search.phases import Chain, MakeTask, Propose, Tasks, Trials, evaluation_task, finetune_task
from search.proposers import History, make_proposer
from search.records import Proposal, Record, Stage, State
from search.run import Run, creating, write_facts
from search.sections import ConfigError
from search.study import Study, read_records
from search.view import View
from search.work import Executor, Task, Work
from spaces import NasBnnSpace, SpaceError
from spaces.limits import require_reachable


def prepare(config: RunConfig, path: Path) -> Run:
    """Check everything that can be wrong, and make the run's folder, with the decoded images in it.

    Raises `ConfigError` that lists every problem, `DataError` or `RunError`, before anything is trained.
    """
    config = _with_absolute_paths(config)
    problems: list[str] = []
    if config.execution.device == "cuda" and not config.execution.address and not torch.cuda.is_available():
        problems.append("execution.device is cuda, but torch sees no CUDA device: leave it at auto")
    with creating(path) as run:
        try:
            size = config.space.build().image_size
            data = open_data(config.data, image_size=size, seed=config.seed, cache=run.data_cache)
        except (DataError, SpaceError) as error:
            raise ConfigError("; ".join([*problems, str(error)])) from error
        problems += _misfits(config, data)
        if problems:
            raise ConfigError("; ".join(problems))
        write_facts(run, config, data.describe())
        if config.supernet.checkpoint is not None:
            save_supernet(run.supernet, load_supernet(config.supernet.checkpoint), {"from": config.supernet.checkpoint})
    return Run(path)


def _with_absolute_paths(config: RunConfig) -> RunConfig:
    """Paths that mean the same wherever a run is resumed from."""
    data, supernet = config.data, config.supernet
    if data.path is not None:
        data = data.model_copy(update={"path": data.path.absolute()})
    if supernet.checkpoint is not None:
        supernet = supernet.model_copy(update={"checkpoint": str(Path(supernet.checkpoint).absolute())})
    return config.model_copy(update={"data": data, "supernet": supernet})


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
    differ = [f.name for f in dataclasses.fields(ours) if getattr(ours, f.name) != getattr(theirs, f.name)]
    told = ", ".join(f"{name} {getattr(theirs, name)} there, {getattr(ours, name)} here" for name in differ)
    return [f"the supernet in {folder} was trained for another space, {theirs.name!r}: {told}"] if differ else []


def carry_out(run: Run, executor: Executor, view: View) -> None:
    """Do what is left to do of a run; of a finished one, nothing. The caller holds the run's lock."""
    if (run.path / FRONT_FILE).exists():
        return
    _train_supernet(run, executor, view)
    executor.run(Chain(_phases(run, view)))


def _phases(run: Run, view: View) -> Iterator[Work]:
    """What follows when there is a supernet."""
    searched = _search(run, view)
    yield searched
    export_trials(run)
    records = searched.records
    chosen = spread(front_records(records, run.config.search.objectives[1:]), run.config.finetune.networks)
    if chosen:
        finetuned = _finetune(run, view, chosen)
        yield finetuned
        export_trials(run)
        records += finetuned.records
    best = _best_per_architecture(front_records(records, run.config.search.objectives[1:]))
    deployed = _deploy(run, view, best)
    yield deployed
    draw(run)
    _write_front(run, best, {result["id"]: result["test_accuracy"] for result in deployed.results})


def _train_supernet(run: Run, executor: Executor, view: View) -> None:
    if (run.supernet / "manifest.json").exists():
        load_supernet(run.supernet)  # raises where it is damaged, before anything is measured with it
        return
    view.phase("Supernet", run.config.supernet.epochs)
    tasks = [{"kind": "train_supernet"}]
    executor.run(Tasks(tasks, view, run.log_epoch, run.config.execution.retries, exclusive=True))


def _study(run: Run, stage: Stage) -> Study:
    config = run.config
    return Study(run.journal, stage, config.search.objectives, run.space.parameters(), config.seed)


def _workers(run: Run) -> int:
    return run.config.execution.workers or os.cpu_count() or 1


def _search(run: Run, view: View) -> Trials:
    config = run.config.search
    proposer = make_proposer(run.space, config, run.config.seed if config.seed is None else config.seed)
    first = config.first_generation or config.generation

    def propose(generation: int, history: History) -> Sequence[Proposal]:
        before = 0 if generation == 0 else first + (generation - 1) * config.generation
        size = min(config.generation if generation else first, config.trials - before)
        return proposer.propose(generation, size, history) if size > 0 else []

    view.phase("Search", config.trials)
    many = run.config.execution.candidates_per_task
    return _trials(run, view, Stage.INHERITED, propose, evaluation_task, config.proposer, many)


def _finetune(run: Run, view: View, chosen: Sequence[Record]) -> Trials:
    proposals = [Proposal(record.architecture, record.id, "finetune", (record.id,)) for record in chosen]
    view.phase("Finetuning", len(proposals))

    def propose(generation: int, history: History) -> Sequence[Proposal]:
        return proposals if generation == 0 else []

    return _trials(run, view, Stage.FINETUNED, propose, finetune_task, "front", 1)


def _trials(
    run: Run, view: View, stage: Stage, propose: Propose, task: MakeTask, proposer: str, candidates_per_task: int
) -> Trials:
    config, space = run.config, run.space
    return Trials(
        Study(run.journal, stage, config.search.objectives, space.parameters(), config.seed),
        propose,
        lambda text: space.encode(space.parse(text)),
        task,
        view,
        run.log_epoch,
        proposer=proposer,
        candidates_per_task=candidates_per_task,
        workers=config.execution.workers or os.cpu_count() or 1,
        retries=config.execution.retries,
    )


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


def _deploy(run: Run, view: View, best: Sequence[Record]) -> Tasks:
    """Write the front's networks as files, and measure them on the test split, once."""
    view.phase("Networks", len(best))
    tasks: list[Task] = [
        {"kind": "deploy", "id": record.id, "architecture": record.architecture, "stage": record.stage.value}
        for record in best
    ]
    return Tasks(tasks, view, run.log_epoch, run.config.execution.retries, exclusive=False)


def _write_front(run: Run, best: Sequence[Record], test_accuracy: Mapping[str, float]) -> None:
    """The table of the front; written last, it says that the run has finished."""
    keys = {(record.stage.value, record.number) for record in best}
    trials = load_trials(run.path)
    chosen = trials[[key in keys for key in zip(trials["stage"], trials["number"], strict=True)]]
    table = chosen.assign(**{TEST_ACCURACY: chosen["id"].map(test_accuracy)}).sort_values(["ops", "number"])
    write_atomically(run.path / FRONT_FILE, front_table(table).to_csv(index=False))


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
    versions = json.dumps(run.info["versions"])
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


def draw(run: Run) -> None:
    """Draw the frontier, as PNG and SVG with its data, and as a page to hover over, into the run's `plots`."""
    folder = run.path / "plots"
    folder.mkdir(exist_ok=True)
    space, config = run.space, run.config.search
    x = config.objectives[1] if len(config.objectives) > 1 else "ops"
    ends = [getattr(space.cost(end), x) for end in (space.smallest(), space.largest())]
    limited = x == "ops" and (config.ops_min is not None or config.ops_max is not None)
    budget = (config.ops_min or ends[0], config.ops_max or ends[1]) if limited else None
    # Only ImageNet has a thousand classes here, and only at its usual size are the papers' points comparable.
    imagenet = (space.classes, space.image_size) == (1000, 224)
    dataset = "imagenet" if imagenet else run.info["data"]["name"]
    data = frontier_data(load_trials(run.path), x, dataset=dataset, budget=budget)
    with TemporaryDirectory(dir=folder) as scratch:
        for file in save_figure(plot_frontier(data), Path(scratch) / "frontier", data):
            file.replace(folder / file.name)
    write_frontier(run.path)
