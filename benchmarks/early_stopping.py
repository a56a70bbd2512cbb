"""What early stopping saves in the width search, and what it costs, on the digits.

First, the same candidates (drawn at random) with early stopping and without: every candidate is trained to its end and
measured behind every epoch, so what each rule would have stopped, and what it would have kept, is read from one run.
Then whole searches by evolution, with it and without, from the same first generation: there the candidates differ.

Printed: the epochs that candidates were trained and the hypervolume of the front of those that were trained to the end
(accuracy against the logarithm of OPs; 100 % where the smallest network makes no mistake). One parent serves all.

    python benchmarks/early_stopping.py --table vgg-digits.parquet --workers 4 --seeds 30

On a table with accuracies after every rung nothing is trained: our synchronous halving and its rival, asynchronous
multi-objective halving, have the same simulated time and workers; printed is what of the table's own front the networks
have that were trained to their end, and who is better.
"""

import argparse
import heapq
import io
import math
import shutil
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from analysis.measures.hypervolume import hypervolume
from analysis.measures.pairs import duel, median_interval
from analysis.measures.pareto import non_dominated_rank
from analysis.measures.verdicts import holm
from analysis.tables.race import entrant
from analysis.tables.table import load_table
from analysis.tables.yardstick import OBJECTIVES, yardstick
from search.config.loading import load_config
from search.config.search import SearchConfig
from search.config.trainings import CandidateConfig
from search.execution.executors import make_executor
from search.pipeline.carry_out import carry_out
from search.pipeline.prepare import prepare
from search.pipeline.stopping.halving import survivors
from search.pipeline.view import PlainView
from search.proposers.base import History, make_proposer
from search.proposers.simulation import Clock
from search.runs.records import Record, Stage, State
from search.runs.study import read_records
from search.seeds import derive_rng

EVERY_EPOCH = ["training.early_stopping=true", "training.reduction=1"]  # rungs behind all epochs, all go on


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


# On a table, in simulated time, against its asynchronous rival --------------------------------------------------------


def seconds_of(table, text, replicate):
    """The recorded seconds of a network up to each rung since the one before it."""
    return np.diff([0.0, *table.spent(text, replicate).values()]).tolist()


def synchronous(table, propose, reduction, workers, budget, replicate):
    """Ours: a generation trains to a rung, then `survivors` go on. The networks that were trained to their end, with
    the times when they were, and all epochs' seconds."""
    clock, records, finished, now = Clock(workers), [], [], 0.0
    while now < budget:
        going = [(record, seconds_of(table, record.architecture, replicate)) for record in propose(records)]
        fresh = [record for record, _ in going]
        for place, rung in enumerate(table.rungs):
            if reduction == 1 and rung != table.rungs[-1]:
                continue
            for record, seconds in going:
                _, ended = clock.do(seconds[place] if reduction > 1 else sum(seconds))
                found = table.metrics(record.architecture, replicate, rung)
                record.rungs[rung] = found
                if rung == table.rungs[-1]:
                    finished.append((found, ended))
                    record.metrics.update(found)
            clock.wait()
            now, _ = clock.do(0.0)
            if rung != table.rungs[-1]:
                kept = survivors([record for record, _ in going], records, rung, OBJECTIVES, reduction)
                for record, _ in going:
                    record.metrics.update(record.rungs[rung])
                going = [each for each in going if each[0].number in kept]
        ended = {record.number for record, _ in going}
        records += [replace(r, state=State.FINISHED if r.number in ended else State.PRUNED) for r in fresh]
    return finished


def asynchronous(table, draw, reduction, workers, budget, replicate):
    """MO-ASHA in its stopping form: a trial that reaches a rung goes on at once where it is among the first
    1 / reduction of all that have been there, by front and then by an epsilon-net within the front (Schmucker et al.,
    "Multi-objective asynchronous successive halving", 2021; the rule as its public implementation in Syne Tune has it:
    the first at a rung goes on, and the net begins with the best of the first objective)."""
    reached = {rung: [] for rung in table.rungs[:-1]}
    finished, running = [], []

    def begin(now, number):
        text = draw()
        heapq.heappush(running, (now + seconds_of(table, text, replicate)[0], number, text, 0))

    for number in range(workers):
        begin(0.0, number)
    while running and running[0][0] < budget:
        now, number, text, place = heapq.heappop(running)
        rung = table.rungs[place]
        found = table.metrics(text, replicate, rung)
        if rung == table.rungs[-1]:
            finished.append((found, now))
        elif goes_on(reached[rung], [-found["accuracy"], found["ops"]], reduction):
            seconds = seconds_of(table, text, replicate)[place + 1]
            heapq.heappush(running, (now + seconds, number, text, place + 1))
            continue
        begin(now, number + workers)
    return finished


def goes_on(reached, point, reduction):
    """Whether a point, of costs, is among the first 1 / reduction of all at its rung, which it joins."""
    reached.append(point)
    place = net_order(np.asarray(reached)).index(len(reached) - 1)
    return len(reached) == 1 or place / len(reached) <= 1 / reduction


