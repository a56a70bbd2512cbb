"""Tar and Parquet shards: what they hold, what is said of bad ones, and the order in which their images come."""

import gzip
import shutil
from collections import Counter

import pytest
import torch

from search.data.config import DataConfig, recognise
from search.data.dataset import TensorSplit
from search.data.errors import DataError
from search.data.kept import first_batches
from search.data.opening import listing, open_data
from search.data.order import in_order, shuffled, within_buffer
from search.data.sources.names import braces
from search.data.sources.parquet import ParquetImages
from search.data.sources.tar import TarImages
from search.data.stream import loaders

CPU = torch.device("cpu")
COUNTS = {"train": [13, 9, 20, 8], "val": [6, 6], "test": [9]}
STREAMED = {"memory_limit_mb": 0, "image_size": 8, "loader_workers": 0, "crop_padding": 1}


@pytest.fixture(scope="module")
def tars(tmp_path_factory, files):
    return files.tar_shards(tmp_path_factory.mktemp("shards") / "set", COUNTS)


@pytest.fixture(scope="module", params=["tar", "parquet"])
def sharded(request, tars, tmp_path_factory, files):
    """The same images in either kind of shards."""
    if request.param == "tar":
        return tars
    folder, first = tmp_path_factory.mktemp("parquet"), 0
    for split, sizes in COUNTS.items():
        for number, size in enumerate(sizes):
            images = [files.png(files.pixels(n)) for n in range(first, first + size)]
            labels = [n % 3 for n in range(first, first + size)]
            files.parquet_file(folder / f"{split}-{number}.parquet", images, labels, rows=5)
            first += size
    return folder


@pytest.fixture
def small_blocks(monkeypatch):
    """Tar shards are cut into several blocks, as large ones are."""
    monkeypatch.setattr("search.data.sources.tar.BLOCK_BYTES", 4096)


def opened(path, run=None, **settings):
    return open_data(recognise(path).model_copy(update={**STREAMED, **settings}), cache=run)


def taken(split, order, size=7):
    return list(split.batches(size, order=order, device=CPU))


def equal(one, other):
    return len(one) == len(other) > 0 and all(
        torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(one, other, strict=True)
    )


def test_tars_have_splits_labels_and_the_pixels_of_their_images(tars, files):
    data = open_data(recognise(tars))
    assert recognise(tars).name == "tar"
    assert (len(data.train), len(data.validation), len(data.test)) == (50, 12, 9)
    assert (data.class_names, data.storage, data.name) == (("0", "1", "2"), "memory", "set")
    for number in (0, 12, 13, 49):
        assert torch.equal(data.train.images[number], torch.from_numpy(files.pixels(number)).permute(2, 0, 1))
        assert data.train.labels[number] == number % 3
    streamed = opened(tars, loader_workers=2)
    assert streamed.storage == "streamed"
    for part in ("train", "validation", "test"):
        assert equal(taken(getattr(streamed, part), in_order()), taken(getattr(data, part), in_order()))


def test_labels_of_json_names_of_classes_and_what_belongs_to_no_image(tmp_path, files):
    made = [{"json": b'{"label": %d, "caption": "x"}' % (n % 2), "JPEG": files.png(files.pixels(n))} for n in range(30)]
    files.tar_file(tmp_path / "train.tar", [*made, {"txt": b"a note"}])
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    files.tar_file(tmp_path / "extra.tar", made)
    data = open_data(recognise(tmp_path))
    assert data.class_names == ("cat", "dog")
    assert len(data.train) + len(data.validation) + len(data.test) == 30
    assert data.left_out == (
        "1 file whose name says neither train, validation nor test (extra.tar)",
        "1 member of shards that belong to no image",
    )


@pytest.mark.parametrize("layout", ["braces", "glob", "folders", "file"])
def test_every_way_to_name_shards(layout, tars, tmp_path):
    if layout == "folders":
        for split in COUNTS:
            (tmp_path / split).mkdir()
            for shard in tars.glob(f"{split}-*"):
                shutil.copy(shard, tmp_path / split / shard.name.removeprefix(f"{split}-"))
    names = {
        "braces": "{train-{000000..000003},val-{000000..000001}}.tar",
        "glob": "t*-*.tar",
        "file": "train-000000.tar",
    }
    path = tmp_path if layout == "folders" else tars / names[layout]
    images = {"braces": 62, "glob": 59, "folders": 71, "file": 13}[layout]
    data = opened(path, image_size=8)
    assert len(data.train) + len(data.validation) + len(data.test) == images
    assert listing(recognise(path))
    assert set(braces("{a-{8..10},b,c{x}}")) == {"a-8", "a-9", "a-10", "b", "cx"}


