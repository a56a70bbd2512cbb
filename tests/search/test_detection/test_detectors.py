"""Detectors: average precision, the training and its resume, checkpoints, and a run of them from the command line."""

import contextlib
import importlib.util
import io
import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from models.checkpoints.folder import CheckpointError
from models.detection.checkpoints import load_detector, save_detector
from models.detection.detector import BackboneNorms, Detector, DetectorOptions, Seen
from models.families import build_network
from models.layers.tail import Tail
from search.config.detection import DetectionConfig
from search.config.space import SpaceConfig
from search.data.detection.config import PicturesConfig
from search.data.detection.opening import open_pictures
from search.data.errors import DataError
from search.outputs import detectors
from search.outputs.detectors import find_objects
from search.training.detection import (
    average_precision,
    coco_rows,
    coco_truth,
    detector_step,
    evaluate_detector,
)
from search.training.loop import train
from spaces import Precision, SpaceError, get_space

_spec = importlib.util.spec_from_file_location("detection_folders", Path(__file__).with_name("conftest.py"))
_shared = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_shared)
settings, SPACE, coco = _shared.settings, _shared.SPACE, _shared.coco

SEEN = Seen(tuple("0123456789"), (0.3,), (0.25,))
OPTIONS = DetectorOptions(channels=16, hidden=16, image_size=64, boxes=10, boxes_trained=20, boxes_sampled=8)
CONFIG = DetectionConfig(
    epochs=2, batch_size=4, optimiser="adam", learning_rate=0.003, image_size=64, training_sizes=(48,), channels=16
)


@pytest.fixture(scope="module")
def pictures():
    return open_pictures(PicturesConfig(pictures=20, picture_size=64), 1, 0)


def new_detector(options=OPTIONS) -> Detector:
    torch.manual_seed(0)
    space = SpaceConfig.model_validate(SPACE).architectures(channels=1)
    return Detector(build_network(space, space.largest()), SEEN, options)


