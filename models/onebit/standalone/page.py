"""A model as one HTML file: the network in WebAssembly, and a page that shows it an image. It asks no server."""

import base64
import html
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from models.onebit.file import Model
from models.onebit.standalone.source import TEMPLATES, c_files, of_network
from spaces.errors import BinarynasError
from spaces.tools.files import write_atomically

NAME = "page"
"""What the network is called in C."""
PLAIN, SIMD = "mvp", "mvp+simd128"
"""Processors, as the compiler calls them: what every browser with WebAssembly runs, and what those since 2023 run."""
_FLAGS = (
    "-target", "wasm32-freestanding", "-std=c11", "-O3", "-ffp-contract=off", "-nostdlib", "-Wl,--no-entry", "-Wl,-s",
    "-Wl,-z,stack-size=32768",
)  # fmt: skip
_PATIENCE = 600
"""Seconds; it takes a few, and at first use a minute."""
_DATA = 11
"""The number of a module's section that holds constants: here the weights."""
_LARGEST_DRAWING = 64
"""Pixels of a side up to which a grey image can be drawn by hand."""


class PageError(BinarynasError, ValueError):
    """A page that cannot be made: says why and what to do."""


def write_page(path: Path, model: Model) -> int:
    """Write the page; returns its size in bytes. Raises `PageError`, and `OSError` where the disk refuses."""
    text = page(model).encode()
    write_atomically(path, text)
    return len(text)


def page(model: Model) -> str:
    """The page's text. Raises `PageError` where the compiler is missing or the images are not for a page."""
    image = model.program.image
    if image.channels not in (1, 3) or image.height != image.width:
        raise PageError(
            f"a page shows square images of 1 or 3 channels, not {image.channels}×{image.height}×{image.width}; "
            "export C and write a page of your own"
        )
    (plain, data), (simd, other) = (_without_data(wasm(model, processor)) for processor in (PLAIN, SIMD))
    if data != other:  # which holds constants alone, so it has not been seen to depend on the processor
        plain, simd, data = plain + data, simd + other, b""
    facts = [model.facts.get("architecture", ""), model.facts.get("weights", "")]
    content = {
        "classes": model.class_names,
        "channels": image.channels,
        "side": image.height,
        "shorter": round(image.height / model.centre_crop),
        "draw": image.channels == 1 and image.height <= _LARGEST_DRAWING,
        "dark": sum(model.mean) < len(model.mean) / 2,
        "facts": "; ".join(filter(None, facts)),
        **{name: base64.b64encode(part).decode() for name, part in (("plain", plain), ("simd", simd), ("data", data))},
    }
    blanks = {
        "TITLE": html.escape(f"A 1-bit network of {model.facts.get('space', 'binarynas')}"),
        "MODEL": json.dumps(content).replace("<", "\\u003c"),  # which no end of a script can hide in
        "SCRIPT": (TEMPLATES / "page.js").read_text("utf-8"),
    }
    return re.sub("@([A-Z]+)@", lambda match: blanks[match[1]], (TEMPLATES / "page.html").read_text("utf-8"))


def wasm(model: Model, processor: str = SIMD) -> bytes:
    """The network as a WebAssembly module for a processor; see templates/wasm.c. Raises `PageError`."""
    if importlib.util.find_spec("ziglang") is None:
        raise PageError("a page needs the package ziglang, whose compiler makes WebAssembly: pip install ziglang")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in c_files(model, NAME)[0].items():
            (folder / file).write_text(text, "utf-8")
        (folder / "wasm.c").write_text(of_network((TEMPLATES / "wasm.c").read_text("utf-8"), NAME), "utf-8")
        sources = ("wasm.c", f"{NAME}.c", "-o", "network.wasm")
        command = [sys.executable, "-m", "ziglang", "cc", f"-mcpu={processor}", *_FLAGS, *sources]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE, check=False)  # noqa: S603  (an installed package)
        except subprocess.TimeoutExpired as error:
            raise PageError(f"ziglang took longer than {_PATIENCE} seconds; try again on a machine at rest") from error
        if done.returncode:
            first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[:200])
            raise PageError(f"ziglang could not compile the network: {first.strip()}; install another release of it")
        return (folder / "network.wasm").read_bytes()


def _without_data(module: bytes) -> tuple[bytes, bytes]:
    """A module up to its last section, which holds its data, and that section; a tiny module has none."""
    start = next((start for number, start in _sections(module) if number == _DATA), len(module))
    return module[:start], module[start:]


def _sections(module: bytes) -> Iterator[tuple[int, int]]:
    """Number and beginning of every section."""
    at = 8
    while at < len(module):
        start, size, shift = at, 0, 0
        at += 1
        while True:
            byte = module[at]
            size |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                break
        yield module[start], start
        at += size
