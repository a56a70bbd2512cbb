"""The names of what stands in a run's folder, for those who write it and those who read it."""

from spaces.errors import BinarynasError

CONFIG_FILE = "config.yaml"
RUN_FILE = "run.json"  # with the configuration, what makes a folder a run
JOURNAL_FILE = "journal.log"  # the truth about trials
EVENTS_FILE = "events.jsonl"
HOLDER_FILE = "holder.json"  # who writes the run, or wrote it last
LOCK_FILE = "lock"
LATENCIES_FILE = "latency.json"
HISTORY_FILE = "history.parquet"  # of a differentiable search, in its own folder
TRIALS_FILE = "trials.parquet"
REFERENCES_FILE = "references.csv"
REPORT_FILE = "report.html"
FRONT_FILE = "front.csv"  # written last: a run that has it has finished
MANIFEST_FILE = "manifest.json"  # of weights, written last: a folder that has it holds all of them
FRONT = "front"  # the folder of networks to deploy
PLOTS = "plots"


class RunError(BinarynasError, ValueError):
    """A run that cannot be read or written."""
