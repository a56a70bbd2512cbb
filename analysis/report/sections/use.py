"""The sections of a report on using a run's networks and continuing it: commands, code, versions."""

import json
import math
import os
import shlex
from pathlib import Path
from typing import cast
from urllib.parse import quote

from analysis.findings.facts import RunFacts, Values, section, whole
from analysis.report.html import Html, copyable, facts, join, tag
from analysis.runs.layout import CONFIG_FILE, FRONT, PAGE_FILE
from analysis.runs.trials import numbers
from analysis.units import prefix


def use_section(run: RunFacts, folder: Path | None = None) -> Html:
    """Commands and code to use the networks, continue the run or repeat it; links start from `folder`."""
    path = shell_path(run)
    parts: list[Html] = []
    if len(run.front):
        accuracy = numbers(run.front, "accuracy")[:, 0].tolist()
        best = str(run.front["id"].iloc[accuracy.index(max(accuracy))])
        ops = count_words(float(numbers(run.front, "ops").max()))
        parts.append(tag("p", "Choose a network for a budget:"))
        parts.append(copyable(f"binarynas best {path} --ops-max {ops}"))
        if run.finished:
            quoted = json.dumps(str(run.path / FRONT / best))
            code = f"import binarynas\n\nnetwork = binarynas.load_network({quoted})  # in evaluation mode"
            words = ["Every network of the front is a folder of its own under ", tag("code", f"{path}/{FRONT}")]
            parts += [tag("p", words, ", with its weights. Load one:"), copyable(code), _input_words(run.data)]
            parts.append(join([]) if run.detects else _page_words(run, folder))
    if run.finished:
        parts.append(tag("p", "Repeat it with another seed, to see what the seed does:"))
        copied = shlex.quote(str(run.path / CONFIG_FILE))
        other = shlex.quote(f"{run.path}-seed{(run.seed or 0) + 1}")
        parts.append(copyable(f"binarynas search {copied} --seed {(run.seed or 0) + 1} --out {other}"))
        parts.append(copyable(f"binarynas compare {path} {other}"))
    else:
        parts.append(tag("p", "Go on with the search; what is finished is not done again:"))
        parts.append(copyable(f"binarynas resume {path}"))
    return join(parts)


def _page_words(run: RunFacts, folder: Path | None) -> Html:
    """The page on which a network of the run is tried, or how to make it."""
    page = run.path / PAGE_FILE
    if page.is_file() and folder is not None:
        link = tag("a", PAGE_FILE, href=quote(os.path.relpath(page, folder)))
        return tag("p", "Try a network of this run in the browser, with images of yours: ", link)
    made = copyable(f"binarynas export {shell_path(run)} --out {shlex.quote(str(page))}")
    words = "Try the best one in a browser: the package ziglang makes its page, and the next report links to it:"
    return join([tag("p", words), made])


def _input_words(data: Values) -> Html:
    """The images that a network takes; nothing where they are not recorded."""
    mean, std = _numbers(data, "mean"), _numbers(data, "std")
    if not mean or not std:
        return join([])
    size, channels = whole(data, "image_size"), whole(data, "channels")
    return tag(
        "p",
        f"It takes float images of shape (images, {channels}, {size}, {size}): pixels scaled to 0..1, less the mean "
        f"{mean}, over the deviation {std}; and gives one number per class.",
    )


def _numbers(data: Values, key: str) -> str:
    found = data.get(key)
    values = cast("list[object]", found) if isinstance(found, list) else []
    return ", ".join(f"{value:.4f}" for value in values if isinstance(value, float))


def versions_section(run: RunFacts) -> Html:
    """Versions, seed, machine and data of the run."""
    found = section(run.info, "versions")
    pairs = [(str(name), str(value)) for name, value in found.items()]
    pairs += [
        ("seed", str(run.seed) if run.seed is not None else ""),
        ("made on", str(run.info.get("host", ""))),
        ("data fingerprint", str(run.data.get("fingerprint", ""))),
    ]
    words = "Every random number of the run derives from its seed."
    return join([facts(pairs), tag("p", words, class_="note")])


def count_words(count: float) -> str:
    """A count, rounded up to three digits, as options on the command line take it.

    >>> count_words(13_141)
    '13.2K'
    """
    factor, sign = prefix(count)
    scaled = count / factor
    digits = 10.0 ** (math.floor(math.log10(scaled)) - 2) if scaled > 0 else 1.0
    return f"{math.ceil(scaled / digits - 1e-9) * digits:.6g}{sign}"


def shell_path(run: RunFacts) -> str:
    """The run's path, quoted for a shell."""
    return shlex.quote(str(run.path))