def net_order(points):
    """The order of points: front by front, and each front from its least first objective on to the point that is
    farthest from all before it, in ranges of all points."""
    ranks = non_dominated_rank(points, ["min"] * points.shape[1])
    scaled = points / np.maximum(np.ptp(points, axis=0), 1e-12)
    order = []
    for rank in range(int(ranks.max()) + 1):
        left = np.flatnonzero(ranks == rank).tolist()
        chosen = [min(left, key=lambda i: points[i, 0])]
        left.remove(chosen[0])
        nearest = {i: np.linalg.norm(scaled[i] - scaled[chosen[0]]) for i in left}
        while nearest:
            far = max(nearest, key=nearest.__getitem__)
            chosen.append(far)
            del nearest[far]
            nearest = {i: min(d, np.linalg.norm(scaled[i] - scaled[far])) for i, d in nearest.items()}
        order += chosen
    return order


def candidates(table, proposer, generation, seed):
    """What gives the next generation, from the trials of earlier ones, as records that wait."""
    config = SearchConfig(proposer=proposer, trials=10**6, generation=generation, bins=40)
    source = make_proposer(table.space, config, seed)

    def propose(records):
        turn = records[-1].generation + 1 if records else 0
        found = source.propose(turn, generation, History(tuple(records)))
        return [
            Record(len(records) + place, Stage(table.stage), State.WAITING, each.architecture, each.id, turn, proposer,
                   each.operator, each.parents, seed, metrics={}, rungs={})
            for place, each in enumerate(found)
        ]  # fmt: skip

    return propose


def drawn(table, seed):
    """What gives one random network after another, none twice."""
    rng = derive_rng(seed, "asha")
    places = iter(rng.sample(range(len(table)), len(table)))
    return lambda: table.space.format(table.space.unrank(int(table.places[next(places)])))


def on_table(arguments):
    """Every rule with every seed, for as long as so many whole trainings take: the share of the table's own front that
    the networks which were trained to their end have, after parts of that time."""
    table = load_table(arguments.table)
    if len(table.rungs) < 2:
        raise SystemExit(f"table {table.name!r} has no accuracies after parts of a training: nothing to stop early")
    measure, workers, generation = yardstick(table), arguments.workers, arguments.generation
    kinds = {"evolution, to the end": ("evolution", 1), "random, to the end": ("random", 1)}
    for by in (2, 3):
        kinds |= {f"random, halving by {by}": ("random", by), f"random, MO-ASHA by {by}": ("", by)}
        kinds |= {f"evolution, halving by {by}": ("evolution", by)}
    entrants = {}
    mean = float(np.mean(table.values("seconds")))
    budget = mean * arguments.trials / workers
    for name, (proposer, reduction) in kinds.items():
        searches = []
        for seed in range(arguments.seeds):
            replicate = seed % table.replicates
            if proposer:
                given = candidates(table, proposer, generation, seed)
                found = synchronous(table, given, reduction, workers, budget, replicate)
            else:
                found = asynchronous(table, drawn(table, seed), reduction, workers, budget, replicate)
            found = [each for each in found if each[1] <= budget]
            points = [[metrics[objective] for objective in OBJECTIVES] for metrics, _ in found]
            searches.append((points, [ended for _, ended in found], replicate))
        entrants[name] = entrant(name, searches, measure, [math.nan])
    print(f"{table.name}: {arguments.seeds} seeds, {workers} workers, {budget:.0f} simulated s")
    ends = {}
    for name, each in entrants.items():
        shares = each.at([budget / 4, budget / 2, budget])
        ends[name] = shares[:, -1]
        found = map(median_interval, shares.T)
        words = ", ".join(f"{100 * m.value:.1f} % ({100 * m.low:.1f} to {100 * m.high:.1f})" for m in found)
        print(f"  {name}: hypervolume after 1/4, 1/2, all of the time: {words}")
    pairs = [(f"random, {rule} by {by}", "random, to the end") for by in (2, 3) for rule in ("halving", "MO-ASHA")]
    pairs += [
        (f"{kind}, halving by {by}", f"random, MO-ASHA by {by}") for by in (2, 3) for kind in ("random", "evolution")
    ]
    duels = [duel(ends[one], ends[other]) for one, other in pairs]
    for (one, other), d, p in zip(pairs, duels, holm([each.p for each in duels]), strict=True):
        points = f"{100 * d.difference.value:+.1f} ({100 * d.difference.low:+.1f} to {100 * d.difference.high:+.1f})"
        print(f"  {one} against {other}: better {d.better}, worse {d.worse}, p {p:.2g}, {points} points")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=48)
    parser.add_argument("--evolution", action="store_true", help="whole searches by evolution, too")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--table", help="with accuracies after every rung: nothing is trained, see above")
    parser.add_argument("--workers", type=int, default=4, help="simulated ones, with --table")
    parser.add_argument("--generation", type=int, default=16, help="of ours, with --table")
    arguments = parser.parse_args()
    if arguments.table:
        on_table(arguments)
        return
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
