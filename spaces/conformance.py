"""The laws of every space, to run on a small space of a new family, whichever package it is in.

    from spaces.conformance import LAWS

    @pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
    def test_a_tiny_space_obeys(law):
        law(MySpace("tiny", ...))

`check(space)` runs all laws. Members are gone through one by one, so take a space with a few hundred of them, in which
every kind of choice occurs. A broken law is an `AssertionError` (Python's option -O switches these off). So that pytest
shows the values in an assertion, call `pytest.register_assert_rewrite("spaces.conformance")` in a conftest.
"""

import dataclasses
import json
import pickle
import random
from collections.abc import Callable, Sequence
from itertools import product
from typing import TypeVar, cast

import numpy as np

from spaces.declarations import space_from
from spaces.errors import SpaceError
from spaces.parameters import Choice, Parameter, Range, Value, Values, by_place, from_places, is_active, to_places
from spaces.space import Space

A = TypeVar("A")

MOST_MEMBERS = 20_000
"""The most members that are gone through; more would take minutes."""


def check(space: Space[A]) -> None:
    """Check all laws."""
    for law in LAWS:
        law(cast("Space[object]", space))


def ranks_are_places(space: Space[A]) -> None:
    """`rank` and `unrank` are inverse bijections between the members and range(count())."""
    members = everyone(space)
    assert len(set(members)) == space.count(), "two places have the same member"
    assert [space.rank(member) for member in members] == list(range(space.count()))
    for outside in (-1, space.count()):
        refuses(IndexError, lambda place=outside: space.unrank(place))


def forms_round_trip(space: Space[A]) -> None:
    """The text form and the JSON form of a member are read as the same member; a member prints as its text form."""
    for member in some(everyone(space), 200):
        text = space.format(member)
        assert space.contains(member), space.contains(member).reason
        assert space.require(member) is member
        assert space.parse(text) == member
        assert text == str(member) == f"{member}"
        assert space.from_json(json.loads(json.dumps(space.to_json(member)))) == member


def ids_differ(space: Space[A]) -> None:
    """Every member has an id of its own, of twelve hexadecimal digits."""
    ids = {space.id(member) for member in everyone(space)}
    assert len(ids) == space.count()
    assert all(len(name) == 12 and int(name, 16) >= 0 for name in ids)


def samples_are_uniform(space: Space[A]) -> None:
    """`sample` draws every member equally often: Pearson's chi-square stays below its quantile at 99.9 %."""
    rng, members = random.Random(1), everyone(space)
    counts = dict.fromkeys(members, 0)
    for _ in range(max(1000, 8 * len(members))):
        counts[space.sample(rng)] += 1
    mean, freedom = sum(counts.values()) / len(members), len(members) - 1
    distance = sum((count - mean) ** 2 for count in counts.values()) / mean
    # Wilson and Hilferty (1931): the cube root of chi-square / freedom is close to normal
    spread = 2 / (9 * max(freedom, 1))
    assert distance <= freedom * (1 - spread + 3.09 * spread**0.5) ** 3, f"chi-square {distance:.1f} of {freedom}"


def mutants_are_other_members(space: Space[A]) -> None:
    """`mutate` gives a member that differs from its parent, unless the space has one member only."""
    members, rng = everyone(space), random.Random(2)
    inside = set(members)
    for probability, parent in product((0.0, 0.2, 1.0), some(members)):
        for _ in range(5):
            mutant = space.mutate(parent, rng, probability)
            assert mutant in inside
            assert mutant != parent or space.count() == 1


def crossovers_are_members(space: Space[A]) -> None:
    """`crossover` gives a member, and of equal parents the parent."""
    members, rng = everyone(space), random.Random(5)
    inside, parents = set(members), some(members)
    for first, second in zip(parents, reversed(parents), strict=True):
        assert space.crossover(first, second, rng) in inside
        assert space.crossover(first, first, rng) == first


def neighbours_are_symmetric(space: Space[A]) -> None:
    """`neighbours` gives other members, each once; a member is a neighbour of its neighbours."""
    members = everyone(space)
    near = {member: list(space.neighbours(member)) for member in members}
    for member, others in near.items():
        assert len(set(others)) == len(others)
        assert near.keys() >= set(others)
        assert member not in others
        assert all(member in near[other] for other in others[:5])


def operators_follow_their_stream(space: Space[A]) -> None:
    """What operators draw depends on their arguments and the random stream that they are given alone."""

    def draw() -> list[A]:
        rng = random.Random(7)
        first, second = space.sample(rng), space.sample(rng)
        return [first, second, space.mutate(first, rng), space.crossover(first, second, rng)]

    assert draw() == draw()


def settings_cover_the_members(space: Space[A]) -> None:
    """Every setting of `parameters` decodes to a member, and every member is decoded from some setting.

    Parameters have at least two values and names of their own, which are those of genes with the same choices.
    """
    parameters, genes = space.parameters(), space.genes()
    names = [parameter.name for parameter in parameters]
    assert len(set(names)) == len(names)
    for parameter in parameters:
        assert len(values_of(parameter)) > 1
        assert isinstance(parameter, Range) or values_of(parameter) == genes[parameter.name]
    settings = (dict(zip(names, values, strict=True)) for values in product(*map(values_of, parameters)))
    assert {space.decode(setting) for setting in settings} == set(everyone(space))


