"""Which NAS-BNN architectures exist: the choices of Table 1 as data, membership, operators and costs."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from spaces.cost import Cost, Costs, itemise, total
from spaces.errors import SpaceError
from spaces.nasbnn import declaration as checks
from spaces.nasbnn import operators, pricing
from spaces.nasbnn.architecture import Architecture, Layer, parse
from spaces.nasbnn.declaration import Stage
from spaces.nasbnn.encoding import Encoding
from spaces.nasbnn.ranking import Ranking
from spaces.parameters import Integer, Values
from spaces.space import BaseSpace


@dataclass(frozen=True)
class NasBnnSpace(BaseSpace[Architecture]):
    """Every network that Table 1 of NAS-BNN describes, for any stages, image size and number of classes.

    `non_decreasing` is the constraint of equation 3: no layer is narrower than the one before it. It is part of the
    space; switched off (the paper's ablation), the space holds the others too. Lists of choices are ascending.

    Raises `SpaceError` that lists everything wrong with a declaration.
    """

    family: ClassVar[str] = "nasbnn"
    declared_by: ClassVar[tuple[str, ...]] = ("stages", "stem_widths", "stem_stride")

    name: str
    stem_widths: tuple[int, ...]
    stem_stride: int
    stages: tuple[Stage, ...]
    image_size: int
    classes: int
    channels: int = 3
    non_decreasing: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "stem_widths", tuple(self.stem_widths))
        object.__setattr__(self, "stages", tuple(self.stages))
        problems = list(checks.problems(self))
        if problems:
            raise SpaceError(f"space {self.name!r}: " + "; ".join(problems))

    @classmethod
    def from_declaration(cls, fields: Mapping[str, Any]) -> "NasBnnSpace":
        """The space of the fields of a declaration, its family left out."""
        values: dict[str, Any] = {**fields, "stages": tuple(Stage(**stage) for stage in fields["stages"])}
        return cls(**values)

    # Size and order ---------------------------------------------------------------------------------------------------

    @cached_property
    def _ranking(self) -> Ranking:
        return Ranking(self.stem_widths, self.stages, self.non_decreasing)

    def count(self) -> int:
        """How many architectures the space holds, exactly."""
        return self._ranking.count

    def rank(self, architecture: Architecture) -> int:
        """The place of a member in the lexicographic order of choices, from 0 to `count() - 1`."""
        return self._ranking.rank(self.require(architecture))

    def _unrank(self, index: int) -> Architecture:
        return self._ranking.unrank(index)

    def sample(self, rng: random.Random) -> Architecture:
        """A member, exactly uniform over the space (not gene by gene, which is far from uniform)."""
        return self._ranking.unrank(rng.randrange(self.count()))

    def _objections(self, architecture: Architecture) -> Iterator[str]:
        return checks.objections(self, architecture)

    # Membership -------------------------------------------------------------------------------------------------------

    def smallest(self) -> Architecture:
        """The member with the fewest operations: least depth, width and kernel, most groups."""
        stages = [[Layer(s.widths[0], s.kernel_sizes[0], s.groups[-1])] * s.depths[0] for s in self.stages]
        return self.fit(self.stem_widths[0], stages)

    def largest(self) -> Architecture:
        """The member with the most operations: greatest depth, width and kernel, fewest groups."""
        stages = [[Layer(s.widths[-1], s.kernel_sizes[-1], s.groups[0])] * s.depths[-1] for s in self.stages]
        return self.fit(self.stem_widths[-1], stages)

    # Operators --------------------------------------------------------------------------------------------------------

    def fit(self, stem: int, stages: list[list[Layer]]) -> Architecture:
        """A member from genes of the right depths; members stay as they are.

        Widths are sorted within each stage, then raised (or lowered, where a later stage is narrower) until no layer is
        narrower than the one before.
        """
        return operators.fit(self, stem, stages)

    def mutate(self, architecture: Architecture, rng: random.Random, probability: float = 0.2) -> Architecture:
        """Another member: every stage's depth and every layer's genes are drawn again with `probability`, each width
        between the widths on both sides of it. Differs from its parent unless the space has one member only."""
        return operators.mutate(self, self.require(architecture), rng, probability)

    def crossover(self, first: Architecture, second: Architecture, rng: random.Random) -> Architecture:
        """A member whose depths and layers come from either parent, place by place, with `fit` behind."""
        return operators.crossover(self, self.require(first), self.require(second), rng)

    def neighbours(self, architecture: Architecture) -> Iterator[Architecture]:
        """Every member that differs by one width, kernel or groups, or by one layer at the end of a stage."""
        return operators.neighbours(self, self.require(architecture))

    # Text, JSON and parameters ----------------------------------------------------------------------------------------

    def parse(self, text: str) -> Architecture:
        """Read the text form of a member; raises `SpaceError` with the reason where it is none."""
        return self.require(parse(text))

    def _to_json(self, architecture: Architecture) -> dict[str, Any]:
        stages = [[layer._asdict() for layer in stage] for stage in architecture.stages]
        return {"stem": architecture.stem, "stages": stages}

    def _from_json(self, data: Mapping[str, Any]) -> Architecture:
        stages = tuple(tuple(_layer_from_json(layer) for layer in stage) for stage in data["stages"])
        return Architecture(_integer(data["stem"]), stages)

    @cached_property
    def _encoding(self) -> Encoding:
        return Encoding(self.stem_widths, self.stages)

    def genes(self) -> dict[str, tuple[int, ...]]:
        """Every choice there is by name, those of layers beyond the least depth as well."""
        return dict(self._encoding.genes)

    def parameters(self) -> tuple[Integer, ...]:
        """The space as independent integers (indices of choices), for Tune and Optuna; single choices are left out.

        Widths are independent and sorted on decoding, which Optuna's samplers learned best from among the encodings
        that they accept. So several settings stand for one architecture; its id tells repeats.
        """
        return self._encoding.parameters

    def encode(self, architecture: Architecture) -> dict[str, int]:
        """One setting of `parameters()` that decodes to this member."""
        return self._encoding.encode(self.require(architecture))

    def decode(self, values: Values) -> Architecture:
        """The member that a setting of `parameters()` stands for; every setting stands for one."""
        return self.fit(*self._encoding.decode(values))

    # Cost -------------------------------------------------------------------------------------------------------------

    def cost(self, architecture: Architecture, image_size: int | None = None, classes: int | None = None) -> Cost:
        """What a member costs, in all and per layer, at the space's own image size and classes or at others."""
        return itemise(self._prices([self.require(architecture)], image_size, classes))

    def costs(
        self, architectures: list[Architecture], image_size: int | None = None, classes: int | None = None
    ) -> Costs:
        """What many members cost, in one vectorised call (their membership is not checked)."""
        return total(self._prices(architectures, image_size, classes))

    def _prices(
        self, architectures: list[Architecture], image_size: int | None, classes: int | None
    ) -> list[pricing.Price]:
        data = self.for_data(image_size, classes)
        return pricing.prices(data, pricing.table(self.stages, architectures))


def _layer_from_json(data: Mapping[str, Any]) -> Layer:
    return Layer(**{name: _integer(value) for name, value in data.items()})


def _integer(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"expected an integer, got {value!r}")
    return value
