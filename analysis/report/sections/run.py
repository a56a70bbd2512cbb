"""The sections of a report on one run."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np

from analysis.findings.facts import RunFacts, number, section, whole
from analysis.findings.front import guessing, read_table
from analysis.measures.intervals import share_interval
from analysis.report.frontier import frontier_figure
from analysis.report.html import Html, copyable, facts, join, table, tag
from analysis.report.sections.certainty import certainty_section
from analysis.report.sections.curves import gene_figure, hypervolume_figure, training_figures
from analysis.report.sections.layers import layers_section
from analysis.report.sections.learned import effects_table, operators_table
from analysis.report.sections.searches import cells_section, has_cells, has_searches, searches_section
from analysis.report.sections.space import ended_candidates, method_facts, space_facts
from analysis.report.sections.use import shell_path, use_section, versions_section
from analysis.runs.layout import NETWORKS_FILE
from analysis.runs.schema import TEST_ACCURACY
from analysis.runs.trials import numbers
from analysis.stages import SHORT, WORDS, of_stage, references, score_of, search_stage
from analysis.units import percent, quantity
from spaces.catalogue import NETWORKS

# the sections of a run: the ends of their ids, words for links to them, and their titles
_SECTIONS = {
    "searched": ("searched", "What was searched"),
    "found": ("found", "What was found"),
    "searches": ("differentiable searches", "The differentiable searches"),
    "cells": ("cells", "The cells of the front"),
    "layers": ("layers", "What each network costs, layer by layer"),
    "sure": ("how sure", "How sure one can be"),
    "went": ("the search", "How the search went"),
    "use": ("use", "How to use it, and how to go on"),
    "versions": ("versions", "Versions and seeds"),
}


def run_sections(run: RunFacts, key: str, folder: Path | None = None) -> Html:
    """Everything about a run; `key` begins the ids of its elements, so that several runs fit on one page.

    Links to files start from `folder`, where the report will stand.
    """
    went = {
        "Hypervolume": hypervolume_figure({run.name: run.trials}),
        "Genes of the front": gene_figure(run.front, run.space),
        "What a choice is worth at equal operations": effects_table(run),
        "Operators": operators_table(run),
        "Training": training_figures(run),
    }
    contents = {
        "searched": [_searched(run)],
        "found": [frontier_figure(run, f"#{key}"), _front(run, key), _given(run), _compared(run)],
        "searches": [searches_section(run)] if has_searches(run) else [],
        "cells": [cells_section(run)] if has_cells(run) else [],
        "layers": [layers_section(run, key)],
        "sure": [certainty_section(run)],
        "went": [each for title, part in went.items() for each in (tag("h3", title), part)],
        "use": [use_section(run, folder)],
        "versions": [versions_section(run)],
    }
    notes = [tag("p", note, class_="warning") for note in run.notes]
    sections = [
        tag("section", tag("h2", title), contents[name], id=f"{key}{name}")
        for name, (_, title) in _SECTIONS.items()
        if contents[name]
    ]
    return join([*notes, _summary(run), *sections])


def section_links(run: RunFacts) -> list[tuple[str, str]]:
    """The ends of the sections' ids, and words for them, in the order of the page."""
    missing = {"searches": not has_searches(run), "cells": not has_cells(run)}
    return [(name, words) for name, (words, _) in _SECTIONS.items() if not missing.get(name)]


