"""How the values of one hyperparameter are declared: as a list, as a grid between two ends, or as a range."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from spaces.errors import listed
from spaces.hyperparameters.axes import Axis, Line, Steps
from spaces.hyperparameters.kinds import KNOWN, Value, Whole, Word, kind_of, objections
from spaces.parameters import Range, When, as_condition
from spaces.space import ascending

MOST_STEPS = 1000


@dataclass(frozen=True)
class Listed:
    """A list of values: ascending numbers, or words, which have no order.

    With `when`, it counts only beside some values of hyperparameters that are declared before it.

    >>> Listed("optimiser", ("sgd", "adam")).choices()
    ('sgd', 'adam')
    >>> Listed("momentum", (0.0, 0.9), when={"optimiser": "sgd"}).when
    (('optimiser', ('sgd',)),)
    """

    name: str
    values: tuple[Value, ...]
    when: When = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        object.__setattr__(self, "when", as_condition(self.when))

    def problems(self) -> Iterator[str]:
        """Everything wrong with the declaration."""
        yield from objections(self.name, self.values)
        kind = kind_of(self.name, self.values)
        given = listed(map(repr, self.values))
        if not self.values:
            yield f"{self.name} needs at least one value"
        elif isinstance(kind, Word):
            if len(set(self.values)) < len(self.values):
                yield f"{self.name} must have each value once, got {given}"
        elif all(map(kind.allows, self.values)) and not ascending(map(float, self.values)):
            yield f"{self.name} must have ascending values, got {given}"

    def choices(self) -> tuple[Value, ...]:
        """The values, if the declaration has no problems."""
        kind = kind_of(self.name, self.values)
        return tuple(_typed(kind, value) for value in self.values)

    def axis(self) -> Axis:
        """The values as an axis."""
        return Steps(self.name, self.choices(), as_condition(self.when))


@dataclass(frozen=True)
class Grid:
    """Numbers at `steps` places from `low` to `high`, both included: evenly spaced, or with `log` their logarithms.

    Values between the ends are rounded: to whole numbers where the hyperparameter takes only those, else to six digits.

    >>> Grid("learning_rate", 1e-4, 1e-1, 4, log=True).choices()
    (0.0001, 0.001, 0.01, 0.1)
    """

    name: str
    low: float
    high: float
    steps: int
    log: bool = False
    when: When = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "when", as_condition(self.when))

    def problems(self) -> Iterator[str]:
        """Everything wrong with the declaration."""
        if isinstance(KNOWN.get(self.name), Word):
            yield f"{self.name} has no grid: it takes {KNOWN[self.name]}"
        elif not -math.inf < self.low < self.high < math.inf or not 2 <= self.steps <= MOST_STEPS:
            yield (
                f"{self.name}: a grid has 2 to {MOST_STEPS} steps from a low to a higher end, got {self.steps} from "
                f"{self.low} to {self.high}"
            )
        elif self.log and self.low <= 0:
            yield f"{self.name}: a logarithmic grid begins above 0, got {self.low}"
        else:
            yield from objections(self.name, self.choices())
            if len(set(self.choices())) < self.steps:
                yield f"{self.name}: {self.steps} steps from {self.low} to {self.high} repeat a value; take fewer"

    def choices(self) -> tuple[Value, ...]:
        """The values, if the declaration has no problems."""
        return tuple(_typed(kind_of(self.name, ()), self._place(step)) for step in range(self.steps))

    def _place(self, step: int) -> float:
        if step in (0, self.steps - 1):
            return self.high if step else self.low
        share = step / (self.steps - 1)
        place = self.low * (self.high / self.low) ** share if self.log else self.low + (self.high - self.low) * share
        return round(place) if isinstance(KNOWN.get(self.name), Whole) else float(f"{place:.6g}")

    def axis(self) -> Axis:
        """The values as an axis."""
        return Steps(self.name, self.choices(), as_condition(self.when))


@dataclass(frozen=True)
class Between:
    """Any number from `low` to `high`, both included, or any whole one; with `log`, drawn evenly by its logarithm.

    Hyperparameters that `KNOWN` has as whole numbers are whole here as well.

    >>> str(Between("learning_rate", 1e-4, 1e-1, log=True).axis())
    'numbers from 0.0001 to 0.1, by logarithm'
    """

    name: str
    low: float
    high: float
    log: bool = False
    whole: bool = False
    when: When = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "when", as_condition(self.when))
        object.__setattr__(self, "whole", self.whole or isinstance(KNOWN.get(self.name), Whole))

    def problems(self) -> Iterator[str]:
        """Everything wrong with the declaration."""
        if isinstance(KNOWN.get(self.name), Word):
            yield f"{self.name} has no range: it takes {KNOWN[self.name]}"
        elif not -math.inf < self.low < self.high < math.inf:
            yield f"{self.name}: a range goes from a low to a higher end, got {self.low} to {self.high}"
        elif self.log and self.low <= 0:
            yield f"{self.name}: a logarithmic range begins above 0, got {self.low}"
        elif self.whole and (self.low % 1 or self.high % 1):
            yield f"{self.name}: the ends of a range of whole numbers are whole, got {self.low} to {self.high}"
        else:
            yield from objections(self.name, tuple(self._typed(end) for end in (self.low, self.high)))

    def _typed(self, value: float) -> int | float:
        return int(value) if self.whole else float(value)

    def axis(self) -> Axis:
        """The values as an axis."""
        ends = self._typed(self.low), self._typed(self.high)
        return Line(self.name, Range(self.name, *ends, self.log, self.whole), as_condition(self.when))


Hyperparameter = Listed | Grid | Between


def _typed(kind: object, value: Value) -> Value:
    """A number as an integer where the hyperparameter takes whole ones, else as a float; a word as it is."""
    if isinstance(value, str):
        return value
    return int(value) if isinstance(kind, Whole) and value == int(value) else float(value)
