"""How hypervolumes grow with the number of trials."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.findings.groups import Groups, as_groups
from analysis.measures.hypervolume import hypervolume_history
from analysis.measures.intervals import mean_interval
from analysis.measures.pareto import Directions, Floats
from analysis.runs.trials import Source, directions_of, load_trials, numbers
from analysis.stages import NEVER_ON_A_FRONT, STAGES, competing, of_stage

Corner = tuple[float, float]  # a value of each objective


@dataclass(frozen=True, eq=False)
class HypervolumeData:
    """What `plot_hypervolume` draws.

    `curves` has, for every run, the share of the box between `reference` and `ideal` that its first 1, 2, ... trials
    cover, 0 to 1; `x` and `y` are columns of the schema, both corners are in its units (None without a finished trial).
    """

    x: str
    y: str
    reference: Corner | None
    ideal: Corner | None
    curves: dict[str, Floats]

    def table(self) -> pd.DataFrame:
        """One row per run and number of trials: `run`, `trials`, `hypervolume` (share of the box, 0 to 1)."""
        rows = [(run, trials, share) for run, curve in self.curves.items() for trials, share in enumerate(curve, 1)]
        return pd.DataFrame(rows, columns=["run", "trials", "hypervolume"])


def hypervolume_data(
    runs: Source | Mapping[str, Source],
    x: str = "ops",
    y: str = "accuracy",
    reference: Corner | None = None,
    stage: str | None = None,
    directions: Directions | None = None,
) -> HypervolumeData:
    """Hypervolume after every trial, for one frame of trials or several by name; all that `load_trials` takes.

    Trials count in the order of their numbers, stage after stage or of `stage` alone; failed and pruned ones have a
    place and add nothing. References and differentiable searches are left out. All runs share one box, so that their
    curves compare: from the worst to the best value of any finished trial of any run, or from `reference` where it is
    given (fix it to compare with runs that are not at hand). `directions` are "min" or "max" for x and y, where neither
    the schema nor a study says which way is better.
    """
    several = isinstance(runs, Mapping)
    frames = {name: load_trials(each) for name, each in (runs.items() if several else [("", runs)])}
    values = {name: _values(frame, x, y, stage) for name, frame in frames.items()}
    ways = [directions_of(frame, (x, y), directions) for frame in frames.values()]
    every = np.concatenate([np.empty((0, 2)), *values.values()])
    every = every[np.isfinite(every).all(axis=1)]
    if len(every) == 0:
        return HypervolumeData(x, y, None, None, {name: np.zeros(len(part)) for name, part in values.items()})
    directions = (ways[0][0], ways[0][1])
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
    """Both objectives in the order of the trials, NaN for a trial that does not compete; running ones left out."""
    frame = frame[~frame["stage"].isin(NEVER_ON_A_FRONT) if stage is None else frame["stage"] == stage]
    frame = frame[frame["state"] != "running"]
    order = frame.assign(_stage=frame["stage"].map({name: i for i, name in enumerate(STAGES)}))
    frame = order.sort_values(["_stage", "number"], kind="stable")
    values = numbers(frame, x, y)
    values[~competing(frame).to_numpy()] = np.nan
    return values


def hypervolume_curves(
    groups: Groups,
    x: str = "ops",
    y: str = "accuracy",
    stage: str | None = None,
    reference: Corner | None = None,
    directions: Directions | None = None,
) -> dict[str, Floats]:
    """Hypervolume of every group's runs after 1, 2, ... trials, as the share of the box that all runs share.

    Arrays of shape (runs, trials), cut to the length of the shortest run of the group. The trials are those of a stage
    (see `analysis.stages.of_stage`), the box is that of `hypervolume_data`.
    """
    frames = as_groups(groups)
    flat = {
        f"{name}\0{index}": of_stage(frame, stage) for name, part in frames.items() for index, frame in enumerate(part)
    }
    curves = hypervolume_data(flat, x, y, reference, directions=directions).curves
    grouped: dict[str, Floats] = {}
    for name, part in frames.items():
        own = [curves[f"{name}\0{index}"] for index in range(len(part))]
        length = min((len(curve) for curve in own), default=0)
        grouped[name] = np.array([curve[:length] for curve in own]).reshape(len(own), length)
    return grouped


def hypervolume_table(
    groups: Groups,
    x: str = "ops",
    y: str = "accuracy",
    trials: int | None = None,
    stage: str | None = None,
    directions: Directions | None = None,
) -> pd.DataFrame:
    """Hypervolume of groups of runs after the same number of trials (`trials`, or as many as the shortest run has).

    Columns `group`, `runs`, `trials`, `hypervolume` (mean share of the box that all runs share, 0 to 1), `low`, `high`
    (95 % of that mean over the runs, by Student's t; NaN for one run, which says nothing about the spread).
    """
    curves = hypervolume_curves(groups, x, y, stage, directions=directions)
    length = min((curve.shape[1] for curve in curves.values() if len(curve)), default=0)
    length = length if trials is None else min(length, trials)
    rows: list[tuple[object, ...]] = []
    for name, curve in curves.items():
        mean = mean_interval(curve[:, length - 1] if length else [])
        rows.append((name, len(curve), length, mean.value, mean.low, mean.high))
    return pd.DataFrame(rows, columns=["group", "runs", "trials", "hypervolume", "low", "high"])
