"""Runs of every method, in process: what they leave, and that stopping and going on cannot be seen in it."""

import io
import json
import re
import shutil

import pandas as pd
import pytest
from to_the_end import finished

from analysis.runs.trials import load_trials
from models.checkpoints.networks import load_network
from models.layers.modes import Mode
from search.config.loading import check_config, load_config
from search.config.sections import ConfigError
from search.pipeline.prepare import prepare
from search.runs.folder import Run
from spaces import get_space

FEW = ["data.train_limit=96", "data.validation_limit=48", "data.test_limit=48", "execution.retries=0"]
WIDTH = [
    *FEW,
    "parent.epochs=1",
    "training.epochs=3",
    "training.batch_size=32",
    "search.trials=6",
    "search.first_generation=3",
    "search.generation=3",
    "final.networks=1",
    "final.epochs=1",
    "final.uniform=[1]",
]
CELLS = [
    *FEW,
    "differentiable.epochs=2",
    "differentiable.batch_size=16",
    "final.epochs=1",
    "final.networks=2",
    "evaluation.recalibration_batch_size=32",
    "evaluation.recalibration_batches=1",
]
FACTS = ["stage", "number", "state", "id", "generation", "operator", "accuracy", "loss", "ops", "epochs", "facts"]


def prepared(folder, preset, settings):
    return prepare(load_config(preset, settings), folder)


def left_by(run):
    trials = load_trials(run.path)[FACTS].sort_values(["stage", "number"]).reset_index(drop=True)
    return trials, (run.path / "front.csv").read_text()


SEEN = io.StringIO()
"""What a person sees of the run of `width`."""


@pytest.fixture(scope="module")
def width(tmp_path_factory):
    return finished(prepared(tmp_path_factory.mktemp("width") / "run", "width-digits", WIDTH), out=SEEN)


def test_every_phase_counts_its_own_trials(width):
    counts = re.findall(r"^(.+): (\d+)/(\d+) in", SEEN.getvalue(), re.MULTILINE)
    assert all(int(done) <= int(total) for _, done, total in counts), counts
    ended = {phase for phase, done, total in counts if done == total}
    assert {"Parent", "Search", "Final training", "References", "Networks"} <= ended


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    settings = [*CELLS, "space.hyperparameters={seed: [0, 1], entropy_weight: [0, 1]}", "search.trials=2"]
    return finished(prepared(tmp_path_factory.mktemp("cells") / "run", "bnas-digits", settings))


def test_a_width_run_trains_a_parent_candidates_up_their_rungs_and_references(width):
    trials, _ = left_by(width)
    stages = trials.groupby("stage").size().to_dict()
    assert stages == {"final": 1, "reference": 3, "trained": 6}
    references = trials[trials.stage == "reference"]
    assert list(references.operator) == ["parent", "uniform 1x", "full precision 1x"]
    candidates = trials[trials.stage == "trained"]
    assert set(candidates.state) == {"finished", "pruned"}
    assert set(candidates[candidates.state == "finished"].epochs) == {3}
    assert set(candidates[candidates.state == "pruned"].epochs) <= {1, 2}


def test_pruned_trials_and_references_are_not_on_the_front(width):
    trials, _ = left_by(width)
    front = pd.read_csv(width.path / "front.csv")
    kept = trials[(trials.state == "finished") & (trials.stage != "reference")]
    assert set(front.id) <= set(kept.id)
    # the weights of candidates that are not on the front are not kept
    left = {place.name for place in (width.path / "trained").iterdir()}
    assert left <= set(trials[(trials.stage == "trained") & (trials.state == "finished")].id)


def test_the_full_precision_twin_has_float_weights_and_its_own_cost(width):
    trials, _ = left_by(width)
    twin = trials[trials.operator == "full precision 1x"].iloc[0]
    network = load_network(width.path / "reference" / twin.id / "network")
    assert network.options.mode is Mode.FWFA
    space = width.architectures
    assert twin.ops == space.full_precision_cost(space.uniform(1)).ops > space.cost(space.uniform(1)).ops
    uniform = trials[trials.operator == "uniform 1x"].iloc[0]
    assert uniform.ops == space.cost(space.uniform(1)).ops


@pytest.mark.slow
@pytest.mark.parametrize("reports", [9, 14])
def test_a_width_run_that_is_stopped_again_and_again_is_the_same(width, tmp_path, reports):
    again = finished(prepared(tmp_path / "run", "width-digits", WIDTH), reports)
    for mine, theirs in zip(left_by(again), left_by(width), strict=True):
        assert mine.equals(theirs) if isinstance(mine, pd.DataFrame) else mine == theirs


