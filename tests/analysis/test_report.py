"""The report as a browser and a reader see it: whole, safe whatever a run holds, and there for the poorest run."""

import doctest
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from analysis.findings.certainty import certainty
from analysis.findings.facts import run_facts
from analysis.measures import intervals
from analysis.measures.intervals import share_interval
from analysis.report import chart as html_chart
from analysis.report import html
from analysis.report.chart import ticks
from analysis.report.frontier import frontier_page, write_frontier
from analysis.report.html import page, tag, text
from analysis.report.page import report_html, write_report
from analysis.report.sections import certainty as report_certainty
from analysis.report.sections import compare as report_compare
from analysis.report.sections import run as report_run
from analysis.report.sections import use as report_use
from analysis.runs.layout import RunError
from spaces import get_space

HOSTILE = "</title></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\x00\u202e"
VOID = {"meta", "br", "link", "input", "hr"}


class Reader(HTMLParser):
    """What a page holds: tags, attributes and visible text; refuses tags that do not close in order."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["script"], ["style"]):
            self.words += data


def read(content: str) -> Reader:
    """A page, checked for what every page of ours must be."""
    reader = Reader(content)
    names = [name for name, _ in reader.tags]
    assert names.count("script") == 1
    assert not {"img", "iframe", "object", "link", "base", "form"} & set(names)
    for _, attributes in reader.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "srcset")]
        assert attributes.get("href", "#").startswith("#")
    assert not re.search(r"https?:|//[a-z]|@import|url\(", content.partition("<main>")[0])
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for _, a in reader.tags if "href" in a} <= set(ids)
    return reader


def test_report_on_a_run_says_what_it_must(make_run):
    run = make_run()
    words = read(report_html([run])).words
    facts = run_facts(run)
    space = get_space("nasbnn-digits")
    for row in facts.front.itertuples():
        assert row.architecture in words
        for layer in space.cost(space.parse(row.architecture)).layers:
            assert layer.name in words
        assert f"{100 * row.test_accuracy:.2f} %" in words
    for said in ("3 of 60 trials failed", "out of memory", "1,000 train, 400 validation, 300 test", "evolution",
                 "binarynas best", "binarynas compare", "load_network", "0.1.0"):  # fmt: skip
        assert said in words


def test_times_say_what_they_count(make_run):
    """The supernet's training stands beside the trials' times, from the run's beginning to its last epoch."""
    run = make_run()
    assert run_facts(run).supernet_span is None
    ends = [("supernet", 1, 1), ("supernet", 2, 3), ("finetuned", 1, 9)]
    lines = [
        {"event": "epoch", "phase": phase, "epoch": epoch, "loss": 1.0, "time": f"2026-01-01T00:0{minute}:00+00:00"}
        for phase, epoch, minute in ends
    ]
    (run / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run_facts(run).supernet_span == 180
    words = read(report_html([run])).words
    for said in ("supernet took3 min", "trials took", "trials added up"):
        assert said in words


def test_report_on_several_runs_compares_them(make_run):
    runs = [make_run(f"{p}-{s}", seed=s, proposer=p) for p in ("evolution", "random") for s in (0, 1)]
    words = read(report_html(runs)).words
    assert "How the runs compare" in words
    assert "proposer random" in words
    assert words.count("What was found") == 4
    assert "What a configuration gains" in words
    assert "too few pairs" in words


def test_hostile_names_stay_texts(make_run, make_row):
    rows = [
        make_row(number, 1e6 * (number + 1), 0.5 + number / 10, architecture=HOSTILE, id=HOSTILE, space=HOSTILE,
                 proposer=HOSTILE, operator=HOSTILE)
        for number in range(3)
    ]  # fmt: skip
    rows.append(make_row(3, 1e6, None, state="failed", reason=HOSTILE))
    run = make_run(rows=rows, name="<script>&\"'", fingerprint=HOSTILE)
    info = json.loads((run / "run.json").read_text())
    info |= {"host": HOSTILE, "created": HOSTILE, "versions": {HOSTILE: HOSTILE, "lone": "\ud800"}}
    (run / "run.json").write_text(json.dumps(info))
    (run / "config.yaml").write_text(
        json.dumps({"space": {"name": HOSTILE}, "search": {"proposer": HOSTILE, "objectives": [HOSTILE]}})
    )
    (run / "events.jsonl").write_text(
        json.dumps({"event": "epoch", "phase": "finetuned", "id": HOSTILE, "epoch": 1, "epochs": 2, "loss": 1.0,
                    "images_per_second": 1.0, "learning_rate": 0.1, "time": "2026-01-01T00:00:00+00:00"}) + "\n"
    )  # fmt: skip
    content = report_html([run])
    reader = Reader(content)
    names = [name for name, _ in reader.tags]
    assert names.count("script") == 1
    assert "img" not in names
    assert not [a for _, attributes in reader.tags for a in attributes if a.startswith("on")]
    assert "alert(1)" in reader.words
    assert "\x00" not in content
    assert "\u202e" not in content
    content.encode()  # no lone surrogate is left
    assert Reader(frontier_page(run)).tags


def test_only_our_script_may_run(make_run):
    reader = read(report_html([make_run()]))
    policy = next(a["content"] for name, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/=]+'", policy)


POOR = ("empty", "failed", "one", "equal", "nan", "running", "alone", "bare", "broken", "other space")


@pytest.mark.parametrize("kind", POOR)
def test_poor_runs_have_a_report(make_run, make_row, make_digits_rows, kind):
    failed = make_row(0, 1e6, None, state="failed", reason=None)
    rows = {
        "empty": [],
        "failed": [failed],
        "one": make_digits_rows(1),
        "equal": [make_row(number, 1e6, 0.5, id="same") for number in range(4)],
        "nan": [
            make_row(0, 1e6, 0.5) | {"ops": float("nan")},
            make_row(1, 1e6, float("nan")),
            make_row(2, 1e6, float("inf")),
        ],
        "running": [make_row(0, 1e6, None, state="running", seconds=None, started=None)],
        "other space": [make_row(0, 1e6, 0.5, architecture="1-0.5-2", space="width")],
    }.get(kind, make_digits_rows(10))
    run = make_run(rows=rows, finished=False)
    if kind == "alone":
        run = (run / "trials.parquet").rename(run.parent / "trials.parquet")
    if kind in ("bare", "broken"):
        for name, content in (
            ("config.yaml", "[1, :"),
            ("run.json", "[]"),
            ("front.csv", "a,b\n"),
            ("events.jsonl", "{"),
        ):
            (run / name).unlink(missing_ok=True)
            if kind == "broken":
                (run / name).write_text(content)
    assert "How sure one can be" in Reader(report_html([run])).words
    other = make_run("other", seed=1)
    assert "How the runs compare" in Reader(report_html([run, other])).words
    assert Reader(frontier_page(run)).words


def test_unfinished_run_says_how_to_go_on(make_run):
    run = make_run(finished=False)
    words = read(report_html([run])).words
    assert "has not finished" in words
    assert f"binarynas resume {run}" in words


def test_the_page_of_a_network_is_linked_from_where_the_report_stands(make_run, tmp_path):
    run = make_run("a run")
    words = read(report_html([run], run)).words
    assert f"binarynas export '{run}' --out '{run}/network.html'" in words
    (run / "network.html").write_text("a page")

    def links(file):
        found = [attributes["href"] for name, attributes in Reader(file.read_text("utf-8")).tags if name == "a"]
        return [link for link in found if not link.startswith("#")]

    assert links(write_report([run])) == ["network.html"]
    assert links(write_report([run], tmp_path / "r.html")) == ["a%20run/network.html"]
    assert "network.html" in read(report_html([run])).words  # the command, as the report may come to stand anywhere


def test_file_appears_where_it_was_asked_for(make_run, tmp_path):
    run = make_run()
    assert write_report([run]) == run / "report.html"
    out = write_report([run], tmp_path / "r.html")
    assert out.read_text("utf-8").startswith("<!doctype html>")
    assert write_frontier(run) == run / "plots" / "frontier.html"
    assert not list(tmp_path.glob("**/.*.html*"))
    with pytest.raises(RunError, match="cannot write the report"):
        write_report([run], tmp_path / "no" / "folder" / "r.html")


def test_many_trials_make_no_huge_page(make_run, make_row):
    rng = np.random.default_rng(0)
    ops, accuracy = rng.uniform(1e6, 9e6, 20_000), rng.uniform(0.1, 0.9, 20_000)
    run = make_run(rows=[make_row(i, float(ops[i]), float(accuracy[i])) for i in range(20_000)], finished=False)
    content = frontier_page(run)
    assert len(content) < 2_000_000
    assert "trials that are not on the front are not drawn" in content


def test_interval_has_the_coverage_it_promises():
    """Of many measurements of known accuracies, about 95 in 100 intervals hold the truth."""
    rng = np.random.default_rng(0)
    for truth, images in ((0.5, 100), (0.9, 143), (0.99, 1000)):
        measured = rng.binomial(images, truth, 4000) / images
        held = [found.low <= truth <= found.high for found in (share_interval(float(m), images) for m in measured)]
        assert 0.92 < np.mean(held) < 0.98


@pytest.mark.parametrize(("fraction", "images"), [(float("nan"), 100), (0.5, None), (0.5, 0), (1.5, 10)])
def test_no_interval_without_a_measurement(fraction, images):
    assert not share_interval(fraction, images).known


def test_certainty_counts_what_the_split_cannot_tell_apart(make_run, make_row):
    rows = [make_row(number, 1e6 + number, accuracy) for number, accuracy in enumerate((0.90, 0.89, 0.88, 0.50))]
    found = certainty(run_facts(make_run(rows=rows)))
    top, low, _ = found.best
    assert top == 0.90
    assert 0.8 < low < 0.88
    assert (found.alike, found.finished, found.tested) == (3, 4, 1)
    assert found.gap == pytest.approx(0.01)


def test_texts_are_escaped_and_html_is_not():
    assert tag("p", "<", tag("b", "&"), title='"') == '<p title="&quot;">&lt;<b>&amp;</b></p>'
    assert text(text("<")) == "&lt;"
    assert page(HOSTILE).count("<script>") == 1


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.2, 0.21), (-3, 1e9), (1e-9, 3e-9)])
def test_ticks_are_round_and_within(low, high):
    found = ticks(low, high)
    assert 3 <= len(found) <= 8
    assert all(low - 1e-12 <= tick <= high * (1 + 1e-9) for tick in found)


@pytest.mark.parametrize(
    "module", [html, html_chart, intervals, report_certainty, report_compare, report_run, report_use]
)
def test_examples_in_docstrings_are_right(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
