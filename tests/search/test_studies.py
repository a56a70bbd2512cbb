"""The papers' claims as files, the runs that they take, and the page that is written from what was measured."""

import json
import math
import sys
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

HOME = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(HOME / "studies"))

import claims as claims_of  # noqa: E402
import measures  # noqa: E402
import results as results_of  # noqa: E402
import run as study  # noqa: E402
from claims import ClaimError, load_claims, make_arm, read_claim  # noqa: E402
from page import write_page  # noqa: E402
from results import Results, find, needed  # noqa: E402

from analysis import load_table  # noqa: E402
from analysis.measures.verdicts import Verdict  # noqa: E402
from search.pipeline.prepare import prepare  # noqa: E402
from search.worker.device import lacks_precision  # noqa: E402

CLAIMS = load_claims()
ACCURACIES = (
    "of candidates",
    "of candidates with the fewest operations",
    "of candidates with the most operations",
    "when finetuned",
    "before finetuning",
    "when trained",
)
TRIED = [claim for claim in CLAIMS if not claim.not_tried]


@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.name for claim in CLAIMS])
def test_a_claim_says_what_is_compared(claim):
    assert claim.claim.endswith(".")
    if claim.table:
        assert claim.measure["table"] in measures.TABLE_MEASURES
    elif not claim.not_tried:
        assert set(claim.measure.values()) <= {*measures.MEASURES, measures.RANKS}
        assert (measures.RANKS in claim.measure.values()) == bool(claim.reference)
        assert sum(claim.contrast.values()) == 0 or len(claim.contrast) == 1
        assert len(list(needed(claim, 0))) == len({name for name, _, _ in claim.sides()})
        assert claim.seeds >= 5


def test_every_arm_is_a_run_that_can_be_prepared(tmp_path):
    arms = {arm.name: arm for claim in TRIED for arm in claim.arms.values()}
    for name, arm in arms.items():
        config = arm.config(0)
        assert config.execution.executor == "inline"
        if arm.images is None and not lacks_precision(config.execution.precision, torch.device("cpu")):
            prepare(config, tmp_path / name)


