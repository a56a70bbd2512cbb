"""The section of a report on how sure one can be of a run's accuracies."""

import math
from collections.abc import Iterator

from analysis.findings.certainty import Certainty, certainty
from analysis.findings.facts import RunFacts
from analysis.measures.verdicts import FEWEST, Effect, Verdict, verdict
from analysis.report.html import Html, join, tag
from analysis.report.sections.learned import ranks_words
from analysis.units import percent

MOST_REASONS = 6  # of failures that are listed


def points(fraction: float) -> str:
    """A difference of accuracies in percentage points, with its sign.

    >>> points(-0.0125)
    '-1.25 points'
    """
    return f"{100 * fraction:+.2f} points"


EFFECT_HEAD = ("points", "95 % interval", "pairs", "p, adjusted", "difference")
"""The headings of `effect_cells`."""
EFFECT_WORDS = (
    "How sure one can be: a difference is shown where p, of Student's paired test, is below 0.05 after Holm's "
    f"correction for all rows; fewer than {FEWEST} pairs say nothing."
)


def effect_cells(effect: Effect, adjusted: float) -> list[str]:
    """An effect on fractions in percentage points, and whether it shows a difference."""
    found, said = effect.interval, verdict(effect, adjusted)
    interval = f"{100 * found.low:+.2f} to {100 * found.high:+.2f}" if found.known else "-"
    p = f"{adjusted:.2g}" if math.isfinite(adjusted) else "-"
    words = {Verdict.NOT_RUN: "too few pairs", Verdict.NOT_SEEN: "not seen"}.get(said, "shown")
    return [f"{100 * found.value:+.2f}", interval, str(found.count), p, words]


def certainty_section(run: RunFacts) -> Html:
    """Intervals of the accuracies, the step from validation to test, ranks after further training, and failures."""
    found = certainty(run)
    paragraphs = [*_validation_words(run, found), _test_words(found), ranks_words(run)]
    covered = (
        "Intervals are Wilson's for a binomial share. They cover the choice of images, not the seed of training and "
        "search: for that, repeat the run with other seeds and compare the runs."
    )
    shown = [tag("p", words) for words in paragraphs if words]
    return join([*shown, _failures(run), *([] if run.detects else [tag("p", covered)])])


def _validation_words(run: RunFacts, found: Certainty) -> Iterator[str]:
    if run.detects:
        yield "A mAP is no share of images, so no interval is given: repeat the run with other seeds, and compare them."
        return
    if not (found.best and found.validation):
        yield "The size of the validation split is not recorded, so no interval can be given for its accuracies."
        return
    top, low, high = found.best
    yield (
        f"The validation split has {found.validation:,} images, so one image is worth {percent(1 / found.validation)}. "
        f"The highest accuracy, {percent(top)}, has a 95 % interval from {percent(low)} to {percent(high)}."
    )
    if found.alike > 1:
        yield (
            f"{found.alike:,} of {found.finished:,} finished trials lie within that interval: this split alone "
            "does not tell them apart from the best."
        )
    yield (
        "The front was chosen by these accuracies, so they are too high on average (the best of many measurements "
        "is partly luck). The test split was touched once, for the final table: quote its figures."
    )


def _test_words(found: Certainty) -> str:
    if found.gap is None or found.worst_gap is None:
        return "No network has been measured on the test split yet; that happens when the run ends."
    network = "the one network" if found.tested == 1 else f"the {found.tested} networks"
    change = f"{'lost' if found.gap >= 0 else 'gained'} {points(abs(found.gap)).lstrip('+')} on average"
    worst = f"the largest loss is {100 * max(found.worst_gap, 0.0):.2f} points"
    return f"From validation to test, {network} of the front {change}; {worst}."


def _failures(run: RunFacts) -> Html:
    reasons = list(run.failures.items())
    if not reasons:
        return tag("p", "No trial failed.")
    share = f"{sum(run.failures.values()):,} of {len(run.trials):,} trials failed and are on no front. The reasons:"
    rows = [tag("li", f"{count:,} × ", tag("span", reason)) for reason, count in reasons[:MOST_REASONS]]
    more = len(reasons) - MOST_REASONS
    rest = tag("li", f"and {more} other reasons") if more > 0 else None
    return tag("div", share, tag("ul", rows, rest))
