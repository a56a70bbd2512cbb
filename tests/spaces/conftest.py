"""Small spaces, and every member of each by brute force: all genes multiplied out, filtered by the definition."""

from functools import cache
from itertools import pairwise, product

import pytest

from spaces import Architecture, Layer, NasBnnSpace, Stage

pytest.register_assert_rewrite("spaces.conformance")

SMALL = {
    space.name: space
    for space in (
        # the constraint acts within stages and across their border
        NasBnnSpace(
            "overlap",
            (4, 8),
            1,
            (Stage((1, 2), (4, 8, 12), (3,), (1,), 1), Stage((1, 2), (8, 12, 16), (3, 5), (1, 2), 2)),
            image_size=8,
            classes=3,
        ),
        # the last stage is narrower at some choices, so it bounds the stem and the stage before
        NasBnnSpace(
            "narrower",
            (4, 8, 16),
            2,
            (Stage((1, 2), (8, 16), (3,), (1, 2), 1), Stage((1, 2), (4, 8), (1, 3), (2,), 2)),
            image_size=8,
            classes=2,
            channels=1,
        ),
        NasBnnSpace(
            "free",
            (4, 8),
            1,
            (Stage((1, 2), (4, 8), (3,), (1,), 1), Stage((1, 2), (4, 8), (3, 5), (1, 2), 1)),
            image_size=4,
            classes=5,
            non_decreasing=False,
        ),
        NasBnnSpace(
            "gaps",
            (4,),
            1,
            (Stage((1, 3), (4, 8), (3,), (1,), 2), Stage((2, 4), (4, 8), (3,), (1, 4), 1)),
            image_size=6,
            classes=2,
        ),
        # a choice of squeeze-and-excites in one stage alone
        NasBnnSpace(
            "excited",
            (4, 8),
            1,
            (Stage((1,), (8, 16), (3,), (1,), 1, (8,)), Stage((1, 2), (8, 16), (3,), (1, 2), 2, (0, 8, 32))),
            image_size=4,
            classes=3,
            blocks="bnext",
        ),
        # two members, neither a neighbour of the other
        NasBnnSpace("islands", (4,), 1, (Stage((1, 3), (4,), (3,), (1,), 1),), image_size=4, classes=2),
        NasBnnSpace("single", (4,), 1, (Stage((2,), (8,), (3,), (2,), 1),), image_size=4, classes=2),
    )
}


@cache
def enumerate_members(name: str) -> tuple[Architecture, ...]:
    """Every member, in the lexicographic order of stem and, by stage, depth and layers."""
    space = SMALL[name]
    slots = [tuple(map(Layer._make, product(s.widths, s.kernel_sizes, s.groups, s.excites))) for s in space.stages]
    genes = [space.stem_widths]
    for stage, slot in zip(space.stages, slots, strict=True):
        genes += [stage.depths, *[slot] * max(stage.depths)]
    found = set()
    for chosen in product(*genes):
        values = iter(chosen)
        stem = next(values)
        stages = []
        for stage in space.stages:
            depth = next(values)
            stages.append(tuple(next(values) for _ in range(max(stage.depths)))[:depth])
        widths = [stem, *(layer.width for layers in stages for layer in layers)]
        if not space.non_decreasing or all(before <= after for before, after in pairwise(widths)):
            found.add(Architecture(stem, tuple(stages)))
    return tuple(sorted(found, key=lambda a: (a.stem, *((len(layers), *layers) for layers in a.stages))))


@pytest.fixture(params=SMALL)
def space(request: pytest.FixtureRequest) -> NasBnnSpace:
    return SMALL[request.param]


@pytest.fixture
def small() -> dict[str, NasBnnSpace]:
    return SMALL


@pytest.fixture
def members(space: NasBnnSpace) -> tuple[Architecture, ...]:
    return enumerate_members(space.name)


@pytest.fixture
def members_of():
    return enumerate_members
