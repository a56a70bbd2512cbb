"""Networks of papers by name: their operations as published, and the space of some of them."""

import dataclasses

import pytest

from spaces import SpaceError, get_space, space_from
from spaces.catalogue import NETWORKS, get_network
from spaces.cost import operations
from spaces.joint.networks import NetworksSpace, canonical_name, published_ops

DIGITS = "nasbnn-digits: c8k3g1 | c16k3g1 | c32k3g1 | c64k3g2"


@pytest.mark.parametrize("name", NETWORKS)
def test_operations_are_those_of_the_paper_within_3_percent(name):
    known = get_network(name)
    space = get_space(known.space)
    member = space.parse(known.architecture)
    assert space.format(member) == known.architecture
    assert published_ops(known) == pytest.approx(known.ops, rel=0.03)


@pytest.mark.parametrize(
    ("name", "flops", "bops", "megabits"),
    [
        ("react-net-a", 0.12e8, 4.82e9, None),  # ReActNet, Table 1
        ("bi-real-18", 1.39e8, 1.68e9, 33.6),  # Bi-Real Net, Table 3; the first two as ReActNet's Table 1 has them
        ("bi-real-34", 1.39e8, 3.53e9, 43.7),
        ("xnor-resnet-18", 1.39e8, 1.68e9, 33.7),
    ],
)
def test_float_and_binary_operations_are_those_of_the_paper(name, flops, bops, megabits):
    known = get_network(name)
    cost = get_space(known.space).cost(get_space(known.space).parse(known.architecture))
    assert cost.flops == pytest.approx(flops, rel=0.02)
    assert cost.bops == pytest.approx(bops, rel=0.005)
    assert cost.int8_ops == 0
    assert cost.ops == operations(cost.flops, 0, cost.bops)
    if megabits:
        assert cost.bits == pytest.approx(megabits * 1e6, rel=0.01)


def test_real_to_binary_counts_what_is_done_number_by_number():
    """Its figures are 1.676e9 binary and 1.564e8 float operations; the latter have a tenth for batch norms,
    activations, pools, sums and products."""
    space = get_space("real-to-binary-18")
    network = space.uniform(1)
    cost = space.cost(network)
    assert cost.bops == pytest.approx(1.676e9, rel=0.0005)
    assert space.papers_ops(network) - cost.bops / 64 == pytest.approx(1.564e8, rel=0.012)
    assert cost.ops < 0.91 * space.papers_ops(network)
    made = {side: 64 * 56 * side for side in (56, 28, 14, 7)}  # numbers in a map: channels double, sides halve
    # the first convolution of a stage reads the stage before
    read = [made[56]] * 5 + [made[28]] * 4 + [made[14]] * 4 + [made[7]] * 3
    written = [made[side] for side in made for _ in range(4)]
    stem = 64 * 112 * 112
    by_hand = (
        (2 + 2) * stem + 8 * made[56]  # batch norm, ReLU; the largest of nine
        + sum((2 + 1) * numbers for numbers in read)  # batch norm; the mean for the gate
        + sum((1 + 2 + 1) * numbers for numbers in written)  # times the gate, PReLU, + the shortcut
        + sum(made[side] for side in (56, 28, 14))  # means of four in shortcuts
        + 2 * sum(made[side] for side in (28, 14, 7))  # their batch norms
        + made[7]  # the last mean
    )  # fmt: skip
    assert space.papers_ops(network) == cost.ops + by_hand
    other = get_space("bi-real-18")
    assert other.papers_ops(other.uniform(1)) == other.cost(other.uniform(1)).ops


def test_bi_real_net_has_one_shortcut_per_convolution():
    space = get_space("bi-real-18")
    layers = space.layers(space.uniform(1))
    binary = [layer for layer in layers if layer.kind == "binary"]
    downs = [layer for layer in layers if layer.name.endswith("down")]
    assert (len(binary), len(downs)) == (16, 3)
    assert all(layer.shortcut for layer in binary)
    assert {(layer.kind.value, layer.kernel_size, layer.stride, layer.before.stride) for layer in downs} == {
        ("float", 1, 1, 2)
    }


