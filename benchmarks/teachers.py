"""What a teacher, stages, weight decay in the first stage alone and whole recipes add, at equal epochs in all.

One network is trained from the same first weights, on the same images in the same order, in every way, for each seed;
the first way is what the others are compared with, seed by seed. The teacher is the network's float twin, trained for
the same epochs from the labels; the second one is another twin, of other first weights. `finetune` goes on from what
the first way trained, for half the epochs at a tenth of the rate. A recipe has its own rate, decay, optimiser and
stages, which share the epochs, but the batches of the others. Accuracy is that of the validation images, which nothing
is chosen by. Printed are means with 95 % intervals of Student's t.
"""

import argparse
import copy
import time

import torch

from analysis import mean_interval
from models.families import build_network
from models.layers.binary import set_mode
from models.layers.modes import Mode
from search.config.recipes import recipe, recipes
from search.config.trainings import FinalConfig
from search.data.config import DataConfig
from search.data.opening import open_data
from search.seeds import derive_seed
from search.training.evaluation import evaluate
from search.training.loop import train
from search.training.steps import plain_step
from search.training.teachers import Lessons
from spaces import get_space

NETWORKS = {
    "width": ("vgg-digits", "0.25-0.25-0.25-0.25", 8e-3),
    "nasbnn": ("nasbnn-digits", "c16k3g1 | c24k3g1 | c48k3g1 c48k3g1 | c96k3g2", 4e-3),
}
OWN_SIZE = 8  # pixels of these spaces' images
FIRST, FINETUNE, PURPOSES = "labels, one stage", "finetune: ", ("twin", "another twin")
WAYS = {
    FIRST: {},
    "teacher": {"teachers": 1},
    "teacher, half": {"teachers": 1, "teacher_weight": 0.5},
    "teacher, T 4": {"teachers": 1, "teacher_temperature": 4.0},
    "two teachers": {"teachers": 2},
    "two stages": {"multi_stage": True},
    "two stages and teacher": {"multi_stage": True, "teachers": 1},
    "decay": {"weight_decay": 1e-5},
    "two stages, decay": {"multi_stage": True, "weight_decay": 1e-5},
    "two stages, decay first": {"multi_stage": True, "weight_decay": 1e-5, "weight_decay_stages": "first"},
    "bound 1.5": {"activation_bound": 1.5},
    "teacher, T 4, bound 1.5": {"teachers": 1, "teacher_temperature": 4.0, "activation_bound": 1.5},
}
RECIPES = {f"recipe {name}": {"recipe": name} for name in recipes()}
CHANGES = WAYS | RECIPES
CIFAR = "2,000 images of this Parquet file of CIFAR-10, at 16 pixels, instead of the digits"


def images(cifar=None):
    """The digits, or images of CIFAR-10."""
    if cifar is None:
        return open_data(DataConfig(name="digits", validation_fraction=0.25), image_size=OWN_SIZE, channels=1)
    limits = {"validation_per_class": 100, "train_limit": 2000, "test_limit": 100}
    config = DataConfig(name="parquet", path=cifar, crop_padding=2, flip="horizontal", **limits)
    return open_data(config, image_size=16, channels=3)


def space_for(data, name):
    """A space of the digits, for images of these."""
    space = get_space(name if data.image_size == OWN_SIZE else f"{name}@{data.image_size}")
    return space.for_data(classes=data.classes, channels=data.channels)


def configuration(epochs, rate, **changes):
    """A training of so many epochs in all."""
    named = changes.pop("recipe", None)
    values = {"learning_rate": rate, **changes} if named is None else recipe(named)["final"]
    if values.get("multi_stage"):
        halves = [{"mode": "fwba", "epochs": epochs // 2}, {"mode": "bwba", "epochs": epochs - epochs // 2}]
        values["multi_stage"] = halves
    return FinalConfig(**values | {"epochs": epochs, "batch_size": 64})


def trained(network, config, data, seed, teachers=()):
    """Train a network in place, as `Context.train_in_stages` does; the network."""
    lessons, device = Lessons(teachers, config.teacher_temperature), torch.device("cpu")
    for stage in config.stages():
        if stage.mode is not None:
            set_mode(network, stage.mode)
        step, images = lessons.taught(plain_step(network, stage.settings), data.train, stage.settings, device)
        for _ in train(network, step, images, stage.settings, seed=derive_seed(seed, str(stage.mode))):
            pass
    return network


def accuracies(name, ways, epochs, seed, data):
    """Points of accuracy in every one of some ways, after the first of all."""
    space, text, rate = NETWORKS[name]
    space = space_for(data, space)
    architecture = space.parse(text)

    def new(purpose, mode=None):
        torch.manual_seed(derive_seed(seed, purpose))
        return build_network(space, architecture, mode=mode)

    def accuracy(network):
        return 100 * evaluate(network, data.validation, 256)["accuracy"]

    plain = configuration(epochs, rate)
    several = max((CHANGES[way.removeprefix(FINETUNE)].get("teachers", 0) for way in ways), default=0)
    twins = [trained(new(purpose, Mode.FWFA), plain, data, seed).eval() for purpose in PURPOSES[:several]]
    found, first = {"float twin": accuracy(twins[0])} if twins else {}, None
    for way in (FIRST, *(way for way in ways if way != FIRST)):
        changes = dict(CHANGES[way.removeprefix(FINETUNE)])
        teachers = twins[: changes.pop("teachers", 0)]
        if way.startswith(FINETUNE):
            config = configuration(epochs // 2, rate / 10, **changes)
            network = trained(copy.deepcopy(first), config, data, seed + 1000, teachers)
        else:
            network = trained(new("weights"), configuration(epochs, rate, **changes), data, seed, teachers)
        found[way], first = accuracy(network), first or copy.deepcopy(network)
    return found


def main():
    names = [*WAYS, *(FINETUNE + way for way in (FIRST, "teacher", "two stages"))]
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--ways", nargs="+", default=names, choices=[*names, *RECIPES], metavar="WAY")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--cifar", metavar="FILE", help=CIFAR)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = images(arguments.cifar)
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    for name in arguments.networks:
        begun = time.monotonic()
        rows = [accuracies(name, arguments.ways, arguments.epochs, seed, data) for seed in seeds]
        print(
            f"{name}: {NETWORKS[name][1]}, learning rate {NETWORKS[name][2]:g}, {arguments.epochs} epochs in all, "
            f"{len(rows)} seeds, {time.monotonic() - begun:.0f} s"
        )
        for way in rows[0]:
            mean = mean_interval([row[way] for row in rows])
            base = FINETUNE + FIRST if way.startswith(FINETUNE) and FINETUNE + FIRST in rows[0] else FIRST
            more = mean_interval([row[way] - row[base] for row in rows])
            shown = f"{more.value:+.2f} ({more.low:+.2f} to {more.high:+.2f})" if way != base else ""
            print(f"| {way} | {mean.value:.2f} % ({mean.low:.2f} to {mean.high:.2f}) | {shown} |", flush=True)


if __name__ == "__main__":
    main()
