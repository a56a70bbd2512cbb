"""How long networks take on this machine: a table of operations, measured once, and sums over it.

A network's latency is that of one image in one thread of the 1-bit engine. It is predicted as
`constant + factor * sum of its operations' times`; both numbers are fitted on whole networks, once per table. An
operation is identified by its kind and shapes, since weights do not change its time.
"""

import json
import math
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from filelock import FileLock

from models.onebit.engine import Backend, Engine
from models.onebit.native import build
from models.onebit.operations import Operation, Shape, Zero
from models.onebit.program import Program
from models.onebit.timing import Timing, processor
from search.config.space import AnySpace
from search.latency.programs import program_of, shape_key
from search.latency.stopwatch import PROTOCOL, time_operations, time_programs
from search.seeds import derive_rng
from spaces import Space
from spaces.errors import BinarynasError
from spaces.tools.files import write_atomically

A = TypeVar("A")
VERSION = 1
_NOTHING_NEW = 16
"""A space's operations count as known after this many random networks in a row without a new one."""
_NETWORKS = 200
"""Networks that are looked at, at most."""
_TIMINGS = ("operations", "networks")
FITTED = 16
"""Networks that constant and factor are fitted on."""


class LatencyError(BinarynasError, ValueError):
    """A table of latencies that cannot be used: says which one and what to do."""


class LackingError(LatencyError):
    """An operation that a kit's table lacks; it cannot be measured here."""


@dataclass
class LatencyTable:
    """Milliseconds of operations on one processor with one engine; grows in `file`, where it has one.

    `constant` is what a call takes besides its operations, `factor` how much longer an operation takes within a network
    than alone: its input was written by another one, and its weights come from further away. `networks` are those that
    were timed whole, by an architecture's id. `kit` is empty for a table that was measured with Python; else it is the
    version of the engine in the kit that measured it, on whatever machine.
    """

    processor: str
    engine: str
    operations: dict[str, Timing] = field(default_factory=dict[str, Timing])
    constant: float = 0.0
    factor: float = 1.0
    fit: Mapping[str, float] = field(default_factory=dict[str, float])
    networks: dict[str, Timing] = field(default_factory=dict[str, Timing])
    kit: str = ""
    file: Path | None = None

    def predict(self, program: Program) -> float:
        """Milliseconds per image: `constant + factor * sum`. Operations that the table lacks are measured first.

        Raises `LatencyError` where that is needed on another machine than the table's, or that of a kit.
        """
        keys = [shape_key(operation, program.shapes) for operation in program.operations]
        if any(key not in self.operations for key in keys):
            self._grow(program)
        return self.constant + self.factor * math.fsum(self.operations[key].median for key in keys)

    def _grow(self, program: Program) -> None:
        if self.kit:
            keys = {shape_key(operation, program.shapes) for operation in program.operations}
            found = sorted(keys - self.operations.keys())
            lacking = found[0] if len(found) == 1 else f"{len(found)} operations, the first {found[0]}"
            raise LackingError(
                f"{self._words()}, which a kit measured on {self.processor}, lacks {lacking}: write the kit again for "
                "the classes and channels of your images (`binarynas latency-kit --classes --channels`), or with "
                "more networks (`--networks`)"
            )
        self.require_here("lacks operations that must be measured")
        if self.file is None:
            self.measure([program])
            return
        with FileLock(f"{self.file}.lock"):  # one process measures at a time
            known = read_table(self.file)
            self.operations = {**known.operations, **self.operations}
            self.networks |= known.networks
            self.measure([program])
            self.write(self.file)

    def measure(self, programs: list[Program], backend: Backend = Backend.BEST) -> None:
        """Time the operations of some programs that the table lacks."""
        lacking: dict[str, tuple[Operation, tuple[Shape, ...]]] = {}
        for program in programs:
            for operation in program.operations:
                key = shape_key(operation, program.shapes)
                if key not in self.operations:
                    lacking[key] = operation, program.shapes
        self.operations |= time_operations(lacking, backend)

    def _words(self) -> str:
        return f"the table of latencies{f' {self.file}' if self.file else ''}"

    def require_usable(self, why: str) -> None:
        """Raise `LatencyError` unless the table is of this machine, or of another one's kit with the engine of here."""
        if not self.kit:
            self.require_here(why)
        elif self.kit != build.version():
            raise LatencyError(
                f"{self._words()} {why}, and a kit with version {self.kit} of the engine measured it on "
                f"{self.processor}; this is version {build.version()}: write the kit again with `binarynas "
                "latency-kit` and measure with that one"
            )

    def require_ends(self, space: Space[A]) -> None:
        """Raise `LatencyError` unless the smallest and the largest network of a space can be predicted."""
        for architecture in (space.smallest(), space.largest()):
            self.predict(program_of(space, architecture))

    def require_here(self, why: str) -> None:
        """Raise `LatencyError` unless the table is of this machine's processor and engine, measured with Python."""
        if self.kit:
            raise LatencyError(
                f"{self._words()} {why}, and a kit measured it on {self.processor}: leave execution.latency at table, "
                "or measure a table here with `binarynas latency-table`"
            )
        here = (processor(), engine_here().name)
        if here != (self.processor, self.engine):
            raise LatencyError(
                f"{self._words()} {why}, and was measured on "
                f"{self.processor} with the engine {self.engine}; this is {here[0]} with {here[1]}: measure one here "
                "with `binarynas latency-table`"
            )

    def write(self, file: Path) -> None:
        """Write the table, whole or not at all."""
        facts = {name: value for name, value in asdict(self).items() if name not in (*_TIMINGS, "file")}
        data = {"version": VERSION, **facts, "threads": 1, "protocol": PROTOCOL}
        for name in _TIMINGS:
            data[name] = {key: timing._asdict() for key, timing in sorted(getattr(self, name).items())}
        write_atomically(file, json.dumps(data, indent=1, allow_nan=False))

    @property
    def repeatability(self) -> float:
        """Half of the quartiles' distance relative to the median time; the median over operations."""
        spreads = [(t.high - t.low) / 2 / t.median for t in self.operations.values() if t.median > 0]
        return float(np.median(spreads)) if spreads else 0.0


