"""How fast training images are decoded: ours against torchvision's ImageFolder with its usual transforms.

    python benchmarks/feed.py --workers 0 1 2

JPEGs of 500 x 375 pixels are made, and read to 224 pixels with random resized crops and mirroring, in turns: by our
streamed split, and by ImageFolder, RandomResizedCrop, RandomHorizontalFlip, ToTensor, Normalize and DataLoader. Images
per second are printed for each number of worker processes (0: in this process), as medians with their quartiles, and
the ratio, round by round. One torch thread in every process.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from search.data.config import DataConfig
from search.data.opening import open_data
from search.data.order import shuffled

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def photo(number):
    """A picture with smooth parts and noise, whose file is about as large as ImageNet's are."""
    rng = np.random.default_rng(number)
    smooth = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize((500, 375), Image.Resampling.BICUBIC)
    noisy = np.asarray(smooth) + rng.normal(0, 12, (375, 500, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def make(folder, images):
    """train/CLASS/*.jpg."""
    for number in range(images):
        place = folder / "train" / f"class{number % 4}"
        place.mkdir(parents=True, exist_ok=True)
        photo(number).save(place / f"{number}.jpg", quality=88)


def ours(folder, workers, batch):
    """A pass over our streamed split, as a function."""
    config = DataConfig(
        name="folder", path=folder, memory_limit_mb=0, loader_workers=workers, image_size=224, resized_crop=0.08,
        flip="horizontal", validation_fraction=0.1, test_fraction=0.1,
    )  # fmt: skip
    split = open_data(config).train
    turns = iter(range(10**6))

    def run():
        return sum(
            len(images) for images, _ in split.batches(batch, order=shuffled(next(turns)), device=torch.device("cpu"))
        )

    return run


def theirs(folder, workers, batch):
    """A pass over torchvision's data set, as a function."""
    usual = transforms.Compose([
        transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ])  # fmt: skip
    loader = DataLoader(datasets.ImageFolder(folder / "train", usual), batch, shuffle=True, num_workers=workers)
    return lambda: sum(len(images) for images, _ in loader)


def rate(run):
    """Images per second of a pass."""
    begun = time.perf_counter()
    images = run()
    return images / (time.perf_counter() - begun)


def of(values, form):
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, arguments.images)
        size = statistics.mean(file.stat().st_size for file in folder.glob("*/*/*.jpg"))
        print(f"{arguments.images} JPEGs of {size / 1000:.0f} KB, load {os.getloadavg()[0]:.1f} beforehand")
        for workers in arguments.workers:
            own, other = ours(folder, workers, arguments.batch), theirs(folder, workers, arguments.batch)
            rate(own), rate(other)
            pairs = [(rate(own), rate(other)) for _ in range(arguments.rounds)]
            one, two = zip(*pairs, strict=True)
            print(
                f"{workers} workers: ours {of(one, '.0f')} images/s, torchvision {of(two, '.0f')}, "
                f"ratio {of([a / b for a, b in pairs], '.2f')}"
            )


if __name__ == "__main__":
    main()
