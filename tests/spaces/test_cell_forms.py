"""Text, JSON, declarations and choices of genotypes: round trips, spellings, refusals."""

import dataclasses
import json
import pickle
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces import SpaceError
from spaces.cell import LAYER_TYPES, Cell, CellSpace, Edge, Genotype
from spaces.cell.presets import BNAS_CIFAR10, BNAS_D_V2, BNAS_DIGITS, PRESETS, PUBLISHED
from spaces.declarations import space_from

TINY = CellSpace("tiny", "cifar", 3, 4, image_size=8, classes=2, layer_types=("conv3", "none"), nodes=2)
NO_ZEROISE = dataclasses.replace(BNAS_CIFAR10, name="no-zeroise", layer_types=LAYER_TYPES[1:])
whole = st.integers(min_value=0, max_value=2**80)


@settings(deadline=None)  # tables are made on the way
@given(st.sampled_from([*PRESETS, TINY, NO_ZEROISE]), whole)
def test_forms_round_trip(space: CellSpace, index: int):
    member = space.unrank(index % space.count())
    text = space.format(member)
    assert space.parse(text) == member
    assert text == str(member) == f"{member}"
    assert space.from_json(json.loads(json.dumps(space.to_json(member)))) == member
    assert space.decode(space.encode(member)) == member


@settings(deadline=None)
@given(whole, st.data())
def test_other_white_space_spells_the_same_member(index: int, data: st.DataObject):
    member = BNAS_CIFAR10.unrank(index % BNAS_CIFAR10.count())
    space = st.text(" \t\n", max_size=2)
    words = str(member).replace(":", " :").split()
    assert BNAS_CIFAR10.parse("".join(f"{data.draw(space)} {word}" for word in words)) == member


def test_the_text_form_and_the_id_stay_as_they_are():
    """Files hold both: neither may change from one version to the next."""
    text = "normal: conv3@1 none@0 ; none@2 conv3@1 | reduce: none@0 none@1 ; none@1 none@0"
    member = TINY.parse(text)
    assert TINY.format(member) == "normal: none@0 conv3@1 ; conv3@1 none@2 | reduce: none@0 none@1 ; none@0 none@1"
    assert TINY.id(member) == "1301a642a28b"
    assert TINY.to_json(member) == {
        "version": 1,
        "space": "tiny",
        "normal": [
            [{"layer": "none", "source": 0}, {"layer": "conv3", "source": 1}],
            [{"layer": "conv3", "source": 1}, {"layer": "none", "source": 2}],
        ],
        "reduce": [[{"layer": "none", "source": 0}, {"layer": "none", "source": 1}]] * 2,
    }


def test_published_genotypes_print_in_canonical_order():
    assert str(PUBLISHED["bnas-cifar10"]) == (
        "normal: dil3@0 none@1 ; conv3@1 none@2 ; none@2 none@3 ; none@3 none@4 | "
        "reduce: max@0 none@1 ; max@0 none@2 ; none@2 none@3 ; none@3 none@4"
    )
    assert str(PUBLISHED["bnas-imagenet"]) == (  # the last normal node, which reads the inputs alone, comes second
        "normal: dil3@0 conv3@1 ; conv3@0 dil3@1 ; dil3@1 conv3@2 ; conv3@1 conv3@2 | "
        "reduce: max@0 max@1 ; max@0 conv3@2 ; max@0 dil3@3 ; max@0 dil3@4"
    )


@pytest.mark.parametrize("space", [*PRESETS, TINY, NO_ZEROISE], ids=lambda space: space.name)
def test_declarations_make_the_same_space_again(space):
    data = json.loads(json.dumps(space.declaration()))
    assert data["family"] == "cell"
    assert space_from(data) == space
    space.count()
    space.costs([space.smallest()])
    again = pickle.loads(pickle.dumps(space))
    assert again == space
    assert hash(again) == hash(space)


def test_the_order_of_layer_types_makes_no_other_space():
    other = dataclasses.replace(TINY, layer_types=("none", "conv3"))
    assert other == TINY
    assert other.declaration()["layer_types"] == ["none", "conv3"]