def engine_here() -> Engine:
    """This machine's engine, for its name and its hint, with the smallest program."""
    return Engine(Program(Shape(1, 1, 1), (Zero(Shape(1, 1, 1)),)))


def read_table(file: Path) -> LatencyTable:
    """The table in a file. Raises `LatencyError` for anything but a table of this version."""
    try:
        data: object = json.loads(file.read_text())
    except OSError as error:
        raise LatencyError(f"cannot read the table of latencies {file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise LatencyError(
            f"{file} is not a table of latencies: {error}; measure one with `binarynas latency-table`"
        ) from error
    facts = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    version = facts.get("version")
    if version != VERSION:
        raise LatencyError(f"{file} is not a table of latencies of version {VERSION}: its version is {version!r}")
    try:
        operations, networks = (
            {name: _timing(each) for name, each in timings.items()}
            for timings in (facts["operations"], facts.get("networks", {}))  # which older files lack
        )
        numbers = float(facts["constant"]), float(facts["factor"])
        here = str(facts["processor"]), str(facts["engine"])
        fit, kit = dict(facts["fit"]), str(facts.get("kit", ""))  # which older files lack
        table = LatencyTable(*here, operations, *numbers, fit, networks, kit, file)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LatencyError(f"{file} is damaged: {type(error).__name__}: {error}; measure it again") from error
    if not all(math.isfinite(number) and number >= 0 for number in numbers):
        raise LatencyError(f"{file} is damaged: constant and factor must be finite and not negative, got {numbers}")
    return table


def _timing(entry: Mapping[str, float]) -> Timing:
    timing = Timing(float(entry["median"]), float(entry["low"]), float(entry["high"]), int(entry["calls"]))
    if not all(math.isfinite(value) and value >= 0 for value in timing):
        raise ValueError(f"times must be finite and not negative, got {tuple(timing)}")
    return timing


def measure_table(space: Space[A], seed: int = 0, backend: Backend = Backend.BEST) -> LatencyTable:
    """A table of the operations of random networks of a space, with constant and factor fitted on some of them.

    Takes seconds to minutes, by the number of different shapes. What else a later network has is measured then.
    """
    rng = derive_rng(seed, "latency")
    programs = varied(space, rng)
    table = LatencyTable(processor(), Engine(programs[0], backend).name)
    table.measure(programs, backend)
    table.constant, table.factor, table.fit = _fit(table, programs[:FITTED], backend)
    return table


def varied(space: Space[A], rng: random.Random, most: int = _NETWORKS, patience: int = _NOTHING_NEW) -> list[Program]:
    """Programs of the ends of a space and of random members: at most so many, or until enough have nothing new."""
    programs, known, since = list[Program](), set[str](), 0
    while len(programs) < FITTED or (since < patience and len(programs) < most):
        ends = (space.smallest, space.largest)
        architecture = ends[len(programs)]() if len(programs) < len(ends) else space.sample(rng)
        program = program_of(space, architecture)
        programs.append(program)
        keys = {shape_key(operation, program.shapes) for operation in program.operations}
        since = 0 if keys - known else since + 1
        known |= keys
    return programs


def _fit(table: LatencyTable, programs: list[Program], backend: Backend) -> tuple[float, float, dict[str, float]]:
    """Constant and factor of least relative squares, neither negative; and their relative error."""
    sums = np.array([table.predict(program) for program in programs])
    measured = np.array([timing.median for timing in time_programs(programs, backend)])
    design = np.stack([1 / measured, sums / measured], axis=1)
    constant, factor = np.linalg.lstsq(design, np.ones(len(programs)), rcond=None)[0]
    if constant < 0 or factor <= 0:  # all networks alike, or a machine that is too busy
        constant, factor = 0.0, float(np.median(measured / sums))
    errors = np.abs(constant + factor * sums - measured) / measured
    return float(constant), float(factor), {"networks": len(programs), "median_error": float(np.median(errors))}


class Predictor:
    """Latencies of the members of a space for proposers; each is predicted once."""

    def __init__(self, table: LatencyTable, space: AnySpace) -> None:
        self._table, self._space = table, space
        self._known: dict[str, float] = {}

    def latency_ms(self, member: object) -> float:
        """Milliseconds per image; hyperparameters do not change them. Infinite where a kit's table cannot tell."""
        candidate = self._space.split(member)
        identity = candidate.space.id(candidate.architecture)
        if identity not in self._known:
            program = program_of(candidate.space, candidate.architecture)
            try:
                self._known[identity] = self._table.predict(program)
            except LackingError:
                self._known[identity] = math.inf
        return self._known[identity]


def measure_network(file: Path, space: Space[A], architecture: A) -> float:
    """Milliseconds per image of a network that is timed by itself, once: the table in `file` keeps the result.

    One process measures at a time. Raises `LatencyError` on another machine than the table's.
    """
    identity = space.id(architecture)
    with FileLock(f"{file}.lock"):
        table = read_table(file)
        if identity not in table.networks:
            table.require_here("is the one in which measured networks are kept")
            table.networks[identity] = time_programs([program_of(space, architecture)])[0]
            table.write(file)
    return table.networks[identity].median