def test_arms_with_one_configuration_share_a_run_and_others_do_not():
    plain = make_arm("nasbnn", {})
    assert make_arm("nasbnn", {"supernet": {}}).run(3) == plain.run(3)
    assert make_arm("nasbnn", {"supernet": {"epochs": 11}}).name != plain.name
    assert json.loads(plain.values)["supernet"]["epochs"] == 10
    assert plain.config(3).seed == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("claim: A.\nsource: B\nbase: nasbnn\narms: {a: {}}\ncontrast: {b: 1}\nmeasure: x", "contrast gives a weight"),
        ("claim: A.\nsource: B\nbase: nasbnn\narms: {a: {}}\ncontrast: {a: 1}", "measure names one"),
        ("claim: A.\nsource: B\nbase: none\narms: {a: {}}\ncontrast: {a: 1}\nmeasure: x", "there is no base 'none'"),
        ("claim: A.\nsource: B\nwhy: C", "a claim has claim and source"),
    ],
)
def test_a_file_that_is_wrong_is_one_sentence(tmp_path, text, said):
    file = tmp_path / "one.yaml"
    file.write_text(text)
    with pytest.raises(ClaimError, match=said):
        read_claim(file, "nasbnn")


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A folder of claims with one comparison of two runs that take a second each."""
    bases, folder = tmp_path / "bases", tmp_path / "claims" / "widths"
    bases.mkdir()
    folder.mkdir(parents=True)
    (bases / "tiny.yaml").write_text(
        "# two small networks\nmethod: training\nspace: {name: vgg-digits, architecture: 0.25-0.25-0.25-0.25}\n"
        "data: {name: digits, train_limit: 64, validation_limit: 32, test_limit: 16}\n"
        "training: {epochs: 2, batch_size: 32, early_stopping: false}\n"
        "search: {proposer: random, trials: 1, generation: 1}\nexecution: {executor: inline}\n"
    )
    (folder / "more.yaml").write_text(
        "claim: Two epochs are better than one.\nsource: nobody\nbase: tiny\n"
        "arms: {two: {}, one: {training: {epochs: 1}}}\ncontrast: {two: 1, one: -1}\nmeasure: accuracy of candidates\n"
    )
    monkeypatch.setattr(claims_of, "HERE", tmp_path)
    claims_of._base.cache_clear()
    yield load_claims(tmp_path / "claims")
    claims_of._base.cache_clear()


def go(claims, runs, results, seeds=1):
    study.try_claims(claims, seeds, float("inf"), runs, results)


def test_a_study_that_was_killed_goes_on_and_does_nothing_twice(small, tmp_path, monkeypatch):
    runs = tmp_path / "runs"
    whole = Results(tmp_path / "whole.csv")
    go(small, tmp_path / "whole", whole)
    carry_out, made = study.carry_out, []

    def killed(run, executor, view):
        made.append(run.path.name)
        if len(made) == 2:
            raise KeyboardInterrupt
        carry_out(run, executor, view)

    monkeypatch.setattr(study, "carry_out", killed)
    results = Results(tmp_path / "results.csv")
    with pytest.raises(KeyboardInterrupt):
        go(small, runs, results)
    again = Results.read(results.file)
    assert len(again.values) == 1
    go(small, runs, again)
    assert len(made) == 3  # the one that was killed, again
    assert made[1] == made[2] != made[0]
    assert again.values.keys() == whole.values.keys()
    assert list(again.values.values()) == pytest.approx(list(whole.values.values()), rel=1e-5)
    go(small, tmp_path / "elsewhere", Results.read(again.file))
    assert len(made) == 3  # what was measured needs no runs any more
    assert study.left(small, None, runs, again)[0][1] == 1  # the next seed
    del again.values[made[0], "accuracy of candidates"]
    assert [arm.run(seed) for _, seed, arm in study.left(small, 1, tmp_path / "empty", again)] == [made[0]]


def test_a_run_that_fails_is_named_and_the_others_are_made(small, tmp_path, monkeypatch, capsys):
    carry = study.carry

    def failing(arm, seed, runs):
        if seed == 0:
            raise RuntimeError("broken")
        carry(arm, seed, runs)

    monkeypatch.setattr(study, "carry", failing)
    results = Results(tmp_path / "results.csv")
    go(small, tmp_path / "runs", results, seeds=2)
    assert capsys.readouterr().err.count("failed: broken") == 2
    assert {run.rpartition("-")[2] for run, _ in results.values} == {"1"}


def filled(claims, gains, file):
    """Results as if runs had been made whose first arm gains so much, seed by seed."""
    results = Results(file)
    for claim in claims:
        for seed, gain in enumerate(gains):
            for place, (run, name, _) in enumerate(needed(claim, seed)):
                results.keep(run, name, 90 + seed + (gain if place == 0 else 0), 36)
    return results


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ((1, 1.2, 0.9, 1.1, 1), Verdict.CONFIRMED),
        ((-1, -1.2, -0.9, -1.1, -1), Verdict.CONTRARY),
        ((1, -1, 2, -2, 0.3), Verdict.NOT_SEEN),
        ((1, 1.2, 0.9, 1.1), Verdict.NOT_RUN),
        ((1, 1.2, 0.9, 1.1, float("nan")), Verdict.NOT_RUN),
    ],
)
def test_pairs_of_seeds_become_verdicts(small, tmp_path, gains, expected):
    (found,) = find(small, filled(small, gains, tmp_path / "results.csv"))
    assert found.verdict is expected
    assert found.hours == pytest.approx(2 * 36 * len(gains) / 3600)


def test_a_line_that_a_kill_cut_off_is_left_out(small, tmp_path):
    results = filled(small, (1, 2), tmp_path / "results.csv")
    text = results.file.read_text()
    results.file.write_text(text[: text.rindex(",") - 4])
    assert len(Results.read(results.file).values) == 3
    assert Results.read(tmp_path / "none.csv").values == {}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A run's trials as they are measured, made up."""
    rows = [("inherited", name, 0.5 + place / 10, 100 * 2**place) for place, name in enumerate("abcdef")]
    rows += [
        ("finetuned", "a", 0.8, 100),
        ("final", "a", 0.6, 100),
        ("final", "b", 0.7, 200),
        ("final", "c", 0.65, 400),
    ]
    trials = pd.DataFrame(rows, columns=["stage", "id", "accuracy", "ops"])
    trials = trials.assign(state="finished", generation=[0, 0, 1, 1, 1, 1, 0, 0, 0, 0])
    monkeypatch.setattr(measures, "run_facts", lambda run: SimpleNamespace(trials=trials))
    return tmp_path


