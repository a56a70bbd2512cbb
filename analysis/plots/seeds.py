"""Draws how the hypervolume of groups of runs grows with their trials, with intervals over the runs."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.attainment import hypervolume_curves
from analysis.intervals import student
from analysis.pareto import Floats
from analysis.plots import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.attainment import Groups


@dataclass(frozen=True, eq=False)
class SeedsData:
    """Mean share of the common box that runs cover after 1, 2, ... trials, with the 95 % interval of that mean.

    By group of runs; arrays of shape (trials,), shares from 0 to 1, the interval NaN for one run. `x` and `y` are the
    objectives.
    """

    x: str
    y: str
    runs: dict[str, int]
    mean: dict[str, Floats]
    low: dict[str, Floats]
    high: dict[str, Floats]

    def table(self) -> pd.DataFrame:
        """One row a group and number of trials: `group`, `runs`, `trials`, `hypervolume`, `low`, `high`."""
        import pandas as pd

        parts = [
            pd.DataFrame(
                {
                    "group": name, "runs": self.runs[name], "trials": np.arange(1, len(mean) + 1), "hypervolume": mean,
                    "low": self.low[name], "high": self.high[name],
                }
            )
            for name, mean in self.mean.items()
        ]  # fmt: skip
        columns = ["group", "runs", "trials", "hypervolume", "low", "high"]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def seeds_data(
    groups: Groups, x: str = "ops", y: str = "accuracy", reference: tuple[float, float] | None = None,
    stage: str | None = None,
) -> SeedsData:  # fmt: skip
    """Groups as for `attainment_data`; of runs of different length, as many trials as the shortest of a group has.

    The interval is Student's over the runs of a group, cut off at 0 and 1.
    """
    curves = hypervolume_curves(groups, x, y, stage, reference)
    mean: dict[str, Floats] = {}
    half: dict[str, Floats] = {}
    for name, runs in curves.items():
        count = len(runs)
        mean[name] = runs.mean(axis=0) if count else np.empty(0)
        enough = count > 1
        half[name] = student(count - 1) * runs.std(axis=0, ddof=1) / np.sqrt(count) if enough else mean[name] * np.nan
    return SeedsData(
        x,
        y,
        {name: len(runs) for name, runs in curves.items()},
        mean,
        {name: np.maximum(mean[name] - half[name], 0) for name in curves},
        {name: np.minimum(mean[name] + half[name], 1) for name in curves},
    )


def plot_seeds(data: SeedsData) -> Figure:
    """One line a group, its interval as a band; a group without a finished trial is named as such."""
    figure, axes = style.new_figure(height=3.8)
    style.label_axes(
        axes,
        "trials",
        "hypervolume (% of the box)",
        f"{data.y} and {data.x}: mean of the runs, with its 95 % interval as a band",
    )
    shown = {name: mean for name, mean in data.mean.items() if mean.any()}
    if not shown:
        style.say_instead(axes, "no run with a finished trial to measure")
        return figure
    for index, (name, mean) in enumerate(shown.items()):
        colour, line = style.LINES[index % len(style.LINES)]
        trials = np.arange(1, len(mean) + 1)
        runs = style.plural(data.runs[name], "run")
        axes.plot(
            trials, 100 * mean, line, color=colour, drawstyle="steps-post", linewidth=1.6,
            label=style.plain(f"{name} ({runs})" if name else runs),
        )  # fmt: skip
        axes.fill_between(
            trials, 100 * data.low[name], 100 * data.high[name], step="post", color=colour, alpha=0.18, linewidth=0
        )
    notes = [f"nothing finished in {name or 'a run'}" for name in data.mean if name not in shown]
    notes += ["one run has no interval"] if 1 in (data.runs[name] for name in shown) else []
    if notes:
        style.add_note(axes, style.plain("; ".join(notes)))
    style.legend_below(figure, axes, 3)
    return figure
