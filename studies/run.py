"""Try the claims of the papers, or go on where that was stopped, and write the page about them.

    python studies/run.py --only teacher-fwfa --seeds 5 --minutes 30

Every arm and seed is an ordinary run in runs/studies; those that are done are not done again, and one that was killed
goes on. What was measured is kept in studies/results.csv, so that runs can be deleted, or made elsewhere. Claims that
need the least come first. At the end, or when the time is up, docs/studies.md is written from what there is.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from claims import HERE, Arm, Claim, load_claims
from page import write_page
from results import Results, find, measure_runs, needed
from rich.console import Console

from analysis.runs.layout import CONFIG_FILE, FRONT_FILE
from search.execution.executors import make_executor
from search.pipeline.callbacks import Telling
from search.pipeline.carry_out import carry_out
from search.pipeline.prepare import prepare
from search.pipeline.view import make_view
from search.runs.folder import open_run
from search.runs.locking import writing
from spaces.errors import BinarynasError

SECONDS = {"nasbnn": 15, "widths": 20, "widths-search": 60, "cells": 7, "bnas": 25, "cifar": 80, "digits": 120}
"""About how long a run of a base takes on a quiet core, to begin with the claims that need the least."""


def arms_of(claim: Claim) -> list[Arm]:
    """The different arms that a claim's runs are of, that of the reference too."""
    used = [arm for _, arm, _ in claim.sides()] + ([claim.arms[claim.reference]] if claim.reference else [])
    return list(dict.fromkeys(used))


def missing(claim: Claim, seed: int, runs: Path, results: Results) -> list[Arm]:
    """The arms of which a claim still needs a run with a seed: those neither there nor measured before."""
    unknown = [(run, by) for run, name, by in needed(claim, seed) if (run, name) not in results.values]
    wanted = {run for pair in unknown for run in pair if run and not (runs / run / FRONT_FILE).is_file()}
    return [arm for arm in arms_of(claim) if arm.run(seed) in wanted]


Todo = tuple[Claim, int, Arm]
"""A claim, a seed, and an arm of which a run is missing."""


def left(claims: Sequence[Claim], seeds: int | None, runs: Path, results: Results) -> list[Todo]:
    """The runs that are still to be made: claims that need the least first, seed by seed."""
    work: list[tuple[float, list[Todo]]] = []
    for claim in runnable(claims):
        wanted = range(claim.seeds if seeds is None else seeds)
        own = [(claim, seed, arm) for seed in wanted for arm in missing(claim, seed, runs, results)]
        work.append((sum(SECONDS.get(arm.base, 60) for _, _, arm in own), own))
    return [each for _, own in sorted(work, key=lambda pair: pair[0]) for each in own]


def with_images(claims: Sequence[Claim]) -> list[Claim]:
    """The claims whose images are there; what is left out is told, file by file."""
    lacking: dict[Path, list[str]] = {}
    for claim in claims:
        for path in {arm.images for arm in claim.arms.values()}:
            if path is not None and not path.exists():
                lacking.setdefault(path, []).append(claim.name)
    for path, names in lacking.items():
        print(f"{path} is not there: {', '.join(names)} left out", file=sys.stderr)
    left_out = {name for names in lacking.values() for name in names}
    return [claim for claim in claims if claim.name not in left_out]


def runnable(claims: Sequence[Claim]) -> list[Claim]:
    """The claims that take runs."""
    return [claim for claim in claims if not claim.table and not claim.not_tried]


def carry(arm: Arm, seed: int, runs: Path) -> None:
    """Make a run, or go on with it."""
    folder = runs / arm.run(seed)
    made = (folder / CONFIG_FILE).is_file()
    run = open_run(folder) if made else prepare(arm.config(seed), folder)
    with writing(run), make_view(Console(quiet=True)) as view:
        carry_out(run, make_executor(run), Telling(view, ()))


def try_claims(claims: Sequence[Claim], seeds: int | None, ends: float, runs: Path, results: Results) -> None:
    """Make the runs that are missing until the time is up; a run that fails is named and left out."""
    failed: set[str] = set()
    while time.monotonic() < ends:
        todo = (each for each in left(claims, seeds, runs, results) if each[2].run(each[1]) not in failed)
        claim, seed, arm = next(todo, (None, 0, None))
        if claim is None or arm is None:
            return
        begun = time.monotonic()
        try:
            carry(arm, seed, runs)
        except (BinarynasError, RuntimeError, OSError) as error:
            failed.add(arm.run(seed))
            print(f"{arm.run(seed)} failed: {error}", file=sys.stderr, flush=True)
            continue
        print(f"{claim.name}: {arm.run(seed)} in {time.monotonic() - begun:.0f} s", flush=True)
        measure_all(claims, seed, runs, results)


def measure_all(claims: Sequence[Claim], seed: int, runs: Path, results: Results) -> None:
    """Measure what can be measured of a seed's runs."""
    for claim in runnable(claims):
        measure_runs(claim, seed, runs, results)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="claims, by the names of their files")
    parser.add_argument("--seeds", type=int, help="instead of those that each claim says")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="after which no other run is begun")
    parser.add_argument("--runs", type=Path, default=Path("runs/studies"))
    parser.add_argument("--results", type=Path, default=HERE / "results.csv")
    parser.add_argument("--page", type=Path, default=HERE.parent / "docs" / "studies.md")
    options = parser.parse_args(arguments)
    claims = load_claims()
    names = [claim.name for claim in claims]
    if unknown := [name for name in options.only if name not in names]:
        parser.error(f"there is no claim {', '.join(unknown)}; there are {', '.join(names)}")
    torch.set_num_threads(1)
    results, ends = Results.read(options.results), time.monotonic() + 60 * options.minutes
    chosen = [claim for claim in claims if not options.only or claim.name in options.only]
    seeds = options.seeds or max(claim.seeds for claim in claims)
    for seed in range(seeds):
        measure_all(chosen, seed, options.runs, results)
    try:
        try_claims(with_images(chosen), options.seeds, ends, options.runs, results)
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
    write_page(options.page, claims, find(claims, results))


if __name__ == "__main__":
    main()
