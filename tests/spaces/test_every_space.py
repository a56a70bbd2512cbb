"""The laws of a space that hold in every family, on small spaces that are gone through member by member."""

import dataclasses
import json
import pickle
import random
from itertools import product

import pytest
from scipy.stats import chisquare

from spaces import (
    SPACES,
    CellSpace,
    Grid,
    HyperparameterSpace,
    Joint,
    JointSpace,
    Listed,
    NasBnnSpace,
    OnlySpace,
    SpaceError,
    Stage,
    Widths,
    WidthSpace,
    space_from,
)
from spaces.parameters import Choice, Integer

STAGES = (Stage((1, 2), (4, 8), (3,), (1,), 1), Stage((1,), (8, 12), (3, 5), (1, 2), 2))
NASBNN = NasBnnSpace("nasbnn-tiny", (4, 8), 1, STAGES, image_size=8, classes=3)
CELL = CellSpace("cell-tiny", "cifar", 3, 4, image_size=8, classes=2, layer_types=("none", "conv3"), nodes=1)
WIDTH = WidthSpace("width-tiny", "vgg-digits", ratios=(0.5, 1, 3), image_size=8)
ONE_WIDTH = WidthSpace("one-width", "vgg-digits", ratios=(2,), image_size=8)
SETTINGS = HyperparameterSpace(
    "settings",
    (
        Grid("learning_rate", 1e-3, 1e-1, 3, log=True),
        Listed("optimiser", ("sgd", "adam", "adamw")),
        Listed("batch_size", (32, 64, 128, 256)),
        Listed("momentum", (0.9,)),
        Listed("schedule", ("cosine",)),
    ),
)
FEW = HyperparameterSpace("few", (Listed("seed", (1, 2)), Listed("binariser", ("dorefa", "xnor", "bireal"))))
SEEDS = HyperparameterSpace("seeds", (Grid("seed", 0, 4, 5),))
ONLY = OnlySpace(WIDTH, WIDTH.parse("1-3-0.5-1"))
TINY = {
    f"{space.family} {space.name}": space
    for space in (
        NASBNN,
        CELL,
        WIDTH,
        ONE_WIDTH,
        SETTINGS,
        JointSpace(WIDTH, FEW),
        JointSpace(NASBNN, SEEDS),
        JointSpace(CELL, SEEDS),
        ONLY,
        JointSpace(ONLY, SETTINGS),
    )
}


@pytest.fixture(params=list(TINY))
def tiny(request):
    return TINY[request.param]


@pytest.fixture
def everyone(tiny):
    return [tiny.unrank(index) for index in range(tiny.count())]


def some(members, number=40):
    return random.Random(0).sample(members, min(number, len(members)))


def test_all_families_are_here():
    assert {space.family for space in TINY.values()} == {"nasbnn", "cell", "width", "hyperparameters", "joint", "only"}


def test_rank_and_unrank_are_a_bijection(tiny, everyone):
    assert len(set(everyone)) == tiny.count()
    assert [tiny.rank(member) for member in everyone] == list(range(tiny.count()))
    for outside in (-1, tiny.count()):
        with pytest.raises(IndexError, match=f"there is none at {outside}"):
            tiny.unrank(outside)


def test_counts_follow_from_the_declarations():
    assert WIDTH.count() == 3**4
    assert ONE_WIDTH.count() == ONLY.count() == 1
    assert SETTINGS.count() == 3 * 3 * 4
    assert JointSpace(WIDTH, FEW).count() == 3**4 * 2 * 3
    assert JointSpace(ONLY, SETTINGS).count() == SETTINGS.count()


def test_text_and_json_round_trip(tiny, everyone):
    for member in some(everyone, 200):
        text = tiny.format(member)
        assert tiny.contains(member)
        assert tiny.contains(member).reason is None
        assert tiny.require(member) is member
        assert tiny.parse(text) == member
        assert text == str(member) == f"{member}"
        assert tiny.from_json(json.loads(json.dumps(tiny.to_json(member)))) == member


def test_ids_tell_members_apart(tiny, everyone):
    ids = {tiny.id(member) for member in everyone}
    assert len(ids) == len(everyone)
    assert all(len(name) == 12 and int(name, 16) >= 0 for name in ids)


def test_samples_are_uniform(tiny, everyone):
    rng = random.Random(1)
    counts = dict.fromkeys(everyone, 0)
    for _ in range(max(1000, 8 * len(everyone))):
        counts[tiny.sample(rng)] += 1
    assert len(everyone) == 1 or chisquare(list(counts.values())).pvalue > 1e-3


@pytest.mark.parametrize("probability", [0.0, 0.2, 1.0])
def test_mutants_are_other_members(tiny, everyone, probability):
    inside, rng = set(everyone), random.Random(2)
    for parent in some(everyone):
        for _ in range(5):
            mutant = tiny.mutate(parent, rng, probability)
            assert mutant in inside
            assert mutant != parent or tiny.count() == 1


