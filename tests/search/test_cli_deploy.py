"""`binarynas export`, `bench` and `predict`, as a user runs them on a run's folder."""

import io
import json
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
import torch
from PIL import Image

from analysis.runs.trials import load_trials
from models.checkpoints.networks import load_network, save_network
from models.nasbnn.network import BinaryNetwork
from models.onebit.engine import Engine
from models.onebit.file import read_model
from search import cli
from search.config.loading import load_config
from search.data.config import DataConfig
from search.data.opening import open_data
from search.runs.folder import Run, write_facts
from search.worker.context import Context
from spaces import get_space

SPACE = get_space("nasbnn-digits")


def run(*arguments):
    """Exit code, standard output and standard error of the command, in this process."""
    code, out, err = 0, io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["binarynas", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
    return code, out.getvalue(), err.getvalue()


def refused(*arguments):
    """The one sentence on standard error of a command that fails."""
    code, _, err = run(*arguments)
    assert code == 2
    assert err.count("\n") == 1
    return err


@pytest.fixture(scope="module")
def digits():
    return open_data(DataConfig(name="digits"), image_size=8, channels=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, digits):
    """A run's folder with two networks on its front, trained a little."""
    path = tmp_path_factory.mktemp("run")
    write_facts(Run(path), load_config("nasbnn-digits"), digits.describe(), SPACE.declaration())
    images = digits.train.normalisation(digits.train.images)
    for member in (SPACE.smallest(), SPACE.largest()):
        torch.manual_seed(0)
        network = BinaryNetwork(SPACE, member)
        optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
        for step in range(12):
            part = slice(step * 64, step * 64 + 64)
            torch.nn.functional.cross_entropy(network(images[part]), digits.train.labels[part]).backward()
            optimiser.step()
            optimiser.zero_grad()
        save_network(path / "front" / SPACE.id(member), network)
    return path


@pytest.fixture(scope="module")
def exported(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.bnn"
    code, out, err = run("export", folder, "--architecture", SPACE.largest(), "--out", path)
    assert (code, err) == (0, "")
    assert "by count" in out
    return path


@pytest.mark.parametrize("member", [SPACE.smallest(), SPACE.largest()], ids=["smallest", "largest"])
def test_an_exported_network_gives_the_same_classes_on_the_whole_test_split(folder, tmp_path, digits, member):
    path = tmp_path / "model.bnn"
    assert run("export", folder, "--architecture", SPACE.id(member), "--out", path)[0] == 0
    model = read_model(path)
    assert (model.class_names, model.mean, model.std) == (digits.class_names, digits.mean, digits.std)
    assert model.facts["architecture"] == SPACE.format(member)
    images = digits.test.normalisation(digits.test.images)
    with torch.inference_mode():
        wanted = load_network(folder / "front" / SPACE.id(member))(images)
    logits = Engine(model.program)(images)
    assert torch.equal(logits.argmax(1), wanted.argmax(1))
    torch.testing.assert_close(logits, wanted, rtol=0, atol=1e-4)


def test_a_networks_folder_is_exported_like_its_run(folder, exported, tmp_path):
    network = folder / "front" / SPACE.id(SPACE.largest())
    assert run("export", network, "--out", tmp_path / "model.bnn")[0] == 0
    assert (tmp_path / "model.bnn").read_bytes() == exported.read_bytes()
    shutil.copytree(network, tmp_path / "alone")
    assert "give --mean and --std" in refused("export", tmp_path / "alone", "--out", tmp_path / "other.bnn")
    assert run("export", tmp_path / "alone", "--out", tmp_path / "other.bnn", "--mean", "0.5", "--std", "0.25")[0] == 0
    assert read_model(tmp_path / "other.bnn").mean == (0.5,)
    assert "mean must be 1 finite" in refused(
        "export", tmp_path / "alone", "--out", tmp_path / "x.bnn", "--mean", "0.5,0.5", "--std", "0.25"
    )
    assert not (tmp_path / "x.bnn").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--architecture", "0123456789ab"], "has no weights of '0123456789ab': its supernet is not trained yet"),
        (["--architecture", SPACE.format(SPACE.unrank(5))], "has no weights of"),
        (["--architecture", "c8k3g1 | c9"], "'c9' is not a layer"),
        (["--architecture", "../../etc"], "is not an architecture of"),
        (["--architecture", "0123456789ab", "--ops-max", "5M"], "leave --ops-max out"),
    ],
)
def test_an_architecture_without_weights_is_named(folder, tmp_path, arguments, words):
    assert words in refused("export", folder, *arguments, "--out", tmp_path / "model.bnn")


