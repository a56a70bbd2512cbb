"""A part of a split is a split: the images at its positions, in memory and streamed alike."""

import pytest
import torch

from search.data.config import DataConfig
from search.data.opening import open_data
from search.data.order import in_order, shuffled

CPU = torch.device("cpu")


@pytest.fixture(params=["memory", "streamed"])
def split(request, tmp_path, files):
    folder = files.image_folder(tmp_path / "set", splits=(), per_class=12)
    limit = {"memory_limit_mb": 0, "image_size": 8, "loader_workers": 0} if request.param == "streamed" else {}
    data = open_data(DataConfig(name="folder", path=folder, validation_per_class=2, test_fraction=0.2, **limit))
    assert data.storage == request.param
    return data.train


def all_of(split):
    images, labels = zip(*split.batches(5, order=in_order(), device=CPU), strict=True)
    return torch.cat(images), torch.cat(labels)


def test_it_holds_the_images_at_its_positions(split):
    positions = torch.tensor([1, 4, 5, 13, 22])
    images, labels = all_of(split)
    part = split.subset(positions)
    assert len(part) == 5
    assert torch.equal(part.labels, labels[positions])
    for whole, own in zip((images, labels), all_of(part), strict=True):
        assert torch.equal(whole[positions], own)


def test_the_whole_split_stays_as_it_was(split):
    before = all_of(split)
    part = split.subset(torch.arange(0, len(split), 2))
    list(part.batches(4, order=shuffled(0), device=CPU))
    assert all(torch.equal(one, other) for one, other in zip(before, all_of(split), strict=True))
    assert len(split) == 24
    rest = split.subset(torch.arange(1, len(split), 2))
    assert sorted([*part.labels.tolist(), *rest.labels.tolist()]) == sorted(split.labels.tolist())
