"""How hypervolumes grow with the number of trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from analysis.findings.groups import as_groups
from analysis.measures.intervals import mean_interval
from analysis.measures.pareto import Floats
from analysis.stages import of_stage

if TYPE_CHECKING:
    import pandas as pd

    # a frame with a column `run`, frames of one run each, or such frames by the name of what they have in common
    Groups = pd.DataFrame | Sequence[pd.DataFrame] | Mapping[str, Sequence[pd.DataFrame]]
from collections.abc import Mapping
from dataclasses import dataclass

from analysis.measures.hypervolume import hypervolume_history
from analysis.runs.schema import objective_direction
from analysis.runs.trials import numbers
from analysis.stages import NEVER_ON_A_FRONT, STAGES, competing

if TYPE_CHECKING:
    import pandas as pd


def hypervolume_curves(
    groups: Groups, x: str = "ops", y: str = "accuracy", stage: str | None = None,
    reference: tuple[float, float] | None = None,
) -> dict[str, Floats]:  # fmt: skip
    """Hypervolume of every group's runs after 1, 2, ... trials, as the share of one box that all runs have in common.

    Arrays of shape (runs, trials); of runs of different length, the trials that all runs of the group have. The trials
    are those of a stage (see `analysis.stages.of_stage`), the box is that of `analysis.plots.hypervolume_data`.
    """

    frames = as_groups(groups)
    flat = {
        f"{name}\0{index}": of_stage(frame, stage) for name, part in frames.items() for index, frame in enumerate(part)
    }
    curves = hypervolume_data(flat, x, y, reference).curves
    grouped: dict[str, Floats] = {}
    for name, part in frames.items():
        own = [curves[f"{name}\0{index}"] for index in range(len(part))]
        length = min((len(curve) for curve in own), default=0)
        grouped[name] = np.array([curve[:length] for curve in own]).reshape(len(own), length)
    return grouped


def hypervolume_table(
    groups: Groups, x: str = "ops", y: str = "accuracy", trials: int | None = None, stage: str | None = None
) -> pd.DataFrame:
    """Hypervolume of groups of runs after the same number of trials (`trials`, or as many as the shortest run has).

    Columns `group`, `runs`, `trials`, `hypervolume` (mean share of the box that all runs have in common, 0 to 1),
    `low`, `high` (95 % of that mean over the runs, by Student's t; NaN for one run, which tells nothing of the spread).
    """
    import pandas as pd

    curves = hypervolume_curves(groups, x, y, stage)
    length = min((curve.shape[1] for curve in curves.values() if len(curve)), default=0)
    length = length if trials is None else min(length, trials)
    rows: list[dict[str, object]] = []
    for name, curve in curves.items():
        mean = mean_interval(curve[:, length - 1] if length else [])
        rows.append(
            {
                "group": name, "runs": len(curve), "trials": length, "hypervolume": mean.value, "low": mean.low,
                "high": mean.high,
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=["group", "runs", "trials", "hypervolume", "low", "high"])


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


def _values(frame: pd.DataFrame, x: str, y: str, stage: str | None) -> Floats:
    """Both objectives in the order of the trials, NaN for a trial that does not count; running ones left out."""
    frame = frame[~frame["stage"].isin(NEVER_ON_A_FRONT) if stage is None else frame["stage"] == stage]
    frame = frame[frame["state"] != "running"]
    order = frame.assign(_stage=frame["stage"].map({name: i for i, name in enumerate(STAGES)}))
    frame = order.sort_values(["_stage", "number"], kind="stable")
    values = numbers(frame, x, y)
    values[~competing(frame).to_numpy()] = np.nan
    return values
