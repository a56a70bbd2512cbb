"""The native engine's library: the one that the package came with, or else compiled by the user's C compiler at first
use and kept in the user's cache folder.

`python -m models.onebit.native.build` compiles it beforehand where need be, and prints where it is.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from spaces.errors import BinarynasError
from spaces.tools.files import replacing

SOURCE = Path(__file__).with_name("engine.c")
FLAGS = ("-O3", "-std=c11", "-ffp-contract=off", "-fno-trapping-math", "-fvisibility=hidden", "-shared", "-fPIC")
_COMPILERS = ("cc", "gcc", "clang")
_COMPILE_TIMEOUT = 120
"""Seconds; compiling usually takes two or three."""


class BuildError(BinarynasError, RuntimeError):
    """The library could not be built: says why and what would help."""


def compiler() -> list[str]:
    """The command of a C compiler: the environment's CC, or the first of cc, gcc and clang. Raises `BuildError`."""
    named = os.environ.get("CC", "").split()
    for command in ([named] if named else []) + [[name] for name in _COMPILERS]:
        if shutil.which(command[0]):
            return command
    raise BuildError("no C compiler was found; install gcc or clang, or name one in the environment variable CC")


def cache_folder() -> Path:
    """Where libraries are kept, after the XDG convention."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "binarynas"


def version() -> str:
    """The version of the engine: a hash of its C, which is the same on every machine."""
    digest = hashlib.sha256()
    for path in sorted(SOURCE.parent.glob("*.[ch]")):
        digest.update(path.name.encode() + b"|" + path.read_bytes().replace(b"\r\n", b"\n") + b"|")
    return digest.hexdigest()[:16]


def prebuilt(platform: str = sys.platform) -> Path:
    """Where a wheel of a system has its library beside the source, of which it bears the version; often not there."""
    suffix = {"darwin": ".dylib", "win32": ".dll"}.get(platform, ".so")
    return SOURCE.with_name(f"engine-{version()}{suffix}")


def library(folder: Path | None = None, flags: tuple[str, ...] = FLAGS) -> Path:
    """The library of this source, flags and machine; compiled unless it is there. Raises `BuildError`."""
    folder = folder or cache_folder()
    sources = [path.read_bytes() for path in sorted(SOURCE.parent.glob("*.[ch]"))]
    parts = (*sources, " ".join(flags).encode(), platform.machine().encode(), sys.platform.encode())
    path = folder / f"engine-{hashlib.sha256(b'|'.join(parts)).hexdigest()[:16]}.so"
    if path.is_file():
        return path
    command = compiler()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(path) as temporary:
            _compile([*command, *flags, str(SOURCE), "-o", str(temporary)])
    except OSError as error:
        raise BuildError(
            f"cannot write to {folder}: {error.strerror}; set XDG_CACHE_HOME to a folder of yours"
        ) from error
    return path


def _compile(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_TIMEOUT, check=False)  # noqa: S603  (the user's own compiler)
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"{command[0]} took longer than {_COMPILE_TIMEOUT} seconds") from error
    if done.returncode:
        first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[:200])
        raise BuildError(f"{command[0]} could not compile the engine: {first.strip()}; use a newer gcc or clang")


if __name__ == "__main__":
    print(prebuilt() if prebuilt().is_file() else library())
