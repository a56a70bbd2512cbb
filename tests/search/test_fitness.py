"""Laws of the width search's evolution: its fitness, its parents, and what it proposes in spaces of other kinds."""

import random
from collections import Counter
from typing import Any

import pytest

from search.config.search import SearchConfig
from search.proposers.base import History
from search.proposers.fitness import FitnessProposer
from search.runs.records import Record, Stage, State
from spaces import SpaceError, get_space
from spaces.hyperparameters.space import HyperparameterSpace
from spaces.hyperparameters.values import Grid, Listed
from spaces.joint.fixed import OnlySpace
from spaces.joint.space import JointSpace

WIDTHS: Any = get_space("vgg-digits")
CELLS = get_space("bnas-digits")
SETTINGS = HyperparameterSpace(
    "settings", (Grid("learning_rate", 1e-4, 1e-1, 7, log=True), Listed("optimiser", ("sgd", "adam")))
)
JOINT = JointSpace(WIDTHS, SETTINGS)
every_space = pytest.mark.parametrize("space", [WIDTHS, JOINT, CELLS], ids=["widths", "joint", "cells"])


def config(**settings):
    return SearchConfig(**{"proposer": "fitness", "generation": 8, **settings})


def trial(space, member, number, accuracy, state=State.FINISHED, **changes):
    ops = space.cost(member).ops
    facts = {
        "number": number, "stage": Stage.TRAINED, "state": state, "architecture": space.format(member),
        "id": space.id(member), "generation": 0, "proposer": "fitness", "operator": "random", "parents": (), "seed": 0,
        "metrics": {"accuracy": accuracy, "ops": ops},
    }  # fmt: skip
    return Record(**{**facts, **changes})


def of_proposals(space, proposals, generation, before=0):
    """Finished trials of a generation, with accuracies that rise with the network's cost, and less and less."""
    records = []
    for number, each in enumerate(proposals, before):
        member = space.parse(each.architecture)
        ops = space.cost(member).ops
        changes = {"generation": generation, "operator": each.operator, "parents": each.parents}
        records.append(trial(space, member, number, ops / (ops + space.cost(space.smallest()).ops), **changes))
    return records


def search(space, settings, seed, generations):
    proposer, records = FitnessProposer(space, settings, seed), []
    for generation in range(generations):
        proposals = proposer.propose(generation, settings.generation, History(tuple(records)))
        records += of_proposals(space, proposals, generation, len(records))
    return records


# Fitness --------------------------------------------------------------------------------------------------------------


def test_fitness_is_equation_4_with_the_operations_of_uniform_1x_as_the_unit():
    proposer = FitnessProposer(WIDTHS, config(fitness_weight=4), 0)
    member = WIDTHS.parse("2-1-0.5-1")
    # conv1 float: 8x8 maps, 1 -> 64; conv2 64 -> 32 and, behind a pool, conv3 32 -> 32, conv4 32 -> 64, all binary;
    # the linear layer reads 64 channels of 2x2 and has a bias
    ops = 64 * 9 * 64 + (64 * 32 * 9 * 64 + 32 * 32 * 9 * 16 + 32 * 64 * 9 * 16) / 64 + 10 * (64 * 4 + 1)
    uniform = 32 * 9 * 64 + (32 * 32 * 9 * 64 + 32 * 64 * 9 * 16 + 64 * 64 * 9 * 16) / 64 + 10 * (64 * 4 + 1)
    record = trial(WIDTHS, member, 0, 0.9)
    assert record.metrics["ops"] == ops
    assert proposer.fitness(record) == pytest.approx(90 - 4 * ops / uniform)


def test_uniform_1x_pays_lambda_points_of_accuracy():
    record = trial(WIDTHS, WIDTHS.uniform(1), 0, 0.5)
    for weight in (0, 1, 4, 12.5):
        assert FitnessProposer(WIDTHS, config(fitness_weight=weight), 0).fitness(record) == pytest.approx(50 - weight)


def test_fitness_is_never_below_zero():
    proposer = FitnessProposer(WIDTHS, config(fitness_weight=4), 0)
    assert proposer.fitness(trial(WIDTHS, WIDTHS.largest(), 0, 0.1)) == 0
    assert proposer.fitness(trial(WIDTHS, WIDTHS.uniform(1), 0, 0.0)) == 0


def test_hyperparameters_do_not_change_the_fitness():
    proposer, alone = FitnessProposer(JOINT, config(), 0), FitnessProposer(WIDTHS, config(), 0)
    expected = alone.fitness(trial(WIDTHS, WIDTHS.parse("2-1-0.5-1"), 0, 0.9))
    for text in ("learning_rate=0.1 optimiser=sgd", "learning_rate=0.0001 optimiser=adam"):
        record = trial(JOINT, JOINT.parse(f"2-1-0.5-1 with {text}"), 0, 0.9)
        assert proposer.fitness(record) == pytest.approx(expected)


