"""Who holds a run: a token in a file, which every writer compares with its own before it writes."""

import json
import os
import secrets
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analysis.runs.layout import HOLDER_FILE, RunError
from models.checkpoints.files import write_atomically

_tokens: dict[Path, str] = {}
"""The tokens that this process holds runs by."""


class FencedError(RunError):
    """This process may not write the run, or may no longer."""


def take(folder: Path, shown: Path, *, take_over: bool) -> None:
    """Become the holder of the run in a folder, which messages call `shown`.

    Raises `RunError` where the last holder has not let go; with `take_over` it is not asked for.
    """
    before = _holder(folder)
    if not take_over:
        _require_left(shown, before)
    token = f"{_count(before) + 1}-{secrets.token_hex(8)}"
    write_atomically(folder / HOLDER_FILE, json.dumps(_this_process(token)))
    _tokens[folder] = token


def holder_words(folder: Path) -> str:
    """Who holds the run in a folder, in words."""
    return _told(_holder(folder)) or "another process"


def require_held(folder: Path) -> None:
    """Raise `FencedError` where the run in a folder is held by someone else than this process."""
    folder = folder.resolve()
    holder = _holder(folder)
    if holder and holder.get("token") != _tokens.get(folder):
        raise FencedError(
            f"{folder} was taken over by {_told(holder) or 'another process'}; what this process has not written yet "
            "is done again there"
        )


def _require_left(path: Path, holder: dict[str, Any]) -> None:
    """Raise `RunError` unless the last holder has done, or was a process of this machine that is no more."""
    if not holder or holder.get("released"):
        return
    told = _told(holder)
    if told is None:
        raise RunError(
            f"{path / HOLDER_FILE} does not say who wrote the run last; when that process has ended, go on with: "
            f"binarynas resume {path} --take-over"
        )
    if holder["host"] != socket.gethostname():
        raise RunError(
            f"{path} was last written by {told}, which has not said that it had done, and locks do not reach across "
            f"machines; when it has ended for sure, go on with: binarynas resume {path} --take-over"
        )
    if holder["pid"] != os.getpid() and _started(holder["pid"]) == holder.get("started", "") != "":
        # it lives, but the lock was free: this file system's locks do not work
        raise RunError(f"{path} is being written by {told}; wait for it, or stop it first")


def let_go(folder: Path) -> None:
    """Say that this process has done, where the run is still its own."""
    token = _tokens.pop(folder, None)
    holder = _holder(folder)
    if token is not None and holder.get("token") == token:
        with suppress(OSError):  # the disk is full, say: whoever comes next on this machine sees that we are no more
            write_atomically(folder / HOLDER_FILE, json.dumps({**holder, "released": _now()}))


def _this_process(token: str) -> dict[str, Any]:
    return {
        "token": token,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "started": _started(os.getpid()),
        "since": _now(),
    }


def _holder(folder: Path) -> dict[str, Any]:
    """What the file says; nothing where there is none, and something that names nobody where it is damaged."""
    try:
        found = json.loads((folder / HOLDER_FILE).read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        return {"token": None}
    return found if isinstance(found, dict) and found else {"token": None}


def _told(holder: dict[str, Any]) -> str | None:
    try:
        return f"process {int(holder['pid'])} on {holder['host']} since {holder['since']}"
    except (KeyError, TypeError, ValueError):
        return None


def _count(holder: dict[str, Any]) -> int:
    """How often the run has been held."""
    number = str(holder.get("token")).partition("-")[0]
    return int(number) if number.isdecimal() else 0


def _started(pid: int) -> str:
    """When a living process began, in the kernel's ticks, so that a number that is used again is another process; empty
    where there is none, or no way to tell."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _now() -> str:
    return datetime.now(UTC).isoformat()
