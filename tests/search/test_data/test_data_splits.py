"""Laws of the cut: disjoint, stratified, the same for the same seed, free of the order of files."""

import numpy as np
import pytest
import torch

from search.data.config import DataConfig
from search.data.errors import DataError
from search.data.opening import open_data
from search.data.splits import ClassRanking

LABELS = np.random.default_rng(0).integers(0, 4, 200)
KEYS = [f"image-{number}" for number in range(200)]


def ranked(labels=LABELS, keys=KEYS, seed=0, purpose="test"):
    return ClassRanking.of(labels, keys.__getitem__, seed, purpose)


def test_first_and_rest_are_a_stratified_partition():
    first, rest = ranked().first([5, 6, 7, 8]), ranked().rest([5, 6, 7, 8])
    assert sorted([*first, *rest]) == list(range(200))
    assert np.bincount(LABELS[first]).tolist() == [5, 6, 7, 8]


def test_the_cut_does_not_depend_on_the_order_of_the_files():
    order = np.random.default_rng(1).permutation(200)
    other = ranked(LABELS[order], [KEYS[i] for i in order]).first([9] * 4)
    assert {KEYS[i] for i in ranked().first([9] * 4)} == {KEYS[order[i]] for i in other}


def test_seeds_and_purposes_differ():
    chosen = [tuple(ranked(seed=seed, purpose=purpose).first([9] * 4)) for seed in (0, 1) for purpose in ("a", "b")]
    assert len(set(chosen)) == 4


@pytest.mark.parametrize("size", [4, 17, 60, 200, 500])
def test_subsets_are_stratified_and_nested(size):
    subset = ranked().subset(size)
    assert len(subset) == min(size, 200)
    share = np.bincount(LABELS[subset], minlength=4) / len(subset) - np.bincount(LABELS) / 200
    assert np.bincount(LABELS[subset], minlength=4).min() >= 1
    assert np.abs(share).max() <= 1 / len(subset) + 1e-9
    assert set(subset) <= set(ranked().subset(size + 10))


def image_bytes(split):
    return {image.numpy().tobytes() for image in split.images}


def test_opened_splits_are_disjoint_and_stratified(tmp_path, files):
    folder = files.image_folder(tmp_path / "set", splits=(), per_class=20)
    data = open_data(DataConfig(name="folder", path=folder, validation_per_class=3, test_fraction=0.25))
    parts = [data.train, data.validation, data.test]
    assert [torch.bincount(part.labels).tolist() for part in parts] == [[12] * 3, [3] * 3, [5] * 3]
    assert len(set.union(*map(image_bytes, parts))) == 60


def test_a_split_is_the_same_for_the_same_seed_and_another_for_another():
    opened = [open_data(DataConfig(), seed=seed) for seed in (0, 0, 1)]
    assert opened[0].fingerprint == opened[1].fingerprint != opened[2].fingerprint


def test_limits_take_stratified_subsets_and_leave_the_cut_alone():
    whole, small = open_data(DataConfig()), open_data(DataConfig(train_limit=50, validation_limit=20, test_limit=10))
    assert [len(small.train), len(small.validation), len(small.test)] == [50, 20, 10]
    assert torch.bincount(small.train.labels).tolist() == [5] * 10
    for part in ("train", "validation", "test"):
        assert image_bytes(getattr(small, part)) <= image_bytes(getattr(whole, part))


def test_validation_images_without_test_images_are_the_test_split(tmp_path, files):
    folder = files.image_folder(tmp_path / "set", splits=("train", "val"))
    data = open_data(DataConfig(name="folder", path=folder, validation_per_class=2))
    assert [len(data.train), len(data.validation), len(data.test)] == [24, 6, 30]


def test_three_splits_are_what_their_names_say(tmp_path, files):
    folder = files.image_folder(tmp_path / "set", splits=("train", "valid", "test"), per_class=4)
    data = open_data(DataConfig(name="folder", path=folder))
    assert [len(data.train), len(data.validation), len(data.test)] == [12, 12, 12]


def test_too_few_images_of_a_class_are_told_for_every_class(tmp_path, files):
    folder = files.image_folder(tmp_path / "set", splits=("train", "test"), per_class=4)
    with pytest.raises(DataError) as error:
        open_data(DataConfig(name="folder", path=folder, validation_per_class=4, train_limit=2))
    for words in (
        "set: class 'cat' has 4 images to cut 4",
        "'dog'",
        "'owl'",
        "validation_per_class 4",
        "train_limit is",
    ):
        assert words in str(error.value)


def test_a_class_with_one_image_cannot_be_cut(tmp_path, files):
    folder = files.image_folder(tmp_path / "set", splits=("train", "test"), per_class=1)
    with pytest.raises(DataError, match="class 'cat' has 1 image to cut 1 for validation"):
        open_data(DataConfig(name="folder", path=folder))
