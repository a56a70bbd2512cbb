"""One detector for a whole supernet: it is every member's own; a search with it goes on exactly."""

import importlib.util
import json
import random
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from models.checkpoints.folder import CheckpointError
from models.detection.checkpoints import load_detector, load_shared, save_shared
from models.detection.detector import DetectorOptions, Seen
from models.detection.shared import SharedDetector
from models.nasbnn.supernet import NasBnnSupernet
from search.config.detection import DetectionConfig
from search.config.space import SpaceConfig
from search.data.detection.config import PicturesConfig
from search.data.detection.opening import open_pictures
from search.training.detection import evaluate_detector, shared_step
from search.training.loop import train
from spaces import DetectorDesign, Precision, SpaceError, get_space
from spaces.nasbnn.backbones import BackboneSpace

_spec = importlib.util.spec_from_file_location("detection_folders", Path(__file__).with_name("conftest.py"))
_shared = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_shared)
settings, SPACE = _shared.settings, _shared.SPACE

SEEN = Seen(tuple("0123456789"), (0.3,), (0.25,))
CONFIG = DetectionConfig(
    epochs=2, batch_size=4, optimiser="adam", learning_rate=0.003, image_size=64, channels=16, members=2
)


@pytest.fixture(scope="module")
def pictures():
    return open_pictures(PicturesConfig(pictures=20, picture_size=64), 1, 0)


def new_shared(pyramid=Precision.BINARY, channels=16) -> SharedDetector:
    torch.manual_seed(0)
    space = SpaceConfig.model_validate(SPACE).architectures(channels=1)
    options = DetectorOptions(
        pyramid=pyramid, channels=channels, hidden=16, image_size=64, boxes=10, boxes_trained=20, boxes_sampled=8
    )
    return SharedDetector(NasBnnSupernet(space), SEEN, options)


@pytest.mark.parametrize("pyramid", Precision)
def test_the_shared_detector_is_that_of_every_member(pyramid, pictures):
    """A candidate's detector with sliced weights finds what the shared one finds with it chosen: bit for bit, also
    where a map has as many channels as the pyramid (so that a shortcut goes around its 1x1 convolution)."""
    shared = new_shared(pyramid)
    list(train(shared, shared_step(shared, pictures.train.pictures, CONFIG), pictures.train, CONFIG, seed=0))
    shared.eval()
    space, images = shared.supernet.space, [pictures.train.pictures.image(place) / 255 for place in (0, 1)]
    for member in (space.smallest(), space.largest(), space.sample(random.Random(0))):
        shared.choose(member)
        own = shared.extract(member)
        with torch.no_grad():
            for one, other in zip(shared(images), own(images), strict=True):
                assert len(one["boxes"])
                assert all(torch.equal(one[name], other[name]) for name in one)
        assert evaluate_detector(shared, pictures.validation, 2) == evaluate_detector(own, pictures.validation, 2)
        assert own.network.architecture == member
    with pytest.raises(SpaceError):
        shared.choose(get_space("nasbnn-digits").smallest())


def test_its_training_goes_on_exactly_and_moves_what_members_share(pictures, tmp_path):
    def trained(detector, folder, until=None):
        step = shared_step(detector, pictures.train.pictures, CONFIG)
        return list(train(detector, step, pictures.train, CONFIG, seed=3, checkpoints=folder, until=until))

    whole, first, second, begun = new_shared(), new_shared(), new_shared(), new_shared().state_dict()
    losses = [epoch.loss for epoch in trained(whole, tmp_path / "whole")]
    trained(first, tmp_path / "parts", until=1)
    assert [epoch.loss for epoch in trained(second, tmp_path / "parts")] == losses[1:]
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
        kept = torch.equal(tensor, begun[name]) if tensor.is_floating_point() else None
        assert kept is not True or "classifier" in name or tensor.ndim < 2, f"{name} is not trained"


