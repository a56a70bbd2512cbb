"""What `search.stop=plateau` saves in trials, and what it costs in hypervolume: finished runs, replayed.

    python benchmarks/plateau.py RUN ...

Every run's search is read from its journal, and the rule is asked after each of its generations, as the search would
have asked it. Printed for each threshold: the trials that would have been made, and the hypervolume that the front
would have had then, as shares of those of the whole search.
"""

import argparse
import statistics
from pathlib import Path

from search import open_run, read_records
from search.config.search import PlateauConfig
from search.pipeline.stopping.plateau import hypervolume_gains, plateau
from search.runs.records import Stage, State


def replay(records, objectives, rule):
    """The shares of trials and of hypervolume with which the rule ends a search; 1 and 1 where it does not."""
    for last in range(records[-1].generation + 1):
        kept = [record for record in records if record.generation <= last]
        if plateau(kept, objectives, rule):
            return len(kept) / len(records), 1 - sum(hypervolume_gains(records, objectives)[last:])
    return 1.0, 1.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("runs", nargs="+", type=Path)
    arguments = parser.parse_args()
    searches = []
    for path in arguments.runs:
        run = open_run(path)
        records = [r for r in read_records(run.journal) if r.stage in (Stage.INHERITED, Stage.TRAINED)]
        searches.append(([r for r in records if r.state is State.FINISHED], run.config.search.objectives))
    print(f"{len(searches)} searches of {', '.join(str(len(records)) for records, _ in searches)} trials")
    for generations in (3, 4, 6):
        for gain in (0.001, 0.002, 0.005, 0.01):
            rule = PlateauConfig(generations=generations, gain=gain)
            trials, volumes = zip(*(replay(*search, rule) for search in searches), strict=True)
            print(
                f"last {generations} generations, gain below {gain:.1%}: trials {statistics.median(trials):.0%} "
                f"({min(trials):.0%} to {max(trials):.0%}), hypervolume {statistics.median(volumes):.2%} "
                f"({min(volumes):.2%} to {max(volumes):.2%})"
            )


if __name__ == "__main__":
    main()
