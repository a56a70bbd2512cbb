"""Before the first second of training: everything that can be wrong with a run is found, and its folder made."""

from pathlib import Path

import torch

from models.checkpoints.networks import save_network, save_supernet
from search.config.run import Method, RunConfig
from search.config.sections import ConfigError, Section
from search.data.errors import DataError
from search.data.opening import listing, open_data
from search.latency.table import LatencyError, Predictor, read_table
from search.pipeline.callbacks import callbacks_of
from search.pipeline.lookup import prepare_lookup
from search.pipeline.prepared import Prepared
from search.pipeline.rules import notes_of, problems_of
from search.proposers.budget import Budget, require_fast_enough
from search.runs.folder import Run, creating, write_facts
from search.runs.teachers import copy_teachers, staged_sections, with_absolute_files
from search.worker.device import lacks_precision, pick_device
from spaces import SpaceError


def prepare(config: RunConfig, path: Path) -> Run:
    """Check everything that can be wrong, and make the run's folder, with the decoded images in it.

    Raises `ConfigError` that lists every problem, `DataError` or `RunError`, before anything is trained.
    """
    if config.method is Method.TABLE:
        return prepare_lookup(config, path)
    config = _with_absolute_paths(config)
    problems: list[str] = []
    if config.execution.device == "cuda" and not config.execution.address and not torch.cuda.is_available():
        problems.append("execution.device is cuda, but torch sees no CUDA device: leave it at auto")
    if not config.execution.address:
        problem = lacks_precision(config.execution.precision, pick_device(config.execution.device))
        problems += [problem] if problem else []
    try:
        callbacks_of(config)
    except ConfigError as error:
        problems.append(str(error))
    with creating(path) as run:
        try:
            prepared = _open(config, run.data_cache)
        except (DataError, SpaceError) as error:
            raise ConfigError("; ".join([*problems, str(error)])) from error
        problems += problems_of(prepared)
        problems += [] if problems else _take_table(prepared, run)
        if problems:
            raise ConfigError("; ".join(problems))
        _write(prepared, run)
    return Run(path)


def _open(config: RunConfig, cache: Path) -> Prepared:
    """Open the data, and build the spaces for them."""
    space = config.space.architectures()
    data = open_data(config.data, image_size=space.image_size, seed=config.seed, cache=cache)
    space = space.for_data(classes=len(data.class_names), channels=data.channels)
    return Prepared(config, data, config.searched_space(space), space)


def _take_table(prepared: Prepared, run: Run) -> list[str]:
    """Copy the given table of latencies into the run, if it is this machine's or a kit's; else say why not."""
    config, file = prepared.config, prepared.config.execution.latency_table
    if file is None:
        return []
    try:
        table = read_table(file)
        why = "was given as execution.latency_table"
        table.require_usable(why)
        if config.execution.latency == "measured":
            table.require_here(why)
        if table.kit:
            table.require_ends(prepared.architectures)
        table.write(run.latencies)
        table.file = run.latencies
        if config.search.latency_max is not None:
            require_fast_enough(prepared.space, Budget.of(config.search, Predictor(table, prepared.space)))
    except (LatencyError, SpaceError) as error:
        return [str(error)]
    return []


def _write(prepared: Prepared, run: Run) -> None:
    """Write what the run is, and the weights that it starts from."""
    config, data = prepared.config, prepared.data
    space = prepared.architectures if config.method is Method.DIFFERENTIABLE else prepared.space
    facts = {**data.describe(), "listing": listing(config.data)}
    write_facts(run, config, facts, space.declaration(), notes_of(prepared))
    if prepared.supernet is not None:
        save_supernet(run.supernet, prepared.supernet, {"from": config.supernet.checkpoint})
    if prepared.start is not None:
        save_supernet(run.supernet_start, prepared.start, {"from": config.supernet.start})
    copy_teachers(config, data, run)
    if prepared.parent is not None:
        save_network(run.parent / "network", prepared.parent, {"from": config.parent.checkpoint})


def _with_absolute_paths(config: RunConfig) -> RunConfig:
    """The configuration with paths that mean the same wherever a run is resumed from."""
    paths = (
        ("data", "path"),
        ("supernet", "checkpoint"),
        ("supernet", "start"),
        ("parent", "checkpoint"),
        ("execution", "latency_table"),
    )
    changes: dict[str, Section] = {}
    for name, key in paths:
        section = changes.get(name) or getattr(config, name)
        path: Path | str | None = getattr(section, key)
        if path is not None:
            changes[name] = section.model_copy(update={key: type(path)(Path(path).absolute())})
    for name, _ in staged_sections(config):
        changes[name] = with_absolute_files(changes.get(name) or getattr(config, name))
    return config.model_copy(update=changes)
