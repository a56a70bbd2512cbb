"""The report in a browser: by touch, by keys, for those who cannot see it, and on paper."""

import pytest
from chromium import PROGRAM, Browser

from analysis.report.page import write_report

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed")
FRONT_DOT = "document.querySelector('a .dot')"
TIP = "document.querySelector('.tip')"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = Browser(tmp_path_factory.mktemp("profile"))
    opened("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=1, mobile=True)
    opened("Emulation.setTouchEmulationEnabled", enabled=True)
    yield opened
    opened.close()


@pytest.fixture
def phone(browser, make_run):
    browser.open(write_report([make_run("run")]))
    return browser


def tap(browser, mark):
    browser.evaluate(f"{mark}.scrollIntoView({{block: 'center'}})")
    browser.evaluate(
        "new Promise(go => requestAnimationFrame(() => requestAnimationFrame(go)))"
    )  # scrolling hides words
    x, y = browser.evaluate(f"(box => [box.x + box.width / 2, box.y + box.height / 2])({mark}.getBoundingClientRect())")
    browser("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
    browser("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    browser.evaluate("new Promise(go => setTimeout(go, 50))")


def test_a_tap_keeps_the_words_of_a_dot_and_the_next_one_follows_its_link(phone):
    tap(phone, FRONT_DOT)
    assert phone.evaluate("location.hash") == ""
    assert phone.evaluate(f"{TIP}.hidden") is False
    assert "validation" in phone.evaluate(f"{TIP}.textContent")
    tap(phone, FRONT_DOT)
    assert phone.evaluate("location.hash").startswith("#run0-")


def test_a_tap_elsewhere_hides_the_words(phone):
    tap(phone, FRONT_DOT)
    tap(phone, "document.querySelector('figcaption')")
    assert phone.evaluate(f"{TIP}.hidden") is True


def test_only_what_may_have_a_name_has_one(phone):
    """A shape without a role may not: axe calls it aria-prohibited-attr. A picture with links in it is a group."""
    assert phone.evaluate("document.querySelectorAll(':is(circle, polygon, path)[aria-label]').length") == 0
    assert phone.evaluate("Array.from(document.querySelectorAll('svg a')).every(a => a.ariaLabel)")
    assert phone.evaluate("document.querySelectorAll('svg[role=img] a').length") == 0


def test_tables_have_names_and_scroll_by_keys_where_they_are_wide(phone):
    assert phone.evaluate("Array.from(document.querySelectorAll('table')).every(t => t.caption.textContent)")
    assert phone.evaluate("document.querySelectorAll('th:not([scope])').length") == 0
    scrolling = "Array.from(document.querySelectorAll('.wide')).filter(part => part.scrollWidth > part.clientWidth)"
    assert phone.evaluate(f"{scrolling}.length") > 0
    assert phone.evaluate(f"{scrolling}.every(part => part.tabIndex === 0 && part.ariaLabel)")


def test_paper_has_the_layers_of_every_network(phone):
    closed = "document.querySelectorAll('details:not([open])').length"
    before = phone.evaluate(closed)
    assert before > 0
    assert phone.evaluate(f"dispatchEvent(new Event('beforeprint')), {closed}") == 0
    assert phone.evaluate(f"dispatchEvent(new Event('afterprint')), {closed}") == before
    assert phone.problems == []
