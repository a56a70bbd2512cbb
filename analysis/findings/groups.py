"""What several runs reach together: attainment surfaces of two objectives, and hypervolume with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from analysis.runs.trials import split_runs

if TYPE_CHECKING:
    import pandas as pd

    # a frame with a column `run`, frames of one run each, or such frames by the name of what they have in common
    Groups = pd.DataFrame | Sequence[pd.DataFrame] | Mapping[str, Sequence[pd.DataFrame]]

SHARES = (0.25, 0.5, 0.75)


def as_groups(groups: Groups) -> dict[str, list[pd.DataFrame]]:
    """Frames of one run each, by the name of their group; one group without a name where only runs are given."""
    if isinstance(groups, Mapping):
        return {name: list(frames) for name, frames in groups.items()}
    if isinstance(groups, Sequence):
        return {"": list(groups)}
    return {"": list(split_runs(groups).values())}
