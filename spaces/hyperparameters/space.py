"""Spaces of hyperparameters: a list, a grid or a range of values for each, some of them under a condition."""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self, cast

import numpy as np

from spaces.cost import Cost, Costs
from spaces.errors import SpaceError, listed, refuse
from spaces.hyperparameters.axes import Axis, Line, Steps, value_text
from spaces.hyperparameters.kinds import Value
from spaces.hyperparameters.values import Between, Grid, Hyperparameter, Listed
from spaces.parameters import Condition, Given, Parameter, as_condition
from spaces.space import BaseSpace, Candidate
from spaces.tools.json_form import Json, as_list, as_object, built

__all__ = ["Between", "Grid", "Hyperparameter", "HyperparameterSpace", "Hyperparameters", "Listed"]

_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?(e[+-]?[0-9]{1,3})?")

Chosen = Mapping[str, Value]


@dataclass(frozen=True)
class Hyperparameters:
    """A value for each hyperparameter of a space that counts, in the order of the space.

    >>> str(Hyperparameters((("learning_rate", 0.01), ("optimiser", "sgd"))))
    'learning_rate=0.01 optimiser=sgd'
    """

    values: tuple[tuple[str, Value], ...]

    def __str__(self) -> str:
        return " ".join(f"{name}={value_text(value)}" for name, value in self.values)

    def __format__(self, spec: str) -> str:
        return str(self).__format__(spec)


