"""What every proposer promises, tested on each of them; and what is each one's own."""

import subprocess
import sys
from dataclasses import replace

import pytest

from search.config.search import SearchConfig
from search.proposers import PROPOSER_NAMES, History, make_proposer
from search.runs.records import Record, Stage, State
from spaces import get_space

SPACE = get_space("nasbnn-digits")
every_proposer = pytest.mark.parametrize("name", PROPOSER_NAMES)


def facts(records):
    return [(r.number, r.id, r.operator, r.parents, r.seed, r.generation) for r in records]


@every_proposer
@pytest.mark.parametrize("limits", [{}, {"ops_min": 15e3, "ops_max": 30e3}, {"ops_max": 4e3}])
def test_candidates_are_new_members_within_the_limits(make_search, name, limits):
    records = make_search(proposer=name, **limits).run()
    config = SearchConfig(**limits)
    assert len(records) == 60
    assert len({record.id for record in records}) == 60
    for record in records:
        architecture = SPACE.parse(record.architecture)
        assert config.limits.contains(SPACE.cost(architecture).ops)
        assert record.id == SPACE.id(architecture)
        assert SPACE.decode(record.params) == architecture


@every_proposer
def test_the_order_in_which_trials_end_changes_nothing(make_search, name):
    forwards = make_search("forwards", proposer=name).run()
    backwards = make_search("backwards", proposer=name).run(backwards=True)
    assert facts(forwards) == facts(backwards)


@every_proposer
def test_the_seed_decides(make_search, name):
    first, second = (make_search(f"seed{seed}", proposer=name, seed=seed).run() for seed in (1, 2))
    assert {record.id for record in first} != {record.id for record in second}


@every_proposer
def test_a_fresh_process_proposes_the_same(name):
    code = (
        "from search.config.run import SearchConfig\n"
        "from search.proposers import History, make_proposer\n"
        "from spaces import get_space\n"
        f"proposer = make_proposer(get_space('nasbnn-digits'), SearchConfig(proposer={name!r}), 3)\n"
        "print(*(p.id for p in proposer.propose(0, 12, History(()))))"
    )
    here = make_proposer(SPACE, SearchConfig(proposer=name), 3).propose(0, 12, History(()))
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert there == [proposal.id for proposal in here]


@every_proposer
def test_a_space_is_tried_whole_and_then_the_search_ends(name, tiny):
    proposer = make_proposer(tiny, SearchConfig(proposer=name, generation=50), 0)
    records: list[Record] = []
    for generation in range(40):
        proposals = proposer.propose(generation, 50, History(tuple(records)))
        if not proposals:
            break
        for proposal in proposals:
            architecture = tiny.parse(proposal.architecture)
            ops = tiny.cost(architecture).ops
            metrics = {"accuracy": 1 - 1 / ops, "ops": ops}
            records.append(
                Record(
                    number=len(records),
                    stage=Stage.INHERITED,
                    state=State.FINISHED,
                    architecture=proposal.architecture,
                    id=proposal.id,
                    generation=generation,
                    proposer=name,
                    operator=proposal.operator,
                    parents=proposal.parents,
                    seed=0,
                    metrics=metrics,
                    values=(metrics["accuracy"], ops),
                    params=tiny.encode(architecture),
                    sampler_state=proposal.sampler_state,
                )
            )
    assert not proposals
    assert len({record.id for record in records}) == len(records) == tiny.count()


@every_proposer
def test_a_candidate_that_failed_is_not_tried_again(make_search, name):
    search = make_search(proposer=name, retries=0)
    failed = set()
    while (task := search.trials.next_task()) is not None:
        for trial in task.trials:
            reason = "it always does" if trial.number % 3 == 0 else None
            failed |= {trial.id} if reason else set()
            search.trials.report(task, search.outcome(trial, reason=reason))
    ids = [record.id for record in search.trials.records]
    assert len(ids) == len(set(ids)) == 60
    assert {r.id for r in search.trials.records if r.state is State.FAILED} == failed


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
    one = Record(
        number=0,
        stage=Stage.INHERITED,
        state=State.FINISHED,
        architecture="",
        id="one",
        generation=0,
        proposer="",
        operator="",
        parents=(),
        seed=0,
        metrics={"accuracy": 0.5, "ops": 5e3},
    )
    assert proposer.elite([one, replace(one, number=1, id="two")]) == [one]
