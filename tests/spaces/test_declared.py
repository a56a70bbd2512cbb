"""Declarations as JSON: those of old files, and those that declare nothing."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces import SPACES, HyperparameterSpace, JointSpace, Listed, OnlySpace, SpaceError, space_from

DIGITS = SPACES["nasbnn-digits"]
SEEDS = HyperparameterSpace("seeds", (Listed("seed", (1, 2)),))


def test_files_from_before_there_were_families_hold_nasbnn_spaces():
    for space in SPACES.values():
        if space.family == "nasbnn":
            old = json.loads(json.dumps(dataclasses.asdict(space)))
            assert "family" not in old
            assert space_from(old) == space


def test_a_declaration_names_every_field():
    assert SPACES["vgg-digits"].declaration() == {
        "family": "width",
        "name": "vgg-digits",
        "base": "vgg-digits",
        "ratios": [0.25, 0.5, 1, 2, 3, 4],
        "binariser": "dorefa",
        "image_size": 8,
        "classes": 10,
        "channels": 1,
    }
    assert SEEDS.declaration() == {
        "family": "hyperparameters",
        "name": "seeds",
        "hyperparameters": [{"name": "seed", "values": [1, 2]}],
    }


def test_fields_with_defaults_may_be_left_out():
    assert space_from({"family": "width", "name": "vgg-small", "base": "vgg-small"}) == SPACES["vgg-small"]


def without(space, field):
    return {key: value for key, value in space.declaration().items() if key != field}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "the declaration of a space is an object with its fields; got None"),
        ([], "the declaration of a space is an object with its fields; got []"),
        (
            {"family": "widths"},
            "unknown family of spaces 'widths'; did you mean 'width'? The families are nas",
        ),
        ({"family": 3}, "unknown family of spaces 3."),
        ({"family": ["width"]}, "unknown family of spaces ['width']; did you mean 'width'?"),
        ({}, "a space of the family 'nasbnn' needs the field 'name' and needs the field 'stem_widths'"),
        (without(SEEDS, "name"), "a space of the family 'hyperparameters' needs the field 'name'; its fields are name"),
        (
            SEEDS.declaration() | {"name": 3},
            "a space of the family 'hyperparameters': name must be a text, got 3",
        ),
        (SEEDS.declaration() | {"x": 1}, "a space of the family 'hyperparameters' has no field 'x'"),
        (DIGITS.declaration() | {"stages": [{"depths": [1]}]}, "this is not a space of the family 'nasbnn': "),
        (DIGITS.declaration() | {"stages": 3}, "this is not a space of the family 'nasbnn': "),
        (DIGITS.declaration() | {"classes": "ten"}, "classes must be an integer, got 'ten'"),
        (DIGITS.declaration() | {"classes": 10.0}, "classes must be an integer, got 10.0"),
        (DIGITS.declaration() | {"non_decreasing": 1}, "non_decreasing must be true or false, got 1"),
        (DIGITS.declaration() | {"classes": 0}, "space 'nasbnn-digits': classes must be at least 1, got 0"),
        (SEEDS.declaration() | {"hyperparameters": [{"name": "seed"}]}, "this is not a space of the family 'hyper"),
        (SEEDS.declaration() | {"hyperparameters": [{"name": "seed", "values": [-1]}]}, "seed takes whole numbers"),
        (
            JointSpace(DIGITS, SEEDS).declaration() | {"hyperparameters": DIGITS.declaration()},
            "a joint space has hyperparameters; got a space of the family 'nasbnn'",
        ),
        (
            OnlySpace(DIGITS, DIGITS.smallest()).declaration() | {"architecture": "c9"},
            "the stem: 'c9' is not a layer",
        ),
    ],
)
def test_what_declares_no_space_is_refused(data, message):
    with pytest.raises(SpaceError) as caught:
        space_from(data)
    assert message in str(caught.value)


scalars = st.none() | st.booleans() | st.integers(-5, 70) | st.floats() | st.text(max_size=5)
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner))
known = st.sampled_from([*SPACES.values(), SEEDS, JointSpace(DIGITS, SEEDS), OnlySpace(DIGITS, DIGITS.smallest())])


@given(known, st.data())
@settings(max_examples=100)
def test_any_change_of_a_declaration_is_a_space_or_a_space_error(space, data):
    declaration = space.declaration()
    field = data.draw(st.sampled_from(sorted(declaration)))
    declaration[field] = data.draw(anything)
    try:
        again = space_from(declaration)
    except SpaceError:
        return
    assert space_from(json.loads(json.dumps(again.declaration()))) == again
