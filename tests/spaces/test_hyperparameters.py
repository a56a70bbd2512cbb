"""Spaces of hyperparameters, alone and joined: how values are declared, read and handed on; what is refused."""

import json
import math
import random
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces import (
    SPACES,
    Between,
    Candidate,
    Grid,
    Hyperparameters,
    HyperparameterSpace,
    Joint,
    JointSpace,
    Limits,
    Listed,
    OnlySpace,
    SpaceError,
    WidthSpace,
    sample_within,
    space_from,
)
from spaces.conformance import Enqueued, check
from spaces.hyperparameters.kinds import KNOWN, Number, Whole, Word
from spaces.parameters import Choice, Ordered, to_places

DIGITS = SPACES["vgg-digits"]
SETTINGS = HyperparameterSpace(
    "settings",
    (
        Grid("learning_rate", 1e-4, 1e-1, 4, log=True),
        Listed("optimiser", ("sgd", "adam")),
        Listed("batch_size", (32, 64, 128)),
        Listed("weight_decay", (0, 1e-5, 1e-4)),
    ),
)
TEXT = "learning_rate=0.01 optimiser=sgd batch_size=64 weight_decay=1e-05"


# Values ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "choices"),
    [
        (Grid("learning_rate", 1e-5, 1e-1, 5, log=True), (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)),
        (Grid("learning_rate", 0.1, 0.3, 3), (0.1, 0.2, 0.3)),
        (Grid("momentum", 0, 0.9, 4), (0.0, 0.3, 0.6, 0.9)),
        (Grid("batch_size", 32, 256, 4, log=True), (32, 64, 128, 256)),
        (Grid("batch_size", 32.0, 256.0, 4, log=True), (32, 64, 128, 256)),
        (Grid("epochs", 1, 10, 4), (1, 4, 7, 10)),
        (Grid("warmup_epochs", 0, 1, 2), (0.0, 1.0)),
        (Listed("learning_rate", (1, 2)), (1.0, 2.0)),
        (Listed("seed", [0, 1]), (0, 1)),
        (Listed("schedule", ("steps", "cosine")), ("steps", "cosine")),
    ],
)
def test_values_of_a_declaration(declared, choices):
    assert not list(declared.problems())
    assert declared.choices() == choices
    whole = isinstance(KNOWN[declared.name], Whole)
    assert {type(value) for value in choices} == {str if choices[0] == "steps" else int if whole else float}


@given(st.floats(1e-8, 10), st.floats(1e-8, 10), st.integers(2, 30), st.booleans())
def test_grids_rise_evenly_from_end_to_end_or_are_refused(low, high, steps, log):
    grid = Grid("learning_rate", low, high, steps, log)
    if list(grid.problems()):
        assert low >= high or len({f"{value:.5g}" for value in grid.choices()}) < steps
        return
    values = grid.choices()
    assert (values[0], values[-1], len(values)) == (low, high, steps)
    assert all(one < other for one, other in pairwise(values))
    places = [math.log(value) if log else value for value in values]
    gaps = [other - one for one, other in pairwise(places)]
    slack = 2e-5 * (1 if log else high)
    assert max(gaps) - min(gaps) <= slack


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ((), "space 's': needs at least one hyperparameter"),
        ((Listed("learning_rat", (0.1,)),), "unknown hyperparameter 'learning_rat'; did you mean 'learning_rate'?"),
        ((Listed("learning_rate", ()),), "learning_rate needs at least one value"),
        ((Listed("learning_rate", (0.1, 0.01)),), "learning_rate must have ascending values, got 0.1, 0.01"),
        ((Listed("learning_rate", (0.1, 0.1)),), "learning_rate must have ascending values"),
        ((Listed("learning_rate", (0, 0.1)),), "learning_rate takes numbers from 1e-08 to 10, got 0"),
        ((Listed("learning_rate", ("0.1",)),), "learning_rate takes numbers from 1e-08 to 10, got '0.1'"),
        ((Listed("learning_rate", (math.nan,)),), "got nan"),
        ((Listed("learning_rate", (True,)),), "got True"),
        ((Listed("batch_size", (32.0,)),), "batch_size takes whole numbers from 2 to 65536, got 32.0"),
        ((Listed("epochs", (0, 5)),), "epochs takes whole numbers from 1 to 10000, got 0"),
        ((Listed("optimiser", ("sgd", "adan")),), "optimiser takes words out of sgd, adam, adamw, got 'adan'"),
        ((Listed("optimiser", ("sgd", "sgd")),), "optimiser must have each value once, got 'sgd', 'sgd'"),
        ((Grid("optimiser", 1, 2, 2),), "optimiser has no grid: it takes words out of sgd, adam, adamw"),
        ((Grid("momentum", 0.9, 0.1, 3),), "momentum: a grid has 2 to 1000 steps from a low to a higher end, got 3 fr"),
        ((Grid("momentum", 0.1, 0.9, 1),), "got 1 from 0.1 to 0.9"),
        ((Grid("momentum", 0.1, 0.9, 10**9),), "got 1000000000 from 0.1 to 0.9"),
        ((Grid("epochs", 1, math.inf, 3),), "got 3 from 1 to inf"),
        ((Grid("epochs", math.nan, 5, 3),), "got 3 from nan to 5"),
        ((Grid("weight_decay", 0, 0.1, 3, log=True),), "weight_decay: a logarithmic grid begins above 0, got 0"),
        ((Grid("epochs", 1, 3, 9),), "epochs: 9 steps from 1 to 3 repeat a value; take fewer"),
        ((Grid("momentum", 0.5, 2, 4),), "momentum takes numbers from 0 to 0.999, got 1.0, 1.5, 2.0"),
        ((Listed("seed", (1,)), Listed("seed", (2,))), "seed is declared twice"),
    ],
)
def test_a_wrong_declaration_is_refused(declared, message):
    with pytest.raises(SpaceError) as caught:
        HyperparameterSpace("s", declared)
    assert message in str(caught.value)


