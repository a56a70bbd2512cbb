"""What early stopping saves in the width search, and what it costs: the same search with it and without, on the digits.

Both sides of a pair have one parent, the same first generation and as many candidates. Printed: the epochs that their
candidates were trained, the hypervolume of the front (accuracy against the logarithm of OPs, 100 % where the smallest
network makes no mistake), and of every pair the ratio of the epochs and the difference of the hypervolumes.
"""

import argparse
import io
import math
import shutil
import statistics
import tempfile
from pathlib import Path

from rich.console import Console

from analysis.hypervolume import hypervolume
from analysis.trials import load_trials
from search.configuration import load_config
from search.executors import make_executor
from search.pipeline import carry_out
from search.preparation import prepare
from search.view import PlainView


def run_search(folder, parent, settings):
    """One run, with the parent of an earlier one if there is one."""
    run = prepare(load_config("width-digits", settings), folder)
    if parent is not None:
        shutil.copytree(parent, run.parent / "network")
    carry_out(run, make_executor(run), PlainView(Console(file=io.StringIO())))
    return run


def facts(run):
    """Epochs that candidates were trained, and the hypervolume of those that were trained to the end, in percent."""
    trials = load_trials(run.path).query("stage == 'trained'")
    space = run.architectures
    low, high = (math.log(space.cost(end).ops) for end in (space.smallest(), space.largest()))
    whole = trials[trials.state == "finished"]
    points = [((math.log(ops) - low) / (high - low), a) for ops, a in zip(whole.ops, whole.accuracy, strict=True)]
    return int(trials.epochs.sum()), 100 * hypervolume(points, reference=[1, 0], directions=["min", "max"])


def spread(values):
    return f"median {statistics.median(values):.3f}, {min(values):.3f} to {max(values):.3f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--trials", type=int, default=48)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    arguments = parser.parse_args()
    common = [
        f"search.trials={arguments.trials}", "final.networks=0", "final.uniform=[]", "final.full_precision=false",
        "execution.executor=inline", *arguments.settings,
    ]  # fmt: skip
    ratios, differences, parent = [], [], None
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(arguments.pairs):
            found = {}
            for stopping in ("true", "false"):
                settings = [*common, f"search.seed={seed}", f"training.early_stopping={stopping}"]
                run = run_search(Path(scratch) / f"{seed}-{stopping}", parent, settings)
                parent = parent or run.parent / "network"
                found[stopping] = facts(run)
            (epochs, volume), (all_epochs, whole_volume) = found["true"], found["false"]
            ratios.append(epochs / all_epochs)
            differences.append(volume - whole_volume)
            print(
                f"seed {seed}: {epochs} of {all_epochs} epochs, hypervolume {volume:.2f} % with early stopping, "
                f"{whole_volume:.2f} % without",
                flush=True,
            )
    print(f"epochs with early stopping / without: {spread(ratios)}")
    print(f"hypervolume with early stopping - without, points: {spread(differences)}")


if __name__ == "__main__":
    main()
