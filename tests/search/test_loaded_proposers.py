"""Samplers and proposers that a configuration names: what they propose, what is refused, what a run keeps of them."""

import json
import shutil
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search.config.loading import load_config
from search.config.search import SearchConfig
from search.config.sections import ConfigError
from search.conformance import TINY, run
from search.pipeline.prepare import prepare
from search.proposers import History, make_proposer
from search.proposers.loaded import rehearse
from search.runs.records import Proposal, Stage
from search.runs.study import Study
from spaces import Between, HyperparameterSpace, JointSpace, Listed, OnlySpace, get_space
from spaces.parameters import from_places

DIGITS = get_space("nasbnn-digits")
OWN = """
import optuna
from search import Picker, Proposer, derive_rng

class Mine(Proposer):
    heeds_constraints = False
    def propose(self, generation, size, history):
        picker = Picker(self.space, self.budget, size, history.taken)
        return picker.fill(derive_rng(self.seed, "mine", generation, self.config.proposer_options.get("shift", 0)))

class Careless(Proposer):
    def propose(self, generation, size, history):
        return [self.space.smallest()]

class Twice(Mine):
    def propose(self, generation, size, history):
        return super().propose(generation, 1, history) * 2

class Broken(Proposer):
    def propose(self, generation, size, history):
        return [][0]

class Few(Mine):
    def __init__(self, space):
        pass

class MySampler(optuna.samplers.RandomSampler):
    def __init__(self, seed=None, favourite=1):
        super().__init__(seed)

number = 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    """A folder of the user's, with a file of code."""
    (tmp_path / "strategies_of_mine.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def config(proposer: str, **settings) -> SearchConfig:
    return SearchConfig(proposer=proposer, generation=8, **settings)


@pytest.mark.parametrize(
    ("proposer", "options"),
    [
        ("optuna:RandomSampler", {}),
        ("optuna:TPESampler", {"multivariate": True, "n_startup_trials": 4}),
        ("optuna:NSGAIIISampler", {"population_size": 8}),
        ("optuna:QMCSampler", {}),
        ("optuna.samplers:NSGAIISampler", {"population_size": 6, "mutation_prob": 0.2}),
        ("strategies_of_mine:MySampler", {"favourite": 2}),
        ("strategies_of_mine:Mine", {"shift": 2}),
    ],
)
def test_anything_that_proposes_does_so_repeatably(own, proposer, options):
    found = [
        [
            record.id
            for record in run(
                make_proposer(TINY, config(proposer, proposer_options=options), seed), TINY, size=6, generations=2
            )
        ]
        for seed in (1, 1, 2)
    ]
    assert found[0] == found[1] != found[2]
    assert len(set(found[0])) == 12
    rehearse(TINY, config(proposer, proposer_options=options), 0)


def test_samplers_search_ranges_and_conditions():
    space = JointSpace(
        OnlySpace(DIGITS, DIGITS.smallest()),
        HyperparameterSpace(
            "own",
            (
                Between("learning_rate", 1e-4, 1e-1, log=True),
                Listed("optimiser", ("sgd", "adam")),
                Between("momentum", 0, 0.99, when={"optimiser": "sgd"}),
            ),
        ),
    )
    for proposer in ("random", "evolution", "nsga2", "tpe", "optuna:GPSampler"):
        records = run(make_proposer(space, config(proposer), 0), space, size=8, generations=3)
        assert len({record.id for record in records}) == 24, proposer
        assert all(space.contains(space.parse(record.architecture)) for record in records)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"proposer": "optuna:NoSampler"},
            "search.proposer optuna.samplers:NoSampler: optuna.samplers has no NoSampler",
        ),
        ({"proposer": "nowhere:Mine"}, "there is no module nowhere"),
        ({"proposer": "strategies_of_mine:number"}, "is 3: name a class that can be made"),
        ({"proposer": "pathlib:Path"}, "is neither a sampler of Optuna's kind"),
        ({"proposer": "optuna:BaseSampler"}, "name a class that can be made"),
        ({"proposer": "strategies_of_mine:Few"}, "is made with space, config, seed and coster, which failed"),
        ({"proposer": "strategies_of_mine:Careless"}, "must return a list of Proposal, got"),
        ({"proposer": "strategies_of_mine:Twice"}, "must return members once each"),
        ({"proposer": "strategies_of_mine:Broken"}, "cannot propose for this search: list index out of range"),
        (
            {"proposer": "optuna:TPESampler", "proposer_options": {"population": 3}},
            "search.proposer_options: optuna:TPESampler has no population; its arguments are consider_prior",
        ),
        (
            {"proposer": "optuna:NSGAIISampler", "proposer_options": {"population_size": 1}},
            "proposer_options of optuna:NSGAIIS",
        ),
        ({"proposer": "optuna:TPESampler", "proposer_options": {"seed": 3}}, "has no seed"),
        ({"proposer": "optuna:GridSampler"}, "proposer_options of optuna:GridSampler"),
        ({"proposer": "optuna:CmaEsSampler"}, "search.proposer"),
        (
            {"proposer": "evolution", "proposer_options": {"bins": 3}},
            "are for samplers and code of yours; 'evolution' has none",
        ),
        ({"proposer": "evolution", "constraints": {"bytes": {"max": 9}}}, "search.constraints are for samplers"),
        (
            {"proposer": "strategies_of_mine:Mine", "constraints": {"bytes": {"max": 9}}},
            "search.constraints are for samplers",
        ),
    ],
)
def test_what_cannot_propose_is_refused_before_anything_is_trained(own, settings, message):
    with pytest.raises(ConfigError) as caught:
        rehearse(DIGITS, SearchConfig(**settings), 0)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"proposer": "tpes"}, "unknown proposer 'tpes'; did you mean 'tpe'?"),
        ({"proposer": "optuna:"}, "or optuna:NAME for a sampler"),
        ({"constraints": {"byte": {"max": 1}}}, "unknown metric 'byte'; did you mean 'bytes'?"),
        ({"constraints": {"bytes": {}}}, "give min, max or both"),
        ({"constraints": {"bytes": {"min": 2, "max": 1}}}, "nothing lies between"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match="validation error") as caught:
        SearchConfig(**settings)
    assert message in str(caught.value)