def test_a_network_that_is_written_and_measured_is_not_done_again_but_a_damaged_one_is(width, tmp_path):
    stopped = Run(tmp_path / "run")
    shutil.copytree(width.path, stopped.path)
    for table in ("front.csv", "references.csv"):  # as a run that was stopped among its last networks
        (stopped.path / table).unlink()
    damaged = min((stopped.path / "front").iterdir())
    (tensors,) = damaged.glob("*.safetensors")
    tensors.write_bytes(tensors.read_bytes()[:-4] + b"none")
    journal = stopped.journal.read_bytes()
    finished(stopped, out=(seen := io.StringIO()))
    load_network(damaged)
    assert stopped.journal.read_bytes().startswith(journal)
    again = stopped.journal.read_bytes()[len(journal) :]
    assert again.count(b"deployed ") == again.count(b"\n") == 1, "the references and other networks are done"
    for table in ("front.csv", "references.csv"):
        assert (stopped.path / table).read_text() == (width.path / table).read_text()
    count = len(pd.read_csv(width.path / "front.csv")) + len(pd.read_csv(width.path / "references.csv"))
    assert f"Networks: {count}/{count} in" in seen.getvalue()


def test_differentiable_searches_are_trials_that_find_genotypes(cells):
    trials, _ = left_by(cells)
    searched = trials[trials.stage == "searched"]
    assert len(searched) == 2
    space = get_space("bnas-digits")
    for _, trial in searched.iterrows():
        genotype = json.loads(trial.facts)["genotype"]
        assert trial.ops == cells.architectures.cost(space.parse(genotype)).ops
        stored = json.loads((cells.path / "searches" / trial.id / "genotype.json").read_text())
        assert cells.architectures.format(cells.architectures.from_json(stored)) == genotype
        history = pd.read_parquet(cells.path / "searches" / trial.id / "history.parquet")
        last = history[history.epoch == 2]
        assert last.accuracy.unique().tolist() == [trial.accuracy], "the accuracy is that of the genotype's own epoch"
    final = load_trials(cells.path).query("stage == 'final'")
    read = {json.loads(facts)["genotype"] for facts in searched.facts}
    assert set(final.architecture) == read
    assert {parent for parents in final.parents for parent in parents} == set(searched.id)


@pytest.mark.slow
def test_differentiable_searches_that_are_stopped_again_and_again_are_the_same(cells, tmp_path):
    settings = [*CELLS, "space.hyperparameters={seed: [0, 1], entropy_weight: [0, 1]}", "search.trials=2"]
    again = finished(prepared(tmp_path / "run", "bnas-digits", settings), 3)
    assert left_by(again)[0].equals(left_by(cells)[0])
    assert left_by(again)[1] == left_by(cells)[1]
    for history in (cells.path / "searches").glob("*/history.parquet"):
        other = again.path / "searches" / history.parent.name / "history.parquet"
        assert pd.read_parquet(other).equals(pd.read_parquet(history))


def test_black_box_proposers_search_cells_with_masked_mixed_edges(tmp_path):
    settings = [*CELLS, "method=one-shot", "differentiable.epochs=1", "search.proposer=nsga2"]
    run = finished(prepared(tmp_path / "run", "bnas-digits", [*settings, "search.trials=5", "search.generation=3"]))
    trials, _ = left_by(run)
    inherited = trials[trials.stage == "inherited"]
    assert len(inherited) == 5
    assert (inherited.state == "finished").all()
    assert inherited.accuracy.nunique() > 1
    front = pd.read_csv(run.path / "front.csv")
    assert set(front.stage) == {"final"}, "mixed edges are no network that can be deployed"


def test_hyperparameters_reach_the_training_that_they_are_for(tmp_path):
    settings = [*FEW, "training.epochs=2", "search.trials=4", "search.generation=4", "search.proposer=random"]
    run = finished(prepared(tmp_path / "run", "hyperparameters-digits", settings))
    trials, _ = left_by(run)
    assert trials[trials.stage == "reference"].operator.tolist() == ["default training"]
    assert trials[trials.stage == "trained"].loss.nunique() == 4
    front = pd.read_csv(run.path / "front.csv")
    network = load_network(run.path / "front" / front.id[0])
    assert f"binariser={network.options.binariser}" in front.architecture[0]
    assert "default training" in (run.path / "references.csv").read_text()


