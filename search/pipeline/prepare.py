"""Before the first second of training: everything that can be wrong with a run is found, and its folder made."""

from pathlib import Path

import torch

from models.checkpoints.networks import load_network, load_supernet, save_network, save_supernet
from search.config.run import Method, RunConfig
from search.config.sections import ConfigError
from search.data.dataset import DataSet
from search.data.errors import DataError
from search.data.opening import listing, open_data
from search.pipeline.rules import misfits
from search.runs.folder import Run, creating, write_facts
from spaces import SpaceError


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
            size = config.space.architectures().image_size
            data = open_data(config.data, image_size=size, seed=config.seed, cache=run.data_cache)
        except (DataError, SpaceError) as error:
            raise ConfigError("; ".join([*problems, str(error)])) from error
        problems += misfits(config, data)
        if config.execution.latency_table is not None and not problems:
            problems += _take_table(config, data, run)
        if problems:
            raise ConfigError("; ".join(problems))
        shape = {"classes": len(data.class_names), "channels": data.channels}
        space = config.space.build if config.method is not Method.DIFFERENTIABLE else config.space.architectures
        facts = {**data.describe(), "listing": listing(config.data)}
        write_facts(run, config, facts, space(**shape).declaration())
        if config.supernet.checkpoint is not None:
            save_supernet(run.supernet, load_supernet(config.supernet.checkpoint), {"from": config.supernet.checkpoint})
        if config.parent.checkpoint is not None:
            parent = load_network(config.parent.checkpoint)
            save_network(run.parent / "network", parent, {"from": config.parent.checkpoint})
    return Run(path)


def _take_table(config: RunConfig, data: DataSet, run: Run) -> list[str]:
    """Copy the table of latencies into the run, if it is this machine's; else say why not."""
    from search.latency.table import LatencyError, Predictor, read_table
    from search.proposers.budget import Budget, require_fast_enough

    assert config.execution.latency_table is not None
    try:
        table = read_table(config.execution.latency_table)
        table.require_here("was given as execution.latency_table")
        table.write(run.latencies)
        table.file = run.latencies
        space = config.searched_space(classes=len(data.class_names), channels=data.channels)
        if config.search.latency_max is not None:
            require_fast_enough(space, Budget.of(config.search, Predictor(table, space)))
    except (LatencyError, SpaceError) as error:
        return [str(error)]
    return []


def _with_absolute_paths(config: RunConfig) -> RunConfig:
    """Paths that mean the same wherever a run is resumed from."""
    data, supernet, execution = config.data, config.supernet, config.execution
    if data.path is not None:
        data = data.model_copy(update={"path": data.path.absolute()})
    if supernet.checkpoint is not None:
        supernet = supernet.model_copy(update={"checkpoint": str(Path(supernet.checkpoint).absolute())})
    parent = config.parent
    if parent.checkpoint is not None:
        parent = parent.model_copy(update={"checkpoint": str(Path(parent.checkpoint).absolute())})
    if execution.latency_table is not None:
        execution = execution.model_copy(update={"latency_table": execution.latency_table.absolute()})
    return config.model_copy(update={"data": data, "supernet": supernet, "parent": parent, "execution": execution})