@dataclass(frozen=True)
class HyperparameterSpace(BaseSpace[Hyperparameters]):
    """Every combination of the values of some hyperparameters: those of `KNOWN`, which trainings of ours read, and any
    others, for a training step of the user's own.

    One with a condition counts only beside some values of others, and a member has no value for it elsewhere. A range
    of numbers has as many values as there are floating-point numbers in it: `count` is exact and astronomic, `rank` and
    the ids are of the exact number, and what goes through all members does not end. `sample` is then uniform along each
    range (or its logarithm) rather than over the members.

    They build nothing by themselves and cost nothing: a `JointSpace` joins them with architectures.

    Raises `SpaceError` that lists everything wrong with a declaration.
    """

    family: ClassVar[str] = "hyperparameters"
    of_architectures: ClassVar[bool] = False

    name: str
    hyperparameters: tuple[Hyperparameter, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "hyperparameters", tuple(self.hyperparameters))
        refuse(self.name, self.problems())

    def problems(self) -> Iterator[str]:
        """Everything wrong with the fields."""
        if not self.hyperparameters:
            yield "needs at least one hyperparameter"
        wrong = [problem for each in self.hyperparameters for problem in each.problems()]
        yield from wrong
        names = [each.name for each in self.hyperparameters]
        yield from (f"{name} is declared twice" for name in dict.fromkeys(names) if names.count(name) > 1)
        before: dict[str, Hyperparameter] = {}
        for each in self.hyperparameters if not wrong else ():
            yield from _wrong_conditions(each, before)
            before[each.name] = each

    @property
    def image_size(self) -> int:
        """Zero: there are no images."""
        return 0

    classes = channels = image_size

    def declaration(self) -> dict[str, Json]:
        """Every field as JSON, with the family; a condition only where there is one."""
        whole = super().declaration()
        each = map(as_object, as_list(whole["hyperparameters"]))
        return {**whole, "hyperparameters": [{k: v for k, v in one.items() if k != "when" or v} for one in each]}

    @classmethod
    def from_declaration(cls, fields: Mapping[str, Json]) -> Self:
        """The space of the fields of a declaration, its family left out."""
        declared = map(as_object, as_list(fields["hyperparameters"]))
        return built(cls, fields, hyperparameters=[_declared(one) for one in declared])

    def for_data(self, image_size: int | None = None, classes: int | None = None, channels: int | None = None) -> Self:
        """The space itself, whatever the images are."""
        return self

    # Values -----------------------------------------------------------------------------------------------------------

    @cached_property
    def _axes(self) -> dict[str, Axis]:
        return {each.name: each.axis() for each in self.hyperparameters}

    @cached_property
    def _asked(self) -> set[str]:
        """The hyperparameters that a condition asks for."""
        return {name for axis in self._axes.values() for name, _ in axis.when}

    @property
    def continuous(self) -> bool:
        """Whether there is a range of numbers among them."""
        return any(isinstance(axis, Line) for axis in self._axes.values())

    def values(self, member: Hyperparameters) -> dict[str, Value]:
        """The value of every hyperparameter that counts by name, of the type that it was declared with."""
        return {name: self._axes[name].canonical(value) for name, value in self.require(member).values}

    def genes(self) -> dict[str, tuple[Value, ...]]:
        """Every choice there is by name; of a range, its two ends."""
        return {
            name: axis.choices if isinstance(axis, Steps) else (axis.range.low, axis.range.high)
            for name, axis in self._axes.items()
        }

    def described(self) -> dict[str, str]:
        """The values of every hyperparameter in words by name, and when it counts."""
        return {name: f"{axis}{_condition_words(axis.when)}" for name, axis in self._axes.items()}

    def objections(self, member: Hyperparameters) -> Iterator[str]:
        """Every reason why hyperparameters are not a member."""
        given = dict(member.values)
        counting = [name for name, axis in self._axes.items() if _counts(axis, given)]
        names = [name for name, _ in member.values]
        if names != counting:
            yield f"its hyperparameters are {listed(names) or 'none'}; those of the space are {listed(counting)}"
            return
        found = (self._axes[name].objection(value) for name, value in member.values)
        yield from (problem for problem in found if problem)

    def split(self, member: Hyperparameters) -> Candidate:
        """Raises `SpaceError`: there is no architecture."""
        raise SpaceError(f"space {self.name!r} holds hyperparameters alone, which build nothing; use a JointSpace")

    # Places -----------------------------------------------------------------------------------------------------------

    def count(self) -> int:
        """How many members there are, exactly."""
        return self._count

    @cached_property
    def _count(self) -> int:
        return self._after(0, {})

    def _after(self, start: int, chosen: Chosen) -> int:
        """How many ways there are to go on with the hyperparameters from one on, after those that were chosen."""
        total = 1
        for place, (name, axis) in enumerate(list(self._axes.items())[start:], start):
            if not _counts(axis, chosen):
                continue
            if name in self._asked:
                return total * sum(self._after(place + 1, {**chosen, name: value}) for value in axis.some())
            total *= axis.size
        return total

    def rank(self, member: Hyperparameters) -> int:
        """The place of a member in lexicographic order, from 0 to `count() - 1`."""
        given, chosen, found = self.values(member), dict[str, Value](), 0
        for start, (name, axis) in enumerate(self._axes.items(), 1):
            if not _counts(axis, chosen):
                continue
            if name in self._asked:
                before = axis.some()[: axis.place(given[name])]
                found += sum(self._after(start, {**chosen, name: value}) for value in before)
            else:
                found += axis.place(given[name]) * self._after(start, chosen)
            chosen[name] = given[name]
        return found

    def _unrank(self, index: int) -> Hyperparameters:
        chosen = dict[str, Value]()
        for start, (name, axis) in enumerate(self._axes.items(), 1):
            if not _counts(axis, chosen):
                continue
            if name not in self._asked:
                place, index = divmod(index, self._after(start, chosen))
                chosen[name] = axis.at(place)
                continue
            for value in axis.some():
                chosen[name] = value
                ways = self._after(start, chosen)
                if index < ways:
                    break
                index -= ways
        return _member(chosen)

    def smallest(self) -> Hyperparameters:
        """The first member: hyperparameters alone have no cost that could be least."""
        return self.unrank(0)

    def largest(self) -> Hyperparameters:
        """The last member."""
        return self.unrank(self.count() - 1)

    # Operators --------------------------------------------------------------------------------------------------------

    def sample(self, rng: random.Random) -> Hyperparameters:
        """A member, exactly uniform over the space; with a range among them, every value is drawn on its own."""
        return _member(self._built(lambda axis: axis.draw(rng))) if self.continuous else super().sample(rng)

    def _redrawn(self, member: Hyperparameters, rng: random.Random, probability: float) -> Hyperparameters:
        given = self.values(member)

        def redraw(axis: Axis) -> Value:
            changes = rng.random() < probability or axis.name not in given
            return axis.draw(rng) if changes else given[axis.name]

        return _member(self._built(redraw))

    def crossover(self, first: Hyperparameters, second: Hyperparameters, rng: random.Random) -> Hyperparameters:
        """A member whose every value comes from either parent; drawn where neither has one beside the others."""
        parents = self.values(first), self.values(second)

        def inherit(axis: Axis) -> Value:
            own = [parent[axis.name] for parent in parents if axis.name in parent]
            return (rng.choice(own) if own[1:] else own[0]) if own else axis.draw(rng)

        return _member(self._built(inherit))

    def neighbours(self, member: Hyperparameters) -> Iterator[Hyperparameters]:
        """Every member that differs by one value: a number by one step, and a word; what counts only then has any value
        (of a range the ends and the middle)."""
        given = self.values(member)
        for name, axis in self._axes.items():
            for value in axis.near(given[name]) if name in given else ():
                yield from map(_member, self._completed({**given, name: value}, 0, {}))

    def _built(self, choose: Callable[[Axis], Value]) -> dict[str, Value]:
        """A value for every hyperparameter that counts beside those before it."""
        chosen = dict[str, Value]()
        for name, axis in self._axes.items():
            if _counts(axis, chosen):
                chosen[name] = choose(axis)
        return chosen

    def _completed(self, given: Chosen, start: int, chosen: dict[str, Value]) -> Iterator[dict[str, Value]]:
        """The members with the given values, as far as these count, and any for others that count."""
        for place, (name, axis) in enumerate(list(self._axes.items())[start:], start):
            if not _counts(axis, chosen):
                continue
            if name not in given:
                for value in axis.some():
                    yield from self._completed({**given, name: value}, place, dict(chosen))
                return
            chosen[name] = given[name]
        yield chosen

    # Text, JSON and parameters ----------------------------------------------------------------------------------------

    def parse(self, text: str) -> Hyperparameters:
        """Read the text form of a member, such as `learning_rate=0.01 optimiser=sgd`, in any order.

        Raises `SpaceError` with the reason for anything else.
        """
        given: dict[str, Value] = {}
        for word in text.split():
            name, equals, value = word.partition("=")
            if not equals or name in given:
                raise SpaceError(f"{text!r}: write each hyperparameter once, as in learning_rate=0.01; got {word!r}")
            given[name] = float(value) if _NUMBER.fullmatch(value) else value
        return self.from_values(given)

    def _to_json(self, member: Hyperparameters) -> dict[str, Json]:
        return {"values": self.values(member)}

    def _from_json(self, data: Mapping[str, Json]) -> Hyperparameters:
        return self.from_values(cast("Mapping[str, Value]", as_object(data["values"])))  # refuses values of other types

    def from_values(self, values: Mapping[str, Value]) -> Hyperparameters:
        """The member with these values by name, in any order; raises `SpaceError` where there is none."""
        counting = {name: axis for name, axis in self._axes.items() if _counts(axis, values)}
        problems = [f"{name} is missing" for name in counting if name not in values]
        problems += [f"unknown {name}" for name in values if name not in self._axes]
        problems += [
            f"{name} counts only{_condition_words(axis.when)}"
            for name, axis in self._axes.items()
            if name in values and name not in counting
        ]
        if problems:
            raise SpaceError(f"space {self.name!r} has the hyperparameters {listed(self._axes)}: {'; '.join(problems)}")
        return _member(self.values(_member({name: values[name] for name in counting})))

    def parameters(self) -> tuple[Parameter, ...]:
        """The hyperparameters for Tune and Optuna; single choices are left out.

        Several settings stand for one member where a condition makes a value count for nothing.
        """
        single = {name for name, axis in self._axes.items() if axis.size == 1}
        found = (
            axis.parameter(tuple(each for each in axis.when if each[0] not in single)) for axis in self._axes.values()
        )
        return tuple(parameter for parameter in found if parameter is not None)

    def encode(self, member: Hyperparameters) -> dict[str, Value]:
        """A setting of `parameters()` that stands for this member; what does not count has its first value."""
        values = self.values(member)
        several = {name: axis for name, axis in self._axes.items() if axis.size > 1}
        return {name: values[name] if name in values else axis.at(0) for name, axis in several.items()}

    def decode(self, values: Given) -> Hyperparameters:
        """The member that a setting of `parameters()` stands for. Raises `SpaceError` for a missing or impossible
        value."""
        return _member(self._built(lambda axis: axis.read(values)))

    # Cost -------------------------------------------------------------------------------------------------------------

    def cost(self, member: Hyperparameters, image_size: int | None = None, classes: int | None = None) -> Cost:
        """Nothing: only an architecture costs something."""
        return Cost(())

    def costs(self, members: list[Hyperparameters], image_size: int | None = None, classes: int | None = None) -> Costs:
        """Nothing for each: only architectures cost something."""
        nothing = np.zeros(len(members), dtype=np.int64)
        return Costs(nothing, nothing, nothing, nothing, nothing)


