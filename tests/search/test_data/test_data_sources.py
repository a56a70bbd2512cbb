"""Image folders, Parquet files, torchvision's files, streaming, and what is said of each when it is bad."""

import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from torchvision import datasets
from torchvision.datasets.utils import calculate_md5

from search.data.config import DataConfig, recognise
from search.data.dataset import TensorSplit
from search.data.errors import DataError
from search.data.opening import open_data
from search.data.order import in_order, shuffled

CPU = torch.device("cpu")


def everything(split, order=None, size=7):
    batches = list(split.batches(size, order=order or in_order(), device=CPU))
    return torch.cat([images for images, _ in batches]), torch.cat([labels for _, labels in batches])


def both_ways(path: Path, **settings):
    config = recognise(path).model_copy(update={"image_size": 8, "loader_workers": 2, **settings})
    return open_data(config), open_data(config.model_copy(update={"memory_limit_mb": 0}))


@pytest.fixture(scope="module")
def parquet(tmp_path_factory, files):
    folder = tmp_path_factory.mktemp("hub")
    images, labels = files.balanced(40)
    files.parquet_file(folder / "train-00000-of-00002.parquet", images[:22], labels[:22], names=files.NAMES)
    files.parquet_file(folder / "train-00001-of-00002.parquet", images[22:], labels[22:], names=files.NAMES)
    files.parquet_file(folder / "test-00000-of-00001.parquet", images[:9], labels[:9], names=files.NAMES)
    return folder


@pytest.mark.parametrize("size", [8, (12, 10)])
@pytest.mark.parametrize("kind", ["folder", "parquet"])
def test_streamed_and_in_memory_give_equal_batches_in_order(kind, size, tmp_path, files):
    if kind == "folder":
        path = files.image_folder(tmp_path / "set", splits=("train", "val"), size=size)
    else:
        path = files.parquet_file(tmp_path / "set.parquet", *files.balanced(40, size=size))
    memory, streamed = both_ways(path, centre_crop=0.875)
    assert (memory.storage, streamed.storage) == ("memory", "streamed")
    assert memory.mean == streamed.mean  # of so few images all are in the sample
    for part in ("train", "validation", "test"):
        one, other = everything(getattr(memory, part)), everything(getattr(streamed, part))
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])


@pytest.mark.parametrize(
    "settings", [{"crop_padding": 2, "flip": "horizontal", "colour_jitter": 0.3}, {"resized_crop": 0.2}]
)
def test_streamed_batches_depend_on_the_seed_and_not_on_the_workers(settings, parquet):
    _, several = both_ways(parquet, **settings)
    _, alone = both_ways(parquet, loader_workers=0, **settings)
    state = torch.get_rng_state()
    first = everything(several.train, shuffled(3))
    assert torch.equal(first[0], everything(alone.train, shuffled(3))[0])
    assert not torch.equal(first[0], everything(alone.train, shuffled(4))[0])
    resumed = everything(several.train, shuffled(3, first=2))
    assert torch.equal(first[0][14:], resumed[0])
    assert torch.equal(state, torch.get_rng_state())


def test_a_shuffled_stream_gives_every_image_once_and_its_own_label(parquet):
    memory, streamed = both_ways(parquet, loader_workers=0, shuffle_buffer=5)
    labels = dict(
        zip(
            [image.numpy().tobytes() for image in everything(memory.train)[0]],
            memory.train.labels.tolist(),
            strict=True,
        )
    )
    images, given = everything(streamed.train, shuffled(0), size=1)
    assert sorted(labels) == sorted(image.numpy().tobytes() for image in images)
    assert [labels[image.numpy().tobytes()] for image in images] == given.tolist()
    assert given.tolist() != memory.train.labels.tolist()


def test_parquet_has_names_splits_and_the_pixels_of_its_images(parquet, files):
    data = open_data(recognise(parquet))
    assert data.class_names == files.NAMES
    assert (len(data.train) + len(data.validation), len(data.test)) == (40, 9)
    assert torch.equal(data.test.images[4], torch.from_numpy(files.pixels(4)).permute(2, 0, 1))
    assert data.describe()["fingerprint"] == open_data(recognise(parquet)).fingerprint


