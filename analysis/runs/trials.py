"""Reads the trials of runs into a table."""

# pyarrow ships no types, so its names are unknown to the checker; the signatures below are ours and checked.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

import glob
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from analysis.measures.pareto import Direction, Floats
from analysis.runs.foreign import (
    DIRECTIONS,
    OptunaStudy,
    Results,
    as_table,
    from_results,
    from_study,
    is_results,
    is_study,
    with_hyperparameters,
)
from analysis.runs.journal import journal_rows
from analysis.runs.journal_lines import JournalError
from analysis.runs.layout import CONFIG_FILE, FRONT_FILE, JOURNAL_FILE, RUN_FILE, TRIALS_FILE, ColumnError, RunError
from analysis.runs.schema import JOURNAL_KEY, SCHEMA_VERSION, VERSION_KEY, objective_direction, to_table, trial_schema
from analysis.runs.seal import is_damaged
from spaces.errors import listed, nearest

Runs = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Source = Runs | pd.DataFrame | Results | OptunaStudy
"""Where trials are: in runs of ours, in a table or its file, in results of Ray Tune, in a study of Optuna."""


def load_trials(runs: Source) -> pd.DataFrame:
    """The trials of one or several runs, finished or not: one row per trial, the columns of the schema.

        load_trials("runs/demo")            load_trials("table.csv")
        load_trials(tuner.fit())            load_trials(optuna_study)

    `runs` is a run's folder, a Parquet file of trials, a glob such as `"runs/*"`, or a list of these. A list or a glob
    gives one frame whose first column `run` is the name of the run's folder, with as much of the path before it as is
    needed to distinguish the runs. A path that exists is not read as a glob, even with a `*` in its name. The trials of
    an unfinished run are read from its journal, so that they are up to date.

    Whole numbers are pandas' nullable integers (a seed has 63 bits, more than a float holds), missing floats are NaN,
    other missing values null. Columns that a file has beyond the schema are kept at the end; columns that it lacks are
    null. Hyperparameters have columns of their own (`config/epochs` where the schema has a column of the name). A run
    without trials gives an empty frame with all columns.

    A CSV file, a table of any origin, the `ResultGrid` of a Tuner and an `optuna.Study` give a frame with their own
    columns and those that every analysis reads: `state` (finished, where they say nothing), `stage` (`trial`), `number`
    and `id`. Parameters of a trial are columns beside its metrics.

    Raises `RunError` where a run does not exist, a folder is not a run, or a file is broken, from a newer version or
    not one of trials.
    """
    if isinstance(runs, pd.DataFrame):
        return as_table(runs)
    if is_results(runs):
        return from_results(runs)
    if is_study(runs):
        return from_study(runs)
    if isinstance(runs, str | os.PathLike) and Path(runs).suffix == ".csv":
        return as_table(_read_csv(Path(runs)))
    if isinstance(runs, str | os.PathLike) and not _is_glob(runs):
        table = _trials(Path(runs))
    else:
        each = {name: _trials(path) for name, path in run_paths(cast("Runs", runs)).items()}
        table = pa.concat_tables([_named(name, part) for name, part in each.items()], promote_options="permissive")
    lists = pa.list_(pa.string())
    # lists stay with Arrow: as numpy arrays, those of a million trials take half of the time
    types = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype(), lists: pd.ArrowDtype(lists)}
    return with_hyperparameters(table.to_pandas(types_mapper=types.get))


def _read_csv(file: Path) -> pd.DataFrame:
    try:
        # an id of digits alone, or one such as 12e4, is still a text
        return pd.read_csv(file, dtype={"id": "str"})
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise RunError(f"{file} is not a table that can be read: {error}") from error


def run_paths(runs: Runs) -> dict[str, Path]:
    """The runs that a path, a glob or a list of these stands for, each once, by the names that distinguish them.

    The names are those of the column `run` of `load_trials`. Only runs count among what a glob finds. Raises `RunError`
    where a glob finds no run or the list is empty.
    """
    found: dict[Path, None] = {}
    for entry in [runs] if isinstance(runs, str | os.PathLike) else runs:
        found |= dict.fromkeys(_expand(entry) if _is_glob(entry) else [Path(entry)])
    if not found:
        raise RunError("no run was given: name at least one run's folder")
    return dict(zip(_names(list(found)), found, strict=True))


def _is_glob(path: str | os.PathLike[str]) -> bool:
    return not Path(path).exists() and glob.has_magic(os.fspath(path))


def _expand(pattern: str | os.PathLike[str]) -> list[Path]:
    paths = [Path(found) for found in sorted(glob.glob(os.fspath(pattern), recursive=True))]  # noqa: PTH207
    runs = [path for path in paths if _is_run(path)]
    if not runs:
        what = f"{len(paths)} paths, but no run" if paths else "nothing"
        raise RunError(f"the pattern {os.fspath(pattern)!r} finds {what}; a run is a folder that holds {RUN_FILE}")
    return runs


def _is_run(path: Path) -> bool:
    if path.is_dir():
        return any((path / name).is_file() for name in (RUN_FILE, TRIALS_FILE, JOURNAL_FILE))
    return path.suffix == ".parquet"


