"""Which NAS-BNN architectures exist: the choices of Table 1 as data, membership, operators and costs."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

from spaces.cost import Cost, Costs, in_full_precision, itemise, total
from spaces.nasbnn import operators
from spaces.nasbnn.architecture import Architecture, Layer, parse
from spaces.nasbnn.declaration import Blocks, NasBnnDeclaration, Stage
from spaces.nasbnn.encoding import Encoding
from spaces.nasbnn.pricing import prices
from spaces.nasbnn.ranking import Ranking
from spaces.parameters import Given, Ordered
from spaces.space import BaseSpace
from spaces.tools.json_form import Json, as_list, as_object, built, plain


@dataclass(frozen=True)
class NasBnnSpace(NasBnnDeclaration, BaseSpace[Architecture]):
    """Every network that Table 1 of NAS-BNN describes, for any stages, image size and number of classes.

    `non_decreasing` is the constraint of equation 3: no layer is narrower than the one before it. It is part of the
    space; switched off (the paper's ablation), the space holds the others too. Lists of choices are ascending.

    `blocks` says what networks are made of. Raises `SpaceError` that lists everything wrong with a declaration.
    """

    family: ClassVar[str] = "nasbnn"
    declared_by: ClassVar[tuple[str, ...]] = ("stages", "stem_widths", "stem_stride")

    @classmethod
    def from_declaration(cls, fields: Mapping[str, Json]) -> Self:
        """The space of the fields of a declaration, its family left out."""
        return built(cls, fields, stages=[built(Stage, stage) for stage in as_list(fields["stages"])])

    @property
    def network_options(self) -> Mapping[str, str]:
        """That the filters of ReActNet and of BNext are not normalised."""
        return {} if self.blocks is Blocks.NASBNN else {"weight_normalisation": "none"}

    def declaration(self) -> dict[str, Json]:
        """As in every space; that there is no squeeze-and-excite is left out, as it was before there were any."""
        stages = [
            {name: value for name, value in as_object(plain(stage)).items() if name != "excites" or value != [0]}
            for stage in self.stages
        ]
        return {**super().declaration(), "stages": stages}

    # Size and order ---------------------------------------------------------------------------------------------------

    @cached_property
    def _ranking(self) -> Ranking:
        return Ranking(self)

    def count(self) -> int:
        """How many architectures the space holds, exactly."""
        return self._ranking.count

    def rank(self, member: Architecture) -> int:
        """The place of a member in the lexicographic order of choices, from 0 to `count() - 1`."""
        return self._ranking.rank(self.require(member))

    def _unrank(self, index: int) -> Architecture:
        return self._ranking.unrank(index)

    def smallest(self) -> Architecture:
        """The member with the fewest operations: least depth, width, kernel and excite, most groups."""
        stages = [
            [Layer(s.widths[0], s.kernel_sizes[0], s.groups[-1], s.excites[0])] * s.depths[0] for s in self.stages
        ]
        return self.fit(self.stem_widths[0], stages)

    def largest(self) -> Architecture:
        """The member with the most operations: greatest depth, width, kernel and excite, fewest groups."""
        stages = [
            [Layer(s.widths[-1], s.kernel_sizes[-1], s.groups[0], s.excites[-1])] * s.depths[-1] for s in self.stages
        ]
        return self.fit(self.stem_widths[-1], stages)

    def sample_genes(self, rng: random.Random) -> Architecture:
        """A member drawn gene by gene, from input to output, each width among those that the one before leaves.

        As the authors' public code does, and far from uniform (see `sample`): shallow stages, and wide layers after
        others, are drawn more often than there are members that have them.
        """
        return operators.draw_genes(self, rng)

    # Operators --------------------------------------------------------------------------------------------------------

    def fit(self, stem: int, stages: list[list[Layer]]) -> Architecture:
        """A member from genes of the right depths; members stay as they are.

        Widths are sorted within each stage, then raised (or lowered, where a later stage is narrower) until no layer is
        narrower than the one before.
        """
        return operators.fit(self, stem, stages)

    def _redrawn(self, member: Architecture, rng: random.Random, probability: float) -> Architecture:
        return operators.mutate(self, member, rng, probability)

    def crossover(self, first: Architecture, second: Architecture, rng: random.Random) -> Architecture:
        """A member whose depths and layers come from either parent, place by place, made to `fit`."""
        return operators.crossover(self, self.require(first), self.require(second), rng)

    def neighbours(self, member: Architecture) -> Iterator[Architecture]:
        """Every member that differs by one width, kernel, groups or excite, or by one layer at the end of a stage."""
        return operators.neighbours(self, self.require(member))

    # Text, JSON and parameters ----------------------------------------------------------------------------------------

    def parse(self, text: str) -> Architecture:
        """Read the text form of a member; raises `SpaceError` with the reason where it is none."""
        return self.require(parse(text))

    def _to_json(self, member: Architecture) -> dict[str, Json]:
        stages = [[_layer_json(layer) for layer in stage] for stage in member.stages]
        return {"stem": member.stem, "stages": stages}

    def _from_json(self, data: Mapping[str, Json]) -> Architecture:
        stages = tuple(tuple(built(Layer, layer) for layer in as_list(stage)) for stage in as_list(data["stages"]))
        stem = data["stem"]
        if type(stem) is not int:
            raise TypeError(f"expected an integer, got {stem!r}")
        return Architecture(stem, stages)

    @cached_property
    def _encoding(self) -> Encoding:
        return Encoding(self)

    def genes(self) -> dict[str, tuple[int, ...]]:
        """Every choice there is by name, those of layers beyond the least depth as well."""
        return dict(self._encoding.genes)

    def parameters(self) -> tuple[Ordered, ...]:
        """The space as independent numbers, for Tune and Optuna; single choices are left out.

        Widths are independent and sorted on decoding, which Optuna's samplers learned best from among the encodings
        that they accept. So several settings stand for one architecture; its id tells repeats. Settings drawn evenly
        are not architectures drawn evenly: of `nasbnn-digits` they have a median of 18.1 K OPs, `sample` one of 30.2 K.
        """
        return self._encoding.parameters

    def encode(self, member: Architecture) -> dict[str, int]:
        """One setting of `parameters()` that decodes to this member."""
        return self._encoding.encode(self.require(member))

    def decode(self, values: Given) -> Architecture:
        """The member that a setting of `parameters()` stands for; every setting stands for one."""
        return self.fit(*self._encoding.decode(values))

    # Cost -------------------------------------------------------------------------------------------------------------

    def cost(self, member: Architecture, image_size: int | None = None, classes: int | None = None) -> Cost:
        """What a member costs, in all and per layer, at the space's own image size and classes or at others."""
        return itemise(prices(self.for_data(image_size, classes), [self.require(member)]))

    def full_precision_cost(self, member: Architecture) -> Cost:
        """What a member would cost if it computed and stored everything in float."""
        return itemise(list(map(in_full_precision, prices(self, [self.require(member)]))))

    def costs(self, members: list[Architecture], image_size: int | None = None, classes: int | None = None) -> Costs:
        """What many members cost, in one vectorised call (their membership is not checked)."""
        return total(prices(self.for_data(image_size, classes), members))


def _layer_json(layer: Layer) -> dict[str, Json]:
    """The genes by name, without an `excite` of 0, as layers were before there were squeeze-and-excites."""
    return {gene: value for gene, value in layer._asdict().items() if gene != "excite" or value}
