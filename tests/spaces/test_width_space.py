"""The width space: its networks as they are planned, their costs against the paper's tables, what it refuses."""

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces import SPACES, SpaceError, Widths, WidthSpace
from spaces.width import BASES, LayerKind, Pool, PoolKind
from spaces.width.architecture import channels

VGG = SPACES["vgg-small"]
RESNET = SPACES["resnet-18"]
DIGITS = SPACES["vgg-digits"]
FLOAT_SHORTCUTS = ("xnor-resnet-18", "bi-real-18", "bi-real-34", "real-to-binary-18")
NAMES = [space.name for space in SPACES.values() if space.family == "width"]


# The paper's figures --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "ratio", "ops", "megabits", "speedup", "tolerance"),
    [
        (VGG, 1, 13.2e6, 7.3, 46.1, 0.02),
        (VGG, 2, 45.3e6, 23.7, 13.4, 0.02),
        (VGG, 3, 96.2e6, 49.3, 6.3, 0.02),
        (VGG, 4, 166e6, 84.1, 3.7, 0.02),
        (RESNET, 1, 149e6, None, 12.2, 0.03),
        (RESNET, 2, 352e6, None, 5.2, 0.03),
        (RESNET, 3, 607e6, None, 3.0, 0.03),
        (RESNET, 4, 915e6, None, 2.0, 0.03),
    ],
)
def test_uniform_networks_cost_what_tables_1_and_2_say(space, ratio, ops, megabits, speedup, tolerance):
    cost = space.cost(space.uniform(ratio))
    assert cost.ops == pytest.approx(ops, rel=tolerance)
    assert megabits is None or cost.bits / 1e6 == pytest.approx(megabits, rel=tolerance)
    assert space.base_full_precision_cost().ops / cost.ops == pytest.approx(speedup, rel=tolerance)


@pytest.mark.parametrize(
    ("space", "ops", "megabits", "tolerance"), [(VGG, 608e6, 149, 0.02), (RESNET, 1820e6, None, 0.03)]
)
def test_full_precision_costs_what_tables_1_and_2_say(space, ops, megabits, tolerance):
    cost = space.full_precision_cost(space.uniform(1))
    assert cost == space.base_full_precision_cost()
    assert cost.ops == cost.flops == pytest.approx(ops, rel=tolerance)
    assert megabits is None or cost.bits / 1e6 == pytest.approx(megabits, rel=tolerance)
    assert cost.bits == 32 * cost.params == 32 * space.cost(space.uniform(1)).params


def test_widening_the_first_layer_is_what_reproduces_the_papers_widest_network():
    """With a first layer of 128 channels throughout, uniform 4x would have 154 M OPs: 7 % less than the table."""
    assert VGG.cost(VGG.parse("1-4-4-4-4-4")).ops < 0.94 * 166e6


# Costs ----------------------------------------------------------------------------------------------------------------


