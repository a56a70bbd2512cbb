"""The columns of `trials.parquet`, declared once: name, type, unit and meaning.

A new objective is one more `Column` with a `direction`: the file, the reader, the front and the plots follow from it.
An addition needs no new version; a column whose meaning, type or name changes does.
"""

# pyarrow ships no types, so its names are unknown to the checker; the signatures below are ours and checked.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from analysis.measures.pareto import Direction
from analysis.runs.seal import KEY, PLACE_HOLDER, seal
from spaces.errors import listed, nearest, unknown
from spaces.tools.files import readable

if TYPE_CHECKING:  # the schema is read where pyarrow is not needed
    import pyarrow as pa

SCHEMA_VERSION = 1
JOURNAL_KEY = b"binarynas.journal_bytes"
VERSION_KEY = b"binarynas.schema_version"
LATENCY = "latency_ms"
MAP = "map"
BALANCED = "balanced_accuracy"
TEST_BALANCED = "test_balanced_accuracy"  # as the next
TEST_ACCURACY = "test_accuracy"  # a column of the front's table, not of the trials

ArrowType = Literal["string", "int32", "int64", "float64", "strings", "time"]


@dataclass(frozen=True)
class Column:
    """One column: its Arrow type, the unit of its numbers, and what it means.

    An objective has a `direction`, which says whether less or more is better. `choices` are the texts that are allowed,
    where not all are.
    """

    name: str
    type: ArrowType
    unit: str
    description: str
    direction: Direction | None = None
    choices: tuple[str, ...] = ()


COLUMNS = (
    Column(
        "stage",
        "string",
        "",
        "what was done: measured with a supernet's weights (inherited), or with these trained on (finetuned); trained "
        "as a candidate (trained) or to the end (final; scratch in older files); a differentiable search (searched); "
        "or measured for comparison only (reference); a detector that was trained on a network (detector), or the "
        "backbone of a detector that all candidates share (shared)",
        choices=(
            "inherited",
            "finetuned",
            "scratch",
            "trained",
            "searched",
            "final",
            "reference",
            "detector",
            "shared",
        ),
    ),
    Column("number", "int64", "", "number of the trial, unique within a stage"),
    Column(
        "state",
        "string",
        "",
        "how the trial ended, if it did",
        choices=("running", "finished", "failed", "pruned"),
    ),
    Column("reason", "string", "", "why the trial failed or was pruned; null otherwise"),
    Column("space", "string", "", "name of the search space"),
    Column("architecture", "string", "", "text form of the architecture"),
    Column("id", "string", "", "content id of the architecture: a short hash of space and text"),
    Column("generation", "int32", "", "generation that the trial belongs to, from 0"),
    Column("proposer", "string", "", "name of the proposer of the architecture"),
    Column("operator", "string", "", "how it was proposed: random, mutation, crossover, smallest, largest, nsga2, ..."),
    Column("parents", "strings", "", "content ids of the architectures that it was made from"),
    Column(
        "accuracy",
        "float64",
        "fraction",
        "top-1 accuracy on the validation split, 0 to 1; of a detector its map",
        "max",
    ),
    Column(
        "balanced_accuracy",
        "float64",
        "fraction",
        "mean over the classes of the accuracy on their images, 0 to 1",
        "max",
    ),
    Column("loss", "float64", "nats", "mean cross entropy on the validation split", "min"),
    Column("flops", "int64", "multiply-accumulates", "float operations per image", "min"),
    Column("int8_ops", "int64", "multiply-accumulates", "8-bit operations per image", "min"),
    Column("bops", "int64", "multiply-accumulates", "1-bit operations per image", "min"),
    Column("ops", "float64", "OPs", "equivalent operations per image: float + 8-bit / 8 + 1-bit / 64", "min"),
    Column("params", "int64", "numbers", "learned numbers", "min"),
    Column("bits", "int64", "bits", "size when deployed", "min"),
    Column("bytes", "int64", "bytes", "size when deployed, rounded up to whole bytes", "min"),
    Column(LATENCY, "float64", "ms", "median latency of one image", "min"),
    Column(
        MAP, "float64", "fraction", "of a detector: average precision, the mean over overlaps of 0.5 to 0.95", "max"
    ),
    Column("ap50", "float64", "fraction", "average precision at an overlap of 0.5", "max"),
    Column("ap75", "float64", "fraction", "average precision at an overlap of 0.75", "max"),
    Column("ap_small", "float64", "fraction", "map of objects below 32×32 pixels", "max"),
    Column("ap_medium", "float64", "fraction", "map of objects from 32×32 to 96×96 pixels", "max"),
    Column("ap_large", "float64", "fraction", "map of objects above 96×96 pixels", "max"),
    Column("ar", "float64", "fraction", "recall with at most 100 boxes per image, the mean over overlaps", "max"),
    Column("detector_ops", "float64", "OPs", "of a detector: all operations, heads too, at the size in use", "min"),
    Column("epochs", "int32", "epochs", "epochs that the trial has trained so far; null where nothing was trained"),
    Column("facts", "string", "JSON", "results of the trial that are not numbers, such as the genotype of a search"),
    Column("seed", "int64", "", "seed of the trial"),
    Column("attempt", "int32", "", "which attempt at the trial this row describes, from 1"),
    Column("started", "time", "UTC", "when the attempt began"),
    Column("seconds", "float64", "seconds", "how long the attempt took"),
    Column("host", "string", "", "machine that ran it"),
    Column("worker", "string", "", "worker process that ran it"),
    Column("versions", "string", "JSON", "versions of the software that ran it"),
)
BY_NAME = {column.name: column for column in COLUMNS}
WHOLE = frozenset(column.name for column in COLUMNS if column.type in ("int32", "int64"))  # those of whole numbers


