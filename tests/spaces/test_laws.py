"""The laws of a space, on small ones that are enumerated whole."""

import random
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import chisquare

from spaces import SPACES, Architecture, Layer, NasBnnSpace

NASBNN = SPACES["nasbnn"]


def some(members, rng, number=60):
    return rng.sample(members, min(number, len(members)))


def test_count_is_that_of_the_enumeration(space, members):
    assert space.count() == len(members)


def test_rank_follows_the_lexicographic_order_and_unrank_inverts_it(space, members):
    assert [space.unrank(index) for index in range(space.count())] == list(members)
    assert [space.rank(member) for member in members] == list(range(space.count()))


@pytest.mark.parametrize("index", [-1, None])
def test_unrank_refuses_a_place_outside(space, index):
    with pytest.raises(IndexError, match="got place"):
        space.unrank(space.count() if index is None else index)


@pytest.mark.parametrize("name", SPACES)
def test_ranks_of_a_large_space_are_inverse(name):
    space = SPACES[name]
    rng = random.Random(0)
    for index in [0, space.count() - 1, *(rng.randrange(space.count()) for _ in range(300))]:
        assert space.rank(space.unrank(index)) == index


def test_contains_agrees_with_the_enumeration(space, members):
    inside = set(members)
    rng = random.Random(1)
    widths = sorted({*space.stem_widths, *(w for stage in space.stages for w in stage.widths), 6})
    for _ in range(2000):
        stages = tuple(
            tuple(
                Layer(rng.choice(widths), rng.choice((1, 3, 5)), rng.choice((1, 2))) for _ in range(rng.randint(0, 3))
            )
            for _ in range(rng.choice((len(space.stages), len(space.stages), 1, 3)))
        )
        architecture = Architecture(rng.choice(widths), stages)
        assert bool(space.contains(architecture)) == (architecture in inside)
        assert (space.contains(architecture).reason is None) == (architecture in inside)
    assert all(space.contains(member) for member in members)


def test_samples_are_uniform(space, members):
    rng = random.Random(2)
    counts = dict.fromkeys(members, 0)
    for _ in range(max(2000, 8 * len(members))):
        counts[space.sample(rng)] += 1
    if len(members) > 1:
        assert chisquare(list(counts.values())).pvalue > 1e-3


def test_gene_by_gene_sampling_is_not_uniform(small, members_of):
    """What field code does: each width drawn from those not below the one before. The test above tells it apart."""
    space, members = small["overlap"], members_of("overlap")
    rng = random.Random(2)
    counts = dict.fromkeys(members, 0)
    for _ in range(8 * len(members)):
        counts[space.sample_genes(rng)] += 1
    assert chisquare(list(counts.values())).pvalue < 1e-9


def test_gene_by_gene_sampling_reaches_members_alone_and_all_of_a_small_space(space, members):
    rng = random.Random(2)
    drawn = {space.sample_genes(rng) for _ in range(2000)}
    assert drawn <= set(members)
    assert len(members) > 20 or drawn == set(members)


@pytest.mark.parametrize("probability", [0.0, 0.2, 1.0])
def test_mutants_are_other_members(space, members, probability):
    inside = set(members)
    rng = random.Random(3)
    for parent in some(members, rng):
        for _ in range(20):
            mutant = space.mutate(parent, rng, probability)
            assert mutant in inside
            assert (mutant != parent) or space.count() == 1


@pytest.mark.parametrize("name", ["narrower", "islands", "single"])
def test_mutation_reaches_every_member_at_once(small, members_of, name):
    space, members = small[name], members_of(name)
    rng = random.Random(4)
    met = {space.mutate(members[0], rng, 1.0) for _ in range(200 * space.count())}
    assert met | {members[0]} == set(members)


def mutate_looking_back_only(space: NasBnnSpace, parent: Architecture, rng: random.Random) -> Architecture:
    """The fault of public code: a width is drawn not below the one before, without a look at the one behind."""
    stages = [list(layers) for layers in parent.stages]
    before = parent.stem
    for stage, layers in zip(space.stages, stages, strict=True):
        for place, layer in enumerate(layers):
            if rng.random() < 0.2:
                width = rng.choice([width for width in stage.widths if width >= before])
                layers[place] = Layer(width, rng.choice(stage.kernel_sizes), rng.choice(stage.groups))
            before = layers[place].width if layers[place] is not layer else layer.width
    return Architecture(parent.stem, tuple(tuple(layers) for layers in stages))


