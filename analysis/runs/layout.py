"""The names of the files in a run's folder."""

from __future__ import annotations

FRONT_FILE = "front.csv"
JOURNAL_FILE = "journal.log"
TRIALS_FILE = "trials.parquet"
RUN_FILE = "run.json"
CONFIG_FILE = "config.yaml"
FINISHED_FILE = FRONT_FILE  # written last


class RunError(ValueError):
    """A run that cannot be read: the message says what was given and what to do."""