def objective_direction(name: str) -> Direction:
    """Whether less ("min") or more ("max") is better; raises `ValueError` for a column that is not an objective."""
    directions: dict[str, Direction] = {column.name: column.direction for column in COLUMNS if column.direction}
    if name not in directions:
        raise ValueError(unknown("objective", name, directions))
    return directions[name]


def trial_schema() -> "pa.Schema":
    """The Arrow schema: the metadata of a field are its `unit` and `description`, those of the schema the version."""
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "strings": pa.list_(pa.string()),
        "time": pa.timestamp("us", tz="UTC"),
    }
    fields = [
        pa.field(column.name, types[column.type], metadata={"unit": column.unit, "description": column.description})
        for column in COLUMNS
    ]
    return pa.schema(fields, metadata={VERSION_KEY: str(SCHEMA_VERSION)})


def to_table(rows: Iterable[Mapping[str, object]]) -> "pa.Table":
    """One table row per mapping of column names to values; a column that a mapping lacks is null.

    Raises `ValueError` for an unknown column (naming the nearest), for a value of the wrong type (naming the column),
    for a text that is not one of the column's choices and for a time without a time zone.
    """
    import pyarrow as pa

    rows = list(rows)
    for row in rows:
        for name in row:
            if name not in BY_NAME:
                raise ValueError(f"unknown column of a trial {name!r}{nearest(name, BY_NAME)}")
    schema = trial_schema()
    arrays: list[pa.Array] = []
    for column, field in zip(COLUMNS, schema, strict=True):
        values = [row.get(column.name) for row in rows]
        values = [readable(value) if isinstance(value, str) else value for value in values]
        _check(column, values)
        try:
            arrays.append(pa.array(values, type=field.type))
        except (pa.ArrowException, TypeError, OverflowError) as error:
            raise ValueError(f"column {column.name!r} of the trials must hold {field.type} values: {error}") from error
    return pa.Table.from_arrays(arrays, schema=schema)


def write_trials(rows: Iterable[Mapping[str, object]], where: Path | BinaryIO, journal: int | None = None) -> None:
    """Write rows (see `to_table`) as Parquet to a path or an open binary file.

    `journal` says up to which byte of a run's journal the rows were read, so that a reader knows whether they are all.
    A file at `where` is overwritten in place: for a file that appears whole or not at all, write to a buffer and then
    with `spaces.tools.files.write_atomically`.
    """
    import pyarrow.parquet as pq

    table, buffer = to_table(rows), BytesIO()
    read = {} if journal is None else {JOURNAL_KEY: str(journal)}
    sealed = table.replace_schema_metadata({**(table.schema.metadata or {}), **read, KEY: PLACE_HOLDER})
    pq.write_table(sealed, buffer, compression="zstd")
    data = seal(buffer.getvalue())
    if isinstance(where, Path):
        where.write_bytes(data)
    else:
        where.write(data)


def _check(column: Column, values: list[object]) -> None:
    for value in values:
        if column.choices and value is not None and value not in column.choices:
            raise ValueError(f"{column.name} must be one of {listed(column.choices)}, got {value!r}")
        # Arrow would cut 1.5 to 1 silently
        if column.type in ("int32", "int64") and value is not None and not hasattr(value, "__index__"):
            raise ValueError(f"column {column.name!r} of the trials must hold {column.type} values, got {value!r}")
        if isinstance(value, datetime.datetime) and value.tzinfo is None:
            raise ValueError(f"{column.name} must have a time zone, got {value.isoformat()}: use datetime.now(tz=UTC)")
