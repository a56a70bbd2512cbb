"""The section of a report that compares several runs."""

from __future__ import annotations

import math

from analysis.findings.comparison import Comparison, RunResult
from analysis.findings.facts import RunFacts
from analysis.measures.intervals import Interval
from analysis.report.frontier import fronts_figure
from analysis.report.html import Html, join, table, tag
from analysis.report.sections.curves import Look, hypervolume_figure
from analysis.units import percent, quantity


def interval_words(interval: Interval) -> str:
    """A mean of fractions with its interval, in percent, cut to 0 to 100; "-" where there is none.

    >>> interval_words(Interval(0.5, 0.4, 0.6, 3))
    '50.00 % (40.00 to 60.00)'
    """
    if not math.isfinite(interval.low):
        return percent(interval.value)
    return f"{percent(interval.value)} ({100 * max(interval.low, 0.0):.2f} to {100 * min(interval.high, 1.0):.2f})"


def headings(comparison: Comparison) -> list[str]:
    """What the numbers of a run are called."""
    return ["hypervolume", "best", *(f"at {quantity(level, 'OPs')}" for level in comparison.levels)]


def run_cells(result: RunResult) -> list[str]:
    """The numbers of a run, as `headings` calls them."""
    return [percent(result.hypervolume), percent(result.best), *map(percent, result.reached)]


def comparison_section(comparison: Comparison, runs: list[RunFacts]) -> Html:
    """The comparison of runs: table, fronts, hypervolume."""
    notes = [tag("p", f"{note[:1].upper()}{note[1:]}.", class_="warning") for note in comparison.notes]
    named = headings(comparison)
    rows = [
        [tag("a", result.name, href=f"#run{index}"), _text(result.seed), f"{result.finished:,}", f"{result.failed:,}",
         f"{result.front:,}", *run_cells(result)]
        for index, result in enumerate(comparison.runs)
    ]  # fmt: skip
    each = table(("run", "seed", "finished", "failed", "on the front", *named), rows)
    words = (
        f"Every run is judged by the first {comparison.trials:,} trials of its search, all within one box; what was "
        "finetuned later is left out. Hypervolume is the share of that box which a run's front covers. The columns "
        "behind it hold the best validation accuracy in all, and that of the networks with at most so many operations."
    )
    looks = _looks(comparison)
    return tag(
        "section", tag("h2", "How the runs compare"), *notes, tag("p", words), each, _groups(comparison, named),
        tag("h3", "Fronts"), fronts_figure(runs, comparison.frames, looks), tag("h3", "Hypervolume"),
        hypervolume_figure(comparison.frames, looks), id="compare",
    )  # fmt: skip


def _looks(comparison: Comparison) -> dict[str, Look]:
    """One colour a group, and within it one kind of line a run."""
    kinds = ("", "dashed", "dotted")
    looks: dict[str, Look] = {}
    for colour, group in enumerate(comparison.groups):
        for index, name in enumerate(group.runs):
            looks[name] = (colour, kinds[index % 3])
    return {result.name: looks[result.name] for result in comparison.runs}


def _groups(comparison: Comparison, named: list[str]) -> Html:
    if len(comparison.groups) == len(comparison.runs):
        words = "No two runs differ in their seed alone, so nothing here tells what the seed does: every n is 1."
        return tag("p", words, class_="note")
    rows = [
        [group.name, str(len(group.runs)), *map(_stacked, (group.hypervolume, group.best, *group.reached))]
        for group in comparison.groups
    ]
    words = "Runs that differ in their seed alone, together: the mean of n runs, and below it Student's 95 % interval."
    return join([tag("h3", "Over seeds"), table(("configuration", "n", *named), rows), tag("p", words, class_="note")])


def _stacked(interval: Interval) -> Html:
    mean, _, rest = interval_words(interval).partition(" (")
    return join([mean, *([tag("span", rest.removesuffix(")"), class_="soft")] if rest else [])])


def _text(seed: int | None) -> str:
    return "-" if seed is None else str(seed)
