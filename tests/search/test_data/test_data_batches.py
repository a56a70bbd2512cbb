"""Laws of batches and augmentation: one seed, one sequence; labels untouched; nothing written to shared images."""

import hashlib
import subprocess
import sys

import pytest
import torch

from search.data.augment import Augmentation, augment, flip, jitter, resized_crop, shift
from search.data.config import DataConfig
from search.data.opening import open_data
from search.data.order import in_order, shuffled

CPU = torch.device("cpu")
IMAGES = torch.randint(0, 256, (16, 3, 9, 9), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture(scope="module")
def digits():
    config = DataConfig(train_limit=200, crop_padding=1, flip="horizontal", colour_jitter=0.2)
    return open_data(config)


def taken(split, order, size=32):
    return list(split.batches(size, order=order, device=CPU))


def equal(one, other):
    return len(one) == len(other) and all(
        torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(one, other, strict=True)
    )


def test_in_order_keeps_every_image_and_shuffled_drops_the_partial_batch(digits):
    assert [len(labels) for _, labels in taken(digits.train, in_order())] == [32] * 6 + [8]
    assert [len(labels) for _, labels in taken(digits.train, shuffled(0))] == [32] * 6
    assert [len(labels) for _, labels in taken(digits.train, shuffled(0), 500)] == [200]
    assert torch.equal(torch.cat([labels for _, labels in taken(digits.train, in_order())]), digits.train.labels)


def test_batches_are_normalised_float32(digits):
    images = torch.cat([images for images, _ in taken(digits.train, in_order())])
    assert images.dtype == torch.float32
    assert images.shape == (200, 1, 8, 8)
    assert abs(images.mean()) < 1e-5
    assert abs(images.std(correction=0) - 1) < 1e-5


def test_the_same_seed_gives_the_same_batches_and_another_seed_others(digits):
    first = taken(digits.train, shuffled(7))
    torch.manual_seed(99)
    assert equal(first, taken(digits.train, shuffled(7)))
    assert not equal(first, taken(digits.train, shuffled(8)))


def test_a_resumed_epoch_goes_on_with_the_same_batches(digits):
    assert equal(taken(digits.train, shuffled(7))[4:], taken(digits.train, shuffled(7, first=4)))
    assert equal(taken(digits.train, in_order())[5:], taken(digits.train, in_order(first=5)))


def test_batches_leave_the_global_generator_alone(digits):
    before = torch.get_rng_state()
    taken(digits.train, shuffled(7))
    assert torch.equal(before, torch.get_rng_state())


SCRIPT = """
import hashlib, torch
from search.data.config import DataConfig
from search.data.opening import open_data
from search.data.order import shuffled
data = open_data(DataConfig(train_limit=200, crop_padding=1, flip="horizontal", colour_jitter=0.2))
digest = hashlib.sha256()
for images, labels in data.train.batches(32, order=shuffled(3), device=torch.device("cpu")):
    digest.update(images.numpy())
    digest.update(labels.numpy())
print(digest.hexdigest())
"""


def test_a_fresh_process_gives_the_same_batches(digits):
    digest = hashlib.sha256()
    for images, labels in taken(digits.train, shuffled(3)):
        digest.update(images.numpy())
        digest.update(labels.numpy())
    fresh = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert fresh.stdout == digest.hexdigest() + "\n", fresh.stderr


def test_a_batch_size_below_one_is_refused(digits):
    with pytest.raises(ValueError, match="batch_size is 0"):
        taken(digits.train, in_order(), 0)


def test_a_crop_is_a_shift():
    padding = 2
    assert torch.equal(shift(IMAGES, torch.full((16, 2), padding), padding), IMAGES)
    offsets = torch.tensor([[row, column] for row in range(4) for column in range(4)])
    moved = shift(IMAGES, offsets, padding)
    for image, (row, column), result in zip(IMAGES, offsets.tolist(), moved, strict=True):
        expected = torch.zeros(3, 9 + 2 * padding, 9 + 2 * padding, dtype=torch.uint8)
        expected[:, padding : padding + 9, padding : padding + 9] = image
        assert torch.equal(result, expected[:, row : row + 9, column : column + 9])


def test_flipping_twice_is_the_identity():
    chosen = torch.arange(16) % 2 == 0
    once = flip(IMAGES, chosen)
    assert torch.equal(flip(once, chosen), IMAGES)
    assert torch.equal(once[0], IMAGES[0].flip(-1))
    assert torch.equal(once[1], IMAGES[1])


def test_jitter_of_strength_one_is_the_identity():
    assert torch.allclose(jitter(IMAGES, 1, 1, 1), IMAGES.float(), atol=1e-3)


def test_a_resized_crop_magnifies_a_part_of_the_image():
    ramp = torch.arange(0.0, 240, 10).expand(8, 3, 24, 24)
    found = resized_crop(ramp, 0.25, torch.Generator().manual_seed(0))
    slopes = found[..., 1:-1].diff(dim=-1).mean((1, 2, 3))  # the border repeats the last pixel
    assert ((slopes > 10 * 0.25) & (slopes < 10.01)).all()
    assert slopes.std() > 0.5


@pytest.mark.parametrize(
    "augmentation",
    [Augmentation(2, "horizontal"), Augmentation(resized_crop=0.3, flip="horizontal"), Augmentation(colour_jitter=0.4)],
)
def test_augmentation_keeps_shape_and_range_and_never_writes_to_its_input(augmentation):
    before = IMAGES.clone()
    result = augment(IMAGES, augmentation, torch.Generator().manual_seed(1))
    assert result.shape == IMAGES.shape
    assert result.min() >= 0
    assert result.max() <= 255
    assert torch.equal(IMAGES, before)
    assert not torch.equal(result, IMAGES)


def test_labels_stay_with_their_images(tmp_path, files):
    # Every image is of one grey level that tells its class, so that no augmentation but jitter hides it.
    images = [files.png(files.np.full((8, 8), 10 + 100 * (n % 2), files.np.uint8)) for n in range(40)]
    files.parquet_file(tmp_path / "set.parquet", images, [n % 2 for n in range(40)])
    config = DataConfig(name="parquet", path=tmp_path / "set.parquet", flip="horizontal", resized_crop=0.5)
    for batch, labels in taken(open_data(config).train, shuffled(0), 8):
        assert torch.equal((batch.mean((1, 2, 3)) > 0).long(), labels)


def test_cached_images_are_shared_and_never_written_to(tmp_path):
    config = DataConfig(train_limit=100, crop_padding=1, flip="horizontal", colour_jitter=0.2)
    fresh = open_data(config, cache=tmp_path)
    stored = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()}
    cached = open_data(config, cache=tmp_path)
    assert cached.describe() == fresh.describe()
    assert equal(taken(cached.train, shuffled(5)), taken(fresh.train, shuffled(5)))
    before = cached.train.images.clone()
    taken(cached.train, in_order())
    assert torch.equal(cached.train.images, before)
    assert stored == {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()}