def test_every_problem_of_a_declaration_is_listed():
    with pytest.raises(SpaceError) as caught:
        HyperparameterSpace("s", (Listed("seed", ()), Grid("momentum", 1, 0, 2), Listed("epochs", (0,))))
    assert str(caught.value).count(";") == 2


@pytest.mark.parametrize("name", KNOWN)
def test_known_hyperparameters_allow_their_ends_and_nothing_beyond(name):
    kind = KNOWN[name]
    if isinstance(kind, Word):
        assert all(map(kind.allows, kind.words))
        assert not kind.allows("")
    else:
        assert kind.allows(kind.low)
        assert kind.allows(kind.high)
        assert not kind.allows(kind.high + 1)
        assert not kind.allows(kind.low - 1)
        assert not kind.allows("1")
        assert kind.allows(kind.low + 0.5) == isinstance(kind, Number) or kind.high < kind.low + 0.5


# Members --------------------------------------------------------------------------------------------------------------


def test_values_have_the_types_they_were_declared_with():
    expected = {"learning_rate": 0.01, "optimiser": "sgd", "batch_size": 64, "weight_decay": 1e-5}
    member = SETTINGS.parse(TEXT)
    by_hand = Hyperparameters((*list(expected.items())[:2], ("batch_size", 64.0), ("weight_decay", 1e-5)))
    for same in (member, by_hand, SETTINGS.from_json(json.loads(json.dumps(SETTINGS.to_json(by_hand))))):
        assert same == member
        assert SETTINGS.id(same) == SETTINGS.id(member)
        assert SETTINGS.values(same) == expected
        assert type(SETTINGS.values(same)["batch_size"]) is int


def test_other_spellings_are_the_same_member():
    member = SETTINGS.parse(TEXT)
    assert SETTINGS.format(member) == TEXT
    for text in (
        " weight_decay=0.00001 \n batch_size=64.0  optimiser=sgd learning_rate=1e-2 ",
        "learning_rate=.01 optimiser=sgd batch_size=64 weight_decay=1.0e-5".replace("=.", "=0."),
    ):
        assert SETTINGS.parse(text) == member
        assert SETTINGS.format(SETTINGS.parse(text)) == TEXT


