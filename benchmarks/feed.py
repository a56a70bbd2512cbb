"""How fast training images are decoded: ours against torchvision's ImageFolder with its usual transforms; and for how
much of its time a training waits for them.

    python benchmarks/feed.py --workers 0 1 2
    python benchmarks/feed.py --shards           # ours from single files, tar and Parquet shards, in turns
    python benchmarks/feed.py --step nasbnn@64/4 # a supernet that is trained on them

JPEGs of 500 x 375 pixels are made, and read to 224 pixels with random resized crops and mirroring, in turns: by our
streamed split, and by ImageFolder, RandomResizedCrop, RandomHorizontalFlip, ToTensor, Normalize and DataLoader. Images
per second are printed for each number of worker processes (0: in this process), as medians with their quartiles, and
the ratio, round by round. One torch thread in every process.
"""

import argparse
import io
import os
import random
import statistics
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from models.nasbnn.supernet import NasBnnSupernet
from search.config.trainings import SupernetConfig
from search.data.config import recognise
from search.data.opening import open_data
from search.data.order import shuffled
from search.training.loop import train
from search.training.steps import sandwich_step
from spaces import get_space

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


def make_shards(folder, tars, parquet):
    """train-000000.tar and so on of the same files, 64 in each, and train.parquet with 64 in a row group."""
    files = sorted((folder / "train").glob("*/*.jpg"))
    random.Random(0).shuffle(files)
    tars.mkdir(), parquet.mkdir()
    labels = [int(file.parent.name[-1]) for file in files]
    for first in range(0, len(files), 64):
        with tarfile.open(tars / f"train-{first // 64:06}.tar", "w") as tar:
            for file, label in zip(files[first : first + 64], labels[first:], strict=False):
                tar.add(file, f"{file.stem}.jpg")
                member = tarfile.TarInfo(f"{file.stem}.cls")
                member.size = 1
                tar.addfile(member, io.BytesIO(str(label).encode()))
    images = [{"bytes": file.read_bytes(), "path": file.name} for file in files]
    pq.write_table(pa.table({"image": images, "label": labels}), parquet / "train.parquet", row_group_size=64)


def streamed(path, workers, **settings):
    """The training images of a folder or of shards."""
    usual = {"image_size": 224, "resized_crop": 0.08, "flip": "horizontal", "validation_fraction": 0.1}
    changes = {**usual, "test_fraction": 0.1, "memory_limit_mb": 0, "loader_workers": workers, **settings}
    return open_data(recognise(path).model_copy(update=changes)).train


def ours(path, workers, batch, **settings):
    """A pass over our streamed split, as a function."""
    split = streamed(path, workers, **settings)
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


def against_torchvision(folder, arguments):
    for workers in arguments.workers:
        own, other = ours(folder, workers, arguments.batch), theirs(folder, workers, arguments.batch)
        rate(own), rate(other)
        pairs = [(rate(own), rate(other)) for _ in range(arguments.rounds)]
        one, two = zip(*pairs, strict=True)
        print(
            f"{workers} workers: ours {of(one, '.0f')} images/s, torchvision {of(two, '.0f')}, "
            f"ratio {of([a / b for a, b in pairs], '.2f')}"
        )


def of_shards(folder, arguments):
    tars, parquet = folder / "tar", folder / "parquet"
    make_shards(folder, tars, parquet)
    buffer = {"shuffle_buffer": 128}
    for workers in arguments.workers:
        passes = {
            "single files": ours(folder / "train", workers, arguments.batch),
            "tar, in blocks": ours(tars, workers, arguments.batch, **buffer),
            "tar, one by one": ours(tars, workers, arguments.batch),
            "Parquet": ours(parquet, workers, arguments.batch, **buffer),
        }
        found = {name: [] for name in passes}
        for number in range(arguments.rounds + 1):
            for name, run in passes.items():
                speed = rate(run)
                found[name] += [speed] if number else []
        base = found["single files"]
        for name, speeds in found.items():
            ratio = [a / b for a, b in zip(speeds, base, strict=True)]
            print(f"{workers} workers, {name}: {of(speeds, '.0f')} images/s, {of(ratio, '.2f')} of single files")


def of_a_step(folder, arguments):
    space = get_space(arguments.step)
    config = SupernetConfig(epochs=arguments.rounds, batch_size=arguments.batch, learning_rate=1e-3)
    for workers in arguments.workers:
        supernet = NasBnnSupernet(space)
        split = streamed(folder / "train", workers, image_size=space.image_size)
        epochs = list(train(supernet, sandwich_step(supernet, config), split, config, seed=0))[1:]
        speeds, shares = ([getattr(each, name) for each in epochs] for name in ("images_per_second", "waiting"))
        print(f"{workers} workers, {arguments.step}: {of(speeds, '.0f')} images/s, {of(shares, '.1%')} of it waiting")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--shards", action="store_true", help="files, tar and Parquet in place of torchvision")
    parser.add_argument("--step", metavar="SPACE", help="train a supernet, and tell how long it waits")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, arguments.images)
        size = statistics.mean(file.stat().st_size for file in folder.glob("*/*/*.jpg"))
        print(f"{arguments.images} JPEGs of {size / 1000:.0f} KB, load {os.getloadavg()[0]:.1f} beforehand")
        kind = of_a_step if arguments.step else of_shards if arguments.shards else against_torchvision
        kind(folder, arguments)


if __name__ == "__main__":
    main()
