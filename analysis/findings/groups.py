"""Groups of runs that are compared with each other."""

from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.runs.trials import Source, load_trials, split_runs

# a frame with a column `run`, frames of one run each, or lists of such frames by the name of the group; instead of a
# frame, all that `load_trials` takes
Groups = pd.DataFrame | Sequence[Source] | Mapping[str, Sequence[Source]]


def as_groups(groups: Groups) -> dict[str, list[pd.DataFrame]]:
    """Frames of one run each, by the name of their group; runs without groups are one group named ""."""
    if isinstance(groups, Mapping):
        return {name: list(map(load_trials, frames)) for name, frames in groups.items()}
    if isinstance(groups, Sequence):
        return {"": list(map(load_trials, groups))}
    return {"": list(split_runs(load_trials(groups)).values())}
