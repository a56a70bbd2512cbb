"""What augmentation, mixing and a trained start give on few images: CIFAR-10 with 20 and 100 images per class.

    python benchmarks/small_data.py ../shared/data/cifar10 --seeds 3

Prints the test accuracy of the best network of each run (by validation accuracy), mean and range over the seeds.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

VARIANTS = {
    "plain": (),
    "randaugment": ("data.policy=randaugment",),
    "trivialaugment": ("data.policy=trivialaugment",),
    "mixup": ("supernet.mix=mixup", "finetune.mix=mixup"),
    "cutmix": ("supernet.mix=cutmix", "finetune.mix=cutmix"),
    "start": ("supernet.start={start}",),
}


def search(data, out, seed, settings, images, options):
    limits = [f"data.train_limit={images}", "data.validation_limit=500", "data.test_limit=2000", "data.flip=horizontal"]
    amounts = [
        f"supernet.epochs={options.epochs}",
        f"finetune.epochs={options.epochs // 4 or 1}",
        "finetune.networks=4",
    ]
    sizes = ["supernet.batch_size=32", "finetune.batch_size=32", "execution.executor=inline"]
    words = [word for setting in (*limits, *amounts, *sizes, *settings) for word in ("--set", setting)]
    command = [sys.executable, "-m", "binarynas", "search", "nasbnn-digits", "--data", data, "--out", out]
    space = ["--set", f"space.name={options.space}", "--trials", str(options.trials), "--seed", str(seed)]
    subprocess.run([*command, *space, *words], check=True, capture_output=True)
    front = pd.read_csv(Path(out) / "front.csv")
    return front.loc[front["accuracy"].idxmax(), "test_accuracy"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--trials", type=int, default=48)
    parser.add_argument("--space", default="nasbnn@32/8")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start = f"{folder}/start"  # a supernet of other images: ten times as many, under another seed
        search(options.data, start, 1000, (), 10000, options)
        for per_class in (20, 100):
            for name, settings in VARIANTS.items():
                chosen = [setting.format(start=start) for setting in settings]
                found = [
                    search(options.data, f"{folder}/{name}-{per_class}-{seed}", seed, chosen, 10 * per_class, options)
                    for seed in range(options.seeds)
                ]
                mean = sum(found) / len(found)
                print(f"{per_class} per class, {name}: {mean:.3f} ({min(found):.3f} to {max(found):.3f})", flush=True)


if __name__ == "__main__":
    main()
