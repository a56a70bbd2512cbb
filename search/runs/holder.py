"""Who holds a run: a token in a file, which every writer compares with its own before it writes."""

import json
import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from analysis.runs.layout import HOLDER_FILE, RunError
from search.runs.records import now
from spaces.tools.files import write_atomically

Holder = dict[str, Any]
"""What the file says, which may be anything."""
_tokens: dict[Path, str] = {}
"""The tokens by which this process holds runs."""


class FencedError(RunError):
    """This process may not write the run, or may no longer."""


def take(folder: Path, shown: Path, *, take_over: bool) -> None:
    """Become the holder of the run in a folder, which messages call `shown`.

    Raises `RunError` where the last holder has not released it; with `take_over` that is not checked.
    """
    before = _holder(folder)
    if not take_over:
        _require_released(shown, before)
    facts = {
        "token": f"{_count(before) + 1}-{secrets.token_hex(8)}",
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "started": _started(os.getpid()),
        "since": now(),
    }
    write_atomically(folder / HOLDER_FILE, json.dumps(facts))
    _tokens[folder] = str(facts["token"])


def holder_words(folder: Path) -> str:
    """Who holds the run in a folder, in words."""
    return _words(_holder(folder)) or "another process"


def require_held(folder: Path) -> None:
    """Raise `FencedError` where another process holds the run in a folder."""
    folder = folder.resolve()
    holder = _holder(folder)
    if holder and holder.get("token") != _tokens.get(folder):
        raise FencedError(
            f"{folder} was taken over by {_words(holder) or 'another process'}; what this process has not written yet "
            "is done again there"
        )


def _require_released(path: Path, holder: Holder) -> None:
    """Raise `RunError` unless the last holder has released the run, or was a process of this machine that has ended."""
    if not holder or holder.get("released"):
        return
    words = _words(holder)
    if words is None:
        raise RunError(
            f"{path / HOLDER_FILE} does not say who wrote the run last; when that process has ended, go on with: "
            f"binarynas resume {path} --take-over"
        )
    if holder["host"] != socket.gethostname():
        raise RunError(
            f"{path} was last written by {words}, which has not released it, and locks do not reach across machines; "
            f"when it has ended for sure, go on with: binarynas resume {path} --take-over"
        )
    if holder["pid"] != os.getpid() and _started(holder["pid"]) == holder.get("started", "") != "":
        # it lives, but the lock was free: this file system's locks do not work
        raise RunError(f"{path} is being written by {words}; wait for it, or stop it first")


def let_go(folder: Path) -> None:
    """Release the run, where this process still holds it."""
    token = _tokens.pop(folder, None)
    holder = _holder(folder)
    if token is not None and holder.get("token") == token:
        with suppress(OSError):  # the disk is full, say: the next process on this machine sees that this one has ended
            write_atomically(folder / HOLDER_FILE, json.dumps({**holder, "released": now()}))


def _holder(folder: Path) -> Holder:
    """What the file says: empty where there is none, and a holder without a name where it is damaged."""
    try:
        found: object = json.loads((folder / HOLDER_FILE).read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        return {"token": None}
    return cast("Holder", found) if isinstance(found, dict) and found else {"token": None}


def _words(holder: Holder) -> str | None:
    try:
        return f"process {int(holder['pid'])} on {holder['host']} since {holder['since']}"
    except (KeyError, TypeError, ValueError):
        return None


def _count(holder: Holder) -> int:
    """How often the run has been held."""
    number = str(holder.get("token")).partition("-")[0]
    return int(number) if number.isdecimal() else 0


def _started(pid: int) -> str:
    """When a living process began, in the kernel's ticks, which tells it from a later one of the same number; empty
    where there is none, or no way to tell."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
