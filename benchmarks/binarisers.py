"""What each binariser adds in accuracy, at equal OPs and epochs: one network of the digits, several seeds.

The network is the uniform one of `vgg-digits` (or --width times as wide). Every binariser trains it from the same first
weights, on the same images in the same order, for each seed; the first in the list is what the others are compared
with, seed by seed. Accuracy is that of the validation images, which nothing is chosen by. Printed are means with
95 % intervals of Student's t. --rates tries several learning rates, as binarisers differ in the one that suits them;
--silent-decays tries OvSW with each of these as well.
"""

import argparse
from dataclasses import replace

import torch
from teachers import CIFAR, images, space_for

from analysis import mean_interval
from models.layers.binarisers import BINARISERS
from models.width.network import WidthNetwork
from search.config.search import EvaluationConfig
from search.config.trainings import CandidateConfig
from search.seeds import derive_seed
from search.training.evaluation import evaluate
from search.training.loop import train
from search.training.steps import plain_step


def accuracy(name, decay, rate, arguments, seed, data):
    """Of one network that was trained with a binariser, and OvSW's decay of silent weights."""
    space = replace(space_for(data, "vgg-digits"), binariser=name)
    torch.manual_seed(derive_seed(seed, "weights"))
    network = WidthNetwork(space, space.uniform(arguments.width))
    config = CandidateConfig(epochs=arguments.epochs, batch_size=64, learning_rate=rate, silent_decay=decay)
    for _ in train(network, plain_step(network, config), data.train, config, seed=seed):
        pass
    return evaluate(network, data.validation, EvaluationConfig().batch_size)["accuracy"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--binarisers", nargs="+", default=list(BINARISERS), choices=list(BINARISERS))
    parser.add_argument("--silent-decays", type=float, nargs="+", default=[])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--rates", type=float, nargs="+", default=[2e-3])
    parser.add_argument("--cifar", metavar="FILE", help=CIFAR)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = images(arguments.cifar)
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    ways = [(name, 0.0) for name in arguments.binarisers] + [("ovsw", decay) for decay in arguments.silent_decays]
    for rate in arguments.rates:
        print(f"learning rate {rate:g}, {arguments.epochs} epochs, {arguments.seeds} seeds")
        first = None
        for name, decay in ways:
            found = [100 * accuracy(name, decay, rate, arguments, seed, data) for seed in seeds]
            first = first or found
            more = mean_interval([mine - other for mine, other in zip(found, first, strict=True)])
            mean, way = mean_interval(found), f"{name} {decay:g}" if decay else name
            print(
                f"  {way:11} {mean.value:6.2f} % ({mean.low:.2f} to {mean.high:.2f}), over {arguments.binarisers[0]} "
                f"{more.value:+.2f} points ({more.low:+.2f} to {more.high:+.2f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
