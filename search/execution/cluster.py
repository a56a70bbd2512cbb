"""Ray on this machine or on a cluster: connecting to it, and noticing that it is gone."""

# Ray annotates its functions only in part
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# the environment is set up by being imported
# pyright: reportUnusedImport=false

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import search.execution.environment  # noqa: F401  (before Ray)

# isort: split
import ray
from ray.exceptions import RayError

from search.config.execution import ExecutionConfig
from search.execution.address import require_reachable, unreachable
from search.execution.code import taking_ours, travelling_code
from search.execution.signals import INTERRUPTED, told_to_stop
from search.worker.device import gpu_count
from search.worker.tasks import ExecutionError

_PATIENCE = 20.0
"""Seconds for which a cluster may be silent. After 60, Ray ends its processes, including this one."""

_LAST_WAIT = 10.0
"""Seconds that Tune gets to end by itself when the cluster is gone."""


_STARTS = 3
"""How often Ray is started on this machine before that is an error."""


def connect(execution: ExecutionConfig, address: str | None) -> None:
    """Start Ray on this machine, or connect to the cluster at `address`: `auto`, or HOST:PORT of its head.

    Raises `ExecutionError` where Ray does not start, or the cluster does not answer or refuses.
    """
    if ray.is_initialized():
        return
    level = logging.INFO if execution.ray_output else logging.ERROR
    settings: dict[str, Any] = {"log_to_driver": execution.ray_output, "logging_level": level}
    on_termination = signal.getsignal(signal.SIGTERM)
    if address is None:
        training = execution.training_range(gpu_count())[1] * execution.training_threads
        cores = max((execution.workers or os.cpu_count() or 1) * execution.threads, training)
        _start_here(cores, settings)
    else:
        require_reachable(address)
        # every node gets our code, even where this command runs as a Ray job with a working folder of its own
        os.environ.setdefault("RAY_OVERRIDE_JOB_RUNTIME_ENV", "1")
        try:
            with travelling_code() as folder:
                ray.init(address=address, runtime_env={"working_dir": str(folder)}, **settings)
        except (ConnectionError, ValueError, RuntimeError, RayError) as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise ExecutionError(
                f"cannot connect to the Ray cluster at {address}: {why}; it needs this version of Ray, and this user "
                "its token in ~/.ray/auth_token"
            ) from error
    signal.signal(signal.SIGTERM, on_termination)  # Ray's own would end the process at once
    for name in ("ray.tune", "ray.train", "ray"):  # we say what goes wrong, in one sentence
        logging.getLogger(name).setLevel(level if execution.ray_output else logging.CRITICAL)


def _start_here(cores: int, settings: dict[str, Any]) -> None:
    """Start Ray on this machine; again, on ports that it draws anew, where others that start at once got in its way."""
    environment = {"worker_process_setup_hook": taking_ours()}
    for attempt in range(1, _STARTS + 1):
        try:  # "local", or Ray would join a cluster that happens to run on this machine
            ray.init(address="local", num_cpus=cores, include_dashboard=False, runtime_env=environment, **settings)
        except SystemExit as error:  # from Ray's own handler of SIGTERM
            raise KeyboardInterrupt from error
        except Exception as error:  # Ray has no class for a machine that is too busy
            ray.shutdown()
            if told_to_stop():
                raise KeyboardInterrupt from error
            if attempt == _STARTS:
                why = " ".join(str(error).split()).rstrip(".")
                raise ExecutionError(f"Ray did not start on this machine in {_STARTS} tries: {why}") from error
        else:
            return


def gone() -> str | None:
    """Why nothing can run any more: the head does not answer, or no node is left. None while all is well."""
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    problem = unreachable(host, int(port))
    if problem:
        return f"its head does not answer at {host}:{port} ({problem})"
    try:
        nodes = ray.nodes()
    except (RuntimeError, RayError) as error:
        return f"its head does not say which nodes there are ({error})"
    alive = {node["NodeID"] for node in nodes if node["Alive"]}
    if not alive:
        return "none of its nodes is alive"
    if ray.get_runtime_context().get_node_id() not in alive:
        return "the node that this command runs on is no longer part of it"
    return None


def nodes_alive() -> list[dict[str, float]]:
    """What every node of the cluster has in all, by Ray's names of resources."""
    return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]


@contextmanager
def watching(fail: Callable[[ExecutionError], None], remedy: str) -> Generator[None]:
    """Notice, while the block runs, that the cluster is gone: Tune would wait for it without end.

    `fail` gets the error, and the block is interrupted as by Ctrl-C. If that does not end it, the process ends with the
    reason and the `remedy` in one sentence: what was finished is in the journal. A cluster whose processes got SIGTERM
    together with this one was not lost: the run was stopped.
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
