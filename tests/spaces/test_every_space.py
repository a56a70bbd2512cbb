"""The laws of every space (`spaces.conformance`) on small spaces of all families, and what holds in some of them."""

import random

import pytest

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
)
from spaces.conformance import (
    LAWS,
    check,
    declarations_make_the_space,
    mutants_are_other_members,
    samples_are_uniform,
    some,
    values_of,
)
from spaces.declarations import FAMILIES
from spaces.joint.networks import NetworksSpace
from spaces.parameters import to_places

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
DIGITS = "nasbnn-digits: c8k3g1 | c16k3g1 | c32k3g1 | c64k3g2"
NETWORKS = NetworksSpace("networks", ("react-net-a", "nas-bnn-a", DIGITS), image_size=32, classes=10)
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
        NETWORKS,
        JointSpace(NETWORKS, SEEDS),
    )
}


@pytest.fixture(params=list(TINY))
def tiny(request):
    return TINY[request.param]


def test_all_families_are_here():
    assert {space.family for space in TINY.values()} == set(FAMILIES)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_every_space_obeys(law, tiny):
    law(tiny)


@pytest.mark.parametrize("name", SPACES)
def test_named_spaces_are_made_again_by_their_declarations(name):
    declarations_make_the_space(SPACES[name])


class Repeating(WidthSpace):
    """Breaks the law of mutation."""

    def mutate(self, member, rng, probability=0.2):
        return member


class Skewed(WidthSpace):
    """Breaks the law of uniform samples."""

    def sample(self, rng):
        return self.unrank(min(rng.randrange(self.count()), rng.randrange(self.count())))


@pytest.mark.parametrize(("kind", "law"), [(Repeating, mutants_are_other_members), (Skewed, samples_are_uniform)])
def test_a_space_that_breaks_a_law_is_found(kind, law):
    for broken in (law, check):
        with pytest.raises(AssertionError):
            broken(kind("broken", "vgg-digits", ratios=(0.5, 1), image_size=8))
    check(WIDTH)


def test_a_place_outside_is_named():
    for outside in (-1, WIDTH.count()):
        with pytest.raises(IndexError, match=f"space 'width-tiny' has 81 members, counted from 0; got place {outside}"):
            WIDTH.unrank(outside)


def test_counts_follow_from_the_declarations():
    assert WIDTH.count() == 3**4
    assert ONE_WIDTH.count() == ONLY.count() == 1
    assert SETTINGS.count() == 3 * 3 * 4
    assert JointSpace(WIDTH, FEW).count() == 3**4 * 2 * 3
    assert JointSpace(ONLY, SETTINGS).count() == SETTINGS.count()


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


@pytest.mark.parametrize("space", [WIDTH, SETTINGS, JointSpace(WIDTH, FEW)])
def test_every_gene_of_a_child_is_one_of_its_parents(space):
    rng = random.Random(6)
    for _ in range(50):
        first, second = space.sample(rng), space.sample(rng)
        genes = space.encode(space.crossover(first, second, rng))
        assert all(value in (space.encode(first)[gene], space.encode(second)[gene]) for gene, value in genes.items())


def test_neighbours_follow_the_definition():
    """A ratio or a word may become any other; a number of a hyperparameter the next or the previous one."""
    for space, lines in ((WIDTH, ()), (SETTINGS, ("learning_rate", "batch_size"))):
        everyone = [space.unrank(index) for index in range(space.count())]
        for member in some(everyone, 10):
            expected = set()
            for other in everyone:
                settings = [to_places(space.parameters(), space.encode(each)) for each in (member, other)]
                pairs = zip(settings[0].items(), settings[1].values(), strict=True)
                changed = [(name, here, there) for (name, here), there in pairs if here != there]
                if len(changed) == 1:
                    name, here, there = changed[0]
                    if name not in lines or abs(here - there) == 1:
                        expected.add(other)
            assert set(space.neighbours(member)) == expected


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
        assert all(map(declared._contains, map(declared.to_internal_repr, values_of(parameter))))
    assert tiny.contains(tiny.suggest(study.ask()))


def test_tune_samples_settings_of_members(tiny):
    pytest.importorskip("ray.tune")
    domains = tiny.param_space()
    assert list(domains) == [p.name for p in tiny.parameters()]
    for parameter in tiny.parameters():
        domain = domains[parameter.name]
        assert tuple(domain.categories) == values_of(parameter)
    for _ in range(5):
        assert tiny.contains(tiny.decode({name: domain.sample() for name, domain in domains.items()}))


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
