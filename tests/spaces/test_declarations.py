"""Declaring spaces: what is refused, seeds, and what importing them loads."""

import dataclasses
import doctest
import json
import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

import spaces
from search.seeds import derive_rng, derive_seed
from spaces import SPACES, NasBnnSpace, SpaceError, Stage
from spaces.nasbnn.presets import narrowed

DIGITS = SPACES["nasbnn-digits"]
STAGE = Stage((1, 2), (8, 16), (3,), (1, 2), 1)


def declare(*stages: Stage, **fields) -> NasBnnSpace:
    return NasBnnSpace(
        **{"name": "s", "stem_widths": (4, 8), "stem_stride": 1, "image_size": 8, "classes": 2} | fields, stages=stages
    )


def test_every_problem_of_a_declaration_is_listed():
    with pytest.raises(SpaceError) as caught:
        declare(
            dataclasses.replace(STAGE, depths=(), widths=(16, 8), kernel_sizes=(2,)),
            dataclasses.replace(STAGE, groups=(0,)),
            stem_widths=(4, 4),
            image_size=7,
            classes=0,
            channels=-1,
            stem_stride=2,
        )
    assert str(caught.value) == (
        "space 's': stem_widths must be ascending integers from 1 to 999999, got (4, 4); "
        "stage 1 depths must be ascending integers from 1 to 999999, got (); "
        "stage 1 widths must be ascending integers from 1 to 999999, got (16, 8); "
        "stage 2 groups must be ascending integers from 1 to 999999, got (0); "
        "stage 1 kernel_sizes must be odd, got (2); classes must be at least 1, got 0; "
        "channels must be at least 1, got -1; image_size must be a multiple of 2, the product of the strides; got 7"
    )


@pytest.mark.parametrize(
    ("stages", "fields", "message"),
    [
        ((), {}, "needs at least one stage"),
        ((STAGE,), {"stem_stride": 3}, r"strides must be 1 or 2, got \(3, 1\)"),
        ((STAGE,), {"image_size": 0}, "image_size must be a multiple of 1"),
        ((dataclasses.replace(STAGE, groups=(1, 3)),), {}, "stage 1: 4 input channels do not split into 3 groups"),
        ((dataclasses.replace(STAGE, groups=(2, 5)),), {}, "groups must be multiples of the fewest, got .2, 5."),
        ((dataclasses.replace(STAGE, widths=(10**6,)),), {}, "ascending integers from 1 to 999999, got .1000000."),
        ((STAGE, dataclasses.replace(STAGE, widths=(4,))), {}, "no architecture has non-decreasing widths"),
    ],
)
def test_a_wrong_declaration_is_refused(stages, fields, message):
    with pytest.raises(SpaceError, match=message):
        declare(*stages, **fields)


def test_a_space_without_the_constraint_may_get_narrower():
    space = declare(STAGE, dataclasses.replace(STAGE, widths=(4,)), non_decreasing=False)
    assert space.count() > 0
    assert space.contains(space.smallest())


def test_lists_are_as_good_as_tuples():
    as_lists = declare(Stage([1, 2], [8, 16], [3], [1, 2], 1), stem_widths=[4, 8])  # pyright: ignore
    assert as_lists == declare(STAGE)
    assert hash(as_lists) == hash(declare(STAGE))


def test_narrowing_divides_every_width_and_refuses_a_rest():
    assert narrowed(DIGITS, 4, "x").stages[2].widths == (16, 24, 32)
    with pytest.raises(SpaceError, match="space 'nasbnn-digits' cannot be narrowed by 3: it does not divide width 8"):
        narrowed(DIGITS, 3, "x")


def test_importing_spaces_loads_nothing_heavy():
    code = "import spaces, sys, json; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    loaded = set(json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout))
    assert "spaces" in loaded
    assert not loaded & {"torch", "ray", "optuna", "pandas", "matplotlib", "search", "models", "analysis"}


words = st.lists(st.text(max_size=8) | st.integers(), max_size=4)


@given(st.integers(), words, words)
def test_seeds_differ_exactly_when_their_purpose_does(root, one, other):
    assert derive_seed(root, *one) == derive_seed(root, *one)
    assert (derive_seed(root, *one) == derive_seed(root, *other)) == (one == other)
    assert 0 <= derive_seed(root, *one) < 2**63


def test_seeds_tell_roots_types_and_line_breaks_apart():
    seeds = [
        derive_seed(0),
        derive_seed(1),
        derive_seed(0, 1),
        derive_seed(0, "1"),
        derive_seed(0, "a", "b"),
        derive_seed(0, "a\nb"),
        derive_seed(0, "a\nstr:b"),
        derive_seed(0, 'a", "b'),
    ]
    assert len(set(seeds)) == len(seeds)


def test_seeds_are_the_same_in_every_process():
    code = "from search.seeds import derive_seed; print(derive_seed(0, 'shuffle', 3))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert int(result.stdout) == derive_seed(0, "shuffle", 3) == 8203140106345629940
    assert derive_rng(0, "shuffle", 3).random() == derive_rng(0, "shuffle", 3).random()


MODULES = [module.name for module in pkgutil.walk_packages(spaces.__path__, "spaces.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name):
    assert doctest.testmod(import_module(name)).failed == 0


def test_there_are_examples_to_check():
    found = [test for name in MODULES for test in doctest.DocTestFinder().find(import_module(name)) if test.examples]
    assert len(found) >= 5