@pytest.mark.parametrize(("column", "label"), [("image", "label"), ("img", "fine_label"), ("picture", "labels")])
def test_the_hubs_column_names_are_found(column, label, tmp_path, files):
    images, labels = files.balanced(30)
    file = files.parquet_file(tmp_path / "a.parquet", images, labels, column=column, label=label)
    assert open_data(recognise(file)).class_names == ("0", "1", "2")


def test_grey_and_colour_images_become_one_kind(tmp_path, files):
    grey, labels = files.balanced(30, channels=1)
    colour, _ = files.balanced(30)
    only_grey = files.parquet_file(tmp_path / "grey.parquet", grey, labels)
    mixed = files.parquet_file(tmp_path / "mixed.parquet", grey[:15] + colour[15:], labels)
    assert open_data(recognise(only_grey)).channels == 1
    assert open_data(recognise(mixed)).channels == 3
    assert open_data(recognise(mixed), channels=1).channels == 1
    assert open_data(recognise(only_grey), channels=3, image_size=12).train.images.shape[1:] == (3, 12, 12)


def message(path, **settings) -> str:
    with pytest.raises(DataError) as error:
        open_data(recognise(path).model_copy(update=settings))
    return str(error.value)


@pytest.mark.parametrize("memory_limit_mb", [0, 100])
def test_every_bad_image_is_told_with_its_row(memory_limit_mb, tmp_path, files):
    images, labels = files.balanced(30)
    images[4], images[11], images[20] = b"not an image", images[11][:-30], None
    file = files.parquet_file(tmp_path / "bad.parquet", images, labels)
    # One training split takes them all: the two other splits come from good files.
    (tmp_path / "hub").mkdir()
    file.rename(tmp_path / "hub" / "train.parquet")
    for name in ("validation", "test"):
        files.parquet_file(tmp_path / "hub" / f"{name}.parquet", *files.balanced(9))
    text = message(tmp_path / "hub", memory_limit_mb=memory_limit_mb, image_size=8)
    assert text.startswith("3 problems")
    assert "train.parquet row 4: the image cannot be decoded (it is not a JPEG, PNG, WebP, GIF, BMP or TIFF)" in text
    assert "train.parquet row 11: the image cannot be decoded" in text
    assert "train.parquet row 20: column 'img' has no image bytes" in text


@pytest.mark.parametrize(
    ("labels", "options", "words"),
    [
        ([0, 1, 5] * 10, {"names": ("a", "b", "c")}, "row 2: label 5 is out of range: there are 3 classes"),
        ([0, 1, -1] * 10, {"names": ("a", "b", "c")}, "row 2: label -1 is out of range"),
        ([0, 2, 3] * 10, {}, "no image of class '1'"),
        ([0, 1, None] * 10, {}, "row 2: column 'label' is empty"),
        ([0, 1, 2] * 10, {"label": "kind"}, "no column of classes, named label or labels or fine_label"),
        ([0, 1, 2] * 10, {"label_type": pa.float32()}, "column 'label' must hold integers, but holds float"),
    ],
)
def test_bad_labels_are_told(labels, options, words, tmp_path, files):
    file = files.parquet_file(tmp_path / "bad.parquet", files.balanced(30)[0], labels, **options)
    assert words in message(file)
    assert "bad" in message(file)


def test_a_file_without_images_or_that_is_no_parquet_is_told(tmp_path):
    pa.parquet.write_table(pa.table({"label": [1, 2], "text": ["a", "b"]}), tmp_path / "text.parquet")
    assert "no image column" in message(tmp_path / "text.parquet")
    assert "its columns are label, text" in message(tmp_path / "text.parquet")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and no more")
    assert "torn.parquet: this is not a Parquet file" in message(tmp_path / "torn.parquet")


