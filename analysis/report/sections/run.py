"""The sections of a report that tell about one run."""

from __future__ import annotations

import math

from analysis.findings.facts import RunFacts, number, section, whole
from analysis.measures.intervals import wilson
from analysis.report.frontier import frontier_figure
from analysis.report.html import Html, copyable, facts, join, table, tag
from analysis.report.sections.certainty import certainty_section
from analysis.report.sections.curves import gene_figure, hypervolume_figure, training_figures
from analysis.report.sections.layers import layers_section
from analysis.report.sections.learned import effects_table, operators_table
from analysis.report.sections.searches import cells_section, has_cells, has_searches, searches_section
from analysis.report.sections.space import ended_candidates, method_facts, space_facts
from analysis.report.sections.use import shell_path, use_section, versions_section
from analysis.runs.schema import TEST_ACCURACY
from analysis.runs.trials import numbers
from analysis.stages import SHORT, WORDS, of_stage, references
from analysis.units import percent, quantity


def run_sections(run: RunFacts, key: str) -> Html:
    """Everything about a run; `key` begins the ids of its elements, so that several runs fit on one page."""

    def part(name: str, title: str, *content: Html | None) -> Html:
        return tag("section", tag("h2", title), *content, id=f"{key}{name}")

    return join(
        [
            *(tag("p", note, class_="warning") for note in run.notes),
            _summary(run),
            part("searched", "What was searched", _searched(run)),
            part("found", "What was found", frontier_figure(run, f"#{key}"), _front(run, key), _compared(run)),
            *([part("searches", "The differentiable searches", searches_section(run))] if has_searches(run) else []),
            *([part("cells", "The cells of the front", cells_section(run))] if has_cells(run) else []),
            part("layers", "What each network costs, layer by layer", layers_section(run, key)),
            part("sure", "How sure one can be", certainty_section(run)),
            part(
                "went", "How the search went", tag("h3", "Hypervolume"), hypervolume_figure({run.name: run.trials}),
                tag("h3", "Genes of the front"), gene_figure(run.front, run.space),
                tag("h3", "What a choice is worth at equal operations"), effects_table(run),
                tag("h3", "Operators"), operators_table(run), tag("h3", "Training"), training_figures(run),
            ),
            part("use", "How to use it, and how to go on", use_section(run)),
            part("versions", "Versions and seeds", versions_section(run)),
        ]
    )  # fmt: skip


def section_links(run: RunFacts) -> list[tuple[str, str]]:
    """The ends of the sections' ids, and words for them, in the order of the page."""
    links = [("searched", "searched"), ("found", "found")]
    links += [("searches", "differentiable searches")] if has_searches(run) else []
    links += [("cells", "cells")] if has_cells(run) else []
    return [*links, ("layers", "layers"), ("sure", "how sure"), ("went", "the search"), ("use", "use"),
            ("versions", "versions")]  # fmt: skip