def duration(seconds: float | None) -> str:
    """Seconds in words, of the two largest units.

    >>> duration(3700), duration(95), duration(4.2)
    ('1 h 1 min', '1 min 35 s', '4 s')
    """
    if seconds is None or not math.isfinite(seconds):
        return ""
    total = round(seconds)
    days, hours, minutes = total // 86400, total // 3600 % 24, total // 60 % 60
    words = [(days, "d"), (hours, "h"), (minutes, "min"), (total % 60, "s")]
    first = next((index for index, (count, _) in enumerate(words) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in words[first : first + 2] if count or first == 3)


def _summary(run: RunFacts) -> Html:
    warnings: list[Html] = []
    if not run.finished:
        wanted = whole(section(run.config, "search"), "trials")
        asked = f" of {wanted:,}" if wanted else ""
        words = (
            f"This run has not finished: {ended_candidates(run):,}{asked} trials of its search have ended. Go on with: "
        )
        warnings.append(tag("p", words, tag("code", f"binarynas resume {shell_path(run)}"), class_="warning"))
    accuracy, ops = (numbers(run.front, name)[:, 0].tolist() for name in ("accuracy", "ops"))
    lost = [(run.count(state), state) for state in ("pruned", "failed")]
    cards = [
        (f"{run.count('finished'):,}", ", ".join(["finished trials", *_counted(lost)])),
        (f"{len(run.front):,}", "network on the front" if len(run.front) == 1 else "networks on the front"),
        (percent(max(accuracy)) if accuracy else "-", f"best validation {_score(run)}"),
        (quantity(min(ops), "OPs") if ops else "-", "cheapest on the front"),
        (duration(run.span) or "-", "from the first trial to the last"),
    ]
    if said := guessing(run.front, whole(run.data, "classes")):
        warnings.append(tag("p", f"{said[0].upper()}{said[1:]}.", class_="warning"))
    drawn = [tag("div", tag("b", value), tag("span", name), class_="card") for value, name in cards]
    return join([*warnings, tag("p", _lead(run), class_="lead"), tag("div", drawn, class_="cards")])


def _score(run: RunFacts) -> str:
    return score_of(search_stage(run.trials))


def _lead(run: RunFacts) -> str:
    """The most accurate network and the cheapest one, in a sentence."""
    rows = numbers(run.front, "accuracy", TEST_ACCURACY, "ops").tolist()
    if not rows:
        return "No network has been found yet."

    def words(accuracy: float, tested: float, ops: float) -> str:
        test = f" ({percent(tested)} on the test split)" if math.isfinite(tested) else ""
        return f"{percent(accuracy)} validation {_score(run)}{test} at {quantity(ops, 'OPs')}"

    best, least = max(rows, key=lambda row: row[0]), min(rows, key=lambda row: row[2])
    rest = "" if least is best else f"; the cheapest on the front reaches {words(*least)}"
    return f"The {'best detector' if run.detects else 'most accurate network'} reaches {words(*best)}{rest}."


def _searched(run: RunFacts) -> Html:
    search, data = section(run.config, "search"), run.data
    splits = [(whole(data, name), name) for name in ("train", "validation", "test")]
    images = ", ".join(f"{count:,} {name}" for count, name in splits if count is not None)
    size = whole(data, "image_size")
    shape = "×".join(str(value) for value in (whole(data, "channels"), size, size) if value)
    counts = [(run.count(state), state) for state in ("finished", "failed", "pruned", "running")]
    stages = [(int((run.trials["stage"] == stage).sum()), words) for stage, words in WORDS.items()]
    proposers = ", ".join(sorted(set(of_stage(run.trials)["proposer"].dropna().astype("str"))))
    seconds, wanted = numbers(run.trials, "seconds")[:, 0], whole(search, "trials")
    pairs = [
        *space_facts(run),
        ("data", f"{data.get('name', '')}, {whole(data, 'classes')} classes" if data else ""),
        ("images", f"{images} ({shape} pixels)" if images else ""),
        ("about the images", _phrases(data.get("left_out")) or _phrases(data.get("notes"))),
        ("notes", _phrases(run.info.get("notes"))),
        ("objectives", ", ".join((_score(run), *run.objectives[1:])) if run.detects else ", ".join(run.objectives)),
        ("budget", _budget(number(search, "ops_min"), number(search, "ops_max"))),
        ("proposer", str(search.get("proposer", proposers))),
        ("trials asked for", f"{wanted:,}" if wanted is not None else ""),
        ("corrected to", ", ".join(f"{amount} {what}" for what, amount in run.corrected.items())),
        ("trials", ", ".join(_counted(counts)) or "none"),
        ("ended early", "; ".join(run.early_ends)),
        ("code of your own", _own(run.info.get("extensions"))),
        ("by weights", ", ".join(_counted(stages))),
        *method_facts(run),
        ("begun", str(run.info.get("created", ""))[:19].replace("T", " ")),
        ("trained in", " and ".join(run.precisions)),
        ("supernet took", duration(run.supernet_span)),
        ("trials took", duration(run.span)),
        ("trials added up", duration(float(np.nansum(seconds))) if len(seconds) else ""),
        ("seed", str(run.seed) if run.seed is not None else ""),
    ]
    return facts(pairs)


def _phrases(found: object) -> str:
    return "; ".join(map(str, cast("list[object]", found))) if isinstance(found, list) else ""


def _own(extensions: object) -> str:
    """Names and versions of the user's code that the run loaded."""
    if not isinstance(extensions, Mapping):
        return ""
    loaded = cast("Mapping[str, Mapping[str, str]]", extensions)
    versions = {key: facts.get("version") or facts.get("sha256", "")[:12] for key, facts in loaded.items()}
    return "; ".join(f"{key} {facts['name']} {versions[key]}".rstrip() for key, facts in loaded.items())


def _budget(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "no limit"
    ends = ((low, "the smallest"), (high, "the largest"))
    return " to ".join(words if end is None else quantity(end, "OPs") for end, words in ends)


def _counted(counts: list[tuple[int, str]]) -> list[str]:
    return [f"{count:,} {words}" for count, words in counts if count]


def _front(run: RunFacts, key: str) -> Html:
    found = run.front
    if not len(found):
        return tag("p", "There is no finished trial, so there is no table.")
    columns = numbers(found, "accuracy", TEST_ACCURACY, "ops", "params", "bytes").tolist()
    texts = zip(*(found[name].astype("str").tolist() for name in ("architecture", "id", "stage")), strict=True)
    rows: list[list[str]] = []
    for (architecture, identity, stage), (accuracy, test, *costs) in zip(texts, columns, strict=True):
        measured = [_measured(accuracy, run.validation_images), _measured(test, run.test_images)]
        link = tag("a", identity, href=f"#{key}{identity}")
        rows.append([*measured, *_costs(costs), str(SHORT.get(stage, stage)), link, copyable(architecture, "code")])
    headings = ("validation", "test", "operations", "parameters", "size", "weights", "network", "text form")
    note = "" if run.detects else "Below an accuracy is its 95 % interval. "
    note += "Size is that of the network when deployed."
    note += "" if run.finished else " The test split is touched when the run ends."
    stages = found.groupby("stage", observed=True, sort=False).size().items()
    per_stage = ", ".join(f"{count} ({WORDS.get(str(stage), stage)})" for stage, count in stages)
    words = tag("p", f"{note} On the front: {per_stage}.", class_="note")
    return join([table("The front", headings, rows, left=(5, 6, 7)), words])


def _given(run: RunFacts) -> Html:
    """All networks of a run that trains given ones, on the front or not; nothing in other runs."""
    file = run.path / NETWORKS_FILE
    if not file.is_file():
        return join([])
    found = read_table(file)
    columns = numbers(found, "accuracy", TEST_ACCURACY, "ops", "params", "bytes").tolist()
    rows: list[list[str]] = []
    for text, (accuracy, test, *costs) in zip(found["architecture"].astype("str"), columns, strict=True):
        known = NETWORKS.get(text.partition(" with ")[0])
        published = quantity(known.ops, "OPs") if known else "-"
        measured = [_measured(accuracy, run.validation_images), _measured(test, run.test_images)]
        rows.append([*measured, *_costs(costs), published, copyable(text, "code")])
    headings = ("validation", "test", "operations", "parameters", "size", "published", "network")
    words = "Everything that was trained here. Published operations are for the images of the network's paper."
    heading, listing = "The networks", table("The networks", headings, rows, left=(6,))
    return join([tag("h3", heading), listing, tag("p", words, class_="note")])


def _compared(run: RunFacts) -> Html:
    """What the run measured for comparison, which is on no front; nothing without any."""
    found = references(run.trials)
    if not len(found):
        return join([])
    values = numbers(found, "accuracy", "ops", "params", "bytes").tolist()
    names, texts = found["operator"].fillna("reference").astype("str"), found["architecture"].astype("str")
    rows = [
        [name, _measured(accuracy, run.validation_images), *_costs(costs), copyable(text, "code")]
        for name, text, (accuracy, *costs) in zip(names, texts, values, strict=True)
    ]
    headings = ("network", "validation", "operations", "parameters", "size", "text form")
    words = "Trained to compare with: none of these was searched for, and none is on the front."
    return join(
        [
            tag("h3", "For comparison"),
            table("For comparison", headings, rows, left=(0, 5)),
            tag("p", words, class_="note"),
        ]
    )


def _costs(costs: list[float]) -> list[str]:
    """Operations, parameters and bytes in words."""
    return [quantity(value, unit) for value, unit in zip(costs, ("OPs", "", "B"), strict=True)]


def _measured(accuracy: float, images: int | None) -> Html:
    interval = share_interval(accuracy, images)
    ends = f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"
    return join([percent(accuracy), *([tag("span", ends, class_="soft")] if interval.known else [])])
