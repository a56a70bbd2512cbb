"""Which proposer finds the front of a table of networks with the fewest trials: `binarynas compare --table`, and more.

    python benchmarks/proposers.py --tables one-shot-digits --seeds 30 --trials 288

For each table the proposers race with the same sizes of generations (see `analysis.tables.race` for what is printed).
Then the claim of `surrogate` is put to the test, with smaller generations than those of `evolution`, which has its own:
the trials after which it has the hypervolume that `evolution` has at its end, seed by seed; without a limit, with at
most 40 % of the table's range of operations, and with three objectives. It gets half of the trials of `evolution`.
"""

import argparse

import numpy as np

from analysis.measures.pairs import median_interval
from analysis.tables.table import load_table
from search.cli.race import print_race
from search.config.search import SearchConfig
from search.proposers.race import run_race

LIMIT = 0.4


def words(interval):
    return f"{interval.value:.4g} ({interval.low:.4g} to {interval.high:.4g})"


def claim(table, arguments, ops_max, objectives):
    """Half of the trials of evolution for the surrogate, and after how many it is where evolution ends."""
    common = {"ops_max": ops_max, "objectives": objectives, "bins": 40}
    trials = {"evolution@32/16": arguments.trials, arguments.surrogate: arguments.trials // 2}
    entrants = {
        name: run_race(table, [name], SearchConfig(trials=count, **common), arguments.seeds).entrants[name]
        for name, count in trials.items()
    }
    evolution, surrogate = entrants.values()
    ends = evolution.after(1)
    limit = "" if ops_max is None else f", at most {ops_max:,.0f} OPs"
    print(f"{table.name}, {' '.join(objectives)}{limit}, {arguments.seeds} seeds; medians (95 % intervals)")
    print(f"  evolution after {arguments.trials}: {words(median_interval(ends))} of the front")
    for count in (arguments.trials // 4, arguments.trials // 2):
        print(f"  {surrogate.name} after {count}: {words(median_interval(surrogate.curves[:, count - 1]))}")
    needed = surrogate.trials_to(ends)
    quarter = int((needed <= arguments.trials // 4).sum())
    print(f"  trials to where evolution ends: {words(median_interval(needed))}, a quarter or less for {quarter} seeds")
    print(f"  its own time: {np.median(surrogate.milliseconds):.3g} ms a trial", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tables", nargs="+", default=["one-shot-digits"])
    parser.add_argument("--proposers", nargs="*", default=["evolution", "random", "nsga2", "tpe", "surrogate"])
    parser.add_argument("--surrogate", default="surrogate@16/8", help="whose claim is tested, with its sizes")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--trials", type=int, default=288)
    parser.add_argument("--first", type=int, default=32)
    parser.add_argument("--generation", type=int, default=16)
    arguments = parser.parse_args()
    for source in arguments.tables:
        table = load_table(source)
        sizes = {"first_generation": arguments.first, "generation": arguments.generation, "bins": 40}
        if arguments.proposers:
            common = SearchConfig(trials=arguments.trials, **sizes)
            print_race(run_race(table, arguments.proposers, common, arguments.seeds))
        ops = table.values("ops")
        limit = float(ops.min() + LIMIT * np.ptp(ops))
        for ops_max, objectives in (
            (None, ("accuracy", "ops")),
            (limit, ("accuracy", "ops")),
            (None, ("accuracy", "ops", "params")),
        ):
            claim(table, arguments, ops_max, objectives)


if __name__ == "__main__":
    main()
