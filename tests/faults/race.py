"""Two processes that go on with one run at the same time, again and again: prints how often each of them wrote.

    python race.py FOLDER ROUNDS

A program of its own, so that it forks before anything has started threads.
"""

import os
import random
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from analysis.runs.layout import RunError
from search.runs.locking import writing


def contend(folder: Path, start: float, name: str) -> int:
    run = SimpleNamespace(path=folder, journal=folder / "journal.log")
    time.sleep(max(0.0, start - time.monotonic()))
    try:
        with writing(run), (folder / "writers").open("a") as file:
            file.write(f"{name} ")
            file.flush()
            time.sleep(0.03)  # whoever else gets in writes between
            file.write(f"{name}\n")
    except RunError:
        return 3
    return 0


def main() -> None:
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
    rng = random.Random(0)
    for index in range(rounds):
        start = time.monotonic() + 0.02
        children = []
        for name in ("a", "b"):
            pid = os.fork()
            if pid == 0:
                os._exit(contend(folder, start + rng.random() * 0.002 * (name == "b"), name))
            children.append(pid)
        codes = sorted(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children)
        print(index, *codes)


if __name__ == "__main__":
    main()
