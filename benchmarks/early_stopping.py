"""What early stopping saves in the width search, and what it costs, on the digits.

First, the same candidates (drawn at random) with early stopping and without: every candidate is trained to its end and
measured behind every epoch, so what each rule would have stopped, and what it would have kept, is read from one run.
Then whole searches by evolution, with it and without, from the same first generation: there the candidates differ.

Printed: the epochs that candidates were trained and the hypervolume of the front of those that were trained to the end
(accuracy against the logarithm of OPs; 100 % where the smallest network makes no mistake). One parent serves all.
"""

import argparse
import io
import math
import shutil
import statistics
import tempfile
from pathlib import Path

from rich.console import Console

from analysis.measures.hypervolume import hypervolume
from search.config.loading import load_config
from search.config.trainings import CandidateConfig
from search.execution.executors import make_executor
from search.pipeline.carry_out import carry_out
from search.pipeline.prepare import prepare
from search.pipeline.stopping.halving import survivors
from search.pipeline.view import PlainView
from search.runs.records import Stage, State
from search.runs.study import read_records

EVERY_EPOCH = ["training.early_stopping=true", "training.reduction=1.0000001"]  # rungs behind all epochs, all go on


def run_search(folder, parent, settings):
    """The space and the candidates of one run, with the parent of an earlier one if there is one."""
    run = prepare(load_config("width-digits", settings), folder)
    if parent is not None:
        shutil.copytree(parent, run.parent / "network")
    carry_out(run, make_executor(run), PlainView(Console(file=io.StringIO())))
    return run, [record for record in read_records(run.journal) if record.stage is Stage.TRAINED]


def volume(space, records):
    """The hypervolume of networks, in percent."""
    low, high = (math.log(space.cost(end).ops) for end in (space.smallest(), space.largest()))
    points = [((math.log(r.metrics["ops"]) - low) / (high - low), r.metrics["accuracy"]) for r in records]
    return 100 * hypervolume(points, reference=[1, 0], directions=["min", "max"])


def replay(records, config, objectives):
    """Who is trained to the end, and how many epochs all are trained, had they been stopped by a rule."""
    finished, epochs = [], 0
    for generation in range(max(record.generation for record in records) + 1):
        going = [record for record in records if record.generation == generation]
        before = [record for record in records if record.generation < generation]
        done = 0
        for rung in config.rungs:
            epochs += (rung - done) * len(going)
            done = rung
            if rung < config.epochs:
                reached = {r.number for r in before if r.number in REACHED.get(rung, set())}
                REACHED.setdefault(rung, set()).update(record.number for record in going)
                known = [record for record in before if record.number in reached]
                kept = survivors(going, known, rung, objectives, config.reduction)
                going = [record for record in going if record.number in kept]
        finished += going
    return finished, epochs


REACHED = {}


def spread(values):
    return f"median {statistics.median(values):.3f}, {min(values):.3f} to {max(values):.3f}, {len(values)} seeds"


def report(name, ratios, differences):
    print(f"{name}: epochs with early stopping / without: {spread(ratios)}")
    print(f"{name}: hypervolume with - without, points: {spread(differences)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=48)
    parser.add_argument("--evolution", action="store_true", help="whole searches by evolution, too")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    arguments = parser.parse_args()
    common = [
        f"search.trials={arguments.trials}", "final.networks=0", "final.uniform=[]", "final.full_precision=false",
        "execution.executor=inline", *arguments.settings,
    ]  # fmt: skip
    parent, stopping = None, load_config("width-digits", arguments.settings).training
    kinds = [{"reduction": reduction, "first_rung": first} for reduction in (2, 3) for first in (1, 2)]
    rules = [CandidateConfig(**{**stopping.model_dump(), **kind}) for kind in kinds]
    found = {f"one in {rule.reduction:g} behind epochs {rule.rungs[:-1]}": ([], []) for rule in rules}
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(arguments.seeds):
            settings = [*common, f"search.seed={seed}", "search.proposer=random", *EVERY_EPOCH]
            run, records = run_search(Path(scratch) / f"random-{seed}", parent, settings)
            parent = parent or run.parent / "network"
            whole, every = volume(run.space, records), len(records) * stopping.epochs
            for (ratios, differences), rule in zip(found.values(), rules, strict=True):
                REACHED.clear()
                finished, epochs = replay(records, rule, run.config.search.objectives)
                ratios.append(epochs / every)
                differences.append(volume(run.space, finished) - whole)
            print(f"seed {seed}: hypervolume of all {len(records)} random candidates {whole:.2f} %", flush=True)
        for name, (ratios, differences) in found.items():
            report(f"same random candidates, {name}", ratios, differences)
        if arguments.evolution:
            ratios, differences = [], []
            for seed in range(arguments.seeds):
                sides = {}
                for on in ("true", "false"):
                    settings = [*common, f"search.seed={seed}", "search.proposer=evolution"]
                    folder = Path(scratch) / f"evolution-{seed}-{on}"
                    run, records = run_search(folder, parent, [*settings, f"training.early_stopping={on}"])
                    ended = [record for record in records if record.state is State.FINISHED]
                    sides[on] = sum(record.metrics["epochs"] for record in records), volume(run.space, ended)
                ratios.append(sides["true"][0] / sides["false"][0])
                differences.append(sides["true"][1] - sides["false"][1])
            report("evolution, as in the preset", ratios, differences)


if __name__ == "__main__":
    main()
