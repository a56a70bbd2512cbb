"""Reads a run's events: what happened epoch by epoch."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

EVENTS_FILE = "events.jsonl"


def load_epochs(run: str | os.PathLike[str]) -> pd.DataFrame:
    """The epochs of a run's trainings, one row each; of one that a resume repeated, the last.

    Columns `phase` (supernet or finetuned), `id` (of the network; null for the supernet), `epoch` (from 1), `epochs`
    (how many there are to be), `loss` (nats), `images_per_second`, `learning_rate`, `time` (UTC). Empty where
    the run has no events.
    """
    raise NotImplementedError