@pytest.mark.parametrize("damage", ["cut", "no facts", "torn facts", "other"])
def test_a_damaged_cache_is_made_again(damage, tmp_path):
    config = DataConfig(train_limit=20, validation_limit=10, test_limit=10)
    fresh = open_data(config, cache=tmp_path)
    tensors, facts = next(tmp_path.glob("*.safetensors")), next(tmp_path.glob("*.json"))
    if damage == "cut":
        tensors.write_bytes(tensors.read_bytes()[:-7])
    elif damage == "no facts":
        facts.unlink()
    elif damage == "torn facts":
        facts.write_text(facts.read_text()[:30])
    else:
        facts.write_text(facts.read_text().replace(fresh.fingerprint, "0" * 64))
    assert open_data(config, cache=tmp_path).describe() == fresh.describe()
    assert tensors.exists()
    assert facts.exists()


def test_the_cache_is_keyed_by_what_changes_images(tmp_path):
    open_data(DataConfig(train_limit=20), cache=tmp_path)
    open_data(DataConfig(train_limit=20, flip="horizontal", loader_workers=0), cache=tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == 1
    resized = open_data(DataConfig(train_limit=20), image_size=16, channels=3, cache=tmp_path)
    assert (resized.image_size, resized.channels) == (16, 3)
    assert open_data(DataConfig(train_limit=20), seed=1, cache=tmp_path).image_size == 8
    assert len(list(tmp_path.glob("*.json"))) == 3