def test_mixed_sizes_need_an_image_size(tmp_path, files):
    images, labels = files.balanced(30)
    images[7] = files.png(files.pixels(7, (5, 6)))
    file = files.parquet_file(tmp_path / "mixed.parquet", images, labels)
    assert "mixed.parquet row 7: the image is 5×6 pixels where the first is 8×8: set image_size" in message(file)
    assert open_data(recognise(file), image_size=8).image_size == 8
    oblong = files.parquet_file(tmp_path / "oblong.parquet", *files.balanced(30, size=(6, 8)))
    assert "must be square: set image_size" in message(oblong)
    assert "set image_size" in message(oblong, memory_limit_mb=0)


def test_bad_folders_are_told_all_at_once(tmp_path, files):
    folder = files.image_folder(tmp_path / "set", splits=("train", "test"))
    for image in (folder / "test" / "cat").iterdir():
        image.unlink()
    (folder / "test" / "dog").rename(folder / "test" / "fox")
    text = message(folder)
    assert text.startswith("3 problems")
    for words in (
        "unknown class 'fox'",
        "class 'dog' is missing",
        f"{folder / 'test' / 'cat'} has no images",
    ):
        assert words in text


def test_a_folder_that_is_gone_or_has_one_class_is_told(tmp_path, files):
    with pytest.raises(DataError, match="does not exist"):
        open_data(DataConfig(name="folder", path=tmp_path / "gone"))
    folder = files.image_folder(tmp_path / "set")
    for name in ("dog", "owl"):
        (folder / "train" / name).rename(folder / name)
    assert "at least two, but here there is 1" in message(folder)


def test_an_undecodable_file_is_named(tmp_path, files):
    folder = files.image_folder(tmp_path / "set")
    (folder / "train" / "dog" / "003.png").write_bytes(b"")
    assert f"{folder / 'train' / 'dog' / '003.png'}: the image cannot be decoded (it is empty)" in message(folder)


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_mnist_is_read_from_its_files(name, folder, tmp_path, files):
    data = open_data(DataConfig(name=name, path=files.mnist_files(tmp_path, name=folder)))
    assert (data.image_size, data.channels, data.classes, len(data.test)) == (28, 1, 10, 40)
    assert torch.equal(data.test.images[3, 0], torch.from_numpy(files.pixels(1003, 28, 1)))


def test_cifar_is_read_from_its_files_only_if_they_are_the_published_ones(tmp_path, files, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    images = np.stack([files.pixels(n, 32).transpose(2, 0, 1) for n in range(40)])
    batch = {"data": images.reshape(40, -1), "labels": [n % 10 for n in range(40)]}
    for file in ("data_batch_1", "test_batch"):
        (folder / file).write_bytes(pickle.dumps(batch))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"thing {n}" for n in range(10)]}))
    config = DataConfig(name="cifar10", path=tmp_path)
    with pytest.raises(DataError, match=r"cifar10: not found, or damaged, in .*; set download to fetch it, or path"):
        open_data(config)
    for attribute, file in (("train_list", "data_batch_1"), ("test_list", "test_batch")):
        monkeypatch.setattr(datasets.CIFAR10, attribute, [[file, calculate_md5(folder / file)]])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": calculate_md5(folder / "batches.meta")}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    data = open_data(config)
    assert (data.image_size, data.channels, len(data.train), len(data.validation)) == (32, 3, 30, 10)
    assert data.class_names[3] == "thing 3"
    assert torch.equal(data.test.images[5], torch.from_numpy(images[5]))
    assert data.train.augmentation.crop_padding == 4


def test_a_failed_download_is_told(tmp_path, monkeypatch):
    def fail(self):
        raise OSError("no route to host")

    monkeypatch.setattr(datasets.CIFAR100, "download", fail)
    with pytest.raises(DataError, match=r"downloading failed \(no route to host\): put its files there yourself"):
        open_data(DataConfig(name="cifar100", path=tmp_path, download=True))


def streamed(path, **changes):
    settings = {"name": "folder", "path": path, "memory_limit_mb": 0, "loader_workers": 0, "image_size": 8}
    return DataConfig(**{**settings, "validation_fraction": 0.3, **changes})


def shown(split):
    return [(images, labels) for images, labels in split.batches(4, order=in_order(), device=torch.device("cpu"))]