def duration(seconds: float | None) -> str:
    """Seconds as people say them.

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
    if not accuracy:
        lead = tag("p", "No network has been found yet.", class_="lead")
    else:
        tested = numbers(run.front, TEST_ACCURACY)[:, 0].tolist()
        best, least = accuracy.index(max(accuracy)), ops.index(min(ops))

        def told(index: int) -> str:
            test = f" ({percent(tested[index])} on the test split)" if math.isfinite(tested[index]) else ""
            return f"{percent(accuracy[index])} validation accuracy{test} at {quantity(ops[index], 'OPs')}"

        words = f"The most accurate network reaches {told(best)}"
        lead = tag("p", f"{words}; the cheapest on the front reaches {told(least)}." if least != best else f"{words}.",
                   class_="lead")  # fmt: skip
    ended, lost = run.count("finished"), [(run.count(state), state) for state in ("pruned", "failed")]
    cards = [
        (f"{ended:,}", "finished trials" + "".join(f", {count:,} {state}" for count, state in lost if count)),
        (f"{len(run.front):,}", "network on the front" if len(run.front) == 1 else "networks on the front"),
        (percent(max(accuracy)) if accuracy else "-", "best validation accuracy"),
        (quantity(min(ops), "OPs") if ops else "-", "cheapest on the front"),
        (duration(run.span) or "-", "from the first trial to the last"),
    ]
    drawn = [tag("div", tag("b", value), tag("span", name), class_="card") for value, name in cards]
    return join([*warnings, lead, tag("div", drawn, class_="cards")])


def _searched(run: RunFacts) -> Html:
    search, data = section(run.config, "search"), run.data
    splits = [(whole(data, name), name) for name in ("train", "validation", "test")]
    images = ", ".join(f"{count:,} {name}" for count, name in splits if count is not None)
    size = whole(data, "image_size")
    shape = "×".join(str(value) for value in (whole(data, "channels"), size, size) if value)
    low, high = number(search, "ops_min"), number(search, "ops_max")
    budget = " to ".join(quantity(end, "OPs") if end is not None else side
                         for end, side in ((low, "the smallest"), (high, "the largest")))  # fmt: skip
    counted = [
        f"{run.count(state):,} {state}" for state in ("finished", "failed", "pruned", "running") if run.count(state)
    ]
    stages = [
        f"{int((run.trials['stage'] == s).sum()):,} {w}" for s, w in WORDS.items() if (run.trials["stage"] == s).any()
    ]
    proposers = ", ".join(sorted(set(of_stage(run.trials)["proposer"].dropna().astype("str"))))
    seconds = numbers(run.trials, "seconds")[:, 0]
    pairs = [
        *space_facts(run),
        ("data", f"{data.get('name', '')}, {whole(data, 'classes')} classes" if data else ""),
        ("images", f"{images} ({shape} pixels)" if images else ""),
        ("objectives", ", ".join(run.objectives)),
        ("budget", "no limit" if low is None and high is None else budget),
        ("proposer", str(search.get("proposer", proposers))),
        ("trials asked for", f"{whole(search, 'trials'):,}" if whole(search, "trials") is not None else ""),
        ("trials", ", ".join(counted) or "none"),
        ("by weights", ", ".join(stages)),
        *method_facts(run),
        ("begun", str(run.info.get("created", ""))[:19].replace("T", " ")),
        ("time", duration(run.span)),
        ("of all trials", duration(float(seconds[seconds == seconds].sum())) if len(seconds) else ""),
        ("seed", str(run.seed) if run.seed is not None else ""),
    ]  # fmt: skip
    return facts(pairs)


def _front(run: RunFacts, key: str) -> Html:
    found = run.front
    if not len(found):
        return tag("p", "There is no finished trial, so there is no table.")
    columns = numbers(found, "accuracy", TEST_ACCURACY, "ops", "params", "bytes").tolist()
    texts = zip(
        found["architecture"].astype("str"), found["id"].astype("str"), found["stage"].astype("str"), strict=True
    )
    rows: list[list[Html | str]] = []
    for (architecture, identity, stage), (accuracy, test, ops, params, size) in zip(texts, columns, strict=True):
        rows.append(
            [
                _measured(accuracy, run.validation_images), _measured(test, run.test_images), quantity(ops, "OPs"),
                quantity(params, ""), quantity(size, "B"), SHORT.get(stage, stage),
                tag("a", identity, href=f"#{key}{identity}"), copyable(architecture, "code"),
            ]
        )  # fmt: skip
    headings = ("validation", "test", "operations", "parameters", "size", "weights", "network", "text form")
    note = "Below an accuracy stands its 95 % interval. Size is that of the network as it is deployed."
    note += "" if run.finished else " The test split is touched when the run ends."
    per_stage = [
        f"{len(part)} {WORDS.get(str(stage), str(stage))}"
        for stage, part in found.groupby("stage", observed=True, sort=False)
    ]
    return join(
        [
            table(headings, rows, left=(5, 6, 7)),
            tag("p", f"{note} On the front: {', '.join(per_stage)}.", class_="note"),
        ]
    )


def _compared(run: RunFacts) -> Html | None:
    """What the run measured for comparison; it is on no front."""
    found = references(run.trials)
    if not len(found):
        return None
    values = numbers(found, "accuracy", "ops", "params", "bytes").tolist()
    names = found["operator"].fillna("reference").astype("str").tolist()
    texts = found["architecture"].astype("str").tolist()
    rows = [
        [name, _measured(accuracy, run.validation_images), quantity(ops, "OPs"), quantity(params, ""),
         quantity(size, "B"), copyable(text, "code")]
        for name, text, (accuracy, ops, params, size) in zip(names, texts, values, strict=True)
    ]  # fmt: skip
    headings = ("network", "validation", "operations", "parameters", "size", "text form")
    words = "Trained to compare with: none of these was searched for, and none is on the front."
    return join([tag("h3", "For comparison"), table(headings, rows, left=(0, 5)), tag("p", words, class_="note")])


def _measured(accuracy: float, images: int | None) -> Html:
    interval = wilson(accuracy, images)
    told = tag("span", f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}", class_="soft") if interval else None
    return join([percent(accuracy), *([told] if told else [])])
