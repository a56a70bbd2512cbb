"""Configurations, folders and schedules that were taken wrongly before."""

import pytest
import torch

from models.layers.lsq import SMALLEST_STEP
from models.nasbnn.supernet import NasBnnSupernet
from search.cli.spaces import _open
from search.config.loading import parse_yaml
from search.config.sections import ConfigError, TrainConfig
from search.config.trainings import SupernetConfig
from search.data.augment import Augmentation
from search.data.dataset import Normalisation, TensorSplit
from search.runs.folder import creating
from search.training.loop import train
from search.training.schedules import learning_rate, momentum
from search.training.steps import sandwich_step


def test_a_key_given_twice_is_an_error():
    with pytest.raises(ConfigError, match=r"'search' stands twice \(line 2\)"):
        parse_yaml("search: {trials: 3}\nsearch: {bins: 4}\n", "mine.yaml")


@pytest.mark.parametrize("kind", ["empty", "link", "here"])
def test_an_existing_empty_folder_becomes_a_run(kind, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    folder.mkdir()
    if kind == "link":
        (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(folder)
    path = {"empty": folder, "link": tmp_path / "link", "here": type(folder)(".")}[kind]
    with creating(path) as run:
        (run.path / "run.json").write_text("{}")
    assert [entry.name for entry in folder.iterdir()] == ["run.json"]


def test_the_linear_cycle_is_that_of_the_public_code():
    settings = TrainConfig(epochs=100, batch_size=1, learning_rate=0.1, schedule="linear-one-cycle")
    rates = [learning_rate(settings, epoch) for epoch in (0, 45, 90, 100)]
    assert rates == pytest.approx([0.005, 0.1, 0.005, 0.00005])
    assert [momentum(settings, epoch) for epoch in (0, 45, 90, 100)] == pytest.approx([0.95, 0.85, 0.95, 0.95])


def test_steps_of_the_stem_stay_positive(tiny):
    torch.manual_seed(0)
    supernet = NasBnnSupernet(tiny)
    images = torch.randint(0, 255, (64, 1, 8, 8), dtype=torch.uint8)
    split = TensorSplit(images, torch.arange(64) % 8, Normalisation((0.5,), (0.3,)), Augmentation())
    settings = SupernetConfig(epochs=1, batch_size=64, learning_rate=2.5e-3)
    supernet.stem.step.data.fill_(1e-4)  # which the first update moves by 2.5e-3, up or down
    list(train(supernet, sandwich_step(supernet, settings), split, settings, seed=0))
    assert supernet.stem.step.min().item() == pytest.approx(SMALLEST_STEP)


def test_the_space_of_a_configuration_has_the_classes_of_its_data(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("space: {name: nasbnn-32}\ndata: {name: cifar100}\n")
    assert (_open(str(file)).classes, _open(str(file)).channels) == (100, 3)
