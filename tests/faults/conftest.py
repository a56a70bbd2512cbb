"""What several fault tests share: a small run, processes below one, clusters of several nodes on this machine."""

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import traceback
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SMALL = [
    "supernet.epochs=1",
    "data.train_limit=128",
    "data.validation_limit=64",
    "data.test_limit=64",
    "search.trials=40",
    "search.first_generation=20",
    "search.generation=20",
    "evaluation.recalibration_batches=1",
    "evaluation.recalibration_batch_size=64",
    "finetune.networks=0",
    "execution.training_threads=1",
]


def binarynas(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "binarynas", *map(str, arguments)]


def search_command(out: Path, *settings: str, options: tuple[str, ...] = ()) -> list[str]:
    given = [f"--set={setting}" for setting in (*SMALL, *settings)]
    return binarynas("search", "nasbnn-digits", "--out", out, *options, *given)


@pytest.fixture(scope="session")
def command() -> Callable[..., list[str]]:
    """The command line with some arguments."""
    return binarynas


@pytest.fixture(scope="session")
def small_search() -> Callable[..., list[str]]:
    """The command of a search that takes seconds, into a folder, with settings on top."""
    return search_command


def processes_below(pid: int) -> dict[int, str]:
    """Every process that descends from one, with its command line."""
    parents: dict[int, int] = {}
    titles: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            titles[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended meanwhile

    def below(other: int) -> bool:
        return other in parents and (parents[other] == pid or below(parents[other]))

    return {other: title for other, title in titles.items() if below(other)}


@pytest.fixture(scope="session")
def below() -> Callable[[int], dict[int, str]]:
    """Every process below one."""
    return processes_below


def wait_until(condition: Callable[[], object], process: subprocess.Popen | None = None, seconds: float = 400) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, f"ended with {process.returncode} before its time"
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def wait() -> Callable[..., None]:
    """Wait until something is so, while a process lives."""
    return wait_until


def outcomes(run: Path) -> int:
    """How many trials the journal of a run knows the end of."""
    journal = run / "journal.log"
    return journal.read_text().count('"outcome"') if journal.exists() else 0


@pytest.fixture(scope="session")
def ended() -> Callable[[Path], int]:
    """How many trials of a run have ended."""
    return outcomes


class Nodes:
    """A Ray cluster of several nodes on this machine, whose Python has the libraries but none of our packages."""

    def __init__(self, python: Path, folder: Path) -> None:
        self._python, self._folder = python, folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RAY_"))},
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",
        }
        self.processes: list[subprocess.Popen] = []
        self._begun = 0

    def start(self, workers: int, cpus: int) -> None:
        self._cpus = cpus
        port, head = self.address.partition(":")[2], ("--num-cpus=0", f"--temp-dir={self._folder}")
        self._start("--head", f"--port={port}", "--include-dashboard=false", *head)
        for _ in range(workers):  # one after another: on one machine two that start at once take each other's ports
            self._start(*self._worker())

    def _worker(self) -> tuple[str, ...]:
        return f"--address={self.address}", f"--num-cpus={self._cpus}"

    def replace(self, node: int) -> None:
        """Take a worker node away, and start another one in its place."""
        self.kill(node)
        self._start(*self._worker())
        self.processes[node] = self.processes.pop()

    def _start(self, *arguments: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [str(self._python), "-m", "ray.scripts.scripts", "start", "--block"]
        self._begun += 1
        name = self._folder / f"node{self._begun}.log"
        with name.open("w") as log:
            process = subprocess.Popen(
                [*command, *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd=self._folder,
            )
        self.processes.append(process)
        wait_until(lambda: "runtime started" in name.read_text(), process)

    def kill(self, node: int) -> None:
        """Take a node away, without a word to anyone: 0 is the head."""
        process = self.processes[node]
        doomed = [process.pid, *processes_below(process.pid)]
        for pid in doomed:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait()

    def stop(self) -> None:
        for node in range(len(self.processes)):
            self.kill(node)
        shutil.rmtree(self._folder, ignore_errors=True)


@pytest.fixture(scope="module")
def start_nodes(tmp_path_factory) -> Iterator[Callable[..., Nodes]]:
    """Starts clusters, of so many workers and CPUs on each; they end with the module."""
    home = tmp_path_factory.mktemp("bare")
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    # A path in a .pth file is searched for packages, but not for other .pth files, through which ours are installed.
    libraries = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    (libraries / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    found = subprocess.run([python, "-c", "import search"], cwd=home, capture_output=True, check=False)
    assert b"No module named 'search'" in found.stderr
    clusters: list[Nodes] = []

    def start(workers: int, cpus: int = 1) -> Nodes:
        # Ray makes sockets below this folder, whose paths must not be long.
        folder = Path(f"/tmp/ray-{secrets.token_hex(4)}")
        clusters.append(Nodes(python, folder))
        clusters[-1].start(workers, cpus)
        return clusters[-1]

    yield start
    for cluster in clusters:
        cluster.stop()


def _pretended() -> ModuleType:
    """The helpers of the search's own tests: a search whose trials cost nothing."""
    spec = importlib.util.spec_from_file_location("pretended", ROOT / "tests" / "search" / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def pretended() -> Callable[..., Any]:
    """`pretended(folder, trials=..., generation=..., retries=...)`: a search in a folder; called again, it goes on."""
    from search.config.search import SearchConfig

    kind = _pretended().Search

    def make(folder: Path, trials: int = 24, generation: int = 8, retries: int = 1, **settings: Any) -> Any:
        folder.mkdir(exist_ok=True, parents=True)
        return kind(folder, SearchConfig(trials=trials, generation=generation, **settings), 0, retries)

    return make


@pytest.fixture
def forked() -> Callable[[Callable[[], object]], int]:
    """Runs a function in a process of its own, begun by fork; its id. The exit code is what the function returns, 99
    where it raised."""

    def fork(function: Callable[[], object]) -> int:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a Ray that another test started has a handler of its own
            code = 99
            try:
                code = int(function() or 0)
            except BaseException:  # noqa: BLE001 -- nothing of the test's may go on in the child
                traceback.print_exc()
            finally:
                os._exit(code)
        return pid

    return fork


@pytest.fixture(scope="session")
def run_inline(cli) -> Callable[..., None]:
    """`run_inline(out, *settings)`: a small search into a folder, to its end, in this process."""

    def run(out: Path, *settings: str) -> None:
        done = cli(*search_command(out, *settings, "execution.executor=inline")[3:])
        assert done.returncode == 0, done.stderr

    return run


@pytest.fixture(scope="session")
def finished(run_inline, tmp_path_factory) -> Path:
    """A run that went through, in one process. Tests work on copies of it: see `copy_of`."""
    out = tmp_path_factory.mktemp("runs") / "finished"
    run_inline(out, "search.trials=10", "search.generation=5")
    return out


@pytest.fixture(scope="session")
def untrained(tmp_path_factory) -> str:
    """The setting that gives a search a supernet that nobody has trained, where training is not the point."""
    from models.checkpoints.networks import save_supernet
    from models.nasbnn.supernet import NasBnnSupernet
    from spaces import get_space

    folder = tmp_path_factory.mktemp("supernet")
    save_supernet(folder, NasBnnSupernet(get_space("nasbnn-digits")))
    return f"supernet.checkpoint={folder}"


@pytest.fixture
def copy_of(tmp_path) -> Callable[..., Path]:
    """`copy_of(run)`: a copy of a run to be changed; `unfinished` as if it had been killed after so many records."""

    def copy(run: Path, records: int | None = None) -> Path:
        there = tmp_path / "run"
        shutil.copytree(run, there)
        if records is not None:
            for name in ("front.csv", "trials.parquet"):
                (there / name).unlink()
            shutil.rmtree(there / "front")
            lines = (there / "journal.log").read_bytes().splitlines(keepends=True)
            (there / "journal.log").write_bytes(b"".join(lines[:records]))
        return there

    return copy


@pytest.fixture
def call(cli) -> Callable[..., tuple[int, str]]:
    """Runs the command line in this process: its exit code, and what it said on standard error."""

    def run(*arguments: str | Path) -> tuple[int, str]:
        done = cli(*arguments)
        return done.returncode, done.stderr

    return run