def test_a_space_for_other_images_and_a_smaller_network_have_the_same_members():
    other = BNAS_CIFAR10.for_data(image_size=64, classes=7, channels=1)
    assert (other.image_size, other.classes, other.channels) == (64, 7, 1)
    assert BNAS_CIFAR10.for_data() == BNAS_CIFAR10
    smaller = dataclasses.replace(BNAS_CIFAR10, cells=8, width=16)
    member = BNAS_CIFAR10.sample(random.Random(0))
    assert smaller.contains(member)
    assert smaller.rank(member) == BNAS_CIFAR10.rank(member)
    assert smaller.cost(member).ops < BNAS_CIFAR10.cost(member).ops


# Choices ----------------------------------------------------------------------------------------------------------


def test_every_setting_decodes_to_a_member_and_every_member_is_reached():
    space = dataclasses.replace(TINY, layer_types=("conv3",), nodes=3)
    names = [p.name for p in space.parameters()]
    assert names == ["normal_n2_inputs", "normal_n3_inputs", "reduce_n2_inputs", "reduce_n3_inputs"]
    members = {space.unrank(index) for index in range(space.count())}
    settings = [{}]
    for parameter in space.parameters():
        settings = [{**setting, parameter.name: choice} for setting in settings for choice in parameter.choices]
    assert len(settings) == (3 * 6) ** 2
    assert {space.decode(setting) for setting in settings} == members


def test_genes_name_every_choice():
    genes = TINY.genes()
    assert genes["normal_n1_inputs"] == ("0 1",)
    assert genes["reduce_n2_inputs"] == ("0 1", "0 2", "1 2")
    assert genes["reduce_n2_e2_layer"] == ("none", "conv3")
    assert len(genes) == 2 * 2 * 3
    assert [p.name for p in TINY.parameters()] == [name for name, choices in genes.items() if len(choices) > 1]
    setting = TINY.encode(TINY.parse("normal: conv3@1 none@0 ; none@2 conv3@1 | reduce: none@0 none@1 ; none@1 none@0"))
    assert setting["normal_n1_e2_layer"] == setting["normal_n2_e1_layer"] == "conv3"
    assert setting["normal_n2_inputs"] == "1 2"
    for wrong in ({"normal_n2_inputs": "2 1"}, {"normal_n2_inputs": 1}, {"normal_n2_inputs": None}):
        with pytest.raises(SpaceError, match=r"^normal_n2_inputs must be one of '0 1', '0 2', '1 2', got "):
            TINY.decode(setting | wrong)


def test_an_optuna_study_suggests_members():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    rng = random.Random(0)
    wanted = [BNAS_DIGITS.sample(rng) for _ in range(5)]
    for member in wanted:
        study.enqueue_trial(BNAS_DIGITS.encode(member))
    for member in wanted:
        trial = study.ask()
        assert BNAS_DIGITS.suggest(trial) == member
        assert trial.params == BNAS_DIGITS.encode(member)
    for _ in range(5):
        assert BNAS_DIGITS.contains(BNAS_DIGITS.suggest(study.ask()))


def test_a_tune_search_space_samples_members():
    pytest.importorskip("ray.tune")
    domains = BNAS_DIGITS.param_space()
    assert {name: tuple(d.categories) for name, d in domains.items()} == {
        p.name: p.choices for p in BNAS_DIGITS.parameters()
    }
    for _ in range(10):
        assert BNAS_DIGITS.contains(BNAS_DIGITS.decode({name: domain.sample() for name, domain in domains.items()}))


# Refusals ---------------------------------------------------------------------------------------------------------

