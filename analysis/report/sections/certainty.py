"""How sure one can be of the accuracies of a run, as plain values and as a section of the report."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.findings.facts import RunFacts
from analysis.measures.intervals import wilson
from analysis.report.html import Html, join, tag
from analysis.report.sections.learned import ranks_words
from analysis.runs.schema import TEST_ACCURACY
from analysis.runs.trials import numbers
from analysis.stages import competing
from analysis.units import percent


@dataclass(frozen=True)
class Certainty:
    """What the sizes of the splits allow to say.

    `best` is the highest validation accuracy with its 95 % interval, `alike` how many of the `finished` trials have an
    accuracy within that interval, `gap` the mean of validation minus test accuracy over the `tested` networks of the
    front, `worst_gap` the largest. None where a split's size or an accuracy is not known.
    """

    validation: int | None
    test: int | None
    best: tuple[float, float, float] | None
    alike: int
    finished: int
    tested: int
    gap: float | None
    worst_gap: float | None


def certainty(run: RunFacts) -> Certainty:
    """What can be said of a run's accuracies."""
    done = run.trials[competing(run.trials)]
    accuracy = numbers(done, "accuracy")[:, 0]
    accuracy = accuracy[(accuracy >= 0) & (accuracy <= 1)]
    best: tuple[float, float, float] | None = None
    alike = 0
    if len(accuracy):
        top = float(accuracy.max())
        interval = wilson(top, run.validation_images)
        if interval:
            best = (top, *interval)
            alike = int((accuracy >= interval[0]).sum())
    both = numbers(run.front, "accuracy", TEST_ACCURACY)
    gaps = (both[:, 0] - both[:, 1])[~(both[:, 0] - both[:, 1] != both[:, 0] - both[:, 1])]
    return Certainty(
        run.validation_images, run.test_images, best, alike, len(accuracy), len(gaps),
        float(gaps.mean()) if len(gaps) else None, float(gaps.max()) if len(gaps) else None,
    )  # fmt: skip


def points(fraction: float) -> str:
    """A difference of accuracies in percentage points, with its sign.

    >>> points(-0.0125)
    '-1.25 points'
    """
    return f"{100 * fraction:+.2f} points"


def certainty_section(run: RunFacts) -> Html:
    """The words for it."""
    found = certainty(run)
    said: list[str | Html] = []
    if found.best and found.validation:
        top, low, high = found.best
        said.append(
            f"The validation split has {found.validation:,} images, so one image is worth "
            f"{percent(1 / found.validation)}. The highest accuracy, {percent(top)}, has a 95 % interval from "
            f"{percent(low)} to {percent(high)}."
        )
        if found.alike > 1:
            said.append(
                f"{found.alike:,} of {found.finished:,} finished trials lie within that interval: this split alone "
                "does not tell them apart from the best."
            )
        said.append(
            "The front was chosen by these accuracies, so they are too high on average (the best of many measurements "
            "is partly luck). The test split was touched once, for the final table: quote its figures."
        )
    else:
        said.append("The size of the validation split is not recorded, so no interval can be given for its accuracies.")
    if found.gap is not None and found.worst_gap is not None:
        network = "the one network" if found.tested == 1 else f"the {found.tested} networks"
        said.append(
            f"From validation to test, {network} of the front lost {points(-found.gap).lstrip('-+')} on average"
            if found.gap >= 0
            else f"From validation to test, {network} of the front gained {points(-found.gap).lstrip('+')} on average"
        )
        said[-1] = f"{said[-1]}; the largest loss is {max(found.worst_gap, 0.0) * 100:.2f} points."
    else:
        said.append("No network has been measured on the test split yet; that happens when the run ends.")
    if ranks_words(run):
        said.append(ranks_words(run))
    failed = sum(run.failures.values())
    if failed:
        share = f"{failed:,} of {len(run.trials):,} trials failed and are on no front. The reasons:"
        rows = [tag("li", f"{count:,} × ", tag("span", reason)) for reason, count in list(run.failures.items())[:6]]
        more = len(run.failures) - 6
        said.append(join([share, tag("ul", rows, tag("li", f"and {more} other reasons") if more > 0 else None)]))
    else:
        said.append("No trial failed.")
    said.append(
        "Intervals are Wilson's for a binomial share. They cover the choice of images, not the seed of training and "
        "search: for that, repeat the run with other seeds and compare the runs."
    )
    return join([tag("div", words) if "<ul>" in words else tag("p", words) for words in said])
