"""The laws of all proposers, on each of them; and what is each one's own."""

import subprocess
import sys
from dataclasses import replace

import pytest

from search.config.search import SearchConfig
from search.config.sections import ConfigError
from search.conformance import (
    LAWS,
    TINY,
    check_exhaustion,
    check_failures,
    check_latency,
    check_members,
    check_proposer,
    check_repeatable,
    check_seed,
    trials,
)
from search.proposers import History, Proposer, make_proposer
from search.proposers.random import RandomProposer
from search.registry import PROPOSERS
from search.runs.records import Proposal
from spaces import get_space

SPACE = get_space("nasbnn-digits")
SLOW = {"gp"}  # a good part of a second a candidate: its laws are among the long tests
of_any_space = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.long] if name in SLOW else [])
        for name in sorted(PROPOSERS.keys() - {"exhaustive"})
    ],
)


def facts(records):
    return [(r.number, r.id, r.operator, r.parents, r.seed, r.generation) for r in records]


@of_any_space
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_law(name, law):
    def make(space, config, seed, coster=None):
        return make_proposer(space, config.model_copy(update={"proposer": name}), seed, coster)

    law(make)


def test_exhaustive_keeps_the_laws_on_a_small_space_and_refuses_a_large_one():
    def make(space, config, seed, coster=None):
        return make_proposer(space, config.model_copy(update={"proposer": "exhaustive"}), seed, coster)

    check_exhaustion(make)
    check_failures(make)
    for law in (check_members, check_repeatable, check_seed, check_latency):
        law(make, TINY)
    check_members(make, TINY, ops_max=TINY.cost(TINY.largest()).ops / 2)
    with pytest.raises(ConfigError, match="tries every network, and space 'nasbnn-digits' has 15,106,608"):
        make(SPACE, SearchConfig(), 0)


class Repeating(RandomProposer):
    def propose(self, generation, size, history):
        return super().propose(0, size, History(()))


class Remembering(RandomProposer):
    calls = 0

    def propose(self, generation, size, history):
        self.calls += 1
        return super().propose(self.calls, size, history)


class Watching(RandomProposer):
    def propose(self, generation, size, history):
        return super().propose(sum(record.attempt for record in history.records), size, history)


class Seedless(RandomProposer):
    def __init__(self, space, config, seed, coster=None):
        super().__init__(space, config, 0, coster)


class Unlimited(RandomProposer):
    def __init__(self, space, config, seed, coster=None):
        super().__init__(space, SearchConfig(), seed, coster)


class Impatient(RandomProposer):
    def propose(self, generation, size, history):
        return super().propose(generation, size, history)[:-1]


class Trusting(RandomProposer):
    def propose(self, generation, size, history):
        return super().propose(generation, size, History(tuple(history.finished)))


class Lying(Proposer):
    def propose(self, generation, size, history):
        found = RandomProposer(self.space, self.config, self.seed).propose(generation, size, history)
        return [replace(proposal, id=proposal.id[::-1]) for proposal in found]


@pytest.mark.parametrize("broken", [Repeating, Remembering, Watching, Seedless, Unlimited, Impatient, Trusting, Lying])
def test_a_proposer_that_breaks_a_law_is_found(broken):
    with pytest.raises(AssertionError):
        check_proposer(broken)


@of_any_space
def test_the_order_in_which_trials_end_changes_nothing(make_search, name):
    forwards = make_search("forwards", proposer=name).run()
    backwards = make_search("backwards", proposer=name).run(backwards=True)
    assert facts(forwards) == facts(backwards)


@of_any_space
def test_a_fresh_process_proposes_the_same(name):
    code = (
        "from search.config.search import SearchConfig\n"
        "from search.proposers import History, make_proposer\n"
        "from spaces import get_space\n"
        f"proposer = make_proposer(get_space('nasbnn-digits'), SearchConfig(proposer={name!r}), 3)\n"
        "print(*(p.id for p in proposer.propose(0, 12, History(()))))"
    )
    here = make_proposer(SPACE, SearchConfig(proposer=name), 3).propose(0, 12, History(()))
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert there == [proposal.id for proposal in here]


@pytest.mark.parametrize("name", ["evolution", "nsga2", "tpe"])
def test_searching_beats_drawing_at_random(make_search, name):
    from analysis.measures.hypervolume import hypervolume

    def volume(proposer: str, seed: int) -> float:
        records = make_search(f"{proposer}{seed}", proposer=proposer, seed=seed, trials=120).run()
        points = [(r.metrics["ops"], r.metrics["accuracy"]) for r in records]
        return hypervolume(points, (110e3, 0), ("min", "max"))

    assert sum(volume(name, seed) > volume("random", seed) for seed in range(3)) == 3


def test_evolution_begins_with_both_ends_and_then_breeds_from_the_best_of_every_bin(make_search):
    search = make_search(proposer="evolution", bins=7)
    records = search.run()
    first = [record for record in records if record.generation == 0]
    assert [SPACE.parse(record.architecture) for record in first[:2]] == [SPACE.smallest(), SPACE.largest()]
    assert {record.operator for record in first[2:]} == {"random"}

    proposer = make_proposer(SPACE, search.config, 0)
    elite = proposer.elite(first)
    low, high = (SPACE.cost(end).ops for end in (SPACE.smallest(), SPACE.largest()))
    for record in first:
        place = min(int((record.metrics["ops"] - low) / ((high - low) / 7)), 6)
        rivals = [r for r in first if min(int((r.metrics["ops"] - low) / ((high - low) / 7)), 6) == place]
        assert (record in elite) == (record == max(rivals, key=lambda r: r.metrics["accuracy"]))

    second = [record for record in records if record.generation == 1]
    assert [record.operator for record in second] == ["mutation"] * 10 + ["crossover"] * 10
    assert {parent for record in second for parent in record.parents} <= {record.id for record in elite}


def test_evolution_keeps_the_first_of_equals():
    proposer = make_proposer(SPACE, SearchConfig(proposer="evolution", bins=1), 0)
    (one,) = trials(SPACE, [Proposal(SPACE.format(SPACE.smallest()), "one", "")], 0)
    assert proposer.elite([one, replace(one, number=1, id="two")]) == [one]


def test_gaussian_processes_repeat_themselves():
    config = SearchConfig(proposer="gp")
    drawn = RandomProposer(TINY, config, 0).propose(0, 12, History(()))
    records = trials(TINY, drawn, 0)
    first, second = (make_proposer(TINY, config, 3).propose(1, 2, History(tuple(records))) for _ in range(2))
    assert first == second
    assert len({proposal.id for proposal in first} - {record.id for record in records}) == 2
    assert {proposal.operator.partition("+")[0] for proposal in first} == {"gp"}