GOOD = "none@0 conv3@1 ; none@0 conv3@1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"normal: {GOOD}", "is not a genotype; write 'normal: ... | reduce: ...' with one cell after each colon"),
        (f"reduce: {GOOD} | normal: {GOOD}", "is not a genotype"),
        (f"normal: {GOOD} | reduce {GOOD}", "is not a genotype"),
        (f"normal: {GOOD} | reduce: {GOOD} | normal: {GOOD}", "is not a genotype"),
        ("", "'' is not a genotype"),
        (f"normal: {GOOD} | reduce: none@0 conv@1 ; {GOOD}", "the reduce cell: unknown layer type 'conv'; did you"),
        (
            f"normal: {GOOD} | reduce: none@0 x@1",
            "layer type 'x'. The layer types are none, max, avg, dil3, dil5,",
        ),
        (
            f"normal: {GOOD} | reduce: none0 conv3@1",
            "the reduce cell: 'none0' is not an edge; write layer type and ",
        ),
        (f"normal: {GOOD} | reduce: none@01 conv3@1", "'none@01' is not an edge"),
        (f"normal: {'x' * 50}@1 none@0 | reduce: {GOOD}", f"unknown layer type '{'x' * 37}...'"),
        (f"normal: none@١ none@0 | reduce: {GOOD}", "is not an edge"),
        (f"normal: none@0 none@1 none@0 | reduce: {GOOD}", "node 1 has 3 edges (none@0 none@1 none@0); a node has two"),
        (
            f"normal: {GOOD} ; | reduce: {GOOD}",
            "the normal cell: node 3 has 0 edges (nothing); a node has two, such as",
        ),
        (f"normal: {GOOD} | reduce:", "the reduce cell: node 1 has 0 edges (nothing)"),
        (
            f"normal: none@0 conv3@2 ; {GOOD} | reduce: {GOOD}",
            "conv3@2 of node 1 reads state 2; it can read states 0 to 1",
        ),
        (f"normal: none@0 conv3@1 ; none@3 none@0 | reduce: {GOOD}", "reads state 3; it can read states 0 to 2"),
        (f"normal: none@1 conv3@1 ; {GOOD} | reduce: {GOOD}", "node 1 (none@1 conv3@1) reads state 1 twice"),
        (f"normal: {GOOD} | reduce: none@0 conv3@1", "the reduce cell has 1 nodes; the space's cells have 2"),
        (f"normal: {GOOD} ; none@0 none@1 | reduce: {GOOD}", "the normal cell has 3 nodes; the space's cells have 2"),
        (f"normal: {'none@0 none@1 ;' * 9} none@0 none@1 | reduce: {GOOD}", "it has 10 nodes; a cell has at most 5"),
        (f"normal: {GOOD} | reduce: avg@0 none@1 ; {GOOD[:14]}", "the reduce cell has avg@0 at node "),
        ("Genotype(normal=[('none', 1)], reduce=[])", "looks like source code, which is never run; write the genotype"),
        ("__import__('os').system('true')", "looks like source code, which is never run"),
    ],
)
def test_a_wrong_text_is_refused_with_its_reason(text, message):
    with pytest.raises(SpaceError) as caught:
        TINY.parse(text)
    assert message in str(caught.value)


def test_a_type_that_the_space_leaves_out_is_named():
    with pytest.raises(
        SpaceError, match=r"the normal cell has none@1 at node 1; the space's layer types are max, avg, "
    ):
        NO_ZEROISE.require(PUBLISHED["bnas-cifar10"])
    assert NO_ZEROISE.contains(PUBLISHED["bnas-imagenet"])


@given(
    st.one_of(
        st.text(max_size=40),
        st.text("normal:educ|;@01 \n", max_size=60),
        st.lists(
            st.sampled_from(["normal:", "reduce:", "|", ";", "none@0", "conv3@1", "conv3@2", "none@99", "avg@0"]),
            max_size=14,
        ).map(" ".join),
    )
)
def test_any_text_is_a_member_or_a_space_error(text: str):
    try:
        member = TINY.parse(text)
    except SpaceError:
        return
    assert TINY.contains(member)


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(["none", "conv3", "x"])
)
edges = st.fixed_dictionaries({"layer": scalars, "source": scalars}) | scalars
values = st.recursive(edges, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))