def _member(chosen: Chosen) -> Hyperparameters:
    return Hyperparameters(tuple(chosen.items()))


def _counts(axis: Axis, chosen: Given) -> bool:
    """Whether a hyperparameter counts beside values of others."""
    return all(chosen.get(name) in wanted for name, wanted in axis.when)


def _condition_words(when: Condition) -> str:
    """The end of a sentence: beside which values something counts.

    >>> _condition_words((("optimiser", ("sgd", "adam")),))
    ' where optimiser is sgd or adam'
    """
    parts = (f"{name} is {' or '.join(map(value_text, wanted))}" for name, wanted in when)
    return " where " + " and ".join(parts) if when else ""


def _wrong_conditions(each: Hyperparameter, before: Mapping[str, Hyperparameter]) -> Iterator[str]:
    """Everything wrong with the condition of a hyperparameter, after those that were declared before it."""
    for name, wanted in as_condition(each.when):
        if name not in before:
            yield f"{each.name} depends on {name}, which must be declared before it"
        elif isinstance(declared := before[name], Between):
            yield f"{each.name} depends on {name}, which is a range: conditions ask for values of a list or a grid"
        elif missing := [value for value in wanted if value not in declared.choices()]:
            choices = listed(map(value_text, declared.choices()))
            yield f"{each.name} counts where {name} is {listed(missing)}; its values are {choices}"


def _declared(fields: Mapping[str, Json]) -> Hyperparameter:
    """A hyperparameter from JSON."""
    kind = Listed if "values" in fields else Grid if "steps" in fields else Between
    return built(kind, fields)
