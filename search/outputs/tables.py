"""The tables and plots of a run: its trials, its front, its references."""

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from analysis.findings.front import front_table
from analysis.findings.genes import gene_table
from analysis.report.frontier import write_frontier
from analysis.runs.layout import GENES_FILE, PLOTS, REFERENCES_FILE, TRIALS_FILE
from analysis.runs.schema import BY_NAME, LATENCY, MAP, TEST_ACCURACY, TEST_BALANCED, WHOLE, write_trials
from analysis.runs.trials import load_trials
from search.runs.folder import Run
from search.runs.records import Record, State
from search.runs.study import read_records
from search.worker.tasks import Deployed
from spaces.tools.files import write_atomically

_SAME = (
    "number", "reason", "architecture", "id", "generation", "proposer", "operator", "seed", "attempt", "started",
    "seconds", "host", "worker",
)  # fmt: skip
"""Columns that are fields of a record."""


def write_table(run: Run, name: str, records: Sequence[Record], measured: Mapping[tuple[str, str], Deployed]) -> None:
    """A table of some trials, with what was measured on the test split by stage and id."""
    keys = {(record.stage.value, record.number) for record in records}
    trials = load_trials(run.path)
    chosen = trials[[key in keys for key in zip(trials["stage"], trials["number"], strict=True)]]
    found = [measured[key] for key in zip(chosen["stage"], chosen["id"], strict=True)]
    tested = {
        TEST_ACCURACY: [each.test_accuracy for each in found],
        TEST_BALANCED: pd.array([each.test_balanced_accuracy for each in found], dtype="Float64"),
    }
    chosen = chosen.assign(**tested).sort_values([_cost(run), "number"])
    table = front_table(chosen)
    if name == REFERENCES_FILE:
        table.insert(0, "operator", chosen["operator"].to_list())
    write_atomically(run.path / name, table.to_csv(index=False))


def export_trials(run: Run) -> None:
    """Write `trials.parquet` from the journal."""
    versions = json.dumps(run.info["versions"])
    size = run.journal.stat().st_size if run.journal.exists() else None
    rows = [
        _row(record, run.architectures.name, versions)
        for record in read_records(run.journal)
        if record.state is not State.WAITING
    ]
    buffer = BytesIO()
    write_trials(rows, buffer, size)
    write_atomically(run.path / TRIALS_FILE, buffer.getvalue())
    _export_genes(run, rows)


def _export_genes(run: Run, rows: Sequence[Mapping[str, object]]) -> None:
    """Write `genes.parquet`: what the text forms of `trials.parquet` say, a column a gene."""
    keys = {name: [row[name] for row in rows] for name in ("stage", "number", "id")}
    genes = gene_table([str(row["architecture"]) for row in rows], run.space)
    # pandas makes floats of whole numbers where a network lacks a layer; the file has another mark for what is missing
    choices = run.space.genes()
    whole = [name for name, values in choices.items() if all(isinstance(value, int) for value in values)]
    genes = genes.astype({name: "Int64" for name in whole if name in genes})
    buffer = BytesIO()
    pd.concat([pd.DataFrame(keys), genes], axis=1).to_parquet(buffer, index=False)
    write_atomically(run.path / GENES_FILE, buffer.getvalue())


def _row(record: Record, space: str, versions: str) -> Mapping[str, object]:
    return {
        **{name: getattr(record, name) for name in _SAME},
        **{name: int(value) if name in WHOLE else value for name, value in record.metrics.items() if name in BY_NAME},
        "stage": record.stage.value,
        "state": record.state.value,
        "space": space,
        "parents": list(record.parents),
        "versions": versions,
        "facts": json.dumps(record.facts) if record.facts else None,
    }


def _cost(run: Run) -> str:
    """The first cost objective."""
    return next(iter(run.config.search.objectives[1:]), "ops")


def draw(run: Run) -> None:
    """Draw the frontier into the run's `plots`: as PNG and SVG with its data, and as an interactive page."""
    from analysis import frontier_data, plot_frontier, save_figure  # loads matplotlib, once there is something to draw

    folder = run.path / PLOTS
    folder.mkdir(exist_ok=True)
    space, search = run.architectures, run.config.search
    x = _cost(run)
    budget = None
    if x == "ops" and (search.ops_min is not None or search.ops_max is not None):
        ends = [space.cost(end).ops for end in (space.smallest(), space.largest())]
        budget = search.ops_min or ends[0], search.ops_max or ends[1]
    elif x == LATENCY and search.latency_max is not None:
        budget = 0.0, search.latency_max
    # only ImageNet has a thousand classes here, and the papers' points are comparable at its usual size alone
    imagenet = (space.classes, space.image_size) == (1000, 224)
    dataset = "imagenet" if imagenet else run.info["data"]["name"]
    y = MAP if run.config.method.detects else "accuracy"
    data = frontier_data(load_trials(run.path), x, y, dataset=dataset, budget=budget)
    with TemporaryDirectory(dir=folder) as scratch:
        for file in save_figure(plot_frontier(data), Path(scratch) / "frontier", data):
            file.replace(folder / file.name)
    write_frontier(run.path)
