"""What a ranking by shared weights is worth: how far it agrees with the ranking of the same networks when trained.

    python benchmarks/one_shot_ranks.py --pairs one-shot-digits:one-shot-digits-trained

For each pair of tables, of which the second one has some networks of the first: Kendall's tau, with its 95 % interval
over the networks, between the accuracies by the weights of every supernet, their mean, or the number of operations, and
the mean accuracies after training; then how far the supernets agree with each other, and the trainings.
"""

import argparse
from itertools import combinations

import numpy as np

from analysis.measures.ranks import rank_correlation
from analysis.tables.table import load_table

PAIRS = ["one-shot-digits:one-shot-digits-trained", "cells-digits:cells-digits-trained"]


def tau(first, second):
    found = rank_correlation(first, second).kendall
    return f"{found.value:5.2f} ({found.low:.2f} to {found.high:.2f})"


def agreement(name, accuracies):
    for one, other in combinations(range(accuracies.shape[1]), 2):
        print(f"  {name} {one} and {other}: {tau(accuracies[:, one], accuracies[:, other])}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pairs", nargs="+", default=PAIRS, metavar="SHARED:TRAINED")
    for pair in parser.parse_args().pairs:
        shared, trained = map(load_table, pair.split(":"))
        rows = np.searchsorted(shared.places, trained.places)
        by = {f"supernet {number}": column for number, column in enumerate(shared.measured["accuracy"][rows].T)}
        by |= {"their mean": shared.values("accuracy")[rows], "operations": shared.values("ops")[rows]}
        print(f"{pair}: {len(trained)} networks, {trained.replicates} trainings of each; tau (95 % interval)")
        for name, values in by.items():
            validation, test = (tau(values, trained.values(each)) for each in ("accuracy", "test_accuracy"))
            print(f"  {name:12} validation {validation}   test {test}")
        print(f"  trained, validation and test: {tau(trained.values('accuracy'), trained.values('test_accuracy'))}")
        agreement("supernets", shared.measured["accuracy"][rows])
        agreement("trainings", trained.measured["accuracy"])


if __name__ == "__main__":
    main()
