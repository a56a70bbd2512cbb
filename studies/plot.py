"""The figure of the page: effects in points with their intervals."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from results import Finding

from analysis.measures.verdicts import Verdict
from analysis.plots.style import BLUE, GREY, VERMILION, new_figure

POINTS = "points"
COLOURS = {Verdict.CONFIRMED: BLUE, Verdict.CONTRARY: VERMILION}


def draw(file: Path, findings: Sequence[Finding]) -> bool:
    """Draw the effects in points of claims that have enough pairs, from the first downwards; False without any."""
    shown = [each for each in findings if each.claim.unit == POINTS and each.verdict is not Verdict.NOT_RUN]
    if not shown:
        file.unlink(missing_ok=True)
        return False
    figure, axes = new_figure(6.4, 0.6 + 0.22 * len(shown))
    for row, found in enumerate(shown):
        interval, colour = found.effect.interval, COLOURS.get(found.verdict, GREY)
        axes.plot([interval.low, interval.high], [row, row], color=colour, linewidth=1.5)
        axes.plot(interval.value, row, "o", color=colour, markersize=4)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(shown)), [f"{each.claim.name}: {each.verdict}" for each in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlabel("points of accuracy; positive is what the paper says")
    with mpl.rc_context({"svg.hashsalt": file.stem, "svg.fonttype": "none"}):  # the same file from the same numbers
        figure.savefig(file, metadata={"Date": None})
    return True
