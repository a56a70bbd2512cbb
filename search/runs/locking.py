"""One writer per run: a lock, a holder file, recovery of stale locks, and fencing of a writer that was presumed dead.

On one machine the operating system's lock decides, and is released when a process dies. It does not reach across
machines on every file system, so `holder.json` says who writes, or wrote last without releasing the run. Such a run is
taken from another machine only on request. Every holder has a token of its own, and checks before it writes that the
file still has it: a writer that was presumed dead and wakes up is refused.
"""

from collections.abc import Generator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from analysis.runs.layout import LOCK_FILE, RunError
from search.runs.folder import Run
from search.runs.holder import holder_words, let_go, take
from search.runs.journal import mend_journal, renew_journal


@contextmanager
def writing(run: Run, *, take_over: bool = False) -> Generator[None]:
    """Hold the run's lock: one process writes a run at a time. Raises `RunError` that says who holds it.

    With `take_over` a run is also taken from a process of another machine that has not released it.
    """
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
