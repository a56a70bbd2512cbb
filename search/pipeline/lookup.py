"""A search on a table of networks: everything that can be wrong with it is found, and its folder made."""

from collections.abc import Iterator
from pathlib import Path

from analysis.runs.schema import BY_NAME
from analysis.tables.table import Table, TableError, load_table
from search.config.run import RunConfig
from search.config.sections import ConfigError
from search.config.space import SpaceConfig
from search.config.trainings import CandidateConfig
from search.proposers import make_proposer
from search.runs.folder import Run, creating, write_facts
from spaces.cost import METRICS
from spaces.errors import SpaceError, listed
from spaces.limits import require_reachable


def prepare_lookup(config: RunConfig, path: Path) -> Run:
    """Make the folder of a search on a table. Raises `ConfigError` that lists every problem, or `RunError`."""
    source = config.table.source
    if source is None:
        raise ConfigError("method is table: say which one with table.source, a name or a .parquet file")
    file = Path(source).absolute()
    if source.endswith(".parquet"):  # which means the same wherever the run is resumed from
        config = config.model_copy(update={"table": config.table.model_copy(update={"source": str(file)})})
    try:
        table = load_table(config.table.source or "")
    except TableError as error:
        raise ConfigError(str(error)) from error
    problems = list(_problems(config, table))
    if problems:
        raise ConfigError("; ".join(problems))
    data = {
        **table.about.get("data", {}),
        "class_names": [str(number) for number in range(table.space.classes)],
        "channels": table.space.channels,
        "table": table.name,
        "fingerprint": table.fingerprint,
    }
    note = f"on the table {table.name} of {len(table)} networks: nothing is trained, and times are simulated"
    with creating(path) as run:
        write_facts(run, config, data, table.space.declaration(), [note])
    return Run(path)


def _rungs(training: CandidateConfig, table: Table) -> Iterator[str]:
    """Whether there is an epoch at which candidates can be compared before their end."""
    if len(table.rungs) < 2:
        yield f"table {table.name!r} has no epochs at which to compare candidates: leave table.early_stopping out"
    elif len(training.rungs_among(table.rungs)) < 2:
        yield (
            f"table {table.name!r} was measured after {listed(table.rungs)} epochs, of which training.first_rung "
            f"{training.first_rung} and training.reduction {training.reduction:g} leave the last alone: set "
            "training.first_rung to one before it"
        )


def _problems(config: RunConfig, table: Table) -> Iterator[str]:
    """What does not go with a table."""
    if config.space != SpaceConfig():
        yield f"the space is that of the table, {table.space.name!r}: leave the section space out"
    if config.table.replicate >= table.replicates:
        yield f"table.replicate is {config.table.replicate}, and the table has {table.replicates}, counted from 0"
    if config.table.early_stopping:
        yield from _rungs(config.training, table)
    known = {*table.measured, *METRICS} & BY_NAME.keys()
    for name in config.search.objectives:
        if name not in known:
            yield f"table {table.name!r} has no {name}, which is an objective: it has {', '.join(sorted(known))}"
    if config.search.needs_latency:
        yield f"table {table.name!r} has no latencies: leave latency_max and latency constraints out"
    if config.execution.address is not None:
        yield "the workers of a search on a table are simulated in one process: leave execution.address out"
    for name in ("finetune", "final"):
        if getattr(config, name).networks:
            yield f"a search on a table trains nothing: leave {name}.networks out"
    try:
        require_reachable(table.space, config.search.limits)
        make_proposer(table.space, config.search, config.seed)
    except (SpaceError, ConfigError) as error:
        yield str(error)