@pytest.mark.parametrize("space", [WIDTH, SETTINGS, JointSpace(ONLY, SETTINGS), JointSpace(ONE_WIDTH, FEW)])
def test_mutation_reaches_every_member_at_once(space):
    rng, start = random.Random(3), space.unrank(0)
    met = {space.mutate(start, rng, 1.0) for _ in range(20 * space.count())}
    assert met | {start} == {space.unrank(index) for index in range(space.count())}


def test_joint_mutation_leaves_either_part_alone_at_times():
    space, rng = JointSpace(WIDTH, FEW), random.Random(4)
    parent = space.sample(rng)
    changes = set()
    for _ in range(100):
        mutant = space.mutate(parent, rng)
        changes.add((mutant.architecture != parent.architecture, mutant.hyperparameters != parent.hyperparameters))
    assert changes == {(True, False), (False, True), (True, True)}


def test_crossover_gives_members(tiny, everyone):
    inside, rng = set(everyone), random.Random(5)
    for first, second in zip(some(everyone), reversed(some(everyone)), strict=True):
        assert tiny.crossover(first, second, rng) in inside
        assert tiny.crossover(first, first, rng) == first


@pytest.mark.parametrize("space", [WIDTH, SETTINGS, JointSpace(WIDTH, FEW)])
def test_every_gene_of_a_child_is_one_of_its_parents(space):
    rng = random.Random(6)
    for _ in range(50):
        first, second = space.sample(rng), space.sample(rng)
        genes = space.encode(space.crossover(first, second, rng))
        assert all(value in (space.encode(first)[gene], space.encode(second)[gene]) for gene, value in genes.items())


def test_neighbours_are_other_members_and_symmetric(tiny, everyone):
    inside = set(everyone)
    near = {member: list(tiny.neighbours(member)) for member in everyone}
    for member, others in near.items():
        assert len(set(others)) == len(others)
        assert inside.issuperset(others)
        assert member not in others
        assert all(member in near[other] for other in others[:5])


def test_neighbours_follow_the_definition():
    """A ratio or a word may become any other; a number of a hyperparameter the next or the previous one."""
    for space, lines in ((WIDTH, ()), (SETTINGS, ("learning_rate", "batch_size"))):
        everyone = [space.unrank(index) for index in range(space.count())]
        for member in some(everyone, 10):
            expected = set()
            for other in everyone:
                pairs = zip(space.encode(member).items(), space.encode(other).values(), strict=True)
                changed = [(name, here, there) for (name, here), there in pairs if here != there]
                if len(changed) == 1:
                    name, here, there = changed[0]
                    if name not in lines or abs(here - there) == 1:
                        expected.add(other)
            assert set(space.neighbours(member)) == expected


def test_operators_depend_on_their_random_stream_alone(tiny):
    def draw(seed):
        rng = random.Random(seed)
        first, second = tiny.sample(rng), tiny.sample(rng)
        return [first, second, tiny.mutate(first, rng), tiny.crossover(first, second, rng)]

    assert draw(7) == draw(7)


# Parameters -----------------------------------------------------------------------------------------------------------


class FakeTrial:
    """Takes the values of a setting, as an Optuna trial that was enqueued does."""

    def __init__(self, setting):
        self.setting = setting
        self.asked = []

    def suggest_int(self, name, low, high):
        self.asked.append(Integer(name, low, high))
        return self.setting[name]

    def suggest_categorical(self, name, choices):
        self.asked.append(Choice(name, choices))
        return self.setting[name]


def values_of(parameter):
    return parameter.choices if isinstance(parameter, Choice) else range(parameter.low, parameter.high + 1)


def test_every_setting_decodes_to_a_member_and_every_member_is_reached(tiny, everyone):
    parameters = tiny.parameters()
    assert len({p.name for p in parameters}) == len(parameters)
    assert all(len(values_of(p)) > 1 for p in parameters)
    reached = set()
    for values in product(*map(values_of, parameters)):
        setting = dict(zip((p.name for p in parameters), values, strict=True))
        reached.add(tiny.decode(setting))
    assert reached == set(everyone)


def test_encoding_decodes_and_a_trial_is_asked_for_each_parameter(tiny, everyone):
    for member in some(everyone, 100):
        trial = FakeTrial(dict(tiny.encode(member)))
        assert tiny.suggest(trial) == member
        assert tuple(trial.asked) == tiny.parameters()
        assert list(tiny.encode(member)) == [p.name for p in tiny.parameters()]


def test_genes_hold_the_choices_of_the_parameters(tiny):
    genes = tiny.genes()
    for parameter in tiny.parameters():
        choices = genes[parameter.name]
        assert len(choices) == len(values_of(parameter))
        assert not isinstance(parameter, Choice) or choices == parameter.choices


