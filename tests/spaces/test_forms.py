"""Text, JSON and integer forms of architectures: round trips, spellings, refusals."""

import json
import pickle
import random
import statistics
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.seeds import derive_rng
from spaces import SPACES, Architecture, Layer, NasBnnSpace, SpaceError, get_space
from spaces.conformance import Enqueued

NASBNN = SPACES["nasbnn"]
DIGITS = SPACES["nasbnn-digits"]
large = st.sampled_from(list(SPACES.values()))
whole = st.integers(min_value=0, max_value=2**80)


@given(large, whole)
def test_forms_round_trip(space: NasBnnSpace, index: int):
    member = space.unrank(index % space.count())
    text = space.format(member)
    assert space.parse(text) == member
    assert text == str(member) == f"{member}"
    assert space.from_json(json.loads(json.dumps(space.to_json(member)))) == member
    assert space.decode(space.encode(member)) == member


@given(whole, st.data())
def test_other_white_space_spells_the_same_network(index: int, data: st.DataObject):
    member = NASBNN.unrank(index % NASBNN.count())
    space = st.text(" \t\n", max_size=3)
    text = "|".join(
        data.draw(space) + (data.draw(space) + " ").join(part.split()) + data.draw(space)
        for part in NASBNN.format(member).split("|")
    )
    again = NASBNN.parse(text)
    assert again == member
    assert hash(again) == hash(member)
    assert NASBNN.id(again) == NASBNN.id(member)


def test_ids_differ_within_and_between_spaces(space, members):
    ids = {space.id(member) for member in members}
    assert len(ids) == len(members)
    assert all(len(name) == 12 for name in ids)
    assert SPACES["nasbnn"].id(NASBNN.smallest()) != SPACES["nasbnn-32"].id(NASBNN.smallest())


def test_the_text_form_and_the_id_stay_as_they_are():
    """Files hold both: neither may change from one version to the next."""
    text = "c8k3g1 | c16k3g1 | c32k3g2 | c64k3g4"
    assert DIGITS.format(DIGITS.smallest()) == text
    assert DIGITS.id(DIGITS.parse(text)) == "9acb825c094e"
    assert DIGITS.to_json(DIGITS.smallest()) == {
        "version": 1,
        "space": "nasbnn-digits",
        "stem": 8,
        "stages": [
            [{"width": 16, "kernel_size": 3, "groups": 1}],
            [{"width": 32, "kernel_size": 3, "groups": 2}],
            [{"width": 64, "kernel_size": 3, "groups": 4}],
        ],
    }


def test_a_used_space_can_be_pickled(space):
    space.count()
    space.parameters()
    again = pickle.loads(pickle.dumps(space))
    assert again == space
    assert again.count() == space.count()


# Settings ---------------------------------------------------------------------------------------------------------


def test_every_setting_decodes_to_a_member_and_every_member_is_reached(space, members):
    parameters = space.parameters()
    assert len({p.name for p in parameters}) == len(parameters)
    reached = set()
    for values in product(*(p.values for p in parameters)):
        trial = Enqueued(dict(zip((p.name for p in parameters), values, strict=True)))
        reached.add(space.suggest(trial))
        assert trial.asked == [p.name for p in parameters]
    assert reached == set(members)