def test_architectures_and_hyperparameters_are_searched_together_and_final_training_goes_on_from_a_candidate(tmp_path):
    settings = [*WIDTH, "space.hyperparameters={learning_rate: [0.001, 0.004]}", "final.start=inherited"]
    settings += ["final.learning_rate=1e-9", "final.uniform=[]", "final.full_precision=false", "search.trials=3"]
    run = finished(prepared(tmp_path / "run", "width-digits", [*settings, "parent.epochs=0"]))
    trials = load_trials(run.path)
    assert trials.architecture.str.match(r"[0-9.-]+ with learning_rate=0\.00[14]").all()
    # the rate of a candidate is its own: what final training starts from is what the search left, and goes on with it
    final = trials[trials.stage == "final"].iloc[0]
    assert list(final.parents) == [final.id]
    candidate, trained_on = (load_network(run.path / stage / final.id / "network") for stage in ("trained", "final"))
    moved = (trained_on.classifier.weight - candidate.classifier.weight).abs().max()
    assert 0 < moved < 0.1


def test_a_parent_may_come_from_another_run_of_the_same_base(width, tmp_path):
    given = ["parent.epochs=0", f"parent.checkpoint={width.path / 'reference' / 'parent' / 'network'}"]
    few = [*WIDTH, "final.networks=0", "final.uniform=[]", "final.full_precision=false", *given]
    run = finished(prepared(tmp_path / "run", "width-digits", few))
    mine, theirs = (load_trials(path).query("stage == 'trained'") for path in (run.path, width.path))
    assert mine.accuracy.tolist() == theirs.accuracy.tolist(), "the same parent gives the same candidates"
    with pytest.raises(ConfigError, match=r"of resnet-20 .* cannot inherit from one of vgg-digits"):
        prepared(tmp_path / "other", "width-digits", [*few, "space.name=resnet-20", "space.image_size=8"])
    with pytest.raises(ConfigError, match=r"only \(.*\) in the parent"):
        prepared(tmp_path / "wider", "width-digits", [*few, "space.ratios=[1, 8]"])