def test_measures_of_a_run(made):
    found = {name: measures.MEASURES[f"accuracy {name}"](made) for name in ACCURACIES}
    assert found == {
        "of candidates": pytest.approx(75),
        "of candidates with the fewest operations": pytest.approx(55),
        "of candidates with the most operations": pytest.approx(95),
        "when finetuned": pytest.approx(80),
        "before finetuning": pytest.approx(50),
        "when trained": pytest.approx(65),
    }
    assert measures.log_operations(made) == pytest.approx(math.log2(100) + 3.5)
    assert measures.rank_agreement(made, made) == pytest.approx(1 / 3)  # one of three pairs is the other way round


def test_slopes_are_points_per_doubling_whichever_way_a_change_goes():
    changes = [
        measures.Change("width", 2, -0.5, -1.0),  # a doubling of width takes half a doubling of operations
        measures.Change("width", 3, 0.5, 0.5),
        measures.Change("groups", 2, -1.0, 0.25),
    ]
    assert measures._slope(changes, "width") == pytest.approx(1.5)
    assert measures._slope(changes, "width", 3) == pytest.approx(1.0)
    assert measures._slope(changes, "groups") == pytest.approx(-0.25)
    assert math.isnan(measures._slope(changes, "depth"))


def test_changes_of_a_table_are_what_it_measured():
    table, (first, *_) = load_table("one-shot-digits"), measures.changes_of("one-shot-digits")

    def accuracy(member) -> float:
        return fmean(table.metrics(member, replicate)["accuracy"] for replicate in range(table.replicates))

    place = int(np.random.default_rng(0).choice(table.places, measures.NETWORKS, replace=False)[0])
    member = table.space.unrank(place)
    for near, change in zip(table.space.neighbours(member), first, strict=True):
        assert change.points == pytest.approx(100 * (accuracy(near) - accuracy(member)))
        gain = table.space.cost(near).ops / table.space.cost(member).ops
        assert change.operations == pytest.approx(math.log2(gain))
    assert {change.kind for change in first} <= {"width", "depth", "groups", "kernel_size", "stem"}


def test_the_page_is_what_the_results_say(tmp_path):
    """The page that is there comes out of the results that are there, and names every claim with a verdict."""
    page = tmp_path / "studies.md"
    write_page(page, CLAIMS, find(CLAIMS, Results.read(results_of.FILE)))
    text = page.read_text("utf-8")
    assert text == (HOME / "docs" / "studies.md").read_text("utf-8")
    assert page.with_suffix(".svg").is_file() == ("studies.svg" in text)
    assert text.count("- `") >= len(TRIED)
    assert text.count("not tried") == len(CLAIMS) - len(TRIED)


def test_the_command_refuses_claims_that_are_not_there(capsys):
    with pytest.raises(SystemExit):
        study.main(["--only", "nonsense"])
    assert "there is no claim nonsense; there are bi-transformation," in capsys.readouterr().err


def test_claims_whose_images_are_missing_are_left_out_and_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    left = study.with_images(CLAIMS)
    assert {claim.paper for claim in CLAIMS} - {claim.paper for claim in left} == {"cifar"}
    assert "data/cifar10/train.parquet is not there: cifar-" in capsys.readouterr().err
    (tmp_path / "data" / "cifar10").mkdir(parents=True)
    (tmp_path / "data" / "cifar10" / "train.parquet").touch()
    assert study.with_images(CLAIMS) == CLAIMS
