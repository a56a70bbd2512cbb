"""`binarynas train`: runs of given networks, their recipes, and what is wrong with what was asked for."""

import json

import pandas as pd
import pytest
import torch
from to_the_end import finished

from analysis import frontier_data, report_html
from analysis.runs.trials import load_trials
from analysis.stages import search_stage
from models.checkpoints.networks import load_network
from models.families import build_network
from models.layers.modes import Mode
from models.onebit.engine import Engine
from models.onebit.lowering.lower import lower
from search.config.loading import check_config, load_config
from search.config.recipes import recipe, recipes
from search.config.run import Method
from search.config.sections import ConfigError, Schedule, TrainConfig
from search.data.config import DataConfig
from search.pipeline.networks import networks_config
from search.pipeline.prepare import prepare
from search.runs.progress import progress
from search.training.schedules import learning_rate
from spaces import SpaceError

DIGITS = DataConfig(name="digits")
SMALL = "nasbnn-digits: c8k3g1 | c16k3g1 | c32k3g1 | c64k3g2"
VGG = "vgg-digits: 0.5-0.5-0.5-0.5"
FEW = ["data.train_limit=96", "data.validation_limit=48", "data.test_limit=48", "batch_size=32", "epochs=2"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = networks_config([SMALL, VGG], DIGITS, "adam-bnn", seeds=2, settings=FEW)
    return finished(prepare(config, tmp_path_factory.mktemp("given") / "run"))


def test_every_network_is_trained_with_every_seed_and_is_a_file(run):
    trials = load_trials(run.path)
    assert set(trials["stage"]) == {"final"}
    assert trials["architecture"].tolist() == [f"{name} with seed={seed}" for seed in (0, 1) for name in (SMALL, VGG)]
    table = pd.read_csv(run.path / "networks.csv")
    assert sorted(table["id"]) == sorted(trials["id"])
    assert table["test_accuracy"].notna().all()
    front = pd.read_csv(run.path / "front.csv")
    assert set(front["id"]) <= set(table["id"])
    for identity in table["id"]:
        network = load_network(run.deployed(identity))
        images = torch.randn(8, 1, 8, 8)
        with torch.inference_mode():
            wanted = network.eval()(images)
        assert torch.equal(Engine(lower(network))(images).argmax(1), wanted.argmax(1))


def test_a_report_lists_all_of_them(run):
    page = str(report_html([run.path]))
    rows = page.split("<h3>The networks</h3>", 1)[1].split("Published operations are", 1)[0]
    assert all(f"{name} with seed={seed}" in rows for name in (SMALL, VGG) for seed in (0, 1))


def test_seeds_differ_in_their_weights(run):
    records = load_trials(run.path)
    ids = records[records["architecture"].str.startswith(VGG)]["id"]
    one, other = (load_network(run.deployed(identity)).state_dict() for identity in ids)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_status_and_comparison_know_the_run(run):
    found = progress(run)
    assert (found.state, found.method, found.of) == ("finished", "networks", 4)
    assert found.trials == {"final": {"finished": 4}}
    assert search_stage(load_trials(run.path)) == "final"  # by which runs are compared


def test_a_run_that_was_stopped_again_and_again_ends_as_one_that_was_not(run, tmp_path):
    other = finished(prepare(run.config, tmp_path / "other"), reports=7)
    assert (other.path / "networks.csv").read_text() == (run.path / "networks.csv").read_text()
    for folder in (run.path / "front").iterdir():
        names = {file.name for file in folder.iterdir()}
        assert names == {file.name for file in (other.path / "front" / folder.name).iterdir()}  # named by their content


def test_networks_of_papers_are_marked_as_trained_here():
    rows = [
        {"architecture": f"bi-real-18 with seed={seed}", "accuracy": 0.5 + 0.1 * seed, "ops": 164e6} for seed in (0, 1)
    ]
    rows += [{"architecture": "react-net-a", "accuracy": 0.7, "ops": 87e6}]
    rows += [{"architecture": VGG, "accuracy": 0.9, "ops": 1e6}]
    frame = pd.DataFrame(
        [
            {
                "stage": "final",
                "state": "finished",
                "number": n,
                "generation": 0,
                "space": "networks",
                "operator": "given",
                **row,
            }
            for n, row in enumerate(rows)
        ]
    )
    data = frontier_data(frame, dataset="imagenet")
    assert [(each.name, each.x, round(each.y, 6), each.count) for each in data.trained] == [
        ("react-net-a", 87e6, 0.7, 1),
        ("bi-real-18", 164e6, 0.55, 2),
    ]
    assert {"ReActNet-A", "Bi-RealNet-18"} <= {reference.model for reference in data.published}
    kinds = data.table()["kind"].tolist()
    assert kinds.count("trained here") == 2


def test_images_are_as_large_as_data_or_networks_have_them():
    assert networks_config(["react-net-a"], DIGITS).space.image_size == 8
    assert networks_config(["react-net-a"], DIGITS, image_size=32).space.image_size == 32
    assert networks_config(["react-net-a"], DataConfig(name="cifar10")).space.image_size == 32
    assert networks_config(["react-net-a"], DataConfig(name="folder", path="x")).space.image_size == 224
    with pytest.raises(ConfigError, match=r"'react-net-a' for 224, 'dorefa-vgg-small' for 32.*--image-size"):
        networks_config(["react-net-a", "dorefa-vgg-small"], DataConfig(name="folder", path="x"))


@pytest.mark.parametrize(
    ("networks", "recipe_name", "settings", "words"),
    [
        (["react-net-b"], None, [], "^unknown network 'react-net-b'; did you mean 'react-net-a'"),
        (["1-1-1-1"], None, [], "^'1-1-1-1' is the text form of a network: say of which space"),
        (["bi-real-18"], None, [], "'bi-real-18' cannot be had for images of 8 pixels.*nearest size is 32"),
        ([SMALL], "reactnet", [], "^unknown recipe 'reactnet'; did you mean 'react-net'.*bnas-v2"),
        ([SMALL], None, ["epoch=3"], "unknown key 'final.epoch'; did you mean 'epochs'"),
        ([SMALL], None, ["epochs=0"], "final.epochs is 0"),
        ([SMALL, SMALL], None, [], "given twice"),
    ],
)
def test_what_is_wrong_is_one_sentence(networks, recipe_name, settings, words):
    with pytest.raises((SpaceError, ConfigError), match=words) as caught:
        networks_config(networks, DIGITS, recipe_name, settings=settings)
    assert "\n" not in str(caught.value)


def test_full_precision_twins_are_trained_beside_the_networks_and_can_teach_a_supernet(tmp_path):
    settings = [*FEW, "epochs=1", "full_precision=true"]
    run = finished(prepare(networks_config([SMALL, VGG], DIGITS, settings=settings), tmp_path / "run"), reports=4)
    trials = load_trials(run.path).query("stage == 'reference'").set_index("operator")
    assert trials.index.tolist() == [f"full precision {SMALL}", f"full precision {VGG}"]
    for trial in trials.itertuples():
        twin = load_network(run.path / "reference" / trial.id / "network")
        assert twin.options.mode is Mode.FWFA
        cost = twin.space.full_precision_cost(twin.architecture)
        binary = twin.space.cost(twin.architecture)
        assert trial.ops == cost.ops == cost.flops == binary.flops + binary.int8_ops + binary.bops
        assert (trial.params, trial.bits) == (binary.params, 32 * binary.params)
        teacher = f"supernet.teacher=[fwba, {run.path / 'reference' / trial.id}]"
        taught = prepare(load_config("nasbnn-digits", ["data.train_limit=96", teacher]), tmp_path / trial.id)
        assert len(taught.config.supernet.teachers) == 1
    cells = networks_config(["bnas-d"], DIGITS, image_size=224, settings=["data.train_limit=10", "full_precision=true"])
    with pytest.raises(ConfigError, match="space 'bnas-d' have no full-precision twin"):
        prepare(cells, tmp_path / "cells")


def test_a_space_to_search_is_not_trained(tmp_path):
    config = check_config(
        {"method": "networks", "space": {"name": "nasbnn-digits"}, "data": {"name": "digits"}}, "mine"
    )
    with pytest.raises(ConfigError, match=r"method: networks trains given networks.*list some in space\.networks"):
        prepare(config, tmp_path / "run")


def test_given_networks_can_be_searched_too(tmp_path):
    values = networks_config([SMALL, VGG], DIGITS, settings=FEW).model_dump(mode="json")
    training = {"epochs": 1, "batch_size": 32, "early_stopping": False}
    config = check_config({**values, "method": "training", "training": training}, "mine")
    trials = load_trials(finished(prepare(config, tmp_path / "run")).path)
    assert sorted(trials["architecture"]) == sorted([SMALL, VGG])
    with pytest.raises(ConfigError, match="a networks space has no supernet"):
        prepare(check_config({**values, "method": "one-shot"}, "mine"), tmp_path / "other")


def test_what_other_sizes_make_of_a_network_is_told(tmp_path):
    config = networks_config(["react-net-a"], DIGITS, settings=FEW)
    run = prepare(config, tmp_path / "run")
    assert json.loads((run.path / "run.json").read_text())["notes"][0] == (
        "react-net-a is made for 224 pixels; for 8, where its maps are halved 1 times of 5, it has 7.1 M OPs, of the "
        "87 M published"
    )


@pytest.mark.parametrize("name", recipes())
def test_recipes_train_both_families(name, tmp_path):
    config = networks_config([SMALL, VGG], DIGITS, name)
    assert config.method is Method.NETWORKS
    if name != "adam":
        assert [str(stage.mode) for stage in config.final.multi_stage] == ["fwba", "bwba"]
    last = config.final.stages()[-1].settings
    assert last.weight_decay == 0
    assert recipe(name)["final"]["epochs"] == config.final.epochs
    prepare(config, tmp_path / "run")


def test_the_linear_schedule_falls_evenly():
    config = TrainConfig(
        epochs=10, batch_size=1, learning_rate=0.5, final_learning_rate=0.1, schedule=Schedule.LINEAR, warmup_epochs=2
    )
    rates = [learning_rate(config, done) for done in (1, 2, 4, 6, 10, 11)]
    assert rates == pytest.approx([0.25, 0.5, 0.4, 0.3, 0.1, 0.1])


def test_a_named_network_is_built_for_the_classes_of_the_data(tmp_path):
    run = prepare(networks_config(["nas-bnn-a"], DIGITS, settings=FEW), tmp_path / "run")
    candidate = run.architectures.split(run.architectures.unrank(0))
    with torch.inference_mode():
        logits = build_network(candidate.space, candidate.architecture).eval()(torch.zeros(2, 1, 8, 8))
    assert logits.shape == (2, 10)
