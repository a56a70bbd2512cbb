"""What has been measured of runs: a file that grows by a line per measure, and what it says of every claim."""

import csv
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from claims import HERE, Claim
from measures import MEASURES, RANKS, TABLE_MEASURES, rank_agreement, seconds

from analysis.measures.verdicts import FEWEST, Effect, Verdict, holm, paired_effect, verdict
from analysis.runs.layout import FRONT_FILE

FILE = HERE / "results.csv"
COLUMNS = ("run", "measure", "value", "seconds")


@dataclass
class Results:
    """Measured values by run and measure, and the seconds of the runs; of runs that are no longer there, too."""

    file: Path = FILE
    values: dict[tuple[str, str], float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path = FILE) -> "Results":
        """What a file holds; nothing where there is none. A line that was cut off by a kill is left out."""
        found = cls(file)
        if file.is_file():
            with file.open(newline="") as stream:
                for row in csv.reader(stream):
                    if len(row) == len(COLUMNS) and row[0] != COLUMNS[0]:
                        found.values[row[0], row[1]], found.seconds[row[0]] = float(row[2]), float(row[3])
        return found

    def keep(self, run: str, measure: str, value: float, took: float) -> None:
        """Add a value, and write all, sorted, so that the file does not depend on the order of runs."""
        self.values[run, measure], self.seconds[run] = value, took
        lines = [",".join(COLUMNS)]
        for (name, what), number in sorted(self.values.items()):
            lines.append(f'{name},"{what}",{number:.6g},{self.seconds[name]:.1f}')
        part = self.file.with_suffix(".part")
        part.write_text("\n".join(lines) + "\n")
        part.replace(self.file)


def needed(claim: Claim, seed: int) -> Iterator[tuple[str, str, str | None]]:
    """What a claim needs of a seed: the run, the name under which its measure is kept, and the run it is ranked by."""
    reference = claim.arms[claim.reference].run(seed) if claim.reference else None
    for _, arm, measure in claim.sides():
        by = reference if measure == RANKS else None
        yield arm.run(seed), f"{measure} with {by}" if by else measure, by


def measure_runs(claim: Claim, seed: int, runs: Path, results: Results) -> None:
    """Measure what a claim needs of a seed, where its runs have finished and that was not done yet."""
    for run, name, reference in needed(claim, seed):
        there = all((runs / each / FRONT_FILE).is_file() for each in (run, reference) if each)
        if (run, name) not in results.values and there:
            value = rank_agreement(runs / run, runs / reference) if reference else MEASURES[name](runs / run)
            results.keep(run, name, value, seconds(runs / run))


def differences(claim: Claim, results: Results) -> dict[int, float]:
    """The effect by seed, of every seed that has all of its runs; of a table, by the number of the network."""
    if claim.table:
        return dict(enumerate(TABLE_MEASURES[claim.measure["table"]](claim.table)))
    found: dict[int, float] = {}
    for seed in _seeds(claim, results):
        keys = [(run, name) for run, name, _ in needed(claim, seed)]
        if all(key in results.values for key in keys):
            weighed = zip(claim.contrast.values(), keys, strict=True)
            found[seed] = math.fsum(weight * results.values[key] for weight, key in weighed)
    return found


def _seeds(claim: Claim, results: Results) -> list[int]:
    """The seeds of which there is a run of some arm, rising."""
    arms = {arm.name for _, arm, _ in claim.sides()}
    parts = (run.rpartition("-") for run in results.seconds)
    return sorted({int(seed) for arm, _, seed in parts if arm in arms})


@dataclass(frozen=True)
class Finding:
    """What is known of a claim: the arms' mean values, the effect, its p among all that were tried, and the verdict."""

    claim: Claim
    means: Mapping[str, float]
    effect: Effect
    adjusted: float
    verdict: Verdict
    hours: float


def find(claims: Sequence[Claim], results: Results) -> list[Finding]:
    """The findings of all claims that can be tried. The p of those with enough pairs are adjusted for one another."""
    tried = [(claim, differences(claim, results)) for claim in claims if not claim.not_tried]
    effects = [paired_effect(list(found.values()), claim.margin) for claim, found in tried]
    adjusted = holm([each.p if each.interval.count >= FEWEST else math.nan for each in effects])
    return [
        Finding(claim, _means(claim, seeds, results), effect, p, verdict(effect, p), _hours(claim, seeds, results))
        for (claim, seeds), effect, p in zip(tried, effects, adjusted, strict=True)
    ]


def _means(claim: Claim, seeds: Collection[int], results: Results) -> dict[str, float]:
    if claim.table or not seeds:
        return {}
    rows = [[results.values[run, name] for run, name, _ in needed(claim, seed)] for seed in seeds]
    return dict(zip(claim.contrast, (math.fsum(column) / len(rows) for column in zip(*rows, strict=True)), strict=True))


def _hours(claim: Claim, seeds: Collection[int], results: Results) -> float:
    if claim.table:
        return 0.0
    runs = {run for seed in seeds for run, _, reference in needed(claim, seed) for run in (run, reference) if run}
    return sum(results.seconds.get(run, 0.0) for run in runs) / 3600
