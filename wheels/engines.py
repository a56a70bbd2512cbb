"""The native engine, compiled for other systems and processors by the package ziglang, and checked by what it says."""

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import binaries

from models.onebit.native import build

EXPORTED = frozenset(re.findall(r"^EXPORT \w+ (\w+)\(", build.SOURCE.read_text("utf-8"), re.MULTILINE))
"""The functions that Python calls."""
_PATIENCE = 900
"""Seconds; it takes some, and a minute or two where the compiler has first to build a system's own libraries."""


class Target(NamedTuple):
    """A system and processor: the tag of its wheels, as the compiler calls it and as `binaries.facts` does, and which
    libraries of the system may be needed."""

    tag: str
    triple: str
    platform: str
    facts: tuple[str, str, tuple[int, int]]
    libraries: str


TARGETS = (
    Target("manylinux_2_17_x86_64.manylinux2014_x86_64", "x86_64-linux-gnu.2.17", "linux",
           ("Linux", "x86-64", (2, 17)), r"libc\.so\.6|ld-linux-x86-64\.so\.2"),
    Target("manylinux_2_17_aarch64.manylinux2014_aarch64", "aarch64-linux-gnu.2.17", "linux",
           ("Linux", "arm64", (2, 17)), r"libc\.so\.6|ld-linux-aarch64\.so\.1"),
    Target("macosx_10_13_x86_64", "x86_64-macos.10.13", "darwin",
           ("macOS", "x86-64", (10, 13)), r"/usr/lib/libSystem\.B\.dylib"),
    Target("macosx_11_0_arm64", "aarch64-macos.11.0", "darwin",
           ("macOS", "arm64", (11, 0)), r"/usr/lib/libSystem\.B\.dylib"),
    Target("win_amd64", "x86_64-windows-gnu", "win32",
           ("Windows", "x86-64", (0, 0)), r"kernel32\.dll|api-ms-win-crt-[\w-]+\.dll"),
)  # fmt: skip


def compiled(target: Target, folder: Path) -> Path:
    """The library for a target, in a folder. Raises `ValueError` where it cannot be built, or breaks its tag's word."""
    path = folder / f"{target.triple}-{build.prebuilt(target.platform).name}"
    flags = [flag for flag in build.FLAGS if not (flag == "-fPIC" and target.platform == "win32")]
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target.triple, *flags, "-s"]
    done = subprocess.run(  # noqa: S603  (an installed package)
        [*command, str(build.SOURCE), "-o", str(path)], capture_output=True, text=True, timeout=_PATIENCE, check=False
    )
    if done.returncode:
        raise ValueError(f"ziglang could not compile the engine for {target.tag}: {done.stderr.strip()[-500:]}")
    require(target, path.read_bytes())
    return path


def require(target: Target, library: bytes) -> None:
    """Raise `ValueError` where a library is not what the tag of its wheel promises."""
    found = binaries.facts(library)
    system, machine, least = target.facts
    strange = {name for name in found.libraries if not re.fullmatch(target.libraries, name)}
    problems = [
        (found.system, found.machine) != (system, machine) and f"it is for {found.system} on {found.machine}",
        EXPORTED - found.exported and f"it lacks {', '.join(sorted(EXPORTED - found.exported))}",
        strange and f"it needs {', '.join(sorted(strange))}",
        found.least > least and f"it needs version {'.'.join(map(str, found.least))} of the system's library",
        (system, machine) == ("macOS", "arm64") and not found.signed and "it is not signed",
    ]
    if found_problems := "; ".join(filter(None, problems)):
        raise ValueError(f"the engine for {target.tag} is not what that says: {found_problems}")
