"""Sampling and steering within limits of operations."""

import random
import time

import pytest
from scipy.stats import chisquare

from spaces import SPACES, Limits, SpaceError, sample_within, steer

NASBNN = SPACES["nasbnn"]
DIGITS = SPACES["nasbnn-digits"]


@pytest.mark.parametrize(
    ("limits", "inside", "outside"),
    [
        (Limits(), [0, 1e30], []),
        (Limits(5, 5), [5], [4.999, 5.001]),
        (Limits(ops_max=5), [0, 5], [6]),
        (Limits(ops_min=5), [5, 1e30], [4]),
    ],
)
def test_limits_include_their_ends(limits, inside, outside):
    assert all(limits.contains(ops) and ops in limits and limits.distance(ops) == 0 for ops in inside)
    assert all(not limits.contains(ops) and limits.distance(ops) > 0 for ops in outside)


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ((6, 5), "ops_min 6 is above ops_max 5; exchange them"),
        ((-1, None), "ops_min must be a finite number of operations, not negative; got -1"),
        ((None, float("nan")), "ops_max must be a finite number"),
        ((float("inf"), None), "ops_min must be a finite number"),
    ],
)
def test_impossible_limits_are_refused(ends, message):
    with pytest.raises(SpaceError, match=message):
        Limits(*ends)


def middle(space, members, low=0.25, high=0.75) -> Limits:
    ops = sorted(space.costs(list(members)).ops.tolist())
    return Limits(ops[int(low * (len(ops) - 1))], ops[int(high * (len(ops) - 1))])


def test_samples_within_limits_are_uniform(small, members_of):
    space, members = small["overlap"], members_of("overlap")
    limits = middle(space, members)
    inside = {member: 0 for member in members if space.cost(member).ops in limits}
    for member in sample_within(space, random.Random(0), limits, 10 * len(inside)):
        inside[member] += 1
    assert chisquare(list(inside.values())).pvalue > 1e-3


def test_without_limits_members_are_drawn_as_they_come(space):
    rng = random.Random(1)
    assert sample_within(space, random.Random(1), Limits(), 20) == [space.sample(rng) for _ in range(20)]


def test_fewer_samples_are_the_first_of_more():
    limits = Limits(60e6, 120e6)
    assert sample_within(NASBNN, random.Random(2), limits, 5) == sample_within(NASBNN, random.Random(2), limits, 50)[:5]
    assert sample_within(NASBNN, random.Random(2), limits, 0) == []


def test_rare_members_are_found_in_bounded_time():
    limits = Limits(ops_max=22e6)
    start = time.monotonic()
    found = sample_within(NASBNN, random.Random(3), limits, 4)
    assert time.monotonic() - start < 30
    assert len(found) == 4
    assert all(NASBNN.contains(member) and NASBNN.cost(member).ops in limits for member in found)


@pytest.mark.parametrize("limits", [Limits(ops_max=20e6), Limits(ops_min=332e6), Limits(1, 2)])
def test_limits_that_leave_the_space_out_are_refused_at_once_with_its_range(limits):
    start = time.monotonic()
    with pytest.raises(SpaceError) as caught:
        sample_within(NASBNN, random.Random(4), limits)
    assert time.monotonic() - start < 1
    assert "it holds 20,772,760 to 331,814,248 OPs" in str(caught.value)


def test_limits_between_two_members_end_in_an_error(small):
    space = small["islands"]
    low, high = (space.cost(member).ops for member in (space.smallest(), space.largest()))
    with pytest.raises(SpaceError, match=r"found no architecture of space 'islands' with at least .* in 16 walks"):
        sample_within(space, random.Random(5), Limits(low + 1, high - 1))


def test_steering_leaves_alone_what_is_already_right(space, members):
    rng = random.Random(6)
    state = rng.getstate()
    assert steer(space, members[0], rng, Limits()) == members[0]
    assert rng.getstate() == state


def test_steering_reaches_the_limits_from_anywhere_and_avoids_what_is_taken(space, members):
    limits = middle(space, members)
    inside = {member for member in members if space.cost(member).ops in limits}
    rng = random.Random(7)
    taken: set[str] = set()
    for _ in range(min(30, len(inside))):
        found = steer(space, rng.choice(members), rng, limits, taken)
        assert found in inside
        assert space.id(found) not in taken
        taken.add(space.id(found))


def test_steering_gives_up_when_all_are_taken(small, members_of):
    for name in ("islands", "single", "narrower"):
        space, members = small[name], members_of(name)
        taken = {space.id(member) for member in members}
        assert steer(space, members[0], random.Random(8), Limits(), taken) is None


def test_steering_is_deterministic_and_reaches_narrow_limits():
    limits = Limits(100e6, 100.5e6)
    starts = [NASBNN.smallest(), NASBNN.largest(), NASBNN.sample(random.Random(9))]
    found = [steer(NASBNN, start, random.Random(10), limits) for start in starts]
    assert found == [steer(NASBNN, start, random.Random(10), limits) for start in starts]
    assert all(member is not None and NASBNN.cost(member).ops in limits for member in found)


def test_steering_can_leave_a_small_limit_that_is_taken_up():
    """The smallest member alone is below this; with it taken, the walk must end, and end with None."""
    least = DIGITS.cost(DIGITS.smallest()).ops
    assert steer(DIGITS, DIGITS.largest(), random.Random(11), Limits(ops_max=least)) == DIGITS.smallest()
    taken = {DIGITS.id(DIGITS.smallest())}
    assert steer(DIGITS, DIGITS.largest(), random.Random(11), Limits(ops_max=least), taken) is None
