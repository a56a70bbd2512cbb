"""One writer a run: who it is, what happens to a lock that was left behind, and what to one that wakes up too late.

On one machine the operating system's lock decides, and a process that dies lets go of it. It does not reach across
machines on every file system, so `holder.json` says who writes, or wrote last and did not say that it had done. Such a
run is only taken from another machine when that is asked for. Every holder has a token of its own, and looks before
it writes whether that still stands in the file: a writer that was taken for dead and wakes up is refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from analysis.runs.layout import LOCK_FILE, RunError
from search.runs.holder import holder_words, let_go, take

if TYPE_CHECKING:
    from search.runs.folder import Run


@contextmanager
def writing(run: "Run", *, take_over: bool = False) -> Iterator[None]:
    """Hold the run's lock: one process writes a run at a time. Raises `RunError` that tells who holds it.

    With `take_over` a run is also taken from a process of another machine that has not said that it had done.
    """
    from search.runs.journal import mend_journal, renew_journal

    folder = run.path.resolve()
    lock = FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(
            f"{run.path} is being written by {holder_words(folder)}; wait for it, or stop it first"
        ) from None
    except (OSError, NotImplementedError) as error:
        raise RunError(f"cannot lock {run.path}: {error}; a search needs a folder that it can write") from error
    try:
        take(folder, run.path, take_over=take_over)
        if take_over:
            renew_journal(run.journal)
        mend_journal(run.journal)
        yield
    finally:
        let_go(folder)
        lock.release()