def test_the_text_form_and_the_id_stay_as_they_are():
    """Files hold both: neither may change from one version to the next."""
    assert SETTINGS.id(SETTINGS.parse(TEXT)) == "7437ea311877"
    joint = JointSpace(DIGITS, SETTINGS)
    assert joint.name == "vgg-digits with settings"
    assert joint.id(joint.parse(f"1-1-0.25-4 with {TEXT}")) == "3ecbd490e1e1"
    assert joint.to_json(joint.parse(f"1-1-0.25-4 with {TEXT}")) == {
        "version": 1,
        "space": "vgg-digits with settings",
        "architecture": {"version": 1, "space": "vgg-digits", "ratios": [1, 1, 0.25, 4]},
        "hyperparameters": {
            "version": 1,
            "space": "settings",
            "values": {"learning_rate": 0.01, "optimiser": "sgd", "batch_size": 64, "weight_decay": 1e-5},
        },
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "learning_rate is missing; optimiser is missing"),
        ("x", "write each hyperparameter once, as in learning_rate=0.01; got 'x'"),
        (f"{TEXT} optimiser=adam", "write each hyperparameter once, as in learning_rate=0.01; got 'optimiser=adam'"),
        (
            f"{TEXT} seed=1",
            "has the hyperparameters learning_rate, optimiser, batch_size, weight_decay: unknown",
        ),
        (TEXT.replace("0.01", "0.02"), "learning_rate is 0.02; the choices are 0.0001, 0.001, 0.01, 0.1"),
        (TEXT.replace("0.01", "nan"), "learning_rate is 'nan'; the choices are"),
        (TEXT.replace("0.01", "True"), "learning_rate is 'True'; the choices are"),
        (TEXT.replace("sgd", "adamw"), "optimiser is 'adamw'; the choices are sgd, adam"),
        (TEXT.replace("sgd", ""), "optimiser is ''; the choices are sgd, adam"),
    ],
)
def test_a_wrong_text_is_refused_with_its_reason(text, message):
    with pytest.raises(SpaceError) as caught:
        SETTINGS.parse(text)
    assert message in str(caught.value)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner))


@given(anything | st.fixed_dictionaries(dict.fromkeys(SETTINGS.genes(), anything)))
def test_any_json_is_a_member_or_a_space_error(values):
    try:
        member = SETTINGS.from_json({"version": 1, "space": "settings", "values": values})
    except SpaceError:
        return
    assert SETTINGS.contains(member)


@given(st.text(max_size=30) | st.lists(st.sampled_from([*TEXT.split(), "seed=1", "=", "with"])).map(" ".join))
def test_any_text_is_a_member_or_a_space_error(text):
    try:
        member = SETTINGS.parse(text)
    except SpaceError:
        return
    assert SETTINGS.contains(member)


def test_true_is_not_one():
    space = HyperparameterSpace("s", (Listed("seed", (0, 1)),))
    with pytest.raises(SpaceError, match="seed is True"):
        space.from_values({"seed": True})


def test_parameters_have_real_values_and_places_for_samplers_of_ours():
    assert SETTINGS.parameters() == (
        Ordered("learning_rate", (1e-4, 1e-3, 1e-2, 1e-1)),
        Choice("optimiser", ("sgd", "adam")),
        Ordered("batch_size", (32, 64, 128)),
        Ordered("weight_decay", (0.0, 1e-5, 1e-4)),
    )
    setting = {"learning_rate": 0.01, "optimiser": "sgd", "batch_size": 64, "weight_decay": 1e-5}
    assert SETTINGS.encode(SETTINGS.parse(TEXT)) == setting
    assert to_places(SETTINGS.parameters(), setting) == {
        **setting,
        "learning_rate": 2,
        "batch_size": 1,
        "weight_decay": 1,
    }


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": np.float32(0.01), "batch_size": np.int64(64)},
        {"learning_rate": "0.01", "batch_size": 64.0, "optimiser": np.str_("sgd")},
        {"batch_size": np.array(64), "another": object()},
        dict(pd.DataFrame([{**dict(SETTINGS.encode(SETTINGS.parse(TEXT))), "loss": 1.5}]).iloc[0]),
    ],
)
def test_decode_takes_what_numpy_and_pandas_make_of_values(change):
    member = SETTINGS.parse(TEXT)
    assert SETTINGS.decode({**SETTINGS.encode(member), **change}) == member


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.05}, "learning_rate must be one of 0.0001, 0.001, 0.01, 0.1, got 0.05"),
        ({"learning_rate": True}, "learning_rate must be one of 0.0001, 0.001, 0.01, 0.1, got True"),
        ({"batch_size": np.bool_(1)}, "batch_size must be one of 32, 64, 128, got"),
        ({"batch_size": pd.NA}, "batch_size must be one of 32, 64, 128, got <NA>"),
        ({"batch_size": [64]}, "batch_size must be one of 32, 64, 128, got "),
        ({"batch_size": np.array([64])}, "batch_size must be one of 32, 64, 128, got "),
        ({"optimiser": 0}, "optimiser must be one of 'sgd', 'adam', got 0"),
        ({"optimiser": "adamw"}, "optimiser must be one of 'sgd', 'adam', got 'adamw'"),
    ],
)
def test_decode_refuses_what_is_impossible(change, message):
    with pytest.raises(SpaceError) as caught:
        SETTINGS.decode({**SETTINGS.encode(SETTINGS.smallest()), **change})
    assert str(caught.value).startswith(message)


