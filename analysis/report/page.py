"""The report: one HTML file on one run or several, which opens without a network and contains all that it shows."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from analysis.findings.comparison import compare_runs
from analysis.findings.facts import RunFacts, run_facts
from analysis.report.html import Html, page, tag
from analysis.report.sections.compare import comparison_section
from analysis.report.sections.run import run_sections, section_links
from analysis.runs.layout import REPORT_FILE, RunError
from analysis.runs.trials import run_paths
from spaces.tools.files import write_atomically

Paths = Sequence[str | os.PathLike[str]]


def write_report(runs: Paths, out: str | os.PathLike[str] | None = None) -> Path:
    """Write the report on runs, finished or not, to a file; returns its path.

    The default file is `report.html`, in the run's folder for one run and in the current folder for several. Raises
    `RunError` where a run cannot be read or the file cannot be written.
    """
    one = len(runs) == 1 and Path(runs[0]).is_dir()
    file = Path(out) if out is not None else (Path(runs[0]) / REPORT_FILE if one else Path(REPORT_FILE))
    content = report_html(runs, file.parent)
    try:
        write_atomically(file, content)
    except OSError as error:
        raise RunError(f"cannot write the report to {file}: {error.strerror}; name another file with --out") from error
    return file


def report_html(runs: Paths, folder: Path | None = None) -> Html:
    """The report as one HTML document, whose links start from the folder that it will stand in; without one there are
    none to other files. Raises `RunError` where a run cannot be read.
    """
    paths = run_paths(list(runs))
    found = [run_facts(path, name) for name, path in paths.items()]
    if len(found) == 1:
        return _one(found[0], folder)
    return _several(found, folder)


def _one(run: RunFacts, folder: Path | None) -> Html:
    links = [tag("a", words, href=f"#run0-{name}") for name, words in section_links(run)]
    title, main = f"Report on {run.name}", tag("main", run_sections(run, "run0-", folder))
    return page(title, _head(title, [run]), tag("nav", links), main)


def _several(runs: list[RunFacts], folder: Path | None) -> Html:
    links = [tag("a", "comparison", href="#compare")]
    links += [tag("a", run.name, href=f"#run{index}") for index, run in enumerate(runs)]
    bodies = [
        tag("article", tag("h1", run.name), run_sections(run, f"run{index}-", folder), id=f"run{index}")
        for index, run in enumerate(runs)
    ]
    title = f"Report on {len(runs)} runs"
    main = tag("main", comparison_section(compare_runs(runs), runs), bodies)
    return page(title, _head(title, runs), tag("nav", links), main)


def _head(title: str, runs: list[RunFacts]) -> Html:
    spaces = sorted({run.space.name for run in runs if run.space})
    data = sorted({str(run.data["name"]) for run in runs if "name" in run.data})
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    parts = [*(f"space {name}" for name in spaces), *(f"data {name}" for name in data), f"written {now} by binarynas"]
    return tag("header", tag("h1", title), tag("p", " · ".join(parts), class_="soft"))