@given(st.dictionaries(st.sampled_from(["version", "space", "normal", "reduce"]), values), st.booleans())
def test_any_json_is_a_member_or_a_space_error(data: dict[str, object], ours: bool):
    head = {"version": 1, "space": "tiny"} if ours else {}
    try:
        member = TINY.from_json(data | head)
    except SpaceError:
        return
    assert TINY.contains(member)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "expected version 1 of a member of space 'tiny'; got version 2"),
        ({"space": "bnas-d"}, "got version 1 of space 'bnas-d'"),
        ({"normal": None}, "is not the JSON form"),
        ({"normal": [["none@0", "none@1"]]}, "is not the JSON form"),
        (
            {"normal": [[{"layer": "none", "source": 0}, {"layer": "none", "source": True}]]},
            "source must be an integer, got True",
        ),
        (
            {"normal": [[{"layer": "none", "source": 0}, {"layer": "none", "source": 2}]]},
            "normal cell: none@2 of node 1",
        ),
        ({"normal": [[{"layer": ["none"], "source": 0}, {"layer": "none", "source": 1}]]}, "layer must be a text"),
        ({"normal": []}, "the normal cell: it has no nodes"),
    ],
)
def test_wrong_json_is_refused_with_its_reason(change, message):
    with pytest.raises(SpaceError, match=message):
        TINY.from_json(TINY.to_json(TINY.smallest()) | change)


def test_json_without_a_field_is_refused():
    data = TINY.to_json(TINY.smallest())
    del data["reduce"]
    with pytest.raises(SpaceError, match="needs the field 'reduce'"):
        TINY.from_json(data)


def test_operators_refuse_what_is_no_member():
    cell = Cell(((Edge("none", 0), Edge("none", 1)),))
    stranger = Genotype(cell, cell)
    rng = random.Random(0)
    for refuse in (
        lambda: TINY.rank(stranger),
        lambda: TINY.mutate(stranger, rng),
        lambda: TINY.crossover(TINY.smallest(), stranger, rng),
        lambda: TINY.neighbours(stranger),
        lambda: TINY.encode(stranger),
        lambda: TINY.cost(stranger),
        lambda: TINY.plan(stranger),
    ):
        with pytest.raises(SpaceError, match="the normal cell has 1 nodes; the space's cells have 2"):
            refuse()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer_types": ()}, "layer_types must name at least one of none, max, avg, dil3, dil5, conv3, conv5"),
        ({"layer_types": ("none", "conv33")}, "unknown layer type 'conv33'; did you mean 'conv3'?"),
        ({"layer_types": ("none", "none")}, "layer_types names none more than once"),
        ({"nodes": 0}, "nodes must be an integer of at least 1, got 0"),
        ({"nodes": 6}, "nodes must be at most 5, got 6"),
        ({"cells": 2}, "cells must be an integer of at least 3, got 2"),
        ({"width": 2.5}, "width must be an integer of at least 1, got 2.5"),
        ({"width": 65}, "width must be even, since the first convolution of the imagenet stem halves it; got 65"),
        ({"groups": 3}, "width 64 does not split into 3 groups"),
        ({"image_size": 100}, "image_size must be a multiple of 32, the product of the strides; got 100"),
        ({"template": "cifar", "image_size": 30}, "image_size must be a multiple of 4, the product of the strides"),
        ({"template": "mnist"}, "template must be one of cifar, imagenet; got 'mnist'"),
        ({"classes": True}, "classes must be an integer of at least 1, got True"),
        ({"channels": 0}, "channels must be an integer of at least 1, got 0"),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_reason(change, message):
    with pytest.raises(SpaceError) as caught:
        dataclasses.replace(BNAS_D_V2, **change)
    assert message in str(caught.value)


def test_everything_wrong_with_a_declaration_is_listed_at_once():
    with pytest.raises(SpaceError, match=r"^space 'bad': .*'conv'.*; cells must .*; classes must "):
        CellSpace("bad", "cifar", 1, 4, image_size=8, classes=0, layer_types=("conv",))
