"""Spaces and randomised supernets for the tests of models."""

import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.nasbnn.supernet import NasBnnSupernet
from spaces import NasBnnSpace, Stage, get_space
from spaces.nasbnn.presets import narrowed

sys.path.insert(0, str(Path(__file__).parent))  # the oracle, reference.py

SEVENS = NasBnnSpace(
    "sevens",
    stem_widths=(4, 6),
    stem_stride=2,
    stages=(
        Stage(depths=(1, 2), widths=(8, 10), kernel_sizes=(1,), groups=(1, 2), stride=1),
        Stage(depths=(1, 3), widths=(10, 12), kernel_sizes=(3, 5, 7), groups=(1, 2), stride=2),
    ),
    image_size=16,
    classes=5,
)
TINY = replace(narrowed(get_space("nasbnn-32"), 8, "tiny"), image_size=16)
SPACES = {
    "nasbnn narrowed": TINY,
    "digits": get_space("nasbnn-digits"),
    "kernels 3, 5, 7": SEVENS,
    "widths may decrease": replace(TINY, name="free", non_decreasing=False),
}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(params=SPACES)
def space(request):
    return SPACES[request.param]


@pytest.fixture
def make_supernet():
    """Builds a supernet in float64 whose every parameter and statistic differs from its initial value."""

    def make(space, options=None, seed=0):
        torch.manual_seed(seed)
        supernet = NasBnnSupernet(space, options).double()
        with torch.no_grad():
            for name, parameter in supernet.named_parameters():
                if not name.endswith(("weight", "step")) or ".tail." in name:
                    parameter += 0.1 * torch.randn_like(parameter)
            for name, buffer in supernet.named_buffers():
                buffer += torch.rand_like(buffer) if name.endswith("var") else torch.randn_like(buffer)
        return supernet

    return make


@pytest.fixture
def members():
    """The smallest, the largest and some random members of a space."""

    def draw(space, count=3, seed=0):
        rng = random.Random(seed)
        return [space.smallest(), space.largest(), *(space.sample(rng) for _ in range(count))]

    return draw


@pytest.fixture
def images_of():
    """Random images of a space, float64."""

    def make(space, count=4, seed=1):
        shape = (count, space.channels, space.image_size, space.image_size)
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    return make