def test_decoded_validation_images_are_those_that_are_streamed(tmp_path, files):
    images, cache = files.image_folder(tmp_path / "images", size=(11, 14)), tmp_path / "cache"
    plain, once = (open_data(streamed(images, cache=folder)) for folder in (None, cache))
    for part in ("validation", "test"):
        split = getattr(once, part)
        assert isinstance(split, TensorSplit)
        assert not split.resident
        for one, other in zip(shown(getattr(plain, part)), shown(split), strict=True):
            assert all(torch.equal(own, kept) for own, kept in zip(one, other, strict=True))
    assert (once.fingerprint, once.storage) == (plain.fingerprint, plain.storage)
    wanted = shown(plain.test)
    made = {file: file.stat().st_mtime_ns for file in cache.iterdir()}
    assert len(made) == 4
    moved = images.rename(tmp_path / "elsewhere")
    open_data(streamed(moved, cache=cache))
    assert {file: file.stat().st_mtime_ns for file in cache.iterdir()} == made, "another run finds what it needs"
    open_data(streamed(moved, cache=cache, image_size=6))
    assert len(list(cache.iterdir())) == 8
    broken = max(made, key=lambda file: file.stat().st_size)
    broken.write_bytes(broken.read_bytes()[:-1])
    again = open_data(streamed(moved, cache=cache))
    assert all(torch.equal(one[0], other[0]) for one, other in zip(shown(again.test), wanted, strict=True))
    assert {file.name for file in made} <= {file.name for file in cache.iterdir()}


def test_damaged_images_are_left_out_of_decoded_splits_where_they_may_be(tmp_path, files):
    images, cache = files.image_folder(tmp_path / "images", splits=("train", "validation", "test")), tmp_path / "cache"
    (images / "validation" / "cat" / "003.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"003\.png"):
        open_data(streamed(images, cache=cache, validation_fraction=None))
    settings = {"cache": cache, "validation_fraction": None, "on_damage": "skip"}
    data = open_data(streamed(images, **settings))
    assert len(data.validation) == 29
    assert data.validation.labels.tolist() == [0] * 9 + [1] * 10 + [2] * 10


def test_a_cache_that_cannot_be_used_is_one_sentence(tmp_path, files):
    images = files.image_folder(tmp_path / "images")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"data\.cache is .*file, which cannot be used: Not a directory|File exists"):
        open_data(streamed(images, cache=tmp_path / "file"))


def test_a_kept_list_gives_the_same_batches_and_looks_at_no_file(tmp_path, files, monkeypatch):
    images, cache = files.image_folder(tmp_path / "images", size=(11, 14)), tmp_path / "cache"
    first_one = images / "train" / "cat" / "000.png"
    (first_one.parent / os.fsdecode(b"\xff.png")).write_bytes(first_one.read_bytes())
    config = streamed(images, crop_padding=1)
    plain, first = open_data(config), open_data(config, cache=cache)
    monkeypatch.setattr("search.data.opening._source", None)
    again = open_data(config, cache=cache)
    for part in ("train", "validation", "test"):
        for order in (in_order(), shuffled(3)):
            passes = [getattr(data, part).batches(4, order=order, device=CPU) for data in (plain, first, again)]
            for (one, _), (two, _), (three, labels) in zip(*passes, strict=True):
                assert torch.equal(one, two)
                assert torch.equal(two, three)
                assert labels.dtype == torch.int64
    assert again.describe() == first.describe() == plain.describe()


def test_a_kept_list_of_images_that_are_not_to_be_seen_is_one_sentence(tmp_path, files):
    images, cache = files.image_folder(tmp_path / "images"), tmp_path / "cache"
    open_data(streamed(images), cache=cache)
    (kept,) = cache.glob("*.listing")
    images.rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="is not there: this machine does not see the images"):
        open_data(streamed(images), cache=cache)
    (tmp_path / "elsewhere").rename(images)
    kept.write_bytes(kept.read_bytes()[:-9])
    assert len(open_data(streamed(images), cache=cache).train) > 0, "a damaged list is made again"
