"""One table: a file of measurements by a network's place in its space, what it says of a network, and its front."""

# pyarrow ships no types, so its names are unknown to the checker; the signatures below are ours and checked.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from itertools import accumulate
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.measures.pareto import pareto_front
from analysis.runs.schema import objective_direction
from spaces.cost import METRICS
from spaces.declarations import space_from
from spaces.errors import BinarynasError, SpaceError, listed, unknown
from spaces.parameters import Given, Suggests
from spaces.space import Space
from spaces.tools.files import write_atomically

FORMAT = 1
KEY = b"binarynas.table"
PLACE, REPLICATE = "place", "replicate"
AT = "@"
"""Between a metric and the epochs after which it was measured: accuracy@4."""

Floats = npt.NDArray[np.float64]
_WORTH = 8
"""How many networks can be counted at once in the time that one takes by itself."""


class TableError(BinarynasError, ValueError):
    """A table that cannot be read, or that has no answer."""


@dataclass(frozen=True)
class Table:
    """Measurements of members of a space.

        table = load_table("one-shot-digits")
        table.metrics("c8k3g1 | c16k3g1 | c32k3g1 | c64k3g2")     # {"accuracy": 0.9387, ..., "ops": 2622.5, ...}
        study.optimize(table.objective, n_trials=100)            # Optuna: maximise accuracy, minimise operations
        tune.Tuner(table.trainable, param_space=table.space.param_space())          # Ray Tune

    `measured` has a row for every place in the space that was measured and every column's replicates: arrays of shape
    (places, replicates), NaN where there is none. `places`, of shape (places,), rise. `rungs` are the epochs after
    which a network was measured, the last of its training at the end; none where it was not trained by itself. `stage`
    is that of the trials (see the schema of trials), `about` what the table says of its making.
    """

    name: str
    space: Space[Any]
    stage: str
    rungs: tuple[int, ...]
    places: npt.NDArray[np.int64]
    measured: Mapping[str, Floats]
    about: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.places)

    @property
    def replicates(self) -> int:
        """How often a network was measured, from other seeds each time."""
        return next(iter(self.measured.values())).shape[1]

    def metrics(self, member: object, replicate: int = 0, epochs: int | None = None) -> dict[str, float]:
        """What was measured of a member of the space, or of its text form, and what it costs; after so many epochs of
        its training (None: at its end).

        Raises `TableError` where it was not measured, and `SpaceError` for what is no member.
        """
        architecture, row = self._found(member)
        found = self._measured(row, replicate, epochs)
        if "costs" in vars(self):  # `prepare` has counted them
            return {**found, **{name: float(values[row]) for name, values in self.costs.items()}}
        return {**found, **self.space.cost(architecture).metrics()}

    def _found(self, member: object) -> tuple[Any, int]:
        """A member, or that of a text form, and its row."""
        architecture = self.space.parse(member) if isinstance(member, str) else self.space.require(member)
        return architecture, self._row(self.space.rank(architecture))

    def _measured(self, row: int, replicate: int, epochs: int | None) -> dict[str, float]:
        """What was measured of the network in a row; raises as `metrics` does."""
        if not 0 <= replicate < self.replicates:
            raise TableError(f"table {self.name!r} has the replicates 0 to {self.replicates - 1}, not {replicate}")
        found = self._at(epochs, row, replicate)
        if not found or any(np.isnan(value) for value in found.values()):
            text = self.space.format(self.space.unrank(int(self.places[row])))
            raise TableError(f"table {self.name!r} has no network {text!r}: it is partial")
        return found

    def prepare(self, times: int) -> None:
        """Count the costs of all networks at once where about so many will be asked for, which saves a quarter of a
        millisecond of each; of a few it would take longer."""
        if times > len(self) // _WORTH:
            _ = self.costs

    def _row(self, place: int) -> int:
        row = int(np.searchsorted(self.places, place))
        if row == len(self.places) or self.places[row] != place:
            text = self.space.format(self.space.unrank(place))
            raise TableError(f"table {self.name!r} has {len(self)} of {self.space.count()} networks, and not {text!r}")
        return row

    def _at(self, epochs: int | None, row: int, replicate: int) -> dict[str, float]:
        """The measured numbers of a network after so many epochs, by name."""
        if epochs is None or (self.rungs and epochs == self.rungs[-1]):
            names = {name: name for name in self.measured if AT not in name}
        elif epochs in self.rungs:
            names = {name.partition(AT)[0]: name for name in self.measured if name.endswith(f"{AT}{epochs}")}
        else:
            known = listed(self.rungs) if self.rungs else "none"
            raise TableError(f"table {self.name!r} was measured after {known} epochs, not after {epochs}")
        return {short: float(self.measured[name][row, replicate]) for short, name in names.items()}

    def spent(self, member: object, replicate: int = 0) -> dict[int, float]:
        """The recorded seconds of a network's training until each of the table's rungs; raises as `metrics` does."""
        _, row = self._found(member)
        whole = self._measured(row, replicate, None).get("seconds", 0.0)
        parts = [
            self._measured(row, replicate, rung).get("seconds", whole / len(self.rungs)) for rung in self.rungs[:-1]
        ]
        until = [*accumulate(parts), whole]
        return dict(zip(self.rungs, until, strict=True))

    def objective(self, trial: Suggests) -> tuple[float, float]:
        """An Optuna objective: accuracy, to be maximised, and operations, to be minimised."""
        found = self.metrics(self.space.suggest(trial))
        return found["accuracy"], found["ops"]

    def trainable(self, config: Given) -> dict[str, float]:
        """A trainable of Ray Tune, which takes what a function returns as its last result."""
        return self.metrics(self.space.decode(config))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of everything that was measured."""
        digest = hashlib.sha256(self.places.tobytes())
        for name, values in sorted(self.measured.items()):
            digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    @cached_property
    def costs(self) -> Mapping[str, Floats]:
        """What the measured networks cost, by name: arrays of shape (places,)."""
        members = [self.space.unrank(place) for place in self.places.tolist()]
        costs = self.space.costs(members)
        found = {name: np.asarray(getattr(costs, name), dtype=np.float64) for name in METRICS if name != "bytes"}
        return {**found, "bytes": np.ceil(found["bits"] / 8)}

    def values(self, name: str, replicate: int | None = None) -> Floats:
        """A measured or counted number of every network, of shape (places,); the mean of all replicates where
        `replicate` is None. Raises `TableError` for one that is not there."""
        if name in self.costs:
            return self.costs[name]
        if name not in self.measured:
            raise TableError(unknown("number", name, [*self.measured, *self.costs]))
        found = self.measured[name]
        return np.nanmean(found, axis=1) if replicate is None else found[:, replicate]

    def points(self, objectives: Sequence[str] = ("accuracy", "ops"), replicate: int | None = 0) -> Floats:
        """The objectives of every network, of shape (places, objectives)."""
        return np.stack([self.values(name, replicate) for name in objectives], axis=1)

    def front(self, objectives: Sequence[str] = ("accuracy", "ops"), replicate: int | None = 0) -> list[str]:
        """The text forms of the networks that no other one dominates, by the second objective rising: the end of every
        search on this table."""
        points = self.points(objectives, replicate)
        kept = np.flatnonzero(pareto_front(points, [objective_direction(name) for name in objectives]))
        order = kept[np.argsort(points[kept, -1], kind="stable")]
        return [self.space.format(self.space.unrank(int(self.places[row]))) for row in order]

    def frame(self, replicate: int | None = None) -> pd.DataFrame:
        """One row per network: text form, id, what was measured, and what it costs; for the analyses of trials."""
        members = [self.space.unrank(place) for place in self.places.tolist()]
        return pd.DataFrame(
            {
                "architecture": [self.space.format(member) for member in members],
                "id": [self.space.id(member) for member in members],
                **{name: self.values(name, replicate) for name in self.measured},
                **self.costs,
            }
        )

    def save(self, file: Path) -> None:
        """Write the table as Parquet: one row per network and replicate, costs left out, which its space counts."""
        rows, replicates = len(self), self.replicates
        columns: dict[str, Any] = {
            PLACE: np.repeat(self.places, replicates),
            REPLICATE: np.tile(np.arange(replicates, dtype=np.int32), rows),
            **{name: values.reshape(-1) for name, values in self.measured.items()},
        }
        facts = {
            "format": FORMAT,
            "name": self.name,
            "space": self.space.declaration(),
            "stage": self.stage,
            "rungs": list(self.rungs),
            "about": dict(self.about),
        }
        table = pa.table(columns).replace_schema_metadata({KEY: json.dumps(facts).encode()})
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", compression_level=19)
        write_atomically(file, sink.getvalue().to_pybytes())


def shipped_tables() -> list[str]:
    """The names of the tables that come with the package."""
    folder = files("analysis.tables") / "data"
    if not folder.is_dir():
        return []
    return sorted(item.name.removesuffix(".parquet") for item in folder.iterdir() if item.name.endswith(".parquet"))


def load_table(source: str | Path) -> Table:
    """The table of a name (see `shipped_tables`) or of a Parquet file that `binarynas table` wrote.

    Raises `TableError` for anything else.
    """
    name = str(source)
    if name in shipped_tables():
        data: Any = pa.py_buffer((files("analysis.tables") / "data" / f"{name}.parquet").read_bytes())
    elif name.endswith(".parquet"):
        try:
            data = pa.py_buffer(Path(source).read_bytes())
        except OSError as error:
            raise TableError(f"cannot read the table {name}: {error.strerror}") from error
    else:
        raise TableError(f"{unknown('table', name, shipped_tables() or ['none'])}; or give the .parquet file of one")
    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TableError(f"{name} is no Parquet file that can be read: it is damaged, or something else") from error
    return _table(name, table)


def _table(name: str, table: Any) -> Table:
    facts = (table.schema.metadata or {}).get(KEY)
    if facts is None:
        raise TableError(f"{name} is a Parquet file, but no table of networks: make one with `binarynas table RUN`")
    try:
        about: dict[str, Any] = json.loads(facts)
        if about["format"] != FORMAT:
            raise TableError(f"{name} has format {about['format']!r}; this binarynas reads format {FORMAT}")
        space, columns = cast("Space[Any]", space_from(about["space"])), table.to_pydict()
        places, replicates = np.asarray(columns.pop(PLACE)), np.asarray(columns.pop(REPLICATE))
        rows = np.unique(places)
        shape = len(rows), int(replicates.max()) + 1
        if not columns or rows[0] < 0 or rows[-1] >= space.count() or replicates.min() < 0:
            raise ValueError("places outside of the space, or nothing measured")
        measured: dict[str, Floats] = {}
        for column, values in columns.items():
            measured[column] = np.full(shape, np.nan)
            measured[column][np.searchsorted(rows, places), replicates] = np.asarray(values, dtype=np.float64)
        rungs = tuple(int(rung) for rung in about["rungs"])
        return Table(about["name"], space, about["stage"], rungs, rows.astype(np.int64), measured, about["about"])
    except (KeyError, TypeError, ValueError, SpaceError, IndexError) as error:
        if isinstance(error, TableError):
            raise
        raise TableError(f"{name} is damaged, or no table of networks: {error}") from error
