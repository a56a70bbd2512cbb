"""Which proposer finds the front of a table of networks with the fewest trials.

    python benchmarks/proposers.py --tables one-shot-digits --seeds 30 --trials 288

Searches in memory, on tables that come with the package or files. The hypervolume of (accuracy, operations) is that
above the corner of the table's own front, moved outwards by a tenth of the front's ranges, as a share of the whole
front's. Printed for each proposer: the hypervolume after a quarter, a half and all trials (median, and the quartiles),
the trials that 90, 95 and 99 % of the front took, the milliseconds of the proposer itself per trial; and against
`evolution`, seed by seed: how often it was better, with the sign test's p. Then the claim of `surrogate`: the trials
after which it has the hypervolume that evolution has at its end.
"""

import argparse
import time

import numpy as np
from scipy.stats import binomtest

from analysis.measures.hypervolume import hypervolume, hypervolume_history
from analysis.tables.table import load_table
from search.config.search import SearchConfig
from search.proposers.simulation import simulate, values_of

OBJECTIVES, DIRECTIONS = ("accuracy", "ops"), ("max", "min")
MARGIN = 0.1


def corner(table, replicate):
    """The reference point, and the hypervolume of the table's own front above it."""
    front = np.asarray(
        [[table.metrics(text, replicate)[name] for name in OBJECTIVES] for text in table.front(OBJECTIVES, replicate)]
    )
    low, high = front.min(axis=0), front.max(axis=0)
    reference = [low[0] - MARGIN * (high[0] - low[0]), high[1] + MARGIN * (high[1] - low[1])]
    return reference, hypervolume(front, reference, DIRECTIONS)


def reached(history, share):
    """The trials after which a share was reached; NaN where it was not."""
    there = np.flatnonzero(history >= share)
    return float(there[0] + 1) if len(there) else float("nan")


def of(values, form="{:.3g}"):
    """Median and quartiles of numbers, those that are missing beyond all others."""
    ordered = np.sort(np.where(np.isnan(values), np.inf, values))
    low, middle, high = (ordered[round(q * (len(ordered) - 1))] for q in (0.25, 0.5, 0.75))
    return f"{form.format(middle)} ({form.format(low)} to {form.format(high)})"


def histories(table, name, arguments):
    """The hypervolume after every trial, one row a seed, and the milliseconds of the proposer per trial."""
    config = SearchConfig(
        proposer=name,
        trials=arguments.trials,
        first_generation=arguments.first,
        generation=arguments.generation,
        bins=40,
    )
    rows, spent = [], []
    for seed in range(arguments.seeds):
        replicate = seed % table.replicates
        reference, whole = corner(table, replicate)
        begun = time.process_time()
        records = simulate(table, config, seed, replicate=replicate)
        spent.append(1000 * (time.process_time() - begun) / len(records))
        rows.append(hypervolume_history(values_of(records, OBJECTIVES), reference, DIRECTIONS) / whole)
    return np.asarray(rows), np.asarray(spent)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tables", nargs="+", default=["one-shot-digits"])
    parser.add_argument("--proposers", nargs="+", default=["random", "nsga2", "tpe", "evolution", "surrogate"])
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--trials", type=int, default=288)
    parser.add_argument("--first", type=int, default=96)
    parser.add_argument("--generation", type=int, default=32)
    arguments = parser.parse_args()
    for source in arguments.tables:
        table = load_table(source)
        print(f"{table.name}: {len(table)} networks, {arguments.seeds} seeds, {arguments.trials} trials")
        found = {name: histories(table, name, arguments) for name in arguments.proposers}
        final = found["evolution"][0][:, -1] if "evolution" in found else None
        for name, (rows, spent) in found.items():
            marks = [rows[:, int(share * rows.shape[1]) - 1] for share in (0.25, 0.5, 1)]
            levels = [np.asarray([reached(row, share) for row in rows]) for share in (0.9, 0.95, 0.99)]
            print(f"  {name}")
            print("    hypervolume after 1/4, 1/2, all:", ", ".join(of(mark, "{:.2%}") for mark in marks))
            print("    trials to 90, 95, 99 %:", ", ".join(of(level, "{:.0f}") for level in levels))
            print(f"    its own time: {of(spent)} ms a trial")
            if final is not None and name != "evolution":
                better, worse = (int((sign * (rows[:, -1] - final) > 0).sum()) for sign in (1, -1))
                p = binomtest(better, better + worse).pvalue if better + worse else 1.0
                same = np.asarray([reached(row, share) for row, share in zip(rows, final, strict=True)])
                print(f"    better than evolution at the end for {better} seeds, worse for {worse} (p {p:.2g})")
                print(f"    trials to the hypervolume of evolution's end: {of(same, '{:.0f}')}")


if __name__ == "__main__":
    main()
