"""Addresses of Ray clusters: what they look like, and whether anything answers there."""

import socket

from search.worker.tasks import ExecutionError

AUTO = "auto"
"""The cluster that this machine is part of."""

HERE = "local"
"""This machine alone, for a run that began on a cluster."""


def require_reachable(address: str | None) -> None:
    """Raise `ExecutionError` at once for an address where nothing listens; Ray itself would try for a minute."""
    if address in (None, AUTO, HERE):
        return
    host, colon, port = address.rpartition(":")
    if not colon or not host or "/" in host or not port.isdigit():
        raise ExecutionError(
            f"{address!r} is not the address of a Ray cluster: give auto on one of its machines, or HOST:PORT of its "
            "head, such as 10.0.0.5:6379 (not ray://, whose driver would run apart from the run's folder)"
        )
    problem = unreachable(host, int(port))
    if problem:
        raise ExecutionError(
            f"cannot connect to the Ray cluster at {address}: {problem}; is it up, and its port open to this machine?"
        )


def unreachable(host: str, port: int) -> str | None:
    """Why nothing can be reached there; None where something answers."""
    try:
        socket.create_connection((host, port), timeout=5).close()
    except (OSError, OverflowError) as error:
        return str(error)
    return None