def test_a_space_without_uniform_networks_is_measured_against_its_largest():
    proposer = FitnessProposer(CELLS, config(fitness_weight=4), 0)
    assert proposer.fitness(trial(CELLS, CELLS.largest(), 0, 0.5)) == pytest.approx(46)


# Generations ----------------------------------------------------------------------------------------------------------


@every_space
@pytest.mark.parametrize("size", [8, 7])
def test_first_random_then_half_crossovers_and_then_mutants_of_the_fittest(space, size):
    settings = config()
    proposer = FitnessProposer(space, settings, 1)
    first = proposer.propose(0, 24, History(()))
    assert [(each.operator, each.parents) for each in first] == [("random", ())] * 24

    records = of_proposals(space, first, 0)
    fittest = sorted(records, key=lambda record: -proposer.fitness(record))[: settings.generation]
    second = proposer.propose(1, size, History(tuple(records)))
    assert [each.operator for each in second] == ["crossover"] * (size // 2) + ["mutation"] * (size - size // 2)
    assert [len(each.parents) for each in second] == [2] * (size // 2) + [1] * (size - size // 2)
    assert {parent for each in second for parent in each.parents} <= {record.id for record in fittest}


@every_space
def test_every_candidate_is_a_member_and_none_is_tried_twice(space):
    records = search(space, config(), 2, generations=5)
    assert len(records) == 40
    assert len({record.id for record in records}) == 40
    for record in records:
        assert space.contains(space.parse(record.architecture))
    assert {record.operator for record in records} >= {"random", "crossover", "mutation"}


@every_space
def test_the_same_arguments_give_the_same_proposals(space):
    history = History(tuple(search(space, config(), 3, generations=2)))
    one, other = (FitnessProposer(space, config(), 3).propose(2, 8, history) for _ in range(2))
    assert one == other
    assert FitnessProposer(space, config(), 4).propose(2, 8, history) != one
    assert FitnessProposer(space, config(), 3).propose(3, 8, history) != one


@pytest.mark.parametrize("space", [WIDTHS, JOINT], ids=["widths", "joint"])
def test_limits_hold_in_every_generation(space):
    settings = config(ops_min=30e3, ops_max=90e3)
    operations = [record.metrics["ops"] for record in search(space, settings, 5, generations=4)]
    assert len(operations) == 32
    assert 30e3 <= min(operations) <= max(operations) <= 90e3


def test_a_fitter_candidate_is_a_parent_more_often():
    space = get_space("resnet-20")  # so many members that hardly a mutant is drawn twice
    rng = random.Random(0)
    records = [trial(space, space.sample(rng), number, 0.1 if number else 0.9) for number in range(8)]
    proposals = FitnessProposer(space, config(fitness_weight=0), 0).propose(1, 200, History(tuple(records)))
    counted = Counter(parent for each in proposals if each.operator == "mutation" for parent in each.parents)
    assert counted[records[0].id] > counted.total() / 3  # 9 of 16 by fitness, 1 of 8 if all were alike


def test_failed_and_pruned_candidates_are_no_parents_and_not_tried_again():
    states = [State.FAILED, State.PRUNED, State.FINISHED, State.FINISHED]
    members = [WIDTHS.uniform(ratio) for ratio in (0.5, 1, 2, 3)]
    accuracies = [0.99, 0.99, 0.5, 0.5]
    records = [
        trial(WIDTHS, member, number, accuracy, state)
        for number, (member, state, accuracy) in enumerate(zip(members, states, accuracies, strict=True))
    ]
    proposals = FitnessProposer(WIDTHS, config(), 0).propose(1, 30, History(tuple(records)))
    assert {parent for each in proposals for parent in each.parents} <= {record.id for record in records[2:]}
    assert not {each.id for each in proposals} & {record.id for record in records}


def test_one_parent_has_mutants_only():
    records = [trial(WIDTHS, WIDTHS.uniform(1), 0, 0.9)]
    proposals = FitnessProposer(WIDTHS, config(), 0).propose(1, 6, History(tuple(records)))
    assert {each.operator for each in proposals} == {"mutation"}


def test_candidates_without_fitness_can_still_be_parents():
    records = [trial(WIDTHS, WIDTHS.uniform(ratio), number, 0.0) for number, ratio in enumerate((1, 2))]
    proposals = FitnessProposer(WIDTHS, config(), 0).propose(1, 8, History(tuple(records)))
    assert len(proposals) == 8
    assert {parent for each in proposals for parent in each.parents} <= {record.id for record in records}


def test_the_hyperparameters_of_one_network_are_bred_and_tried_to_the_last():
    space = JointSpace(OnlySpace(WIDTHS, WIDTHS.uniform(1)), SETTINGS)
    records = search(space, config(), 0, generations=4)
    assert len(records) == space.count() == 14
    assert {WIDTHS.format(space.parse(record.architecture).architecture) for record in records} == {"1-1-1-1"}


def test_hyperparameters_without_a_network_have_no_fitness():
    with pytest.raises(SpaceError, match="JointSpace"):
        FitnessProposer(SETTINGS, config(), 0)