# Names of one's own, ranges and conditions ----------------------------------------------------------------------------

OWN = HyperparameterSpace(
    "own",
    (
        Listed("optimiser", ("sgd", "adam")),
        Listed("momentum", (0.0, 0.5, 0.9), when={"optimiser": "sgd"}),
        Listed("nesterov", ("no", "yes"), when={"momentum": (0.5, 0.9)}),
        Listed("blocks", (1, 2)),
        Listed("teacher", ("none", "self")),
    ),
)
RANGES = HyperparameterSpace(
    "ranges",
    (
        Between("learning_rate", 1e-4, 1e-1, log=True),
        Between("shift", -1.0, 1.0),
        Between("epochs", 1, 30),
        Between("width_of_head", 8, 512, log=True, whole=True),
        Listed("optimiser", ("sgd", "adam")),
        Between("momentum", 0, 0.99, when={"optimiser": "sgd"}),
    ),
)


def test_a_condition_keeps_every_law():
    assert OWN.count() == (1 + 2 * 2 + 1) * 2 * 2
    check(OWN)
    check(JointSpace(OnlySpace(DIGITS, DIGITS.uniform(1)), OWN))
    assert space_from(json.loads(json.dumps(OWN.declaration()))) == OWN


def test_what_does_not_count_is_not_there():
    adam = OWN.parse("blocks=2 optimiser=adam teacher=self")
    assert OWN.format(adam) == "optimiser=adam blocks=2 teacher=self"
    assert OWN.encode(adam)["momentum"] == 0.0
    assert OWN.decode({**OWN.encode(adam), "momentum": 0.9, "nesterov": "nonsense"}) == adam
    sgd = OWN.parse("optimiser=sgd momentum=0.9 nesterov=yes blocks=1 teacher=none")
    trial = Enqueued(OWN.encode(sgd))
    assert OWN.suggest(trial) == sgd
    for text, message in (
        ("optimiser=adam momentum=0.5 blocks=1 teacher=none", "momentum counts only where optimiser is sgd"),
        ("optimiser=sgd blocks=1 teacher=none", "momentum is missing"),
    ):
        with pytest.raises(SpaceError, match=message):
            OWN.parse(text)


def test_a_range_counts_its_numbers_and_ranks_each_of_them():
    shift, epochs = (HyperparameterSpace("one", (each,)) for each in RANGES.hyperparameters[1:3])
    assert epochs.count() == 30
    check(epochs)
    halves = 1022 * 2**52 + 2**52  # doubles above 0 up to 1: every exponent below that of 1, and 1 itself
    assert shift.count() == 2 * halves + 1
    rng = random.Random(0)
    for _ in range(50):
        member = RANGES.sample(rng)
        assert RANGES.contains(member)
        assert RANGES.unrank(RANGES.rank(member)) == member
        assert RANGES.parse(RANGES.format(member)) == member
        assert RANGES.from_json(json.loads(json.dumps(RANGES.to_json(member)))) == member
        assert RANGES.decode(RANGES.encode(member)) == RANGES.suggest(Enqueued(RANGES.encode(member))) == member
        mutant = RANGES.mutate(member, rng, 0.1)
        assert mutant != member
        assert RANGES.contains(mutant)
        assert RANGES.contains(RANGES.crossover(member, mutant, rng))
        assert all(other != member and RANGES.contains(other) for other in RANGES.neighbours(member))
    exact = math.nextafter(0.01, 1)
    near = RANGES.decode({**RANGES.encode(RANGES.smallest()), "learning_rate": exact})
    assert RANGES.values(near)["learning_rate"] == exact
    again = RANGES.from_values({**RANGES.values(near), "learning_rate": 0.01})
    assert RANGES.id(near) != RANGES.id(again)
    assert RANGES.rank(near) > RANGES.rank(again)
    assert space_from(json.loads(json.dumps(RANGES.declaration()))) == RANGES