def _names(paths: Sequence[Path]) -> list[str]:
    """The last parts of every path, as few as make all names different."""
    parts = [path.absolute().parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def _named(name: str, table: pa.Table) -> pa.Table:
    # a dictionary holds the name once, whatever the number of trials
    column = pa.DictionaryArray.from_arrays(pa.array([0] * len(table), type=pa.int32()), pa.array([name], pa.string()))
    return table.add_column(0, "run", column.cast(pa.string()))


def _trials(run: Path) -> pa.Table:
    """The table of one run, from its file that is up to date."""
    if not run.exists():
        raise RunError(f"no run at {run}{_runs_beside(run)}")
    if not run.is_dir():
        return _in_schema(*_read(run))
    file, journal = run / TRIALS_FILE, run / JOURNAL_FILE
    # the table of the front is written last: where it exists, the exported trials are complete
    if file.is_file() and ((run / FRONT_FILE).is_file() or not journal.is_file() or _is_whole(file, journal)):
        return _in_schema(*_read(file))
    if journal.is_file():
        return _from_journal(run, journal)
    if (run / RUN_FILE).is_file():
        return to_table([])  # its supernet is still being trained
    raise RunError(
        f"{run} is a folder, but not a run: it holds no {TRIALS_FILE}, {JOURNAL_FILE} or {RUN_FILE}; give a run's own "
        f"folder{_runs_beside(file)}"
    )


def _is_whole(file: Path, journal: Path) -> bool:
    """Whether exported trials are all that a journal holds, which only grows; they are read much faster."""
    # the end of the file alone is read; Arrow itself opens no name that is no text
    with suppress(pa.ArrowException, OSError), file.open("rb") as stream:
        facts = pq.read_schema(stream).metadata or {}
        return facts.get(JOURNAL_KEY) == str(journal.stat().st_size).encode()
    return False


def _from_journal(run: Path, journal: Path) -> pa.Table:
    try:
        facts = _facts(run)
        return to_table([{**facts, **row} for row in journal_rows(journal)])
    except JournalError as error:
        raise RunError(f"{error}; it may have been damaged while it was copied: copy it again") from error


def _facts(run: Path) -> dict[str, str]:
    """What a run's trials have in common, which is not in its journal."""
    facts: dict[str, str] = {}
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        facts["versions"] = json.dumps(json.loads((run / RUN_FILE).read_text())["versions"])
    with suppress(OSError, yaml.YAMLError, KeyError, TypeError):
        facts["space"] = str(yaml.safe_load((run / CONFIG_FILE).read_text())["space"]["name"])
    return facts


def _runs_beside(path: Path) -> str:
    runs = sorted({entry.parent.name for file in (RUN_FILE, TRIALS_FILE) for entry in path.parent.glob(f"*/{file}")})
    return f"; the runs in {path.parent} are {listed(runs)}" if runs else ""


def _read(file: Path) -> tuple[pa.Table, Path]:
    try:
        data = file.read_bytes()
        table = pq.ParquetFile(pa.BufferReader(data)).read()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        size = file.stat().st_size
        raise RunError(
            f"{file} ({size} bytes) is not a whole Parquet file; it may have been cut off while it was copied: "
            f"copy it again, or let the run export its trials again ({error})"
        ) from error
    if is_damaged(data):
        raise RunError(
            f"{file} is damaged: its bytes are not those that were written (their SHA-256 differs); copy it again, or "
            "let the run export its trials again"
        )
    return table, file


def _in_schema(table: pa.Table, file: Path) -> pa.Table:
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
                "let the run export its trials again"
            ) from error
    columns |= {name: table[name] for name in table.column_names if name not in columns}
    return pa.table(columns)


def numbers(frame: pd.DataFrame, *columns: str) -> Floats:
    """Columns as floats of shape (rows, columns), NaN where a value is missing.

    Raises `ColumnError` for a column that is not there, or holds something else than numbers.
    """
    arrays: list[Floats] = []
    for name in columns:
        if name not in frame.columns:
            near, there = nearest(name, map(str, frame.columns)), listed(frame.columns)
            raise ColumnError(f"the table has no column {name!r}{near or '.'} Its columns are {there}")
        try:
            arrays.append(frame[name].to_numpy(dtype="float64", na_value=float("nan")))
        except (ValueError, TypeError) as error:
            raise ColumnError(f"the column {name!r} does not hold numbers alone: {error}") from error
    return np.column_stack(arrays)


def directions_of(frame: pd.DataFrame, columns: Sequence[str], given: Sequence[Direction] | None) -> list[Direction]:
    """Whether less ("min") or more ("max") of each column is better: as given, as the study said that the trials are
    from, or as the schema says. Raises `ColumnError` where none of them does."""
    if given is not None:
        if len(given) != len(columns):
            raise ColumnError(f"give a direction, 'min' or 'max', for each of {listed(columns)}; got {listed(given)}")
        return list(given)
    said = frame.attrs.get(DIRECTIONS, {})
    found: list[Direction] = []
    for name in columns:
        try:
            found.append(said[name] if name in said else objective_direction(name))
        except ValueError as error:
            numbers(frame, name)  # raises where there is no such column
            raise ColumnError(
                f"whether less or more of {name!r} is better is not known: say so, as with directions=('min', 'max')"
            ) from error
    return found


def split_runs(trials: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The frame of each run by name, in their order; a frame without a column `run` has the name ""."""
    if "run" not in trials.columns:
        return {"": trials}
    parts = {str(name): part for name, part in trials.groupby("run", sort=False)}
    return parts or {"": trials}