def test_constraints_lead_a_sampler_and_are_in_the_journal(make_search, tmp_path):
    limited = {"ops": {"max": 20e3}}
    search = make_search("limited", proposer="nsga2", trials=100, constraints=limited)
    search.trials._study._constraints = search.config.constraints
    within = [record.metrics["ops"] <= 20e3 for record in search.run()]
    free = [record.metrics["ops"] <= 20e3 for record in make_search("free", proposer="nsga2", trials=100).run()]
    assert sum(within[-40:]) >= sum(free[-40:]) + 5
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "limited" / "journal.log")))
    trials = optuna.load_study(study_name="inherited", storage=storage).trials
    assert [trial.constraints["ops max"] <= 0 for trial in trials] == within


def test_a_study_without_trials_is_not_made(tmp_path):
    journal = tmp_path / "journal.log"
    study = Study(journal, Stage.REFERENCE, ("accuracy",), (), 0)
    assert study.records() == []
    assert not journal.exists() or not JournalStorage(JournalFileBackend(str(journal))).get_all_studies()


def test_a_run_that_began_with_places_goes_on_with_places(tmp_path):
    old = Path(__file__).parent / "artefacts" / "run-1"
    journal = tmp_path / "journal.log"
    shutil.copy(old / "journal.log", journal)
    study = Study(journal, Stage.INHERITED, ("accuracy", "ops"), DIGITS.parameters(), 0)
    known, member = study.records(), DIGITS.largest()
    study.create(Proposal(DIGITS.format(member), DIGITS.id(member), "largest"), 9, "evolution", DIGITS.encode(member))
    trials = optuna.load_study(study_name="inherited", storage=JournalStorage(JournalFileBackend(str(journal)))).trials
    assert len(trials) == len(known) + 1
    assert trials[-1].distributions == trials[0].distributions
    assert DIGITS.decode(from_places(DIGITS.parameters(), trials[-1].params)) == member
    assert str(DIGITS.decode(from_places(DIGITS.parameters(), trials[0].params))) == known[0].architecture


def test_a_run_names_the_code_that_it_loads(own):
    settings = [
        "search.proposer=strategies_of_mine:Mine",
        "data.train_limit=64",
        "evaluation.recalibration_batch_size=32",
    ]
    made = prepare(load_config("nasbnn-digits", [*settings, "supernet.batch_size=32"]), own / "run")
    (kept,) = made.info["extensions"].items()
    assert kept[0] == "search.proposer"
    assert kept[1]["name"] == "strategies_of_mine:Mine"
    assert len(kept[1]["sha256"]) == 64
    json.dumps(made.info)


def test_hyperparameters_of_ones_own_need_somebody_who_reads_them(own):
    one = ["method=training", "space.name=vgg-digits", "data.train_limit=64", "training.batch_size=32"]
    given = "space.hyperparameters={drop_rate: {range: [0.0, 0.5]}, learning_rate: {range: [0.001, 0.1], log: true}}"
    loaded = load_config("width-digits", [*one[2:], given])
    space = loaded.space.hyperparameter_space()
    assert space.described() == {
        "drop_rate": "numbers from 0 to 0.5", "learning_rate": "numbers from 0.001 to 0.1, by logarithm"
    }  # fmt: skip
    with pytest.raises(ConfigError, match=r"unknown hyperparameter 'drop_rate'.*others need a training step of yours"):
        prepare(loaded, own / "run")


@pytest.mark.parametrize(
    ("hyperparameters", "message"),
    [
        ("{optimiser: {values: [sgd], wen: {}}}", "wen cannot be said beside values: the keys are values, when"),
        (
            "{momentum: {values: [0, 0.9], range: [0, 1]}}",
            "give values, or range, or low and high, and one of them alone",
        ),
        ("{learning_rate: {range: [0.1]}}", "space.hyperparameters.learning_rate.range"),
        (
            "{momentum: {range: [0, 0.9], when: {optimiser: sgd}}}",
            "momentum depends on optimiser, which must be declared",
        ),
        ("{learning_rate: {low: 0.1}}", "space.hyperparameters.learning_rate.high"),
        ("{learning_rate: 3}", "space.hyperparameters.learning_rate"),
    ],
)
def test_wrong_hyperparameters_are_named(hyperparameters, message):
    with pytest.raises(ConfigError) as caught:
        load_config("width-digits", [f"space.hyperparameters={hyperparameters}"])
    assert message in str(caught.value)


def test_the_proposer_keeps_no_state_between_histories():
    proposer = make_proposer(TINY, config("optuna:TPESampler"), 0)
    assert proposer.propose(0, 4, History(())) == proposer.propose(0, 4, History(()))
