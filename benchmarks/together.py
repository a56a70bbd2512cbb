"""What a second training worker gives: images per second of a supernet's training by one process and by two, each with
one thread, in turns; and the milliseconds of the one sum of gradients per step.

    python benchmarks/together.py [SPACE] [--batch N] [--rounds N]
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import multiprocessing as mp

from models.nasbnn.supernet import NasBnnSupernet
from search.config.trainings import SupernetConfig
from search.data.augment import Augmentation
from search.data.dataset import Normalisation, TensorSplit
from search.training.loop import train
from search.training.ranks import ALONE, Ranks, TorchRanks
from search.training.steps import sandwich_step
from spaces import NasBnnSpace, get_space

STEPS = 6


def images_per_second(name: str, batch: int, ranks: Ranks) -> float:
    """Of the second of two epochs of a few steps each."""
    space = get_space(name)
    assert isinstance(space, NasBnnSpace)
    pixels = torch.randint(0, 256, (STEPS * batch, space.channels, space.image_size, space.image_size)).byte()
    labels = torch.arange(len(pixels)) % space.classes
    channels = space.channels
    split = TensorSplit(pixels, labels, Normalisation((0.5,) * channels, (0.3,) * channels), Augmentation())
    supernet = NasBnnSupernet(space)
    config = SupernetConfig(epochs=2, batch_size=batch, learning_rate=1e-3)
    epochs = list(train(supernet, sandwich_step(supernet, config), split, config, seed=0, ranks=ranks))
    return epochs[1].images_per_second


def sum_milliseconds(name: str) -> float:
    """Of a sum over two processes of as many numbers as the supernet has weights; median of 20."""
    space = get_space(name)
    assert isinstance(space, NasBnnSpace)
    values = torch.zeros(sum(each.numel() for each in NasBnnSupernet(space).parameters()))
    times: list[float] = []
    for _ in range(20):
        start = time.perf_counter()
        TorchRanks().total(values)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def work(rank: int, name: str, batch: int, store: str, found: "mp.SimpleQueue[tuple[float, float]]") -> None:
    """One of two processes."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch.distributed.init_process_group("gloo", store=torch.distributed.FileStore(store, 2), rank=rank, world_size=2)
    speed, total = images_per_second(name, batch, TorchRanks()), sum_milliseconds(name)
    if rank == 0:
        found.put((speed, total))
    torch.distributed.destroy_process_group()


def of_two(name: str, batch: int) -> tuple[float, float]:
    """Images per second of two processes, and milliseconds of a sum."""
    found: mp.SimpleQueue[tuple[float, float]] = mp.get_context("spawn").SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(work, (name, batch, str(Path(folder) / "store"), found), nprocs=2)
    return found.get()


def main() -> None:
    """Measure in turns, and print the ratio with its spread."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("space", nargs="?", default="nasbnn-32-quarter")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    ratios: list[float] = []
    for number in range(given.rounds):
        one = images_per_second(given.space, given.batch, ALONE)
        two, total = of_two(given.space, given.batch)
        ratios.append(two / one)
        print(
            f"round {number + 1}: {one:.0f} images/s, by two {two:.0f}; a sum of gradients {total:.1f} ms", flush=True
        )
    low, high = min(ratios), max(ratios)
    print(f"{given.space}, batches of {given.batch}: two workers give {statistics.median(ratios):.2f}", end=" ")
    print(f"({low:.2f} to {high:.2f}) times the images per second of one")


if __name__ == "__main__":
    sys.exit(main())