def test_optuna_keeps_the_declarations(tiny):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study, rng = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)), random.Random(8)
    member = tiny.sample(rng)
    study.enqueue_trial(dict(tiny.encode(member)))
    trial = study.ask()
    assert tiny.suggest(trial) == member
    for parameter in tiny.parameters():
        declared = trial.distributions[parameter.name]
        if isinstance(parameter, Choice):
            assert declared.choices == parameter.choices
        else:
            assert (declared.low, declared.high) == (parameter.low, parameter.high)
    assert tiny.contains(tiny.suggest(study.ask()))


def test_tune_samples_settings_of_members(tiny):
    pytest.importorskip("ray.tune")
    domains = tiny.param_space()
    assert list(domains) == [p.name for p in tiny.parameters()]
    for parameter in tiny.parameters():
        domain = domains[parameter.name]
        if isinstance(parameter, Choice):
            assert tuple(domain.categories) == parameter.choices
        else:
            assert (domain.lower, domain.upper - 1) == (parameter.low, parameter.high)
    for _ in range(5):
        assert tiny.contains(tiny.decode({name: domain.sample() for name, domain in domains.items()}))


# Declarations ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [*TINY.values(), *SPACES.values()], ids=[*TINY, *SPACES])
def test_a_declaration_is_json_and_makes_the_space_again(space):
    again = space_from(json.loads(json.dumps(space.declaration())))
    assert again == space
    assert hash(again) == hash(space)
    assert type(again) is type(space)
    assert space.declaration()["family"] == space.family


def test_a_used_space_can_be_pickled_and_is_immutable(tiny):
    member = tiny.sample(random.Random(9))
    tiny.parameters(), tiny.rank(member), tiny.encode(member)
    again = pickle.loads(pickle.dumps(tiny))
    assert again == tiny
    assert again.rank(member) == tiny.rank(member)
    with pytest.raises(dataclasses.FrozenInstanceError):
        tiny.name = "other"


def test_spaces_follow_the_data(tiny):
    if isinstance(tiny, HyperparameterSpace):
        assert tiny.for_data(16, 5, 1) is tiny
        return
    other = tiny.for_data(image_size=16, classes=5, channels=1)
    assert (other.image_size, other.classes, other.channels) == (16, 5, 1)
    assert (other.name, other.count()) == (tiny.name, tiny.count())
    assert other.for_data(tiny.image_size, tiny.classes, tiny.channels) == tiny
    assert tiny.for_data() == tiny
    member = tiny.sample(random.Random(10))
    assert tiny.cost(member, image_size=16, classes=5).bops == other.cost(member).bops
    with pytest.raises(SpaceError, match=r"classes must be .*at least 1, got 0"):
        tiny.for_data(classes=0)


# Cost -----------------------------------------------------------------------------------------------------------------


def test_many_costs_equal_single_costs_and_the_ends_bound_them(tiny, everyone):
    members = [tiny.smallest(), tiny.largest(), *some(everyone)]
    assert all(map(tiny.contains, members))
    costs = tiny.costs(members)
    for row, member in enumerate(members):
        cost = tiny.cost(member)
        for column in ("flops", "int8_ops", "bops", "params", "bits"):
            assert getattr(costs, column)[row] == getattr(cost, column)
            assert getattr(cost, column) == sum(getattr(layer, column) for layer in cost.layers)
    assert costs.ops[0] == min(costs.ops)
    assert costs.ops[1] == max(costs.ops)
    assert tiny.costs([]).ops.shape == (0,)


STRANGER = HyperparameterSpace("other", (Listed("epochs", (3,)),)).smallest()


@pytest.mark.parametrize(
    ("space", "stranger", "reason"),
    [
        (WIDTH, Widths((7.0,)), "1 ratios where vgg-digits has 4: conv1, conv2, conv3, conv4"),
        (WIDTH, ONE_WIDTH.smallest(), "ratio 2 in place 1 (conv1) is not one of 0.5, 1, 3"),
        (FEW, STRANGER, "its hyperparameters are epochs; those of the space are seed, binariser"),
        (ONLY, WIDTH.uniform(3), "its only member is '1-3-0.5-1'"),
        (JointSpace(WIDTH, FEW), Joint(WIDTH.smallest(), STRANGER), "its hyperparameters are epochs"),
        (JointSpace(WIDTH, FEW), Joint(ONE_WIDTH.smallest(), FEW.smallest()), "ratio 2 in place 1"),
    ],
)
def test_operators_refuse_a_stranger_with_the_reason(space, stranger, reason):
    rng = random.Random(11)
    assert space.contains(stranger).reason.startswith(reason)
    for refuse in (
        lambda: space.require(stranger),
        lambda: space.rank(stranger),
        lambda: space.mutate(stranger, rng),
        lambda: space.crossover(space.smallest(), stranger, rng),
        lambda: list(space.neighbours(stranger)),
        lambda: space.encode(stranger),
        *([] if space is FEW else [lambda: space.cost(stranger)]),  # hyperparameters cost nothing, whatever they are
    ):
        with pytest.raises(SpaceError):
            refuse()