def encodings_decode(space: Space[A]) -> None:
    """`encode` gives a setting of all parameters, in their order, that `decode` and `suggest` read as the member; so do
    the settings that numpy, pandas and JSON make of it, and that by places."""
    parameters = space.parameters()
    for member in some(everyone(space), 100):
        setting = space.encode(member)
        trial = Enqueued(setting)
        assert list(setting) == [parameter.name for parameter in parameters]
        assert space.decode(setting) == member
        assert space.decode({name: np.array([value])[0] for name, value in setting.items()}) == member
        assert space.decode({name: v if isinstance(v, str) else float(v) for name, v in setting.items()}) == member
        assert space.decode(json.loads(json.dumps(setting))) == member
        assert space.suggest(trial) == member
        assert trial.asked == [parameter.name for parameter in parameters if is_active(parameter, setting)]
        places = to_places(parameters, setting)
        assert space.decode(from_places(parameters, places)) == member
        assert [p.name for p in by_place(parameters)] == list(places)


def declarations_make_the_space(space: Space[A]) -> None:
    """The declaration is JSON that makes an equal space again. This one is for spaces of any size."""
    again = space_from(json.loads(json.dumps(space.declaration())))
    assert again == space
    assert hash(again) == hash(space)
    assert type(again) is type(space)
    assert space.declaration()["family"] == space.family


def spaces_are_values(space: Space[A]) -> None:
    """A space can be pickled, also after use, and cannot be changed."""
    member = space.sample(random.Random(9))
    assert space.parameters() is not None
    assert space.decode(space.encode(member)) == member
    again = pickle.loads(pickle.dumps(space))  # noqa: S301 - made in this line
    assert again == space
    assert again.rank(member) == space.rank(member)
    refuses(dataclasses.FrozenInstanceError, lambda: setattr(space, "name", "other"))


def spaces_follow_the_data(space: Space[A]) -> None:
    """`for_data` is a space of the same members for other images; what does not depend on images stays as it is."""
    other = space.for_data(image_size=16, classes=5, channels=1)
    if not space.of_architectures and other is space:
        return  # hyperparameters alone
    assert (other.image_size, other.classes, other.channels) == (16, 5, 1)
    assert (other.name, other.count()) == (space.name, space.count())
    assert other.for_data(space.image_size, space.classes, space.channels) == space
    assert space.for_data() == space
    member = space.sample(random.Random(10))
    assert space.cost(member, image_size=16, classes=5).bops == other.cost(member).bops
    refuses(SpaceError, lambda: space.for_data(classes=0))


def costs_add_up(space: Space[A]) -> None:
    """`costs` equals `cost` of each member, which sums its layers; `smallest` and `largest` are the ends."""
    members = [space.smallest(), space.largest(), *some(everyone(space))]
    assert all(map(space.contains, members))
    costs = space.costs(members)
    for row, cost in enumerate(map(space.cost, members)):
        for column in ("flops", "int8_ops", "bops", "params", "bits"):
            assert getattr(costs, column)[row] == getattr(cost, column)
            assert getattr(cost, column) == sum(getattr(layer, column) for layer in cost.layers)
    assert costs.ops[0] == min(costs.ops)
    assert costs.ops[1] == max(costs.ops)
    assert space.costs([]).ops.shape == (0,)


def candidates_are_architectures(space: Space[A]) -> None:
    """`split` gives an architecture in its own space that costs what the member costs; only hyperparameters refuse."""
    member = space.sample(random.Random(12))
    try:
        candidate = space.split(member)
    except SpaceError:
        assert not space.of_architectures
        return
    assert candidate.space.of_architectures
    assert candidate.space.contains(candidate.architecture)
    assert candidate.space.cost(candidate.architecture) == space.cost(member)
    assert not (space.of_architectures and candidate.hyperparameters)


LAWS: tuple[Callable[[Space[object]], None], ...] = (
    ranks_are_places,
    forms_round_trip,
    ids_differ,
    samples_are_uniform,
    mutants_are_other_members,
    crossovers_are_members,
    neighbours_are_symmetric,
    operators_follow_their_stream,
    settings_cover_the_members,
    encodings_decode,
    declarations_make_the_space,
    spaces_are_values,
    spaces_follow_the_data,
    costs_add_up,
    candidates_are_architectures,
)


# What the laws are made of --------------------------------------------------------------------------------------------


def everyone(space: Space[A]) -> list[A]:
    """All members, by place."""
    assert space.count() <= MOST_MEMBERS, f"{space.count()} members are too many to go through; take a smaller space"
    return [space.unrank(place) for place in range(space.count())]


def some(members: Sequence[A], number: int = 40) -> list[A]:
    """Up to a number of members, the same ones every time."""
    return random.Random(0).sample(members, min(number, len(members)))


def values_of(parameter: Parameter) -> Sequence[Value]:
    """Every value of a parameter; of a range, its ends."""
    match parameter:
        case Range(whole=True):
            return range(int(parameter.low), int(parameter.high) + 1)
        case Range():
            return (parameter.low, parameter.high)
        case _:
            return parameter.choices if isinstance(parameter, Choice) else parameter.values


def refuses(error: type[Exception], call: Callable[[], object]) -> None:
    """Assert that a call raises an error."""
    try:
        call()
    except error:
        return
    raise AssertionError(f"{error.__name__} was not raised")


class Enqueued:
    """Takes the values of a setting, as an Optuna trial that was enqueued does, and keeps what it was asked for."""

    def __init__(self, setting: Values) -> None:
        self._setting = setting
        self.asked: list[str] = []

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """The integer of the setting."""
        assert low <= int(self._setting[name]) <= high
        assert (int(self._setting[name]) - low) % step == 0
        self.asked.append(name)
        return int(self._setting[name])

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """The number of the setting."""
        assert low <= float(self._setting[name]) <= high
        self.asked.append(name)
        return float(self._setting[name])

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> object:
        """The choice of the setting."""
        assert self._setting[name] in choices
        self.asked.append(name)
        return self._setting[name]