@pytest.mark.parametrize(
    ("preset", "settings", "words"),
    [
        ("width-digits", ["method=one-shot"], "a width space has no supernet"),
        ("width-digits", ["method=differentiable"], "only cells are searched with method: differentiable"),
        ("nasbnn-digits", ["method=training", "parent.epochs=1"], "only width spaces have a parent"),
        ("nasbnn-digits", ["space.hyperparameters={learning_rate: [0.1]}"], "hyperparameters belong to trainings"),
        ("nasbnn-digits", ["final.full_precision=true"], "width spaces, and for `binarynas train`; 'nasbnn-digits'"),
        ("nasbnn-digits", ["final.uniform=[1]"], "final.uniform is for width spaces; 'nasbnn-digits' is a nasbnn"),
        ("bnas-digits", ["method=one-shot", "supernet.multi_stage=true"], "for supernets of the sandwich rule"),
        ("nasbnn-digits", ["supernet.teacher=fwbb"], "fwbb does not exist; give .* or name bwba, fwba, fwfa"),
        ("nasbnn-digits", ["supernet.multi_stage=true", "plan.seconds=60"], "planned run trains its supernet in one"),
        ("nasbnn-digits", ["final.start=inherited"], "goes with method: training"),
        ("width-digits", ["training.drop_path=0.5"], "have no paths to drop"),
        ("width-digits", ["space.hyperparameters={binariser: [xnor]}"], "cannot inherit from a parent of another"),
        ("width-digits", ["final.silent_decay=1e-4"], "ovsw, and networks of 'vgg-digits' have dorefa: set space.bin"),
        ("nasbnn-digits", ["finetune.silent_decay=1e-4"], "ovsw, and networks of 'nasbnn-digits' have another one"),
        ("width-digits", ["space.hyperparameters={silent_decay: [0, 0.1]}"], "silent_decay is for the binariser ovsw"),
        ("width-digits", ["space.hyperparameters={epochs: [1, 2]}"], "epochs and training.early_stopping exclude"),
        ("width-digits", ["space.hyperparameters={seed: [1, 2]}"], "seed are settings of differentiable searches"),
        ("bnas-digits", ["final.networks=0"], "a differentiable search needs final.networks"),
        ("bnas-digits", ["search.ops_max=1e9"], "do not limit a differentiable search"),
        ("bnas-digits", ["method=one-shot", "final.networks=0"], "mixed edges make no network"),
        ("width-digits", ["final.uniform=[1, 5]"], "final.uniform 5: the ratios of 'vgg-digits' are 0.25, 0.5, 1, 2"),
        (
            "width-digits",
            ["space.ratios=[2, 4]", "final.uniform=[]"],
            "fitness and final.full_precision need",
        ),
        (
            "bnas-digits",
            ["space.hyperparameters={augmentation: [none, flip]}"],
            "are not settings of differentiable",
        ),
        ("bnas-digits", ["method=training", "space.hyperparameters={binariser: [xnor]}"], "binariser"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_trained(tmp_path, preset, settings, words):
    with pytest.raises(ConfigError, match=words):
        prepared(tmp_path / "run", preset, settings)
    assert not (tmp_path / "run").exists()


def test_problems_of_every_subject_are_listed_at_once(tmp_path):
    wrong = ["search.ops_max=1", "training.drop_path=0.5", "final.uniform=[5]"]
    wrong += ["parent.checkpoint=nowhere", "execution.latency_table=nowhere.json"]
    with pytest.raises(ConfigError) as caught:
        prepared(tmp_path / "run", "width-digits", wrong)
    words = ("no architecture", "no paths to drop", "final.uniform 5", "parent.checkpoint")
    assert all(str(caught.value).count(word) == 1 for word in words), caught.value
    assert "latencies" not in str(caught.value), "a table is looked at when all else is right"


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({"name": "vgg-digits", "cells": 5}, "cells cannot be said of space 'vgg-digits', a width space"),
        ({"name": "bnas-digits", "ratios": [1, 2]}, "ratios cannot be said of space 'bnas-digits', a cell space"),
        ({"name": "mine", "base": "vgg-digits", "template": "cifar"}, "exclude each other"),
        ({"name": "mine", "template": "cifar"}, "a declared space needs cells, width, image_size"),
        ({"name": "mine", "base": "vgg-tiny"}, "vgg-tiny"),
        ({"name": "vgg-digits", "architecture": "1-1"}, "2 ratios"),
        ({"name": "vgg-digits", "architecture": "1-1-1-5"}, "ratio 5"),
        ({"name": "vgg-digits", "hyperparameters": {"lerning_rate": [1]}}, "did you mean 'learning_rate'"),
        ({"name": "vgg-digits", "hyperparameters": {"batch_size": [0]}}, "whole numbers from 2"),
        ({"name": "bnas-digits", "layer_types": ["conv3", "conv7"]}, "conv7"),
    ],
)
def test_impossible_spaces_are_refused(space, words):
    with pytest.raises(ConfigError, match=words):
        check_config({"space": space}, "f.yaml")


def test_searched_epochs_are_trained_and_numbers_may_look_like_words(tmp_path):
    searched = "space.hyperparameters={epochs: [1, 4], learning_rate: [1e-3]}"
    settings = [*FEW, "search.trials=2", "search.generation=2", "training.early_stopping=false", "parent.epochs=0"]
    settings += ["final.networks=0", "final.uniform=[]", "final.full_precision=false", "space.architecture=1-1-1-1"]
    run = finished(prepared(tmp_path / "run", "width-digits", [*settings, searched]))
    trials = load_trials(run.path).query("stage == 'trained'")
    assert set(trials.epochs) == {1, 4}
    assert trials.architecture.str.contains("learning_rate=0.001").all()


def test_a_genotype_is_given_as_it_is_written():
    text = "normal: max@0 max@1 | reduce: max@0 conv3@1"
    space = {"space.name=mine", "space.template=cifar", "space.nodes=1", "space.cells=3", "space.width=4"}
    config = load_config("bnas-digits", [*space, "space.image_size=8", f"space.architecture={text}"])
    assert config.space.architecture == text


def test_declared_spaces_of_every_family():
    width = check_config({"space": {"name": "mine", "base": "vgg-digits", "ratios": [1, 2]}}, "f.yaml").space.build()
    assert width.count() == 16
    cell = {"name": "mine", "template": "cifar", "cells": 3, "width": 4, "image_size": 8, "layer_types": ["conv3"]}
    space = check_config({"space": cell}, "f.yaml").space.build(classes=3, channels=1)
    assert (space.classes, space.channels, space.layer_types) == (3, 1, ("conv3",))
