"""Draws how the hypervolume of one or several runs grows with their trials, which is how proposers are compared."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.front import numbers
from analysis.hypervolume import hypervolume_history
from analysis.pareto import Floats
from analysis.plots import style
from analysis.schema import objective_direction
from analysis.stages import NEVER_ON_A_FRONT, STAGES, competing
from analysis.units import percent, quantity

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class HypervolumeData:
    """What `plot_hypervolume` draws.

    `curves` holds, for every run, the share of the box between `reference` and `ideal` that its first 1, 2, ... trials
    cover, 0 to 1; `x` and `y` are columns of the schema, the two corners in its units (None without a finished trial).
    """

    x: str
    y: str
    reference: tuple[float, float] | None
    ideal: tuple[float, float] | None
    curves: dict[str, Floats]

    def table(self) -> pd.DataFrame:
        """One row a run and number of trials: `run`, `trials`, `hypervolume` (share of the box, 0 to 1)."""
        import pandas as pd

        rows = [(run, trials, share) for run, curve in self.curves.items() for trials, share in enumerate(curve, 1)]
        return pd.DataFrame(rows, columns=["run", "trials", "hypervolume"])


def hypervolume_data(
    runs: pd.DataFrame | Mapping[str, pd.DataFrame],
    x: str = "ops",
    y: str = "accuracy",
    reference: tuple[float, float] | None = None,
    stage: str | None = None,
) -> HypervolumeData:
    """Hypervolume after every trial, for one frame of trials or several by name.

    Trials count in the order of their numbers (stages one after the other, or the one `stage` alone); those that
    failed or were pruned take their place and add nothing. What is there for comparison, and differentiable searches,
    are left out. All runs share one box, so that their curves compare: from the worst to the
    best value of any finished trial of any run, or from `reference` where one is given (fix it to compare with runs
    that are not at hand).
    """
    frames = dict(runs) if isinstance(runs, Mapping) else {"": runs}
    values = {name: _values(frame, x, y, stage) for name, frame in frames.items()}
    every = np.concatenate([np.empty((0, 2)), *values.values()])
    every = every[np.isfinite(every).all(axis=1)]
    if len(every) == 0:
        return HypervolumeData(x, y, None, None, {name: np.zeros(len(part)) for name, part in values.items()})
    directions = (objective_direction(x), objective_direction(y))
    extremes = {"min": (every.max(axis=0), every.min(axis=0)), "max": (every.min(axis=0), every.max(axis=0))}
    worst, best = ((float(extremes[directions[0]][end][0]), float(extremes[directions[1]][end][1])) for end in (0, 1))
    corner = reference or worst
    box = abs(best[0] - corner[0]) * abs(best[1] - corner[1])
    curves = {
        # a box without area (one trial, or all alike) is covered by nothing
        name: hypervolume_history(part, corner, directions) / box if box else np.zeros(len(part))
        for name, part in values.items()
    }
    return HypervolumeData(x, y, corner, best, curves)


def plot_hypervolume(data: HypervolumeData) -> Figure:
    """Draw the hypervolume of runs over the number of trials; a run without a finished trial is named as such."""
    figure, axes = style.new_figure(height=3.6)
    for (name, curve), (colour, line) in zip(data.curves.items(), _looks(len(data.curves)), strict=True):
        if len(curve):
            count = np.arange(1, len(curve) + 1)
            axes.plot(
                count,
                100 * curve,
                line,
                color=colour,
                linewidth=1.6,
                drawstyle="steps-post",
                label=style.plain(name) or None,
            )
            axes.plot(count[-1], 100 * curve[-1], ".", color=colour)
    axes.set_xlabel("trials", fontsize=style.TEXT_SIZE)
    axes.set_ylabel("hypervolume (% of the box)", fontsize=style.TEXT_SIZE)
    axes.set_title(_title(data), fontsize=style.TEXT_SIZE, loc="left")
    empty = [name or "this run" for name, curve in data.curves.items() if not curve.any()]
    if empty:
        if len(empty) == len(data.curves):
            axes.set(xticks=[], yticks=[])
        axes.text(
            0.5, 0.5, style.plain(f"nothing to measure in {', '.join(empty)}"),
            transform=axes.transAxes, ha="center", va="center",
            color=style.GREY, fontsize=style.TEXT_SIZE,
        )  # fmt: skip
    if len(data.curves) > 1 and axes.lines:
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles, labels, fontsize=style.SMALL_SIZE, frameon=False, loc="lower right")
    return figure


def _values(frame: pd.DataFrame, x: str, y: str, stage: str | None) -> Floats:
    """Both objectives in the order of the trials, NaN for a trial that does not count; running ones left out."""
    frame = frame[~frame["stage"].isin(NEVER_ON_A_FRONT) if stage is None else frame["stage"] == stage]
    frame = frame[frame["state"] != "running"]
    order = frame.assign(_stage=frame["stage"].map({name: i for i, name in enumerate(STAGES)}))
    frame = order.sort_values(["_stage", "number"], kind="stable")
    values = numbers(frame, x, y)
    values[~competing(frame).to_numpy()] = np.nan
    return values


def _looks(count: int) -> list[tuple[str, str]]:
    return [style.LINES[index % len(style.LINES)] for index in range(count)]


def _title(data: HypervolumeData) -> str:
    if data.reference is None or data.ideal is None:
        return "hypervolume"

    def corner(values: tuple[float, float]) -> str:
        return ", ".join(
            percent(value) if column == "accuracy" else quantity(value, "OPs" if column == "ops" else "")
            for column, value in zip((data.x, data.y), values, strict=True)
        )

    return f"box from {corner(data.reference)} to {corner(data.ideal)}"
