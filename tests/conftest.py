"""What all tests share: their order, how many threads they take, and the command line in this process."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the browser, chromium.py

# Two processes share the tests: threads of torch's would only wait for each other, and Ray's workers, which are nicer
# than others unless told not to be, would starve.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_worker_niceness", "0")

# the longest first, so that two processes end at about the same time; `make test` hands files over in this order
LONGEST = ("test_docs.py", "test_runs.py", "test_cluster.py", "test_lost_worker.py", "test_bad_candidates.py",
           "test_methods.py", "test_onebit_file.py", "test_hostile.py", "test_changed.py")  # fmt: skip


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture
def device():
    """Where tests marked `cuda` run: a GPU, or what BINARYNAS_DEVICE says."""
    import torch

    name = os.environ.get("BINARYNAS_DEVICE", "cuda")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU, and there is none here")
    return torch.device(name)


@pytest.fixture(scope="session")
def cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line in this process, which has imported torch already: its exit code and what it said."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        from search.cli import main

        words = ["binarynas", *map(str, arguments)]
        before = {kind: signal.getsignal(kind) for kind in (signal.SIGTERM, signal.SIGINT)}
        out, errors, code = StringIO(), StringIO(), 0
        with patch.object(sys, "argv", words), redirect_stdout(out), redirect_stderr(errors):
            try:
                main()
            except SystemExit as end:
                code = int(end.code or 0)
            finally:
                for kind, handler in before.items():
                    signal.signal(kind, handler)
        return subprocess.CompletedProcess(words, code, out.getvalue(), errors.getvalue())

    return run