def message(path, **settings) -> str:
    with pytest.raises(DataError) as error:
        opened(path, **settings)
    return str(error.value)


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        ({"png": b"x"}, "sample 000004 has no label: it has neither a .cls nor a .json."),
        ({"png": b"x", "cls": b"cat"}, "has no label: its .cls must hold a whole number, but holds 'cat'"),
        ({"png": b"x", "json": b'{"label": "cat"}'}, "its .json has no whole number under label or cls"),
        ({"png": b"x", "json": b"{"}, "its .json cannot be read"),
        ({"npy": b"x", "cls": b"1"}, "sample 000004 has no image (.jpg, "),
        ({"png": b"x", "jpg": b"x", "cls": b"1"}, "has several images: 000004.png, 000004.jpg"),
        ({"png": b"x", "cls": b"-1"}, "000004.png: label -1 is out of range"),
        ({"png": b"x", "cls": b"99"}, "a label is 99, but there are 31 training images"),
        ({"png": b"x", "cls": b"1"}, "000004.png: the image cannot be decoded (it is not a JPEG, PNG"),
    ],
)
def test_a_bad_sample_is_one_sentence(sample, words, tmp_path, files):
    made = files.samples(31)
    made[4] = sample
    files.tar_file(tmp_path / "train.tar", made)
    text = message(tmp_path, train_limit=None, validation_fraction=0.1)
    assert words in text
    assert "train.tar" in text or "99" in text
    assert "\n" not in text