@pytest.fixture(scope="module")
def one_shot(tmp_path_factory):
    """A finished run of a supernet with random weights, which tried four networks."""
    settings = [
        "execution.executor=inline", "supernet.epochs=0", "search.trials=4", "finetune.networks=0",
        "data.train_limit=64", "data.validation_limit=140", "data.test_limit=32", "evaluation.recalibration_batches=1",
        "evaluation.recalibration_batch_size=32",
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("one-shot") / "run"
    code, _, err = run("search", "nasbnn-digits", "--out", path, *(word for s in settings for word in ("--set", s)))
    assert code == 0, err
    return path


def test_any_member_of_a_one_shot_run_is_exported_as_the_search_measured_it(one_shot, tmp_path):
    path, data = tmp_path / "model.bnn", Context(one_shot).data
    for row in load_trials(one_shot).to_dict("records"):
        on_front = (one_shot / "front" / row["id"]).exists()
        for name in (row["id"], row["architecture"]):
            code, out, err = run("export", one_shot, "--architecture", name, "--out", path)
            assert code == 0
            assert row["architecture"] in out
            assert ("note: its weights are not finetuned" in err) is not on_front
        model = read_model(path)
        logits = Engine(model.program)(data.validation.normalisation(data.validation.images))
        assert (logits.argmax(1) == data.validation.labels).double().mean().item() == row["accuracy"]
        assert ("not finetuned" in model.facts.get("weights", "")) is not on_front
    assert len(list((one_shot / "front").iterdir())) < 4  # some were not


def test_a_member_that_was_never_tried_is_exported_and_no_other(one_shot, tmp_path):
    member = SPACE.format(SPACE.unrank(12345))
    assert member not in set(load_trials(one_shot)["architecture"])
    assert run("export", one_shot, "--architecture", member, "--out", tmp_path / "model.bnn")[0] == 0
    assert read_model(tmp_path / "model.bnn").facts["architecture"] == member
    for name, words in [
        (member.replace("c8k3g1", "c9k3g1", 1), "is not an architecture of"),
        (SPACE.id(SPACE.unrank(12345)), "and no trial with that id; give the architecture's text"),
    ]:
        assert words in refused("export", one_shot, "--architecture", name, "--out", tmp_path / "other.bnn")
    supernet = one_shot / "supernet" / "trained"
    assert "is a supernet" in refused("export", supernet, "--architecture", member, "--out", tmp_path / "other.bnn")
    network = next((one_shot / "front").iterdir())
    assert "does not hold" in refused("export", network, "--architecture", member, "--out", tmp_path / "other.bnn")
    assert not (tmp_path / "other.bnn").exists()


@pytest.mark.parametrize(
    ("preset", "settings", "words"),
    [
        ("bnas-digits", ["method=one-shot"], "a candidate of a mixed supernet is not a final network"),
        ("bnas-digits", [], "those of candidates are not kept"),
        ("width-digits", [], "those of candidates are not kept"),
    ],
)
def test_a_run_that_keeps_no_weights_of_candidates_says_so(tmp_path, digits, preset, settings, words):
    config = load_config(preset, settings)
    space = config.space.architectures()
    write_facts(Run(tmp_path), config, digits.describe(), space.declaration())
    said = refused("export", tmp_path, "--architecture", space.format(space.smallest()), "--out", tmp_path / "a.bnn")
    assert words in said
    assert "it has no networks yet" in said


def test_what_is_no_run_is_named(tmp_path):
    assert "does not exist" in refused("export", tmp_path / "none", "--out", tmp_path / "model.bnn")
    assert "neither a run nor" in refused("export", tmp_path, "--out", tmp_path / "model.bnn")


def test_bench_tells_medians_the_processor_and_threads(exported):
    code, out, err = run("bench", exported, "--seconds", "0.05", "--batch", "2", "--float", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["threads"] == 1
    assert found["batch"] == 2
    assert found["processor"]
    assert len(found["engines"]) == 3
    for timing in found["engines"].values():
        assert 0 < timing["low"] <= timing["median"] <= timing["high"]
        assert timing["calls"] >= 5
    code, out, _ = run("bench", exported, "--seconds", "0.05")
    assert code == 0
    assert "native" in out or "portable" in out


def test_predict_tells_class_and_probability_of_every_image(exported, digits, tmp_path):
    pixels = digits.test.images[:6]
    for number, image in enumerate(pixels):
        Image.fromarray(image[0].numpy()).save(tmp_path / f"{number}.png")
    (tmp_path / "notes.txt").write_text("no image")
    code, out, err = run("predict", exported, tmp_path, "--json")
    assert (code, err) == (0, "")
    model = read_model(exported)
    wanted = Engine(model.program)(digits.test.normalisation(pixels)).softmax(1)
    for number, found in enumerate(json.loads(out)):
        assert found["file"] == str(tmp_path / f"{number}.png")
        assert found["class"] == model.class_names[wanted[number].argmax()]
        assert found["probability"] == pytest.approx(wanted[number].max().item(), abs=1e-5)
    assert "%" in run("predict", exported, tmp_path / "0.png")[1]


def test_images_of_another_size_or_kind_are_fitted_and_others_named(exported, tmp_path):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (40, 60, 3)).astype(np.uint8)).save(tmp_path / "large.jpg")
    Image.fromarray(rng.integers(0, 256, (3, 1)).astype(np.uint8)).save(tmp_path / "small.png")
    code, out, _ = run("predict", exported, tmp_path, "--json")
    assert code == 0
    assert len(json.loads(out)) == 2
    (tmp_path / "broken.png").write_bytes((tmp_path / "large.jpg").read_bytes()[:200])
    code, out, err = run("predict", exported, tmp_path, "--json")
    assert code == 1
    assert len(json.loads(out)) == 2
    assert "broken.png is not an image that can be read" in err.replace("\n", " ")
    assert "is not an image that can be read" in refused("predict", exported, tmp_path / "broken.png")
    assert "does not exist" in refused("predict", exported, tmp_path / "none.png")
    (tmp_path / "empty").mkdir()
    assert "has no images" in refused("predict", exported, tmp_path / "empty")