def test_no_mutant_breaks_the_constraint_on_the_width_behind():
    rng = random.Random(5)
    parents = [NASBNN.sample(rng) for _ in range(1500)]
    faulty = sum(not NASBNN.contains(mutate_looking_back_only(NASBNN, parent, rng)) for parent in parents)
    assert faulty > len(parents) / 20, "the faulty mutation must show here, or this test cannot see the fault"
    for parent in parents:
        mutant = NASBNN.mutate(parent, rng)
        widths = [mutant.stem, *(layer.width for layer in mutant.layers())]
        assert all(before <= after for before, after in pairwise(widths))
        assert NASBNN.contains(mutant)


def test_crossover_gives_members_made_of_their_parents(space, members):
    inside = set(members)
    rng = random.Random(6)
    for first, second in zip(some(members, rng), some(members, rng), strict=True):
        child = space.crossover(first, second, rng)
        assert child in inside
        for ours, theirs, layers in zip(first.stages, second.stages, child.stages, strict=True):
            assert len(layers) in (len(ours), len(theirs))
        assert space.crossover(first, first, rng) == first


def test_large_crossover_keeps_to_the_constraint():
    rng = random.Random(7)
    for _ in range(500):
        assert NASBNN.contains(NASBNN.crossover(NASBNN.sample(rng), NASBNN.sample(rng), rng))


def are_neighbours(a: Architecture, b: Architecture) -> bool:
    """The definition: one gene of one layer (or the stem's width), or one layer at the end of a stage."""
    stages = [pair for pair in zip(a.stages, b.stages, strict=True) if pair[0] != pair[1]]
    if a.stem != b.stem or len(stages) != 1:
        return a.stem != b.stem and not stages
    short, long = sorted(stages[0], key=len)
    if len(short) != len(long):
        return len(long) == len(short) + 1 and long[:-1] == short
    return sum(x != y for one, other in zip(short, long, strict=True) for x, y in zip(one, other, strict=True)) == 1


def test_neighbours_are_those_of_the_definition_without_repeats(space, members):
    rng = random.Random(8)
    for member in some(members, rng, 25):
        neighbours = list(space.neighbours(member))
        assert len(set(neighbours)) == len(neighbours)
        assert set(neighbours) == {other for other in members if are_neighbours(member, other)}
        assert all(member in space.neighbours(other) for other in neighbours[:5])


def test_neighbours_are_symmetric_on_the_whole_space(small, members_of):
    space, members = small["narrower"], members_of("narrower")
    edges = {(member, other) for member in members for other in space.neighbours(member)}
    assert edges == {(other, member) for member, other in edges}


def test_members_of_a_large_space_neighbour_members():
    rng = random.Random(9)
    for member in (NASBNN.smallest(), NASBNN.largest(), NASBNN.sample(rng)):
        assert all(NASBNN.contains(other) for other in NASBNN.neighbours(member))


def test_fit_makes_members_and_leaves_members_alone(space, members):
    inside = set(members)
    rng = random.Random(10)
    for member in some(members, rng):
        assert space.fit(member.stem, [list(layers) for layers in member.stages]) == member
    for _ in range(300):
        stages = [
            [
                Layer(*map(rng.choice, (s.widths, s.kernel_sizes, s.groups, s.excites)))
                for _ in range(rng.choice(s.depths))
            ]
            for s in space.stages
        ]
        assert space.fit(rng.choice(space.stem_widths), stages) in inside


def test_operators_depend_on_their_random_stream_alone(space, members):
    def draw(seed: int) -> list[Architecture]:
        rng = random.Random(seed)
        first, second = space.sample(rng), space.sample(rng)
        return [first, second, space.mutate(first, rng), space.crossover(first, second, rng)]

    assert draw(11) == draw(11)


def test_the_ends_have_the_least_and_the_most_operations(space, members):
    ops = space.costs(list(members)).ops
    assert space.cost(space.smallest()).ops == np.min(ops)
    assert space.cost(space.largest()).ops == np.max(ops)


@pytest.mark.parametrize("name", SPACES)
def test_the_ends_of_large_spaces_are_members(name):
    space = SPACES[name]
    rng = random.Random(12)
    ops = space.costs([space.sample(rng) for _ in range(500)]).ops
    assert space.contains(space.smallest())
    assert space.contains(space.largest())
    assert space.cost(space.smallest()).ops <= min(ops)
    assert space.cost(space.largest()).ops >= max(ops)