def test_blocks_are_those_of_a_paper():
    space = get_space("reactnet")
    assert space_from({**space.declaration(), "blocks": "reactnet"}) == space
    with pytest.raises(
        SpaceError, match=r"unknown kind of blocks 'react'.*The kinds of blocks are nasbnn, reactnet, bnext"
    ):
        dataclasses.replace(space, blocks="react")


def test_squeeze_and_excites_are_of_bnext():
    space = get_space("bnext-digits")
    assert space_from(space.declaration()) == space
    assert "excite" not in str(get_space("nasbnn-digits").declaration())
    with pytest.raises(SpaceError, match=r"stage 1 excites are \(0, 8, 32\), which only blocks: bnext has"):
        dataclasses.replace(space, blocks="nasbnn")
    for wrong in ((), (8, 0), (4,)):
        stages = (dataclasses.replace(space.stages[0], excites=wrong), *space.stages[1:])
        with pytest.raises(SpaceError, match=r"stage 1 excites must be some of 0, 8, 32 in this order"):
            dataclasses.replace(space, stages=stages)
    with pytest.raises(SpaceError, match="'c16k3g1e4' is not a layer"):
        space.parse("c8k3g1 | c16k3g1e4 | c32k3g1 | c64k3g2")
    with pytest.raises(SpaceError, match="stem is a 3x3 convolution in one group"):
        space.parse("c8k3g1e8 | c16k3g1 | c32k3g1 | c64k3g2")
    with pytest.raises(SpaceError, match="stage 1, layer 1 has excite 8; the choices are 0"):
        get_space("nasbnn-digits").parse("c8k3g1 | c16k3g1e8 | c32k3g1 | c64k3g2")


def test_an_excite_of_0_is_not_written():
    space = get_space("bnext-digits")
    for text in ("c8k3g1 | c16k3g1 | c32k3g1 | c64k3g2", "c8k3g1 | c16k3g1e8 | c32k3g1e32 c32k3g1 | c64k3g2e8"):
        member = space.parse(text)
        assert space.format(member) == text
        assert space.from_json(space.to_json(member)) == member
        assert str(space.to_json(member)).count("excite") == text.count("e")


def test_names_and_texts_are_one_network():
    assert canonical_name(" bi-real-18:1.0-1-1-1") == "bi-real-18"
    assert canonical_name(f"  {DIGITS}  ") == DIGITS
    assert canonical_name(get_network("bnas-d").text) == "bnas-d"


@pytest.mark.parametrize(
    ("networks", "words"),
    [
        (["bi-rea-18"], "unknown network 'bi-rea-18'; did you mean 'bi-real-18'. The networks are .*react-net-a"),
        (["c8k3g1 | c16k3g1"], "is the text form of a network: say of which space, as SPACE: TEXT"),
        (["1-1-1-1"], "say of which space"),
        (["normal: none@0 none@1 | reduce: none@0 none@1"], "say of which space"),
        (["nasbn: c8k3g1"], "unknown space 'nasbn'; did you mean 'nasbnn'"),
        (["nasbnn: c8k3g1"], "is not in space 'nasbnn'"),
        (["react-net-a", get_network("react-net-a").text], "given twice, once as 'react-net-a'"),
        (["react-net-a", "react-net-a"], "given twice$"),
        ([], "needs at least one network"),
        (
            ["bi-real-18", "bi-real-34"],
            "'bi-real-18' cannot be had for images of 16 pixels.*nearest size is 32.*'bi-real-34'",
        ),
    ],
)
def test_what_is_wrong_is_told(networks, words):
    with pytest.raises(SpaceError, match=words):
        NetworksSpace("some", networks, image_size=16)


def test_a_binariser_is_that_of_all():
    space = NetworksSpace("two", ("bi-real-18", "dorefa-vgg-small"), image_size=32, classes=10)
    assert space.network_options == {"binariser": "bireal"}
    other = space.with_binariser("recu")
    assert {each.space.binariser for each in map(other.split, map(other.unrank, range(2)))} == {"recu"}
    with pytest.raises(SpaceError, match="no choice of binarisers"):
        NetworksSpace("two", ("bi-real-18", "react-net-a"), image_size=32).with_binariser("recu")