def test_a_damaged_model_is_one_sentence(exported, tmp_path):
    path = tmp_path / "model.bnn"
    path.write_bytes(exported.read_bytes()[:-3])
    for command in (("bench", path), ("predict", path, tmp_path)):
        assert "bytes where it says" in refused(*command)
    assert "cannot read" in refused("bench", tmp_path / "none.bnn")


def test_a_network_is_exported_for_other_tools(folder, exported, tmp_path, digits):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    path = tmp_path / "model.onnx"
    code, out, err = run("export", folder, "--architecture", SPACE.largest(), "--out", path)
    assert (code, err) == (0, "")
    assert "float simulation: weights are stored as 32-bit floats; the 1-bit form is the .bnn file" in out
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    images = digits.test.normalisation(digits.test.images)
    logits = torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])
    wanted = Engine(read_model(exported).program)(images)
    assert torch.equal(logits.argmax(1), wanted.argmax(1))
    torch.testing.assert_close(logits, wanted, rtol=0, atol=1e-4)
    assert session.get_modelmeta().custom_metadata_map["id"] == SPACE.id(SPACE.largest())
    code, out, _ = run("export", folder, "--architecture", SPACE.largest(), "--out", path, "--format", "qonnx")
    assert code == 0
    assert "BipolarQuant" in out
    assert "is not a .bnn file" in refused("predict", path, tmp_path)


def test_a_name_that_does_not_fit_the_format_is_refused(folder, tmp_path):
    export = ("export", folder, "--architecture", SPACE.smallest(), "--out")
    assert "ends in .onnx; a 1-bit file ends in .bnn" in refused(*export, tmp_path / "a.onnx", "--format", "bnn")
    assert "a file of ONNX ends in .onnx" in refused(*export, tmp_path / "a.bnn", "--format", "onnx")
    assert "a file of QONNX ends in .onnx" in refused(*export, tmp_path / "a.qonnx")
    assert "cannot use" in refused(*export, tmp_path / "none" / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_plain_c_is_written_into_a_folder_of_its_own(folder, tmp_path):
    export = ["export", folder, "--architecture", SPACE.smallest(), "--format", "c", "--out"]
    code, out, err = run(*export, tmp_path / "digits")
    assert (code, err) == (0, "")
    assert f"of memory; build it with: make -C {tmp_path}/digits" in out
    assert "space: nasbnn-digits" in (tmp_path / "digits" / "digits.h").read_text()
    assert "is not empty; C is written into a folder of its own" in refused(*export, tmp_path / "digits")
    (tmp_path / "file").touch()
    assert "is a file; C is written into a folder" in refused(*export, tmp_path / "file")
    assert "cannot use" in refused(*export, tmp_path / "file" / "below")
    for name in ("a.bnn", "a.onnx", "a.html"):
        assert "as a file does; C is written into a folder" in refused(*export, tmp_path / name)
    assert "'rust' is not one of" in run(*export, tmp_path / "x", "--format", "rust")[2].replace("\n", " ")


def test_a_page_is_written(folder, tmp_path, monkeypatch):
    export = ["export", folder, "--architecture", SPACE.smallest(), "--out"]
    assert "must end in .html" in refused(*export, tmp_path / "page.bnn", "--format", "html")
    assert "a 1-bit file ends in .bnn" in refused(*export, tmp_path / "page.html", "--format", "bnn")
    with monkeypatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda *_: None)
        assert "a page needs the package ziglang" in refused(*export, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
    pytest.importorskip("ziglang", reason="ziglang is not installed")
    code, out, err = run(*export, tmp_path / "page.html")
    assert (code, err) == (0, "")
    assert "open it in a browser" in out
    assert SPACE.format(SPACE.smallest()) in (tmp_path / "page.html").read_text()
