"""A few of a front's networks, spread over what they cost."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from search.runs.fronts import spread_over


@example([1.0, 1e12, 1e12 * (1 - 2e-15)], 2)  # whose logarithms are equal
@given(st.lists(st.floats(1, 1e12), min_size=1, max_size=30), st.integers(1, 35))
def test_chosen_are_different_rise_in_cost_and_hold_both_ends(costs, count):
    chosen = spread_over(costs, count)
    assert len(set(chosen)) == len(chosen) == min(count, len(costs))
    found = [costs[place] for place in chosen]
    assert found == sorted(found)
    assert found[-1] == max(costs)
    assert count == 1 or found[0] == min(costs)


@pytest.mark.parametrize(
    ("costs", "count", "chosen"),
    [
        ([1, 10, 100, 1000, 10_000], 3, [0, 2, 4]),
        ([300, 600, 900, 950, 1000, 1100, 1200], 3, [0, 1, 6]),  # not the middle one, which costs almost as the last
        ([1, 1, 1], 2, [0, 1]),
        ([10_000, 100, 1], 2, [2, 0]),
        ([1, 2, 3, 1e6], 3, [0, 2, 3]),
    ],
)
def test_costs_rise_in_equal_ratios_as_nearly_as_they_can(costs, count, chosen):
    assert spread_over(costs, count) == chosen
