"""Names of any bytes and lengths, of data, classes, runs and files; labels, checkpoints that are none."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from PIL import Image

from search.data.config import recognise
from search.data.errors import DataError
from search.data.opening import open_data

SMALL = ("--set=supernet.epochs=1", "--set=finetune.networks=1", "--set=finetune.epochs=1", "--trials=4",
         "--set=execution.executor=inline")  # fmt: skip
CLASSES = ("caf\udce9 [red]", "$a_b$ $c^2", "new\nline", "x" * 200, "_under", "1", "1.0", "  spaced")


def write_images(folder, classes, count=12, suffix=".png"):
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (8, 8, 3)).astype("uint8")
            Image.fromarray(pixels).save(folder / name / f"{number}{suffix}", "png")
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="other systems want names in Unicode")
def test_names_of_any_bytes_work_from_the_images_to_the_prediction(cli, tmp_path):
    data = write_images(tmp_path / "da\udce9ta $x$", CLASSES)
    (data / "1" / "0.png").rename(data / "1" / "n\udcff $x$.png")
    run = tmp_path / "ru\udce9n $y$"
    done = cli("search", "nasbnn-digits", "--data", data, "--out", run, *SMALL)
    assert done.returncode == 0, done.stderr
    names = json.loads((run / "run.json").read_text())["data"]["class_names"]
    assert sorted(names) == sorted(
        ["caf\\xe9 [red]", "$a_b$ $c^2", "new\\nline", "x" * 200, "_under", "1", "1.0", "  spaced"]
    )
    assert cli("report", run).returncode == 0
    model = tmp_path / ("m\udce9 $" + "n" * 230 + ".bnn")
    for form in ((model,), (tmp_path / "m\udce9.html",), (tmp_path / "m\udce9.onnx",), (tmp_path / "c", "--format=c")):
        done = cli("export", run, "--out", *form)
        assert done.returncode == 0, done.stderr
    command = [sys.executable, "-m", "binarynas", "predict", str(model), str(data / "1")]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    shown = subprocess.run(command, capture_output=True, check=True, env=environment).stdout.decode()
    assert "da\\xe9ta $x$/1/n\\xff $x$.png" in shown
    assert len(shown.splitlines()) == 12


def write_parquet(file, labels, names=None):
    rows = []
    for number in range(len(labels)):
        buffer = io.BytesIO()
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3)).astype("uint8")
        Image.fromarray(pixels).save(buffer, "png")
        rows.append({"bytes": buffer.getvalue()})
    table = pa.table({"image": rows, "label": pa.array(labels)})
    if names:
        features = {"info": {"features": {"label": {"names": names}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    parquet.write_table(table, file)
    return file


def test_names_of_classes_that_are_alike_get_their_numbers(tmp_path):
    file = write_parquet(tmp_path / "own.parquet", [0, 1, 2, 3] * 8, ["a", "a", " ", "b\n"])
    assert open_data(recognise(file)).class_names == ("a (0)", "a (1)", "  (2)", "b\\n")


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([1, 2] * 8, "no image of class '0': add some, or number the classes from 0 without gaps"),
        ([0, 10**9] * 8, "a label is 1000000000, but there are 16 training images: number the classes from 0"),
        (["cat", "dog"] * 8, "must hold integers, but holds string: number the classes from 0"),
        ([0.0, 1.0] * 8, "must hold integers, but holds double: number the classes from 0"),
    ],
)
def test_labels_that_are_no_classes_are_told_with_what_to_do(labels, sentence, tmp_path):
    with pytest.raises(DataError, match=sentence):
        open_data(recognise(write_parquet(tmp_path / "own.parquet", labels)))


def test_a_class_whose_files_are_of_another_kind_says_which(tmp_path):
    folder = write_images(tmp_path / "own", ("a",))
    write_images(folder, ("b",), suffix=".heic")
    with pytest.raises(DataError, match=r"b has no images .*, but 12 \.heic: add some, or take the folder out"):
        open_data(recognise(folder))


def test_a_broken_link_is_damage_that_may_be_skipped_in_a_run_too(cli, tmp_path):
    folder = write_images(tmp_path / "own", ("a", "b"))
    (folder / "b" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match=r"cannot be read .*: take it out, or set on_damage: skip"):
        open_data(recognise(folder))
    out = tmp_path / "run"
    done = cli("search", "nasbnn-digits", "--data", folder, "--out", out, *SMALL, "--set=data.on_damage=skip")
    assert done.returncode == 0, done.stderr
    assert "; not used: 1 damaged image skipped (" in done.stderr
    assert cli("report", out).returncode == 0
    assert "1 damaged image skipped" in (out / "report.html").read_text()
    model = tmp_path / "model.bnn"
    assert cli("export", out, "--out", model).returncode == 0
    assert "gone.png" in cli("predict", model, folder).stderr, "predict and training count the same files"
    done = cli("predict", out, folder)
    assert (done.returncode, "is a folder, but not that of a detector" in done.stderr) == (2, True)


def test_the_image_size_has_one_owner(cli, tmp_path):
    folder = write_images(tmp_path / "own", ("a", "b"))
    done = cli("search", "nasbnn-digits", "--data", folder, "--out", tmp_path / "run", "--set=data.image_size=16")
    assert done.returncode == 2
    assert "data.image_size is 16, but the networks of 'nasbnn-digits' are for 8 pixels" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["text", "pickle", "torch", "nothing", "folder"])
def test_what_is_no_checkpoint_is_told_in_one_sentence(kind, cli, tmp_path):
    import pickle

    import torch

    file = tmp_path / "other.pt"
    if kind == "torch":
        torch.save({"weights": torch.ones(2)}, file)
    elif kind == "folder":
        file.mkdir()
    elif kind != "nothing":
        file.write_bytes(b"hello" if kind == "text" else pickle.dumps(print))
    words = {"nothing": "does not exist", "folder": "is not a checkpoint"}.get(
        kind, "is a file; a checkpoint is a folder"
    )
    for key in ("start", "checkpoint"):
        done = cli("search", "nasbnn-digits", "--out", tmp_path / "run", f"--set=supernet.{key}={file}")
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr
    done = cli("import-nasbnn", file, "--out", tmp_path / "supernet")
    assert done.returncode == 2
    assert "Warning" not in done.stderr
    assert "weights_only" not in done.stderr


def test_a_search_whose_trials_all_failed_says_why(cli, tmp_path, monkeypatch):
    from search.worker import one_shot

    def fail(*_):
        raise RuntimeError("no room\nat all")

    monkeypatch.setattr(one_shot, "validate_candidate", fail)
    folder = write_images(tmp_path / "own", ("a", "b"))
    done = cli("search", "nasbnn-digits", "--data", folder, "--out", tmp_path / "run", *SMALL)
    assert done.returncode == 1
    assert "has finished; the reason of the first one: RuntimeError: no room\n" in done.stderr
    assert "state: ended, all trials failed" in cli("status", tmp_path / "run").stdout
