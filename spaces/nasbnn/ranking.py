"""Counting the members of a NAS-BNN space, and the bijection between members and 0..count-1."""

from collections.abc import Iterator
from functools import cached_property, lru_cache
from itertools import product
from typing import TypeVar

from spaces.nasbnn.architecture import Architecture, Layer
from spaces.nasbnn.declaration import NasBnnDeclaration

T = TypeVar("T")


class Ranking:
    """The members in lexicographic order: stem width, then for each stage its depth and the genes of its layers.

    A member is a path of choices. `_completions` counts the paths that go on from a point, which depends only on the
    stage, the layers still to choose in it and the width before; so counting, ranking and unranking take a few dozen
    steps, in exact integers, however large the space.
    """

    def __init__(self, space: NasBnnDeclaration) -> None:
        self._space = space
        self._completions = lru_cache(maxsize=None)(self._count_completions)

    @cached_property
    def count(self) -> int:
        """How many members there are."""
        return sum(self._after_stage(0, width) for width in self._space.stem_widths)

    def rank(self, architecture: Architecture) -> int:
        """The place of a member."""
        index = 0
        for width, paths in self._stems():
            if width == architecture.stem:
                break
            index += paths
        before = architecture.stem
        for number, layers in enumerate(architecture.stages):
            for depth, paths in self._depths(number, before):
                if depth == len(layers):
                    break
                index += paths
            for place, layer in enumerate(layers):
                left = len(layers) - place - 1
                for candidate, paths in self._layers(number, left, before):
                    if candidate == layer:
                        break
                    index += paths
                before = layer.width
        return index

    def unrank(self, index: int) -> Architecture:
        """The member at a place."""
        stem, index = _choose(self._stems(), index)
        before = stem
        stages: list[tuple[Layer, ...]] = []
        for number in range(len(self._space.stages)):
            depth, index = _choose(self._depths(number, before), index)
            layers: list[Layer] = []
            for left in reversed(range(depth)):
                layer, index = _choose(self._layers(number, left, before), index)
                layers.append(layer)
                before = layer.width
            stages.append(tuple(layers))
        return Architecture(stem, tuple(stages))

    def _stems(self) -> Iterator[tuple[int, int]]:
        return ((width, self._after_stage(0, width)) for width in self._space.stem_widths)

    def _depths(self, number: int, before: int) -> Iterator[tuple[int, int]]:
        return ((depth, self._count(number, depth, before)) for depth in self._space.stages[number].depths)

    def _layers(self, number: int, left: int, before: int) -> Iterator[tuple[Layer, int]]:
        stage = self._space.stages[number]
        for width in stage.widths:
            if self._space.non_decreasing and width < before:
                continue
            paths = self._count(number, left, width)
            for genes in product(stage.kernel_sizes, stage.groups, stage.excites):
                yield Layer(width, *genes), paths

    def _count(self, number: int, left: int, before: int) -> int:
        return self._completions(number, left, before if self._space.non_decreasing else 0)

    def _count_completions(self, number: int, left: int, before: int) -> int:
        """Ways to choose the `left` layers that stage `number` still needs and all later ones, after width `before`."""
        if left == 0:
            return self._after_stage(number + 1, before)
        stage = self._space.stages[number]
        variants = len(stage.kernel_sizes) * len(stage.groups) * len(stage.excites)
        return variants * sum(
            self._count(number, left - 1, width)
            for width in stage.widths
            if width >= before or not self._space.non_decreasing
        )

    def _after_stage(self, number: int, before: int) -> int:
        if number == len(self._space.stages):
            return 1
        return sum(self._count(number, depth, before) for depth in self._space.stages[number].depths)


def _choose(choices: Iterator[tuple[T, int]], index: int) -> tuple[T, int]:
    """Walk along choices, each standing for a number of members, to the one that holds `index`, and how far into it."""
    for choice, paths in choices:
        if index < paths:
            return choice, index
        index -= paths
    raise AssertionError("index beyond the last member")
