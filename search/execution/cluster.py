"""Ray on this machine or on a cluster: connecting to it, what travels to its nodes, and noticing that it is gone."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# Read when ray is imported or started: no loggers of Tune's, no second output engine, no usage statistics.
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray.exceptions import RayError

from search.config.execution import ExecutionConfig
from search.execution.address import require_reachable, unreachable
from search.execution.code import travelling_code
from search.execution.signals import INTERRUPTED, told_to_stop
from search.worker.tasks import ExecutionError

_PATIENCE = 20.0
"""Seconds for which a cluster may be silent. Ray ends its processes, this one too, after 60 without a word from it."""

_LAST_WAIT = 10.0
"""Seconds that Tune has to end by itself when the cluster is gone."""


def connect(execution: ExecutionConfig, address: str | None) -> None:
    """Start Ray on this machine, or connect to the cluster at `address`: `auto`, or HOST:PORT of its head.

    Raises `ExecutionError` where there is none, or it refuses.
    """
    if ray.is_initialized():
        return
    level = logging.INFO if execution.ray_output else logging.ERROR
    settings: dict[str, Any] = {"log_to_driver": execution.ray_output, "logging_level": level}
    on_termination = signal.getsignal(signal.SIGTERM)
    if address is None:
        cores = max((execution.workers or os.cpu_count() or 1) * execution.threads, execution.training_threads)
        try:  # "local": or Ray would join a cluster that happens to run on this machine
            ray.init(address="local", num_cpus=cores, include_dashboard=False, **settings)
        except Exception as error:  # of no kind of its own, where the machine is too busy
            told = " ".join(str(error).split()).rstrip(".")
            raise ExecutionError(f"Ray did not start on this machine: {told}") from error
    else:
        require_reachable(address)
        # The code is ours on every node, whatever a job that we were submitted as has brought along.
        os.environ.setdefault("RAY_OVERRIDE_JOB_RUNTIME_ENV", "1")
        try:
            with travelling_code() as folder:
                ray.init(address=address, runtime_env={"working_dir": str(folder)}, **settings)
        except (ConnectionError, ValueError, RuntimeError, RayError) as error:
            told = " ".join(str(error).split()) or type(error).__name__
            raise ExecutionError(
                f"cannot connect to the Ray cluster at {address}: {told}; it needs this version of Ray, and this user "
                "its token in ~/.ray/auth_token"
            ) from error
    signal.signal(signal.SIGTERM, on_termination)  # Ray's own would end the process at once
    for name in ("ray.tune", "ray.train", "ray"):  # what goes wrong is ours to tell, in one sentence
        logging.getLogger(name).setLevel(level if execution.ray_output else logging.CRITICAL)


def gone() -> str | None:
    """Why nothing can be run any more, or None while all is well: no word from the head, or no node left."""
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    problem = unreachable(host, int(port))
    if problem:
        return f"its head does not answer at {host}:{port} ({problem})"
    try:
        nodes = ray.nodes()
    except (RuntimeError, RayError) as error:
        return f"its head does not tell which nodes there are ({error})"
    alive = {node["NodeID"] for node in nodes if node["Alive"]}
    if not alive:
        return "none of its nodes is alive"
    if ray.get_runtime_context().get_node_id() not in alive:
        return "the node that this command runs on is no longer part of it"
    return None


@contextmanager
def watching(fail: Callable[[ExecutionError], None], remedy: str) -> Iterator[None]:
    """Notice, while the block runs, that the cluster is gone: Tune would wait for it for ever.

    `fail` is told of it and the block interrupted, as by Ctrl-C. Where even that does not end it, the process ends,
    with the reason and the `remedy` in one sentence: what was finished is in the journal. A cluster that is gone since
    SIGTERM went to its processes, too, was not lost: the run was stopped.
    """
    over = threading.Event()

    def watch() -> None:
        silent_since: float | None = None
        while not over.wait(2.0):
            problem = gone()
            if problem is None:
                silent_since = None
                continue
            silent_since = silent_since or time.monotonic()
            if time.monotonic() - silent_since < _PATIENCE and not told_to_stop():
                continue
            error = ExecutionError(f"Ray was lost: {problem}")
            fail(error)
            os.kill(os.getpid(), signal.SIGINT)
            if not over.wait(_LAST_WAIT):
                why, code = ("stopped", INTERRUPTED) if told_to_stop() else (error, 1)
                sys.stderr.write(f"binarynas: {why}; {remedy}\n")
                sys.stderr.flush()
                os._exit(code)
            return

    thread = threading.Thread(target=watch, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=6.0)