def count_plainly(space, member):
    """Convolution after convolution, written from the papers' descriptions, not from the space's plan."""
    ratios = iter(member.ratios)

    def width(base, ratio):
        return max(1, math.floor(base * ratio + 0.5))

    layers = []  # (float or binary, inputs, outputs, kernel size, size of the output)
    if space.base.startswith("vgg"):
        size, cin = space.image_size, space.channels
        for base in {"vgg-small": (128, 256, 512), "vgg-digits": (32, 64)}[space.base]:
            for _ in range(2):
                cout = width(base, next(ratios))
                layers.append(("binary" if layers else "float", cin, cout, 3, size))
                cin = cout
            size //= 2
        inputs = cin * size * size
    else:
        large = space.base != "resnet-20"
        bases = (64, 128, 256, 512) if large else (16, 32, 64)
        blocks = {"resnet-20": (3, 3, 3), "bi-real-34": (3, 4, 6, 3)}.get(space.base, (2, 2, 2, 2))
        gated = space.base.startswith("real-to-binary")
        one_gene = gated or space.base.startswith("bi-real")  # of a stage: every convolution has a shortcut of its own
        kind = "gated" if gated else "binary"
        down = "float" if space.base in FLOAT_SHORTCUTS else "binary"
        cin = width(bases[0], next(ratios))
        size = space.image_size // 2 if large else space.image_size
        layers.append(("float", space.channels, cin, 7 if large else 3, size))
        size = size // 2 if large else size
        out = cin
        for stage, base in enumerate(bases):
            for block in range(blocks[stage]):
                first = stage > 0 and block == 0
                inner = out if one_gene and not first else width(base, next(ratios))
                if first:
                    size //= 2
                    out = inner if one_gene else width(base, next(ratios))
                    layers.append((down, cin, out, 1, size))
                layers.append((kind, cin, inner, 3, size))
                layers.append((kind, inner, out, 3, size))
                cin = out
        inputs = cin
    flops = bops = params = bits = 0
    for kind, cin, cout, kernel_size, size in layers:
        weights = cin * cout * kernel_size * kernel_size
        floats = learned = 2 * cout  # the batch norm behind it
        if kind == "gated":
            hidden = max(1, cin // 8)
            gate = hidden * cin + cout * hidden
            flops += gate
            learned = 2 * cin + gate + hidden + cout + cout  # the batch norm before it, the gate's biases, slopes
            floats = learned + cin + cout  # thresholds, scales
        params += weights + learned
        bits += (32 if kind == "float" else 1) * weights + 32 * floats
        flops += weights * size * size if kind == "float" else 0
        bops += weights * size * size if kind != "float" else 0
    linear = space.classes * (inputs + 1)
    assert next(ratios, None) is None
    return flops + linear, bops, params + linear, bits + 32 * linear


@pytest.mark.parametrize("name", NAMES)
def test_cost_is_the_plain_count(name):
    space, rng = SPACES[name], random.Random(0)
    members = [space.smallest(), space.largest(), *(space.sample(rng) for _ in range(50))]
    costs = space.costs(members)
    for row, member in enumerate(members):
        plain = count_plainly(space, member)
        cost = space.cost(member)
        assert (cost.flops, cost.bops, cost.params, cost.bits) == plain
        assert tuple(int(c[row]) for c in (costs.flops, costs.bops, costs.params, costs.bits)) == plain
        assert cost.int8_ops == 0


def test_cost_follows_image_size_and_classes():
    member = VGG.uniform(1)
    assert VGG.cost(member, image_size=64).bops == 4 * VGG.cost(member).bops
    assert VGG.cost(member, classes=100).flops - VGG.cost(member).flops == 90 * 8193
    with pytest.raises(SpaceError, match="image_size must be a multiple of 8, the product of the strides and pools"):
        VGG.cost(member, image_size=36)


# Plans ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_plans_fit_together_layer_by_layer(name):
    space, rng = SPACES[name], random.Random(1)
    for member in [space.smallest(), *(space.sample(rng) for _ in range(20))]:
        maps = {"image": (space.channels, space.image_size)}
        for plan, cost in zip(space.layers(member), space.cost(member).layers, strict=True):
            width, size = maps[plan.source]
            size //= plan.before.stride if plan.before else 1
            assert (plan.name, plan.cout, plan.out_size) == (cost.name, cost.out_channels, cost.out_size)
            assert plan.in_size == size
            if plan.kind is LayerKind.LINEAR:
                assert (plan.cin, plan.cout) == (width * plan.positions, space.classes)
                continue
            assert plan.cin == width
            assert plan.out_size == (size + 2 * plan.padding - plan.kernel_size) // plan.stride + 1
            pooled = plan.out_size
            if plan.pool:
                pooled = (pooled + 2 * plan.pool.padding - plan.pool.kernel_size) // plan.pool.stride + 1
            assert plan.pooled_size == pooled
            maps[plan.name] = (plan.cout, pooled)
            if plan.shortcut:
                assert maps[plan.shortcut] == maps[plan.name], "what is added up has one shape"
        assert plan.kind is LayerKind.LINEAR


def test_first_and_last_layers_are_float_and_all_others_binary():
    for name in NAMES:
        first, *between, last = SPACES[name].layers(SPACES[name].smallest())
        assert (first.kind, last.kind) == (LayerKind.FLOAT, LayerKind.LINEAR)
        floats = {plan.name for plan in between if plan.kind is LayerKind.FLOAT}
        shortcuts = {plan.name for plan in between if plan.name.endswith(".down")}
        assert floats == (shortcuts if name in FLOAT_SHORTCUTS else set())


def test_the_vgg_is_that_of_the_paper():
    plans = VGG.layers(VGG.uniform(1))
    assert [plan.cout for plan in plans] == [128, 128, 256, 256, 512, 512, 10]
    assert [bool(plan.pool) for plan in plans[:-1]] == [False, True] * 3
    assert plans[-1].cin == 8192
    assert plans[-1].pool is None
    assert VGG.layers(VGG.parse("1-1-1-1-1-0.25"))[-1].cin == 2048


def test_the_resnet_is_that_of_the_paper_and_shares_ratios_where_outputs_are_added():
    plans = {plan.name: plan for plan in RESNET.layers(RESNET.parse("2-1-0.5-3-4-1-2-0.25-1-3-0.5-2"))}
    assert len(plans) == 1 + 16 + 3 + 1
    assert plans["stem"].pool == Pool(PoolKind.MAX, 3, 2, 1)
    assert {name: plan.cout for name, plan in plans.items()} == {
        "stem": 128, "s1b1.conv1": 64, "s1b1.conv2": 128, "s1b2.conv1": 32, "s1b2.conv2": 128,
        "s2b1.conv1": 384, "s2b1.down": 512, "s2b1.conv2": 512, "s2b2.conv1": 128, "s2b2.conv2": 512,
        "s3b1.conv1": 512, "s3b1.down": 64, "s3b1.conv2": 64, "s3b2.conv1": 256, "s3b2.conv2": 64,
        "s4b1.conv1": 1536, "s4b1.down": 256, "s4b1.conv2": 256, "s4b2.conv1": 1024, "s4b2.conv2": 256,
        "linear": 1000,
    }  # fmt: skip
    assert [plans[name].shortcut for name in ("s1b1.conv2", "s1b2.conv2", "s2b1.conv2", "s2b1.conv1")] == [
        "stem", "s1b1.conv2", "s2b1.down", None,
    ]  # fmt: skip
    assert plans["linear"].pool == Pool(PoolKind.AVERAGE, 7, 7)
    assert plans["linear"].cin == 256


def test_genes_stand_in_the_order_in_which_an_image_meets_them():
    assert VGG.network.genes == ("conv1", "conv2", "conv3", "conv4", "conv5", "conv6")
    assert " ".join(RESNET.network.genes) == "s1 s1b1 s1b2 s2b1 s2 s2b2 s3b1 s3 s3b2 s4b1 s4 s4b2"
    assert len(SPACES["resnet-20"].network.genes) == 12
    assert len(DIGITS.network.genes) == 4
    assert next(iter(VGG.genes().items())) == ("conv1_ratio", (0.25, 0.5, 1, 2, 3, 4))


@pytest.mark.parametrize(
    ("ratio", "base", "width"),
    [(1, 128, 128), (0.25, 16, 4), (0.25, 10, 3), (0.25, 9, 2), (0.5, 5, 3), (0.5, 3, 2), (0.01, 3, 1), (4, 512, 2048)],
)
def test_channels_are_rounded_half_up_and_at_least_one(ratio, base, width):
    assert channels(ratio, base) == width


# Forms ----------------------------------------------------------------------------------------------------------------


@given(st.sampled_from(NAMES), st.integers(min_value=0, max_value=2**40))
def test_forms_round_trip(name, index):
    space = SPACES[name]
    member = space.unrank(index % space.count())
    assert space.rank(member) == index % space.count()
    assert space.parse(space.format(member)) == member
    assert space.from_json(json.loads(json.dumps(space.to_json(member)))) == member
    assert space.decode(space.encode(member)) == member


def test_other_spellings_are_the_same_network():
    member = VGG.parse("1-0.5-2-4-0.25-1")
    assert member == Widths((1, 0.5, 2, 4, 0.25, 1))
    for text in (" 1 - 0.5-2 -4- 0.25-1\n", "1.0-0.50-2.000-4-0.25-01"):
        assert VGG.parse(text) == member
        assert VGG.id(VGG.parse(text)) == VGG.id(member)
        assert VGG.format(VGG.parse(text)) == "1-0.5-2-4-0.25-1"


def test_the_text_form_and_the_id_stay_as_they_are():
    """Files hold both: neither may change from one version to the next."""
    member = VGG.parse("1-0.5-2-4-0.25-1")
    assert VGG.id(member) == "c15af7e9bbe7"
    assert VGG.to_json(member) == {"version": 1, "space": "vgg-small", "ratios": [1, 0.5, 2, 4, 0.25, 1]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ratio 1: '' is not a ratio; write numbers and dashes, as in 1-0.5-2"),
        ("1-x", "ratio 2: 'x' is not a ratio"),
        ("1--2", "ratio 2: '' is not a ratio"),
        ("1-nan-1-1", "ratio 2: 'nan' is not a ratio"),
        ("1-1e0-1-1", "ratio 2: '1e0' is not a ratio"),
        ("1-٢-1-1", "is not a ratio"),
        ("1-1-1-1-1", "5 ratios where vgg-digits has 4: conv1, conv2, conv3, conv4"),
        ("1-5-1-1", "'1-5-1-1' is not in space 'vgg-digits': ratio 5 in place 2 (conv2) is not one of 0.25, 0.5, 1, 2"),
        ("1-1-1-" + "9" * 50, f"'{'9' * 37}...' is not a ratio"),
    ],
)
def test_a_wrong_text_is_refused_with_its_reason(text, message):
    with pytest.raises(SpaceError) as caught:
        DIGITS.parse(text)
    assert message in str(caught.value)


