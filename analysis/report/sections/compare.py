"""The section of a report that compares several runs."""

from analysis.findings.comparison import Comparison, GroupDifference, RunResult
from analysis.findings.facts import RunFacts
from analysis.measures.intervals import Interval
from analysis.report.frontier import fronts_figure
from analysis.report.html import Html, join, table, tag
from analysis.report.sections.certainty import EFFECT_HEAD, EFFECT_WORDS, effect_cells
from analysis.report.sections.curves import Look, hypervolume_figure
from analysis.units import percent, quantity


def interval_words(interval: Interval) -> str:
    """A mean of fractions with its interval, in percent, cut to 0 to 100; the mean alone without an interval.

    >>> interval_words(Interval(0.5, 0.4, 0.6, 3))
    '50.00 % (40.00 to 60.00)'
    """
    if not interval.known:
        return percent(interval.value)
    return f"{percent(interval.value)} ({100 * max(interval.low, 0.0):.2f} to {100 * min(interval.high, 1.0):.2f})"


def headings(comparison: Comparison) -> list[str]:
    """The headings of a run's numbers."""
    return ["hypervolume", "best", *(f"at {quantity(level, 'OPs')}" for level in comparison.levels)]


def run_cells(result: RunResult) -> list[str]:
    """The numbers of a run, below `headings`."""
    return [percent(result.hypervolume), percent(result.best), *map(percent, result.reached)]


DIFFERENCE_HEADINGS = ("from", "to", *EFFECT_HEAD)


def difference_cells(found: GroupDifference) -> list[str]:
    """What a group of runs gains over another, below `DIFFERENCE_HEADINGS`."""
    return [found.first, found.second, *effect_cells(found.hypervolume, found.adjusted)]


def comparison_section(comparison: Comparison, runs: list[RunFacts]) -> Html:
    """The comparison of runs: table, fronts, hypervolume."""
    notes = [tag("p", f"{note[:1].upper()}{note[1:]}.", class_="warning") for note in comparison.notes]
    named = headings(comparison)
    rows: list[list[str]] = []
    for index, result in enumerate(comparison.runs):
        name, seed = tag("a", result.name, href=f"#run{index}"), "-" if result.seed is None else str(result.seed)
        counts = [f"{count:,}" for count in (result.finished, result.failed, result.front)]
        rows.append([name, seed, *counts, *run_cells(result)])
    each = table("The runs", ("run", "seed", "finished", "failed", "on the front", *named), rows)
    words = (
        f"Every run is judged by the first {comparison.trials:,} trials of its search, all within one box; what was "
        "finetuned later is left out. Hypervolume is the share of that box which a run's front covers. The columns "
        "after it have the best validation accuracy of all, and of the networks with at most that many operations."
    )
    looks = _looks(comparison)
    parts = [*notes, tag("p", words), each, _groups(comparison, named)]
    parts += [tag("h3", "Fronts"), fronts_figure(runs, comparison.frames, looks)]
    parts += [tag("h3", "Hypervolume"), hypervolume_figure(comparison.frames, looks)]
    return tag("section", tag("h2", "How the runs compare"), parts, id="compare")


def _looks(comparison: Comparison) -> dict[str, Look]:
    """One colour per group, and within it one kind of line per run."""
    kinds = ("", "dashed", "dotted")
    looks: dict[str, Look] = {}
    for colour, group in enumerate(comparison.groups):
        for index, name in enumerate(group.runs):
            looks[name] = (colour, kinds[index % 3])
    return {result.name: looks[result.name] for result in comparison.runs}


def _groups(comparison: Comparison, named: list[str]) -> Html:
    if len(comparison.groups) == len(comparison.runs):
        words = "No two runs differ in their seed only, so nothing here shows what the seed does: every n is 1."
        return tag("p", words, class_="note")
    rows = [
        [group.name, str(len(group.runs)), *map(_stacked, (group.hypervolume, group.best, *group.reached))]
        for group in comparison.groups
    ]
    words = "Runs that differ in their seed only, together: the mean of n runs, and below it Student's 95 % interval."
    return join(
        [
            tag("h3", "Over seeds"),
            table("Over seeds", ("configuration", "n", *named), rows),
            tag("p", words, class_="note"),
            *_differences(comparison),
        ]
    )


def _differences(comparison: Comparison) -> list[Html]:
    """What a configuration gains over another, seed by seed."""
    found = comparison.differences
    if not found:
        return []
    rows = list(map(difference_cells, found))
    title = "What a configuration gains"
    words = "The difference of two configurations in hypervolume, seed by seed: what the second gains. " + EFFECT_WORDS
    shown = table(title, DIFFERENCE_HEADINGS, rows, left=(0, 1))
    return [tag("h3", title), shown, tag("p", words, class_="note")]


def _stacked(interval: Interval) -> Html:
    mean, _, rest = interval_words(interval).partition(" (")
    return join([mean, *([tag("span", rest.removesuffix(")"), class_="soft")] if rest else [])])
