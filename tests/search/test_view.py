"""What is shown while a run goes on, where there is no terminal."""

from io import StringIO

import pytest
from rich.console import Console

from search.pipeline.view import Pace, PlainView, line, make_view
from search.runs.records import EpochReport, Record, Stage, State
from search.worker.tasks import Deployed


def record(number, accuracy, ops, state=State.FINISHED):
    metrics = {"accuracy": accuracy, "ops": ops} if state is State.FINISHED else {}
    return Record(
        number=number,
        stage=Stage.INHERITED,
        state=state,
        architecture="",
        id=str(number),
        generation=0,
        proposer="",
        operator="",
        parents=(),
        seed=0,
        metrics=metrics,
    )


def test_lines_tell_what_is_done_the_front_and_failures():
    out = StringIO()
    with make_view(Console(file=out, width=200)) as view:
        assert isinstance(view, PlainView)
        view.phase("Supernet", 2)
        for epoch in (1, 2):
            view.epoch(EpochReport("supernet", None, epoch, 2, 0.5, 321.4, 0.1))
        view.phase("Search", 4)
        view.trials([])
        view.trial(record(0, 0.8, 2e3))
        view.trial(record(1, 0.7, 3e3))
        view.trial(record(2, 0.0, 0.0, State.FAILED))
        view.trial(record(3, 0.9, 4e3))
    lines = out.getvalue().splitlines()
    assert lines[-1].startswith("Search: 4/4 in 0 s; front of 2: 80.00 % at 2.00 K OPs to 90.00 % at 4.00 K OPs")
    assert lines[-1].endswith(", 1 failed")
    assert any(line.startswith("Supernet: 2/2 in 0 s; loss 0.500, 321 images/s") for line in lines)


def test_a_finished_phase_is_told_even_right_after_another_line():
    out = StringIO()
    with make_view(Console(file=out, width=200)) as view:
        view.phase("Networks", 3)
        for number in range(3):
            view.result(Deployed(str(number), Stage.FINAL, 0.5, 0.5))
    lines = out.getvalue().splitlines()
    assert len(lines) == 2, "one soon, one at the end: the others come too quickly"
    assert lines[-1] == "Networks: 3/3 in 0 s; 50.00 % on the test split"


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_line_keeps_count_time_left_and_the_best_and_drops_the_bar_first(width, monkeypatch):
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("search.pipeline.view.time.monotonic", lambda: float(next(clock)))
    pace = Pace(288)
    for done in (100, 101, 102, 103, 104):  # a resumed run: the first hundred were done before
        pace.reach(done)
    text = "front of 26: 70.00 % at 2.00 K OPs to 97.00 % at 52.0 K OPs"
    written = line("Search", pace, text, "best 97.00 % at 52.0 K OPs", width)
    assert len(written) <= width
    assert "104/288" in written
    assert "30:40 left" in written, "184 trials of 10 seconds"
    assert "97.00 % at 52.0 K OPs" in written
    assert ("━" in written) == (width == 200)


def test_no_time_is_given_before_it_means_something():
    pace = Pace(10)
    for done in range(3):
        pace.reach(done)
    assert pace.left is None


def test_time_left_does_not_count_what_workers_take_to_start(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("search.pipeline.view.time.monotonic", lambda: now[0])
    pace = Pace(100)
    pace.reach(0)
    told = []
    for done in range(1, 12):
        now[0] += 20.0 if done == 1 else 2.0
        pace.reach(done)
        told.append(pace.left)
    assert told[:3] == [None, None, None], "one says nothing, and four seconds are too few"
    assert told[3:] == [pytest.approx(2.0 * (100 - done)) for done in range(4, 12)]


def test_a_long_epoch_tells_how_far_it_is_and_how_long_the_rest_takes(monkeypatch):
    clock = iter(range(0, 10000, 10))
    monkeypatch.setattr("search.pipeline.view.time.monotonic", lambda: float(next(clock)))
    out = StringIO()
    view = PlainView(Console(file=out, width=200))
    view.phase("Supernet", 12)
    for share in (0.1, 0.2, 0.3, 0.4, 0.5):
        view.epoch(EpochReport("supernet", None, 4, 12, 0.5, 321.4, 0.1, share=share))
    lines = out.getvalue().splitlines()
    assert lines[-1].startswith("Supernet: 3.5/12 in ")
    assert " s left; loss 0.500, 321 images/s" in lines[-1]
    assert "left" not in lines[1], "one pace tells too little"


@pytest.mark.parametrize(
    ("share", "words"), [(0.09, "321 images/s"), (0.4, "321 images/s (40 % of the time waiting for them)")]
)
def test_a_training_that_waits_for_images_says_so(share, words):
    out = StringIO()
    view = PlainView(Console(file=out, width=200))
    view.phase("Supernet", 1)
    view.epoch(EpochReport("supernet", None, 1, 1, 0.5, 321.4, 0.1, waiting=share))
    assert words in out.getvalue()
    assert ("waiting" in out.getvalue()) == (share >= 0.1)