def test_a_shared_detector_comes_back_from_its_checkpoint(tmp_path):
    shared = new_shared().eval()
    save_shared(tmp_path / "shared", shared)
    again = load_shared(tmp_path / "shared")
    for name, tensor in shared.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    assert (again.seen, again.options, again.supernet.space) == (shared.seen, shared.options, shared.supernet.space)
    with pytest.raises(CheckpointError, match="this is one of 'shared detector'"):
        load_detector(tmp_path / "shared")


def test_backbones_cost_what_their_detectors_do():
    space = SpaceConfig.model_validate(SPACE).architectures(channels=1)
    design = DetectorDesign(10, channels=16, hidden=16, boxes=10)
    backbones = BackboneSpace.of(space, design, 64)
    member = space.largest()
    assert backbones.id(member) == space.id(member)
    found, plain = backbones.cost(member), space.cost(member, 64)
    assert found.ops > plain.ops
    assert backbones.cost(member, 128).ops > found.ops
    many = backbones.costs([space.smallest(), member])
    assert many.ops.tolist() == [backbones.cost(each).ops for each in (space.smallest(), member)]
    assert many.bits.tolist()[1] == found.bits


def begun(cli, backbones, out, *more):
    options = ("--objectives", "map,ops", "--trials", "4", "--out", out)
    return cli("detect", backbones, *options, *settings(*more))


def found_in(run):
    return pd.read_parquet(run / "trials.parquet")[["stage", "number", "id", "operator", "ops", "map", "ar", "seed"]]


def test_a_search_for_detection_itself(cli, backbones, tmp_path):
    out = tmp_path / "found"
    done = begun(cli, backbones, out)
    assert done.returncode == 0, done.stderr
    status = json.loads(cli("status", out, "--json").stdout)
    assert status["trials"] == {"shared": {"finished": 4}}
    assert status["detector"] == "trained"
    best = json.loads(cli("best", out, "--json").stdout)
    assert best["stage"] == "shared"
    assert (out / "plots" / f"detections-{best['id']}.png").is_file()
    assert "best validation mAP" in (cli("report", out), (out / "report.html").read_text())[1]
    load_detector(best["folder"])
    # one that lost its last epoch and its trials does them again, and finds the same
    again = tmp_path / "again"
    shutil.copytree(out, again)
    for lost in ("shared/trained", "front", "plots"):
        shutil.rmtree(again / lost)
    shutil.rmtree(max((again / "shared" / "checkpoints").glob("step-*")))
    for lost in ("front.csv", "trials.parquet", "journal.log"):
        (again / lost).unlink()
    resumed = cli("resume", again)
    assert resumed.returncode == 0, resumed.stderr
    pd.testing.assert_frame_equal(found_in(out), found_in(again))
    one, other = (load_shared(run / "shared" / "trained").state_dict() for run in (out, again))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    # a finished one is not touched, and detectors of their own can begin with what it trained
    before = (out / "journal.log").read_bytes()
    assert cli("resume", out).returncode == 0
    assert (out / "journal.log").read_bytes() == before
    own = cli("detect", out, "--networks", "1", "--out", tmp_path / "own", *settings("epochs=1"))
    assert own.returncode == 0, own.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--objectives", "accuracy,ops"], "begin with map, and go on with ops, params, bytes; got accuracy,ops"),
        (["--objectives", "map,ops", "--front"], "leave --architecture, --front and --networks out"),
        (["--trials", "3"], "give --objectives map,ops too"),
        (["--objectives", "map,ops", "--set", "frozen_scales=1"], "leave frozen_scales at 0"),
        (["--objectives", "map,ops", "--set", "backbone=float"], "leave backbone at binary"),
    ],
)
def test_what_a_search_for_detection_refuses(cli, backbones, tmp_path, options, words):
    done = cli("detect", backbones, "--out", tmp_path / "out", *settings(), *options)
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()