def test_average_precision_is_that_of_pycocotools(pictures):
    """Of the same detections to 1e-6: the true boxes, moved, some with wrong classes, and some from nowhere."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    split, found = pictures.train, {}
    generator = torch.Generator().manual_seed(0)
    for place in split.places.tolist():
        target = split.pictures.target(place)
        noise = torch.randn(target.boxes.shape, generator=generator) * 1.5
        labels = torch.where(torch.rand(len(noise), generator=generator) < 0.2, 1, target.classes)
        boxes = torch.cat((target.boxes + noise, torch.tensor([[1.0, 2.0, 20.0, 30.0]])))
        scores = torch.rand(len(boxes), generator=generator)
        found[place] = {"boxes": boxes, "labels": torch.cat((labels, torch.tensor([2]))), "scores": scores}
    ours = average_precision(split, found, 10)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = coco_truth(split, 10)
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(coco_rows(found)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    theirs = dict(zip(("map", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"), evaluation.stats, strict=False))
    theirs["ar"] = evaluation.stats[8]
    assert ours == pytest.approx({name: value for name, value in theirs.items() if value >= 0}, abs=1e-6)
    assert 0.1 < ours["map"] < 0.9
    assert "ap_large" not in ours


def test_average_precision_at_its_ends(pictures):
    split = pictures.validation
    targets = {place: split.pictures.target(place) for place in split.places.tolist()}
    all_of_it = {
        place: {"boxes": each.boxes, "labels": each.classes, "scores": torch.ones(len(each.boxes))}
        for place, each in targets.items()
    }
    assert average_precision(split, all_of_it, 10)["map"] == pytest.approx(1)
    nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64), "scores": torch.zeros(0)}
    assert average_precision(split, dict.fromkeys(targets, nothing), 10)["map"] == 0


def test_a_resumed_training_gives_the_same_weights(pictures, tmp_path):
    """Mirrored pictures and sizes that are drawn included."""

    def trained(detector, folder, until=None):
        step = detector_step(detector, pictures.train.pictures, CONFIG)
        return list(train(detector, step, pictures.train, CONFIG, seed=3, checkpoints=folder, until=until))

    whole, first, second = new_detector(), new_detector(), new_detector()
    losses = [epoch.loss for epoch in trained(whole, tmp_path / "whole")]
    trained(first, tmp_path / "parts", until=1)
    assert [epoch.loss for epoch in trained(second, tmp_path / "parts")] == losses[1:]
    assert losses[1] < losses[0]
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def test_frozen_parts_stay_as_they_are_and_a_teacher_is_followed(pictures):
    detector, teacher = (
        new_detector(),
        new_detector(DetectorOptions(**{**OPTIONS.__dict__, "backbone": Precision.FLOAT, "pyramid": Precision.FLOAT})),
    )
    detector.freeze(1, BackboneNorms.FROZEN)
    config = CONFIG.model_copy(update={"epochs": 1, "teacher_weight": 1.0})
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    step = detector_step(detector, pictures.train.pictures, config, teacher.eval())
    list(train(detector, step, pictures.train, config, seed=0))
    moved = {name for name, tensor in detector.state_dict().items() if not torch.equal(tensor, before[name])}
    first = detector.scales[0].layer
    kept = list(detector.network.parts().items())[: list(detector.network.parts()).index(first) + 1]
    frozen = {id(tensor) for _, part in kept for tensor in part.state_dict(keep_vars=True).values()}
    norms = [module for module in detector.network.modules() if isinstance(module, Tail)]
    frozen |= {id(tensor) for norm in norms for tensor in norm.state_dict(keep_vars=True).values()}
    named = detector.state_dict(keep_vars=True)
    assert not {name for name in moved if id(named[name]) in frozen}
    assert any(name.startswith("backbone.network") for name in moved)
    with pytest.raises(ValueError, match="from 0 to 4 scales"):
        detector.freeze(5, BackboneNorms.TRAINED)


@pytest.mark.parametrize("precision", Precision)
def test_a_detector_comes_back_from_its_checkpoint(precision, pictures, tmp_path):
    options = {**OPTIONS.__dict__, **dict.fromkeys(("backbone", "pyramid", "proposals", "head"), precision)}
    detector = new_detector(DetectorOptions(**options)).eval()
    save_detector(tmp_path / "detector", detector)
    again = load_detector(tmp_path / "detector")
    images = [pictures.train.pictures.image(place) / 255 for place in (0, 1)]
    with torch.no_grad():
        for one, other in zip(detector(images), again(images), strict=True):
            assert all(torch.equal(one[name], other[name]) for name in one)
    assert again.seen == SEEN
    assert evaluate_detector(again, pictures.validation, 2).keys() >= {"map", "ap50", "ar"}
    manifest = tmp_path / "detector" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"channels": 16', '"channels": 24'))
    with pytest.raises(CheckpointError):
        load_detector(tmp_path / "detector")


def test_networks_that_are_no_backbones():
    for name, words in (
        ("nasbnn-digits", "reads maps of 4 sizes"),
        ("bnas-digits", "no backbones for detectors"),
        ("resnet-18", "images have 1 channels"),
    ):
        space = get_space(name)
        network = build_network(space, space.smallest())
        with pytest.raises(SpaceError, match=words):
            Detector(network, SEEN, OPTIONS)


def test_images_that_are_not_looked_at(tmp_path, monkeypatch):
    detector, file = new_detector(), tmp_path / "image.png"
    file.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"image\.png is not an image that can be read"):
        find_objects(detector, file, 0.5)
    with pytest.raises(DataError, match=r"cannot read .*none\.png"):
        find_objects(detector, tmp_path / "none.png", 0.5)
    Image.new("L", (80, 64)).save(file)
    monkeypatch.setattr(detectors, "MOST_PIXELS", 80 * 64 - 1)
    with pytest.raises(DataError, match="80×64 pixels, more than 5119: make it smaller"):
        find_objects(detector, file, 0.5)


def test_a_width_network_is_a_backbone(pictures):
    """Binary ResNet-18 and its twin in full precision, inherited weights and all."""
    torch.manual_seed(0)
    space = get_space("resnet-18").for_data(image_size=64, channels=1)
    detector = Detector(build_network(space, space.uniform(0.25)), SEEN, OPTIONS)
    assert [scale.stride for scale in detector.scales] == [4, 8, 16, 32]
    losses = detector(
        [torch.rand(1, 64, 64)] * 2, [{"boxes": torch.tensor([[4.0, 4, 30, 30]]), "labels": torch.tensor([1])}] * 2
    )
    sum(losses.values()).backward()
    assert detector.network.parts()["stem"].convolution.weight.grad.abs().sum() > 0


def test_a_run_of_detectors(cli, backbones, tmp_path):
    out = tmp_path / "detectors"
    options = ("--out", out, "--networks", "2", *settings())
    done = cli("detect", backbones, *options)
    assert done.returncode == 0, done.stderr
    trials = json.loads(cli("status", out, "--json").stdout)
    assert trials["trials"] == {"detector": {"finished": len(list((out / "backbones").iterdir()))}}
    best = json.loads(cli("best", out, "--json").stdout)
    assert best["stage"] == "detector"
    assert (out / "plots" / f"detections-{best['id']}.png").is_file()
    assert "mAP" in cli("status", out).stdout
    assert "mAP:" in cli("best", out).stdout
    assert "accuracy" not in done.stdout, "what it is called in the terminal"
    assert cli("report", out).returncode == 0
    page = (out / "report.html").read_text()
    assert "best validation mAP" in page
    assert "Below an accuracy is its" not in page, "a mAP is no share of images"
    shutil.copytree(out, tmp_path / "copy")
    assert cli("compare", out, tmp_path / "copy").returncode == 0
    (image,) = [tmp_path / "image.png"]
    Image.new("L", (80, 64), 90).save(image)
    found = cli("predict", best["folder"], image, "--json", "--score", "0", "--draw", tmp_path / "drawn.png")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)[0]["milliseconds"] > 0
    assert Image.open(tmp_path / "drawn.png").width >= 320
    onebit = cli("predict", best["folder"], image, "--json", "--score", "0", "--onebit")
    assert onebit.returncode == 0, onebit.stderr
    (torch_found,), (engine_found,) = (json.loads(done.stdout) for done in (found, onebit))
    assert engine_found["objects"] == torch_found["objects"]
    assert set(engine_found["parts"]) == {"resize", "backbone", "pyramid", "proposals", "box head"}
    timed = cli("bench", best["folder"], "--seconds", "0.1", "--json")
    assert set(json.loads(timed.stdout)["engines"]) == {"torch", "1-bit"}
    assert "in all" in cli("bench", best["folder"], "--seconds", "0.1").stdout
    assert cli("bench", best["folder"], "--float").returncode == 2
    (Path(best["folder"]) / "body.bnn").unlink()
    lacking = cli("predict", best["folder"], image, "--onebit")
    assert lacking.returncode == 2
    assert "run it in torch" in lacking.stderr
    # a run that lost its end goes on, and trains nothing again
    (out / "front.csv").unlink()
    before = (out / "journal.log").read_bytes()
    assert cli("resume", out).returncode == 0
    assert (out / "journal.log").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--data", "nowhere"], "give digits, or a folder in COCO's format"),
        (["--architecture", "c8k3g1 | c8k3g1"], "it has 1 stages after the stem"),
        (["--architecture", "abc123"], "has no network 'abc123'"),
        (["--front", "--networks", "2"], "leave --networks out"),
        (["--set", "epoch=2"], "did you mean 'epochs'"),
        (["--set", "execution.worker=2"], "did you mean 'workers'"),
        (["--set", "search.trials=2"], "leave settings of search out"),
        (["--set", "execution.training_workers=2"], "but the executor is inline"),
        (["--set", "image_size=50", "--set", "counted_size=50"], "must be a multiple of"),
        (["--set", "batch_size=4000"], "there are 17 training pictures"),
    ],
)
def test_what_a_run_of_detectors_refuses(cli, backbones, tmp_path, options, words):
    done = cli("detect", backbones, "--out", tmp_path / "out", *settings(), *options)
    assert done.returncode == 2
    assert words in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_preset_for_coco_runs_on_a_subset(cli, backbones, tmp_path):
    """Its section of detectors, on a few pictures in COCO's format, of one epoch and a few channels."""
    folder = coco(tmp_path / "data", pictures=8)
    smaller = ("epochs=1", "batch_size=2", "image_size=64", "largest_size=96", "training_sizes=[32]", "counted_size=64",
               "channels=16", "hidden=16", "boxes=10", "boxes_trained=10", "boxes_sampled=8")  # fmt: skip
    options = [word for each in smaller for word in ("--set", each)]
    text = json.loads(cli("best", backbones, "--json").stdout)["architecture"]
    out = tmp_path / "out"
    done = cli("detect", backbones, "--preset", "detection-coco", "--data", folder, "--architecture", text,
               "--out", out, *options)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "gaps in the numbers of categories" in done.stderr
    plot = (out / "plots" / "frontier.csv").read_text()
    assert "map" in plot.splitlines()[0]
