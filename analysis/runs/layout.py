"""The names of the files and folders in a run's folder, for its writers and its readers."""

from spaces.errors import BinarynasError

CONFIG_FILE = "config.yaml"
RUN_FILE = "run.json"  # with the configuration, this makes a folder a run
JOURNAL_FILE = "journal.log"  # the truth about trials
EVENTS_FILE = "events.jsonl"
HOLDER_FILE = "holder.json"  # the process that writes the run, or wrote it last
LOCK_FILE = "lock"
LATENCIES_FILE = "latency.json"
HISTORY_FILE = "history.parquet"  # of a differentiable search, in the folder of that search
SEARCHES = "searches"  # the folder with one folder per differentiable search
TRIALS_FILE = "trials.parquet"
GENES_FILE = "genes.parquet"
REFERENCES_FILE = "references.csv"
NETWORKS_FILE = "networks.csv"  # every network of a run that trains given ones
REPORT_FILE = "report.html"
PAGE_FILE = "network.html"  # a network as a page to try it in a browser, where one was exported here
FRONT_FILE = "front.csv"  # written last: a run with this file has finished
MANIFEST_FILE = "manifest.json"  # of weights, written last: a folder with this file is complete
FRONT = "front"  # the folder with the networks to deploy
PLOTS = "plots"


class RunError(BinarynasError, ValueError):
    """A run that cannot be read or written."""


class ColumnError(BinarynasError, ValueError):
    """A column that a table lacks, or that cannot be used as it is asked for."""
