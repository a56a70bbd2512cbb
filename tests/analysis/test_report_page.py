"""The report in Chromium: taps, what is heard, and widths of phones. Skipped where Chromium is not installed."""

import importlib.util
from pathlib import Path

import pytest

from analysis.report.page import write_report

_FILE = Path(__file__).parents[1] / "models" / "chromium.py"
_RUN = Path(__file__).parents[1] / "search" / "artefacts" / "run-1"
_SPEC = importlib.util.spec_from_file_location("chromium_of_the_page", _FILE)
chromium = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(chromium)
pytestmark = pytest.mark.skipif(chromium.PROGRAM is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    found = chromium.Browser(folder / "profile")
    found.open(write_report([_RUN], folder / "report.html"))
    yield found
    found.close()


TAP = """
(() => {
  const link = document.querySelector("svg a"), dot = link.querySelector(".dot");
  dot.scrollIntoView({block: "center"});
  const at = dot.getBoundingClientRect(), x = at.x + at.width / 2, y = at.y + at.height / 2;
  const more = {bubbles: true, cancelable: true, pointerType: "touch", clientX: x, clientY: y};
  for (const kind of ["pointerenter", "pointerdown", "pointerup", "pointerleave"])
    dot.dispatchEvent(new PointerEvent(kind, more));
  dot.dispatchEvent(new MouseEvent("click", more));
  const tip = document.querySelector(".tip");
  const kept = [tip.hidden, tip.textContent.length > 20, location.hash];
  document.querySelector("h1").dispatchEvent(new PointerEvent("pointerdown", {bubbles: true}));
  return [...kept, tip.hidden];
})()
"""


def test_a_tap_keeps_what_it_shows_and_stays(browser):
    assert browser.evaluate(TAP) == [False, True, "", True]


def test_those_who_hear_the_page_get_names(browser):
    unnamed = """
    [...document.querySelectorAll("table")].filter(t => !t.caption).length
      + document.querySelectorAll("th:not([scope])").length
      + [...document.querySelectorAll("[role=img] a, [role=img] [tabindex]")].length
      + [...document.querySelectorAll("svg a:not([aria-label])")].length
      + document.querySelectorAll("circle[aria-label], polygon[aria-label]").length
    """
    assert browser.evaluate(unnamed) == 0


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_is_wider_than_the_window(browser, width):
    browser("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_printing_opens_the_tables_and_the_page_asks_for_nothing(browser):
    browser.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.evaluate("[...document.querySelectorAll('details')].every(part => part.open)")
    assert browser.problems == []
    assert [url for url in browser.requests if not url.startswith(("file:", "data:"))] == []