def test_ranges_are_drawn_evenly_or_by_their_logarithms():
    rng = random.Random(1)
    drawn = [RANGES.values(RANGES.sample(rng)) for _ in range(2000)]
    assert sum(values["learning_rate"] < 10**-2.5 for values in drawn) == pytest.approx(1000, abs=80)
    assert sum(values["shift"] < 0 for values in drawn) == pytest.approx(1000, abs=80)
    assert sum(values["epochs"] <= 15 for values in drawn) == pytest.approx(1000, abs=80)
    assert sum(values["width_of_head"] < 64 for values in drawn) == pytest.approx(1000, abs=80)
    assert {type(values["epochs"]) for values in drawn} == {int}
    assert all(("momentum" in values) == (values["optimiser"] == "sgd") for values in drawn)


def test_optuna_and_tune_know_ranges_and_conditions():
    optuna = pytest.importorskip("optuna")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        trial = study.ask()
        assert RANGES.values(RANGES.suggest(trial)) == trial.params
        assert trial.distributions["epochs"] == optuna.distributions.IntDistribution(1, 30)
        assert trial.distributions["learning_rate"] == optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True)
    pytest.importorskip("ray.tune")
    for _ in range(20):
        member = RANGES.decode({name: domain.sample() for name, domain in RANGES.param_space().items()})
        assert RANGES.contains(member)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ((Listed("two words", (1,)),), "'two words' is no name of a hyperparameter"),
        ((Listed("own", ("a b",)),), "own takes words out of a b, got 'a b'"),
        ((Listed("own", ("1", "2")),), "own takes words out of 1, 2, got '1', '2'"),
        ((Listed("own", ("a", 1)),), "own takes words out of a, got 1"),
        ((Listed("own", (1, math.nan)),), "own takes numbers, got nan"),
        ((Listed("own", (2, 1)),), "own must have ascending values"),
        ((Between("own", 1, 1),), "own: a range goes from a low to a higher end, got 1 to 1"),
        ((Between("own", 0, 1, log=True),), "own: a logarithmic range begins above 0"),
        ((Between("own", 0.5, 2, whole=True),), "own: the ends of a range of whole numbers are whole"),
        ((Between("momentum", 0, 2),), "momentum takes numbers from 0 to 0.999, got 2.0"),
        ((Between("optimiser", 0, 2),), "optimiser has no range: it takes words"),
        ((Listed("momentum", (0, 0.9), when={"optimiser": "sgd"}),), "which must be declared before it"),
        (
            (Listed("optimiser", ("adam",)), Listed("momentum", (0, 0.9), when={"optimiser": "sgd"})),
            "momentum counts where optimiser is sgd; its values are adam",
        ),
        ((Between("a", 0, 1), Listed("b", (1,), when={"a": 0.5})), "b depends on a, which is a range"),
    ],
)
def test_wrong_names_ranges_and_conditions_are_refused(declared, message):
    with pytest.raises(SpaceError) as caught:
        HyperparameterSpace("s", declared)
    assert message in str(caught.value)


@pytest.mark.parametrize("value", [0, 0.2, "x", None, float("nan"), True, float("inf")])
def test_numbers_outside_of_a_range_are_refused(value):
    with pytest.raises(SpaceError, match=r"learning_rate is .*; it takes numbers from 0.0001 to 0.1, by logarithm"):
        RANGES.decode({**RANGES.encode(RANGES.smallest()), "learning_rate": value})


def test_hyperparameters_alone_cost_nothing():
    assert SETTINGS.cost(SETTINGS.smallest()).ops == SETTINGS.cost(SETTINGS.smallest()).bits == 0
    assert SETTINGS.costs([SETTINGS.smallest()] * 3).ops.tolist() == [0, 0, 0]


# Joined ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nasbnn-digits", "vgg-digits", "bnas-digits"])
def test_a_joint_space_costs_what_its_architectures_cost_and_splits(name):
    architectures = SPACES[name]
    space, rng = JointSpace(architectures, SETTINGS), random.Random(0)
    assert space.count() == architectures.count() * SETTINGS.count()
    for _ in range(10):
        member = space.sample(rng)
        assert space.parse(space.format(member)) == member
        assert space.unrank(space.rank(member)) == member
        assert space.cost(member) == architectures.cost(member.architecture)
        values = SETTINGS.values(member.hyperparameters)
        assert space.split(member) == Candidate(architectures, member.architecture, values)
    assert {*space.genes()} == {*architectures.genes(), *SETTINGS.genes()}


