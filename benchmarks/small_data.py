"""What augmentation, mixing and a trained start give on few images: CIFAR-10 with 20 and 100 images per class.

    python benchmarks/small_data.py ../shared/data/cifar10/train.parquet

Every run trains a supernet at 16 pixels, searches with it and finetunes two networks of the front. Printed: the test
accuracy of the network that is best on the validation images, by seed, then mean and range. `start` begins from a
supernet that was trained on 3000 other images of the same classes: none of them is in the others' splits.
"""

import argparse
import tempfile
import time
from io import StringIO
from pathlib import Path

import pandas as pd
import pyarrow.parquet as parquet
from rich.console import Console

from search import carry_out, make_executor, make_view, prepare
from search.config.loading import load_config
from search.data.config import recognise
from search.runs.locking import writing

VARIANTS = {
    "plain": (),
    "randaugment": ("data.policy=randaugment",),
    "trivialaugment": ("data.policy=trivialaugment",),
    "mixup": ("supernet.mix=mixup", "finetune.mix=mixup"),
    "cutmix": ("supernet.mix=cutmix", "finetune.mix=cutmix"),
    "start": ("supernet.start={start}",),
}


def search(data, out, seed, settings, images, options):
    """The test accuracy of a run's best network. However few the images are, as many are seen in all."""
    epochs = max(1, options.passes // images)
    amounts = {
        "seed": seed,
        "space.name": options.space,
        "data.train_limit": images,
        "data.validation_limit": 500,
        "data.test_limit": 2000,
        "data.flip": "horizontal",
        "data.crop_padding": 2,
        "supernet.epochs": epochs,
        "supernet.batch_size": 32,
        "search.trials": options.trials,
        "search.first_generation": options.trials // 2,
        "search.generation": options.trials // 4,
        "finetune.networks": 2,
        "finetune.epochs": epochs // 4 or 1,
        "finetune.batch_size": 32,
        "execution.executor": "inline",
        "execution.training_threads": 1,
    }
    words = [f"{name}={value}" for name, value in amounts.items()]
    config = load_config("nasbnn-digits", [*words, *settings], {"data": recognise(data).model_dump(exclude_unset=True)})
    run = prepare(config, out)
    with writing(run), make_view(Console(file=StringIO())) as view:
        carry_out(run, make_executor(run), view)
    front = pd.read_csv(run.path / "front.csv")
    return front.loc[front["accuracy"].idxmax(), "test_accuracy"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", help="a Parquet file of CIFAR-10's training images")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, nargs="+", default=[100, 20], help="per class")
    parser.add_argument("--passes", type=int, default=4000, help="images that a supernet sees in its training")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--space", default="nasbnn-digits@16/2")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = parquet.read_table(options.data)
        parquet.write_table(table.slice(0, 12000), folder / "own.parquet")
        parquet.write_table(table.slice(12000, 5000), folder / "other.parquet")
        if "start" in options.variants:
            search(folder / "other.parquet", folder / "start", 1000, ("supernet.epochs=3",), 3000, options)
        for per_class in options.images:
            found = {variant: [] for variant in options.variants}
            for seed in range(options.seeds):
                for variant, accuracies in found.items():
                    begun = time.process_time()
                    settings = [setting.format(start=folder / "start") for setting in VARIANTS[variant]]
                    out = folder / f"{variant}-{per_class}-{seed}"
                    accuracies.append(search(folder / "own.parquet", out, seed, settings, 10 * per_class, options))
                    seconds = time.process_time() - begun
                    print(f"{per_class} {variant} {seed}: {accuracies[-1]:.4f}, {seconds:.0f} s of CPU", flush=True)
            for variant, accuracies in found.items():
                low, mean, high = min(accuracies), sum(accuracies) / len(accuracies), max(accuracies)
                print(f"{per_class} per class, {variant}: {mean:.3f} ({low:.3f} to {high:.3f})", flush=True)


if __name__ == "__main__":
    main()
