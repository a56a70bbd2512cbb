"""Trials that others kept: any table, results of Ray Tune and studies of Optuna, as a table like that of a run.

Neither Ray nor Optuna is loaded: what their objects are asked for is declared here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Protocol, TypeGuard, cast, runtime_checkable

import pandas as pd

from analysis.measures.pareto import Direction
from analysis.runs.schema import BY_NAME
from analysis.runs.texts import hyperparameters_of

OTHER = "trial"  # the stage of a trial that no run of ours made
DIRECTIONS = "directions"  # in a frame's attributes: whether less or more is better, by column
_STATES = {
    "COMPLETE": "finished", "TERMINATED": "finished", "FAIL": "failed", "ERROR": "failed", "PRUNED": "pruned",
    "RUNNING": "running", "PENDING": "running", "PAUSED": "running", "WAITING": "running",
}  # fmt: skip
_DEFAULTS = {
    "state": "finished", "stage": OTHER, "space": None, "architecture": None, "operator": None, "generation": None,
}  # fmt: skip
Row = dict[str, object]


class Result(Protocol):
    """The part of `ray.tune.Result` that is read."""

    @property
    def metrics(self) -> Mapping[str, object] | None:
        """What the trial reported last."""
        ...

    @property
    def config(self) -> Mapping[str, object] | None:
        """What it was given."""
        ...

    @property
    def error(self) -> Exception | None:
        """Why it failed."""
        ...


@runtime_checkable
class Results(Protocol):
    """The part of `ray.tune.ResultGrid` that is read."""

    @property
    def num_errors(self) -> int:
        """How many trials failed."""
        ...

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Result: ...


class OptunaTrial(Protocol):
    """The part of `optuna.trial.FrozenTrial` that is read."""

    number: int
    params: dict[str, object]
    user_attrs: dict[str, object]

    @property
    def values(self) -> Sequence[float] | None:
        """Its objectives."""
        ...

    @property
    def state(self) -> object:
        """Whether it has ended."""
        ...

    @property
    def duration(self) -> object:
        """How long it took."""
        ...


@runtime_checkable
class OptunaStudy(Protocol):
    """The part of `optuna.Study` that is read."""

    @property
    def trials(self) -> Sequence[OptunaTrial]:
        """All trials."""
        ...

    @property
    def directions(self) -> Sequence[object]:
        """Of every objective."""
        ...

    @property
    def metric_names(self) -> Sequence[str] | None:
        """Of every objective, where they have names."""
        ...


def is_results(found: object) -> TypeGuard[Results]:
    """Whether something is like a `ray.tune.ResultGrid`."""
    return isinstance(found, Results)


def is_study(found: object) -> TypeGuard[OptunaStudy]:
    """Whether something is like an `optuna.Study`."""
    return isinstance(found, OptunaStudy)


def from_results(results: Results) -> pd.DataFrame:
    """The trials of a Tune experiment: what each reported last, and its configuration."""
    return as_table(pd.DataFrame(list(_result_rows(results))))


def _result_rows(results: Results) -> Iterator[Row]:
    for number in range(len(results)):
        result = results[number]
        metrics = {name: value for name, value in (result.metrics or {}).items() if name != "config"}
        row: Row = {"number": number, "state": "finished" if result.error is None else "failed"}
        if result.error is not None:
            row["reason"] = str(result.error).strip().rpartition("\n")[2]
        row |= metrics | _beside({**BY_NAME, **metrics}, _flat(result.config or {}))
        for ours, theirs in (("seconds", "time_total_s"), ("host", "hostname")):
            row.setdefault(ours, metrics.get(theirs))
        yield row


def _flat(config: Mapping[str, object], prefix: str = "") -> Row:
    """Nested dictionaries as one, as Tune's own tables name them."""
    found: Row = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            found |= _flat(cast("Mapping[str, object]", value), f"{prefix}{name}/")
        else:
            found[prefix + name] = value
    return found


def _beside(taken: Iterable[str], given: Row) -> Row:
    """Settings under names that are not taken by measurements: `config/epochs` beside `epochs`."""
    return {f"config/{name}" if name in taken else name: value for name, value in given.items()}


def from_study(study: OptunaStudy) -> pd.DataFrame:
    """The trials of an Optuna study: objectives by name (`value`, or `values_0` and so on, where they have none),
    parameters, user attributes."""
    count = len(study.directions)
    names = list(study.metric_names or (["value"] if count == 1 else [f"values_{place}" for place in range(count)]))
    rows: list[Row] = []
    for trial in study.trials:
        attributes = dict(trial.user_attrs)
        outcome = cast("Row", attributes.pop("outcome", None) or {})  # of a run of ours
        measured = cast("Row", outcome.get("metrics") or {}) | dict(zip(names, trial.values or (), strict=False))
        row: Row = {"number": trial.number, "state": _STATES.get(str(getattr(trial.state, "name", "")), "running")}
        seconds = getattr(trial.duration, "total_seconds", None)
        row |= {"seconds": seconds() if callable(seconds) else None, **attributes, **measured}
        rows.append(row | _beside({**BY_NAME, **row}, dict(trial.params)))
    found = as_table(pd.DataFrame(rows))
    directions = (str(getattr(each, "name", "")) for each in study.directions)
    better: dict[str, Direction] = {
        name: "max" if direction == "MAXIMIZE" else "min" for name, direction in zip(names, directions, strict=True)
    }
    found.attrs[DIRECTIONS] = better
    return found


def as_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Any table of trials with the columns that every analysis reads: one with `state` and `stage` as it is.

    Trials without a state count as finished; those of Optuna's and of Ray's tables are understood.
    """
    if {"state", "stage"} <= {*frame.columns}:
        return frame
    numbers = range(len(frame))
    columns: dict[str, list[object]] = {name: [value] * len(frame) for name, value in _DEFAULTS.items()}
    columns |= {"number": list(numbers), "id": list(map(str, numbers))}
    added = {name: pd.Series(values, frame.index) for name, values in columns.items() if name not in frame.columns}
    if "state" in frame.columns:
        added["state"] = pd.Series([_STATES.get(str(state), str(state)) for state in frame["state"]], frame.index)
    return frame.assign(**added)


def with_hyperparameters(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials with a column for every hyperparameter in their text forms, if any; named `config/epochs` where the schema
    has a column of that name."""
    texts = trials["architecture"].astype("str")
    if not texts.str.contains("=", regex=False).any():
        return trials
    rows: list[Row] = []
    for text in texts:
        rows.append({})
        with suppress(ValueError):  # not a text of ours
            rows[-1] = _beside(trials.columns, dict(hyperparameters_of(text)))
    return pd.concat([trials, pd.DataFrame(rows, index=trials.index)], axis="columns")