@given(st.text(max_size=30) | st.text("0125.- ", max_size=20))
def test_any_text_is_a_member_or_a_space_error(text):
    try:
        member = DIGITS.parse(text)
    except SpaceError:
        return
    assert DIGITS.contains(member)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner))


@given(values | st.lists(st.floats() | st.integers(0, 4), min_size=4, max_size=4))
def test_any_json_is_a_member_or_a_space_error(ratios):
    try:
        member = DIGITS.from_json({"version": 1, "space": "vgg-digits", "ratios": ratios})
    except SpaceError:
        return
    assert DIGITS.contains(member)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "expected version 1 of a member of space 'vgg-digits'; got version 2"),
        ({"space": "vgg-small"}, "got version 1 of space 'vgg-small'"),
        ({"ratios": None}, "is not the JSON form of a member"),
        ({"ratios": [True, 1, 1, 1]}, "expected a number, got True"),
        ({"ratios": ["1", 1, 1, 1]}, "expected a number, got '1'"),
        ({"ratios": [math.inf, 1, 1, 1]}, "ratio inf in place 1"),
        ({"ratios": [1, 1]}, "2 ratios where vgg-digits has 4"),
    ],
)
def test_wrong_json_is_refused_with_its_reason(change, message):
    with pytest.raises(SpaceError) as caught:
        DIGITS.from_json(DIGITS.to_json(DIGITS.smallest()) | change)
    assert message in str(caught.value)