@pytest.mark.parametrize("damage", ["cut", "cut between", "garbage", "packed", "gone", "twice", "empty"])
def test_a_damaged_shard_is_one_sentence(damage, tmp_path, files):
    shard = files.tar_file(tmp_path / "train-000001.tar", files.samples(30))
    files.tar_file(tmp_path / "train-000000.tar", files.samples(30))
    data, path = shard.read_bytes(), tmp_path
    words = f"{shard}: the shard is damaged or cut ("
    if damage == "cut":
        shard.write_bytes(data[:20000])
    elif damage == "cut between":  # where a member ends, tarfile sees nothing wrong
        shard.write_bytes(data[:20480])
        words += "no end mark at byte"
    elif damage == "garbage":
        shard.write_bytes(data[:20480] + b"\x01" * 512 + data[20992:])
    elif damage == "packed":
        shard.write_bytes(gzip.compress(data))
        words = f"{shard} is compressed (gzip), so no image in it can be found by its place: unpack it."
    elif damage == "gone":
        path, words = tmp_path / "train-{000000..000002}.tar", "train-000002.tar is not there."
    elif damage == "twice":
        with shard.open("wb") as file:
            file.write(data.rstrip(b"\0").ljust(len(data.rstrip(b"\0")) // 512 * 512 + 512, b"\0"))
            file.write(files.tar_file(tmp_path / "other", files.samples(1)).read_bytes())
        words = f"{shard} has two members 000000."
    else:
        shard.unlink()
        files.tar_file(tmp_path / "train-000000.tar", [])
        words = "train-000000.tar: the train split has no images."
    text = message(path)
    assert words in text
    assert damage == "twice" or "\n" not in text


def test_shards_that_cannot_be_meant(tmp_path, files):
    files.tar_shards(tmp_path / "set", {"val": [9], "test": [9]})
    assert "has no train*.tar, only test-000000.tar, val-000000.tar" in message(tmp_path / "set")
    assert "has no train*.tar" in message(tmp_path / "set" / "val-*.tar")
    files.tar_file(tmp_path / "gap.tar", [sample for sample in files.samples(30) if sample["cls"] != b"1"])
    assert "the train split has no image of class '1'" in message(tmp_path / "gap.tar")
    assert "has no tar files" in message(tmp_path / "no-*.tar")


def test_archives_beside_folders_of_images_are_not_meant(tmp_path, files):
    folder = files.image_folder(tmp_path / "imagenet", splits=("train", "val"))
    files.tar_file(folder / "ILSVRC2012_img_train.tar", [{"tar": b"x"}])
    assert recognise(folder).name == "folder"


def test_the_order_within_a_buffer():
    blocks = torch.arange(1000).split([7, 13, 5, 25] * 20)
    for buffer in (1, 30, 200, 999, 1000, 5000):
        order = within_buffer(shuffled(3), blocks, buffer)
        assert torch.equal(order.sort().values, torch.arange(1000)), "every image once"
        assert torch.equal(order, within_buffer(shuffled(3), blocks, buffer))
        assert not torch.equal(order, within_buffer(shuffled(4), blocks, buffer))
    read = within_buffer(shuffled(3), blocks, 1)
    turns = sorted(blocks, key=lambda one: int((read == one[0]).nonzero()))
    assert torch.equal(read, torch.cat(turns)), "a buffer of one leaves blocks whole"
    for buffer in (30, 200):
        order = within_buffer(shuffled(3), blocks, buffer)
        place = torch.empty(1000, dtype=torch.int64)
        place[read] = torch.arange(1000)
        moved = place[order] - torch.arange(1000)
        assert moved.abs().max() <= buffer
        assert moved.abs().float().mean() > buffer / 8, "and they are mixed"
        held = place[order].cummax(0).values - torch.arange(1000)
        assert held.max() <= buffer, "what has been read and has not come"


@pytest.mark.parametrize("buffer", [1, 6, 20, 1000, None])
def test_every_image_once_per_epoch_with_its_own_label(buffer, sharded, small_blocks, files):
    labels = {files.pixels(n).tobytes(): n % 3 for n in range(50)}
    data = opened(sharded, shuffle_buffer=buffer, crop_padding=0)
    mean, std = (torch.tensor(values)[:, None, None] * 255 for values in (data.mean, data.std))

    def pixels(images):
        return (images[0] * std + mean).round().byte().permute(1, 2, 0).numpy().tobytes()

    orders = []
    for seed in (0, 1):
        batches = taken(data.train, shuffled(seed), 1)
        seen = [pixels(images) for images, _ in batches]
        assert sorted(seen) == sorted(labels)
        assert [labels[image] for image in seen] == [int(label) for _, label in batches]
        orders.append(seen)
    assert orders[0] != orders[1]


@pytest.mark.parametrize("buffer", [6, 1000])
def test_the_order_depends_on_neither_workers_nor_ranks_and_goes_on_within_an_epoch(buffer, sharded, small_blocks):
    split = opened(sharded, shuffle_buffer=buffer).train
    whole = taken(split, shuffled(5))
    assert len(whole) == 7
    for first in range(1, 7):
        assert equal(whole[first:], taken(split, shuffled(5, first=first)))
    assert equal(whole, taken(opened(sharded, shuffle_buffer=buffer, loader_workers=2).train, shuffled(5)))
    for ranks in (2, 3):
        shares = [taken(split, shuffled(5).shared(rank, ranks)) for rank in range(ranks)]
        for number, (images, labels) in enumerate(whole):
            for rank in range(ranks):
                assert torch.equal(shares[rank][number][0], images[rank::ranks])
                assert torch.equal(shares[rank][number][1], labels[rank::ranks])


def test_each_block_is_read_once_per_epoch_whatever_the_workers(sharded, small_blocks, monkeypatch):
    kind = TarImages if sharded.name == "set" else ParquetImages
    reads, read = Counter(), kind.read_block

    def counted(self, indices):
        reads[indices[0]] += 1
        return read(self, indices)

    monkeypatch.setattr(kind, "read_block", counted)
    for workers in (0, 2):
        data = opened(sharded, shuffle_buffer=10, loader_workers=workers)
        monkeypatch.setattr(kind, "read", None)  # none singly, in this process or another
        blocks = len(data.train.images.blocks(data.train.members).parts)
        assert 6 < blocks < 30
        reads.clear()
        taken(data.train, shuffled(1), 5)
        assert len(reads) == blocks
        assert set(reads.values()) == {1}
        reads.clear()
        taken(data.train, shuffled(1, first=8), 5)
        assert len(reads) < blocks, "and those that have come before it begins are not"
        monkeypatch.undo()
        monkeypatch.setattr("search.data.sources.tar.BLOCK_BYTES", 4096)
        monkeypatch.setattr(kind, "read_block", counted)


def test_a_kept_index_gives_the_same_batches_and_reads_no_shard(tars, tmp_path, monkeypatch):
    cache, mine = tmp_path / "cache", shutil.copytree(tars, tmp_path / "set")
    first = opened(mine, cache, shuffle_buffer=9)
    monkeypatch.setattr("search.data.opening._source", None)
    again = opened(mine, cache, shuffle_buffer=9)
    for part in ("train", "validation", "test"):
        for order in (in_order(), shuffled(3)):
            assert equal(taken(getattr(first, part), order), taken(getattr(again, part), order))
    assert again.describe() == first.describe()
    (mine / "train-000001.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"train-000001\.tar has 0 bytes where it had \d+ when the run began"):
        opened(mine, cache, shuffle_buffer=9)
    (mine / "train-000001.tar").unlink()
    with pytest.raises(DataError, match=r"train-000001\.tar is not there: this machine does not see"):
        opened(mine, cache, shuffle_buffer=9)


def test_tars_are_decoded_once_and_their_fingerprint_tells_changes(tars, tmp_path, files):
    plain, once = opened(tars), open_data(
        DataConfig(name="tar", path=tars, **STREAMED, cache=tmp_path / "decoded"),
    )  # fmt: skip
    assert isinstance(once.validation, TensorSplit)
    assert equal(taken(plain.validation, in_order()), taken(once.validation, in_order()))
    assert once.fingerprint == plain.fingerprint
    moved = shutil.copytree(tars, tmp_path / "set")
    assert listing(recognise(moved)) == listing(recognise(tars))
    files.tar_file(moved / "val-000000.tar", files.samples(6, 51), 50)
    assert listing(recognise(moved)) != listing(recognise(tars))


def test_a_shard_that_is_cut_while_it_is_read_names_the_images(tmp_path, files):
    files.tar_file(tmp_path / "train.tar", files.samples(40))
    config = DataConfig(name="tar", path=tmp_path, **STREAMED, validation_per_class=1, shuffle_buffer=5)
    split = open_data(config).train
    with (tmp_path / "train.tar").open("r+b") as file:
        file.truncate(30000)
    with pytest.raises(DataError, match=r"train\.tar: 0000\d\d\.png: the shard ends before the image does: it was cut"):
        taken(split, shuffled(0))


@pytest.mark.parametrize("settings", [{"resized_crop": 0.2, "flip": "horizontal"}, {"crop_padding": 1}])
def test_the_batches_of_recalibration_are_decoded_once_and_the_same(settings, sharded, tmp_path, monkeypatch):
    plain = opened(sharded, shuffle_buffer=9, **{"crop_padding": None, **settings}).train
    with_cache = {"cache": tmp_path, "shuffle_buffer": 9, "crop_padding": None, **settings}
    cached = opened(sharded, **with_cache).train
    before = set(tmp_path.iterdir())
    asked = {"order": shuffled(4), "device": CPU}
    wanted = [images for images, _ in taken(plain, shuffled(4), 8)][:3]
    found = list(first_batches(cached, 8, 3, **asked))
    assert len(found) == 3
    assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))
    (made,) = {file for file in set(tmp_path.iterdir()) - before if file.suffix == ".images"}
    assert made.stat().st_size == 3 * 8 * 3 * 8 * 8
    again = opened(sharded, **with_cache).train
    monkeypatch.setattr(again.images.__class__, "read_block", None)
    assert all(torch.equal(one, other) for one, other in zip(first_batches(again, 8, 3, **asked), wanted, strict=True))
    monkeypatch.undo()
    for other in (shuffled(5), shuffled(4)):
        size = 8 if other.seed == 5 else 6
        images = next(first_batches(again, size, 2, order=other, device=CPU))
        assert torch.equal(images, taken(plain, other, size)[0][0]), "another order, another file"
    made.write_bytes(made.read_bytes()[:-1])
    assert torch.equal(next(first_batches(opened(sharded, **with_cache).train, 8, 3, **asked)), wanted[0])


@pytest.mark.parametrize(("cores", "shares", "found"), [(2, 1, 2), (8, 1, 8), (96, 8, 8), (16, 4, 4), (96, 32, 3)])
def test_gpus_have_as_many_loaders_as_cores_within_bounds(cores, shares, found):
    assert loaders(cores, shares) == found


def test_only_trainings_on_gpus_take_more_loaders(tars, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    split = opened(tars, loader_workers=None).train
    found = [split._loaders(order, gpu=gpu) for order in (shuffled(0), in_order()) for gpu in (True, False)]
    assert found == [6, 2, 2, 2]
    assert opened(tars, loader_workers=0).train._loaders(shuffled(0), gpu=True) == 0
