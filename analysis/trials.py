"""Reads the trials of a run into a table, or says in one sentence why that cannot be done."""

# pyarrow ships no types, so its names are unknown to the checker; the signatures below are ours and checked.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.schema import SCHEMA_VERSION, VERSION_KEY, trial_schema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

TRIALS_FILE = "trials.parquet"


class RunError(ValueError):
    """A run that cannot be read: the message says what was given and what to do."""


def load_trials(run: str | os.PathLike[str]) -> pd.DataFrame:
    """The trials of a run directory, or of a Parquet file of trials: one row a trial, the columns of the schema.

    Whole numbers come as pandas' nullable integers (a seed has 63 bits, more than a float holds), missing floats as
    NaN, other missing values as null. Columns that the file holds beyond the schema are kept at the end; those that it
    lacks are null. A run without trials gives an empty frame with all columns.

    Raises `RunError` where there is no such run, the directory is not a run, the file is broken, comes from a newer
    version or does not hold trials.
    """
    import pandas as pd
    import pyarrow as pa

    table = _in_schema(*_read(_trials_file(Path(run))))
    integers = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype()}
    return table.to_pandas(types_mapper=integers.get)


def _trials_file(run: Path) -> Path:
    if not run.exists():
        raise RunError(f"there is no run at {run}{_runs_beside(run)}")
    file = run / TRIALS_FILE if run.is_dir() else run
    if not file.is_file():
        raise RunError(
            f"{run} is a folder, but not a run with trials: it holds no {TRIALS_FILE}; give a run's own folder, "
            f"and wait for a new run's first trial{_runs_beside(run / TRIALS_FILE)}"
        )
    return file


def _runs_beside(path: Path) -> str:
    runs = sorted(entry.parent.name for entry in path.parent.glob(f"*/{TRIALS_FILE}"))
    return f"; the runs in {path.parent} are {', '.join(runs)}" if runs else ""


def _read(file: Path) -> tuple[pa.Table, Path]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file).read(), file
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        size = file.stat().st_size
        raise RunError(
            f"{file} ({size} bytes) is not a whole Parquet file; it may have been cut off while it was copied: "
            f"copy it again, or let the run export its trials anew ({error})"
        ) from error


def _in_schema(table: pa.Table, file: Path) -> pa.Table:
    import pyarrow as pa

    text = (table.schema.metadata or {}).get(VERSION_KEY, b"")
    if not text.isdigit():
        raise RunError(f"{file} is a Parquet file, but not one of trials: its metadata has no {VERSION_KEY.decode()}")
    if int(text) > SCHEMA_VERSION:
        raise RunError(
            f"{file} has schema version {int(text)}, and this binarynas reads versions up to {SCHEMA_VERSION}: "
            "install the newer one that wrote it"
        )
    schema = trial_schema()
    columns: dict[str, pa.ChunkedArray | pa.Array] = {}
    for field in schema:
        if field.name not in table.column_names:
            columns[field.name] = pa.nulls(len(table), field.type)
            continue
        try:
            columns[field.name] = table[field.name].cast(field.type)
        except pa.ArrowException as error:
            raise RunError(
                f"column {field.name!r} of {file} holds {table[field.name].type} where {field.type} belongs: "
                "let the run export its trials anew"
            ) from error
    columns |= {name: table[name] for name in table.column_names if name not in columns}
    return pa.table(columns)