def test_every_space_of_architectures_splits_without_hyperparameters():
    for space in SPACES.values():
        member = space.smallest()
        assert space.split(member) == OnlySpace(space, member).split(member) == Candidate(space, member, {})


def test_only_the_hyperparameters_of_one_network_are_searched():
    member = DIGITS.uniform(2)
    only = OnlySpace(DIGITS, member)
    assert (only.id(member), only.format(member), only.name) == (DIGITS.id(member), "2-2-2-2", "vgg-digits")
    assert (only.genes(), only.parameters(), only.encode(member)) == ({}, (), {})
    space = JointSpace(only, SETTINGS)
    for found in sample_within(space, random.Random(1), Limits(), 20):
        assert space.split(found) == Candidate(DIGITS, member, SETTINGS.values(found.hyperparameters))
    with pytest.raises(SpaceError, match="its only member is '2-2-2-2'"):
        only.parse("1-1-1-1")
    with pytest.raises(SpaceError, match="'1-1' is not in space 'vgg-digits'"):
        only.parse("1-1")


def test_a_searched_binariser_is_that_of_the_architectures_space():
    binarisers = HyperparameterSpace("b", (Listed("binariser", ("xnor", "bireal")),))
    for architectures in (DIGITS, OnlySpace(DIGITS, DIGITS.uniform(1))):
        space = JointSpace(architectures, binarisers)
        for index, binariser in enumerate(("xnor", "bireal")):
            member = Joint(DIGITS.uniform(1), binarisers.unrank(index))
            inner = WidthSpace("vgg-digits", "vgg-digits", binariser=binariser, image_size=8, channels=1)
            assert space.split(member) == Candidate(inner, DIGITS.uniform(1), {"binariser": binariser})
    with pytest.raises(SpaceError, match="space 'nasbnn-digits' has no choice of binarisers; leave binariser out"):
        JointSpace(SPACES["nasbnn-digits"], binarisers)
    narrow = WidthSpace("narrow", "resnet-20", (0.05, 1))
    with pytest.raises(SpaceError, match=r"ratio 0.05 gives stem a single channel"):
        JointSpace(narrow, binarisers)


class Odd(WidthSpace):
    """A family whose gene has the name of a hyperparameter."""

    def genes(self):
        return {"optimiser": self.ratios}


def test_spaces_that_cannot_be_joined_are_refused():
    with pytest.raises(SpaceError, match=r"both spaces of .* have optimiser; names must differ"):
        JointSpace(Odd("odd", "vgg-digits"), SETTINGS)
    for inner in (SETTINGS, JointSpace(DIGITS, SETTINGS)):
        with pytest.raises(SpaceError, match="join hyperparameters with a space of architectures"):
            JointSpace(inner, SETTINGS)
        with pytest.raises(SpaceError, match="take a member of a space of architectures"):
            OnlySpace(inner, inner.smallest())
    with pytest.raises(SpaceError, match="hyperparameters alone, which build nothing; use a JointSpace"):
        SETTINGS.split(SETTINGS.smallest())
    with pytest.raises(SpaceError, match="ratio 7 in place 1"):
        OnlySpace(DIGITS, DIGITS.smallest().__class__((7, 1, 1, 1)))


@pytest.mark.parametrize("text", ["1-1-1-1", TEXT, f"1-1-1-1 with {TEXT} with {TEXT}", f"1-1-1-1 and {TEXT}", ""])
def test_a_text_without_one_with_is_refused(text):
    with pytest.raises(SpaceError, match="write an architecture, the word with, and hyperparameters; got "):
        JointSpace(DIGITS, SETTINGS).parse(text)


def test_a_wrong_part_of_a_joint_text_is_refused_with_its_reason():
    space = JointSpace(DIGITS, SETTINGS)
    with pytest.raises(SpaceError, match=r"ratio 5 in place 1 \(conv1\) is not one of"):
        space.parse(f"5-1-1-1 with {TEXT}")
    with pytest.raises(SpaceError, match="optimiser is missing"):
        space.parse("1-1-1-1 with learning_rate=0.01 batch_size=64 weight_decay=0")