def test_json_without_a_field_is_refused():
    with pytest.raises(SpaceError, match="a member of space 'vgg-digits' in JSON needs the field 'ratios'"):
        DIGITS.from_json({"version": 1, "space": "vgg-digits"})


@pytest.mark.parametrize("setting", [{}, {"conv1_ratio": 6}, {"conv1_ratio": -1}, {"conv1_ratio": "1x"}])
def test_decode_names_what_is_missing_or_impossible(setting):
    with pytest.raises(
        SpaceError, match=r"conv1_ratio must be one of 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, (got|and is missing)"
    ):
        DIGITS.decode({"conv2_ratio": 0, "conv3_ratio": 0, "conv4_ratio": 0} | setting)


# Declarations ---------------------------------------------------------------------------------------------------------


def test_every_problem_of_a_declaration_is_listed():
    with pytest.raises(SpaceError) as caught:
        WidthSpace("w", "vgg-smal", (2, 1), "dorfea", classes=0, channels=-1)
    assert str(caught.value) == (
        "space 'w': unknown base network 'vgg-smal'; did you mean 'vgg-small'? "
        f"The base networks are {', '.join(BASES)}; "
        "unknown binariser 'dorfea'; did you mean 'dorefa'? The binarisers are dorefa, xnor, bireal, "
        "reactnet, reste, recu, ovsw, biper; "
        "ratios must be ascending numbers from 0.01 to 100, got (2, 1); "
        "classes must be an integer of at least 1, got 0; channels must be an integer of at least 1, got -1"
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image_size": 30}, "image_size must be a multiple of 8, the product of the strides and pools of vgg-small;"),
        ({"image_size": 32.0}, "image_size must be a multiple of 8, .*; got 32.0"),
        ({"classes": True}, "classes must be an integer of at least 1, got True"),
        ({"image_size": 0}, "image_size must be a multiple of 8"),
        ({"base": "resnet-18", "image_size": 48}, "image_size must be a multiple of 32"),
        ({"base": "resnet-20", "image_size": 30}, "image_size must be a multiple of 4"),
        ({"ratios": ()}, r"ratios must be ascending numbers from 0.01 to 100, got \(\)"),
        ({"ratios": (1, 1)}, r"got \(1, 1\)"),
        ({"ratios": (0, 1)}, r"got \(0, 1\)"),
        ({"ratios": (True,)}, r"got \(True\)"),
        ({"ratios": ("1",)}, r"got \('1'\)"),
        ({"ratios": (1, math.nan)}, r"got \(1, nan\)"),
        ({"ratios": (1, math.inf)}, r"got \(1, inf\)"),
        ({"base": "resnet-20", "ratios": (0.03, 0.05)}, "ratios 0.03 and 0.05 both give stem a width of 1; leave one"),
        ({"ratios": (0.01,), "binariser": "xnor"}, "ratio 0.01 gives conv1 a single channel, whose filters the binari"),
    ],
)
def test_a_wrong_declaration_is_refused(fields, message):
    with pytest.raises(SpaceError, match=message):
        WidthSpace(**{"name": "w", "base": "vgg-small"} | fields)


def test_whole_ratios_and_lists_are_as_good():
    assert WidthSpace("w", "vgg-small", [1, 2]) == WidthSpace("w", "vgg-small", (1.0, 2.0))
    assert hash(WidthSpace("w", "vgg-small", [1, 2])) == hash(WidthSpace("w", "vgg-small", (1.0, 2.0)))


def test_ratios_that_are_no_short_decimals_keep_their_text():
    space = WidthSpace("w", "vgg-small", (1 / 3, 2 / 3, 0.1 + 0.2 + 0.5))
    for member in (space.smallest(), space.largest()):
        assert space.parse(space.format(member)) == member


def test_uniform_refuses_a_ratio_that_the_space_has_not():
    with pytest.raises(SpaceError, match="ratio 5 in place 1"):
        VGG.uniform(5)
