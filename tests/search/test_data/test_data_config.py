"""What a configuration may say, and what `--data PATH` stands for."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from search.data.config import DataConfig, recognise
from search.data.errors import DataError


def test_importing_the_configuration_loads_nothing_heavy():
    code = "import sys, search.data; print([m for m in ('torch', 'pyarrow', 'sklearn', 'PIL') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    "name", ["digits", "cifar10", "CIFAR10", "fashion_mnist", "fashion-mnist", "cifar100", "mnist"]
)
def test_known_names_are_recognised(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert recognise(name).name == name.lower().replace("_", "-")


def test_files_and_folders_are_recognised(tmp_path, files):
    images, labels = files.balanced(6)
    file = files.parquet_file(tmp_path / "one" / "train-00000-of-00001.parquet", images, labels)
    files.parquet_file(tmp_path / "hub" / "data" / "train.parquet", images, labels)
    assert recognise(file) == DataConfig(name="parquet", path=file)
    assert recognise(tmp_path / "one").name == recognise(tmp_path / "hub").name == "parquet"
    assert recognise(files.image_folder(tmp_path / "split", splits=("train", "val"))).name == "folder"
    assert recognise(files.image_folder(tmp_path / "plain", splits=())).name == "folder"


def test_a_folder_goes_before_a_known_name(tmp_path, monkeypatch, files):
    monkeypatch.chdir(tmp_path)
    files.image_folder(tmp_path / "digits", splits=())
    assert recognise("digits") == DataConfig(name="folder", path=tmp_path / "digits")


@pytest.mark.parametrize("kind", ["missing", "empty", "text"])
def test_what_is_not_recognised_is_told_with_what_is(kind, tmp_path):
    place = tmp_path / kind
    if kind == "empty":
        place.mkdir()
    if kind == "text":
        place.write_text("hello")
    with pytest.raises(DataError, match="recognised") as error:
        recognise(place)
    assert str(place) in str(error.value)
    for word in ("digits", "fashion-mnist", "train*.parquet", "train/CLASS/*", ".png"):
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "folder"}, "path must say where"),
        ({"validation_per_class": 5, "validation_fraction": 0.1}, "exclude each other"),
        ({"resized_crop": 0.1, "crop_padding": 4}, "exclude each other"),
        ({"validation_fraction": 1.0}, "less than 1"),
        ({"channels": 2}, "1 or 3"),
        ({"shuffle": True}, "Extra inputs"),
    ],
)
def test_contradictions_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        DataConfig.model_validate(settings)


def test_the_configuration_survives_json():
    config = DataConfig(name="folder", path=Path("photos"), crop_padding=2, flip="horizontal", validation_per_class=3)
    assert config.path == Path.cwd() / "photos"
    assert DataConfig.model_validate_json(config.model_dump_json()) == config