def test_encoding_uses_every_parameter_with_one_of_its_values(space, members):
    for member in members[:: max(1, len(members) // 100)]:
        setting = space.encode(member)
        assert list(setting) == [p.name for p in space.parameters()]
        assert all(setting[p.name] in p.values for p in space.parameters())
        assert space.decode(setting) == member


def test_an_optuna_study_suggests_members_as_real_values():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    rng = random.Random(0)
    wanted = [DIGITS.sample(rng) for _ in range(10)]
    for member in wanted:
        study.enqueue_trial(DIGITS.encode(member))
    for member in wanted:
        trial = study.ask()
        assert DIGITS.suggest(trial) == member
        assert trial.params == DIGITS.encode(member)
        # even steps keep their order, other numbers are categories
        kernels, widths = trial.distributions["s2l1_kernel_size"], trial.distributions["s2l1_width"]
        assert kernels == optuna.distributions.IntDistribution(3, 5, step=2)
        assert widths == optuna.distributions.IntDistribution(32, 64, step=16)
    for _ in range(20):
        assert DIGITS.contains(DIGITS.suggest(study.ask()))


def test_settings_are_drawn_less_evenly_than_members():
    """The figures in the docstring of `NasBnnSpace.parameters`."""
    rng = random.Random(0)
    settings = [DIGITS.decode({p.name: rng.choice(p.values) for p in DIGITS.parameters()}) for _ in range(2000)]
    members = [DIGITS.sample(rng) for _ in range(2000)]
    assert statistics.median(DIGITS.costs(settings).ops) == pytest.approx(18.1e3, rel=0.06)
    assert statistics.median(DIGITS.costs(members).ops) == pytest.approx(30.2e3, rel=0.06)


def test_a_tune_search_space_samples_members(space, members):
    pytest.importorskip("ray.tune")
    inside = set(members)
    domains = space.param_space()
    assert {name: tuple(d.categories) for name, d in domains.items()} == {p.name: p.values for p in space.parameters()}
    for _ in range(20):
        assert space.decode({name: domain.sample() for name, domain in domains.items()}) in inside


def test_decode_ignores_layers_that_are_not_built_and_names_what_is_missing():
    setting = DIGITS.encode(DIGITS.smallest())
    del setting["s3l3_width"]
    assert DIGITS.decode(setting) == DIGITS.smallest()
    for wrong in (3, -1, True, None, float("nan"), "64x"):
        with pytest.raises(SpaceError, match=r"^s3l1_width must be one of 64, 96, 128, got "):
            DIGITS.decode(setting | {"s3l1_width": wrong})
    del setting["s3l1_width"]
    with pytest.raises(SpaceError, match="s3l1_width must be one of 64, 96, 128, and is missing"):
        DIGITS.decode(setting)


# Refusals ---------------------------------------------------------------------------------------------------------

S1, S2, S3 = "c16k3g1", "c32k3g1", "c64k3g2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"c8k3g1 | {S1} | c32k3 | {S3}",
            "stage 2: 'c32k3' is not a layer; write width, kernel and groups as in",
        ),
        ("c8", "the stem: 'c8' is not a layer"),
        (f"c8k3g1 | {'x' * 50} | {S2} | {S3}", f"'{'x' * 37}...' is not a layer"),
        (f"c8k3g1 | c١٦k3g1 | {S2} | {S3}", "is not a layer"),
        ("", "the part before the first '|' is the stem, one layer such as c24k3g1; got ''"),
        (f"c8k3g1 c8k3g1 | {S1} | {S2} | {S3}", "is the stem, one layer such as c24k3g1; got 'c8k3g1 c8k3g1'"),
        (f"c8k5g1| {S1} | {S2} | {S3}", "the stem is a 3x3 convolution in one group, such as c8k3g1; got 'c8k5g1'"),
        (f"c9k3g1 | {S1} | {S2} | {S3}", "the stem has width 9; its widths are 8, 12, 16"),
        (f"c8k3g1 | {S1} | {S2}", "it has 2 stages after the stem; the space has 3"),
        (f"c8k3g1 | {S1} {S1} {S1} | {S2} | {S3}", "stage 1 has 3 layers; its depths are 1, 2"),
        (f"c8k3g1 | {S1} | | {S3}", "stage 2 has 0 layers; its depths are 1, 2, 3"),
        (f"c8k3g1 | c17k3g1 | {S2} | {S3}", "stage 1, layer 1 has width 17; the choices are 16, 24, 32"),
        (f"c8k3g1 | c16k5g1 | {S2} | {S3}", "stage 1, layer 1 has kernel size 5; the choices are 3"),
        (f"c8k3g1 | {S1} | {S2} | c64k3g1", "stage 3, layer 1 has groups 1; the choices are 2, 4"),
        (f"c8k3g1 | c32k3g1 c16k3g1 | {S2} | {S3}", "layer 2 narrows from 32 to 16 channels; widths must not decrease"),
    ],
)
def test_a_wrong_text_is_refused_with_its_reason(text, message):
    with pytest.raises(SpaceError) as caught:
        DIGITS.parse(text)
    assert message in str(caught.value)


@given(
    st.one_of(
        st.text(max_size=40),
        st.text("ckg|0123456789 \n", max_size=60),
        st.lists(st.sampled_from([S1, S2, S3, "c8k3g1", "|", "|", "c99999999k3g1", "c0k0g0"]), max_size=12).map(
            " ".join
        ),
    )
)
def test_any_text_is_a_member_or_a_space_error(text: str):
    try:
        member = DIGITS.parse(text)
    except SpaceError:
        return
    assert DIGITS.contains(member)


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))


@given(st.dictionaries(st.sampled_from(["version", "space", "stem", "stages"]), values), st.booleans())
def test_any_json_is_a_member_or_a_space_error(data: dict[str, object], ours: bool):
    head = {"version": 1, "space": "nasbnn-digits"} if ours else {}
    try:
        member = DIGITS.from_json(data | head)
    except SpaceError:
        return
    assert DIGITS.contains(member)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "expected version 1 of a member of space 'nasbnn-digits'; got version 2"),
        ({"space": "nasbnn"}, "got version 1 of space 'nasbnn'"),
        ({"stem": 8.5}, "expected an integer, got 8.5"),
        ({"stem": "8"}, "expected an integer, got '8'"),
        ({"stem": True}, "expected an integer, got True"),
        ({"stem": 9}, "the stem has width 9"),
        ({"stages": None}, "is not the JSON form"),
        ({"stages": [[{"width": 16}]]}, "is not the JSON form"),
        ({"stages": [["c16k3g1"]]}, "is not the JSON form"),
    ],
)
def test_wrong_json_is_refused_with_its_reason(change, message):
    with pytest.raises(SpaceError, match=message):
        DIGITS.from_json(DIGITS.to_json(DIGITS.smallest()) | change)


def test_json_without_a_field_is_refused():
    data = DIGITS.to_json(DIGITS.smallest())
    del data["stem"]
    with pytest.raises(SpaceError, match="needs the field 'stem'"):
        DIGITS.from_json(data)


def test_operators_refuse_what_is_no_member():
    stranger = Architecture(8, ((Layer(16, 3, 1),),))
    rng = derive_rng(0)
    for refuse in (
        lambda: DIGITS.rank(stranger),
        lambda: DIGITS.mutate(stranger, rng),
        lambda: DIGITS.crossover(DIGITS.smallest(), stranger, rng),
        lambda: DIGITS.neighbours(stranger),
        lambda: DIGITS.encode(stranger),
        lambda: DIGITS.cost(stranger),
    ):
        with pytest.raises(SpaceError, match="it has 1 stages after the stem; the space has 3"):
            refuse()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nasbn", "unknown space 'nasbn'; did you mean 'nasbnn'? The spaces are nasbnn, nasbnn-32"),
        ("x", "unknown space 'x'. The spaces are nasbnn, "),
    ],
)
def test_an_unknown_space_is_refused_with_the_nearest(name, message):
    with pytest.raises(SpaceError) as caught:
        get_space(name)
    assert message in str(caught.value)
