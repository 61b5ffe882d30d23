"""The report in a real browser: it asks for nothing, says nothing, fits a phone, and is there in light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, chromium
from sample_full_study import write_full_study

from tff_affect.report.html import write_report
from tff_affect.report.study import CohortFacts

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium here: apt-get install chromium")
WIDTHS = (390, 1280)
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
CUT_OFF = """[...document.querySelectorAll('main p, main li, main h2, main h3, figcaption, caption span')]
    .filter(e => e.offsetParent && e.getBoundingClientRect().right > innerWidth + 1).length"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    try:
        yield browser
    finally:
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = write_full_study(tmp_path_factory.mktemp("browser") / "study", seeds=1)
    return write_report(study, CohortFacts("toy " + "cohort" * 12, True, 13, 25.0))


def write_page(folder: Path, body: str) -> Path:
    page = folder / "page.html"
    page.write_text(f"<!DOCTYPE html><title>page</title><body>{body}</body>", encoding="utf-8")
    return page


def test_a_request_would_be_seen(browser: Browser, tmp_path: Path) -> None:
    page = write_page(tmp_path, '<img src="http://control.example/picture.png" alt="">')
    seen = browser.open(page)
    assert seen.requests == [page.as_uri(), "http://control.example/picture.png"]
    assert any("ERR_NAME_NOT_RESOLVED" in line for line in seen.said)


def test_an_error_would_be_heard(browser: Browser, tmp_path: Path) -> None:
    seen = browser.open(write_page(tmp_path, "<script>console.error('heard'); missing();</script>"))
    assert "heard" in seen.said
    assert any("Uncaught" in line for line in seen.said)


def test_a_page_that_is_too_wide_would_be_found(browser: Browser, tmp_path: Path) -> None:
    browser.look(390)
    browser.open(write_page(tmp_path, f"<main><p>{'x' * 200}</p><h2>{'x' * 200}</h2></main>"))
    assert browser.value(OVERFLOW) > 0
    assert browser.value("document.documentElement.clientWidth") == 390


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_asked_for_and_nothing_goes_wrong(browser: Browser, report: Path, width: int) -> None:
    browser.look(width)
    seen = browser.open(report)
    assert seen.requests == [report.as_uri()]
    assert seen.said == []
    assert browser.value("document.querySelectorAll('svg').length") > 10


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out(browser: Browser, report: Path, width: int) -> None:
    browser.look(width)
    browser.open(report)
    browser.value("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert browser.value(OVERFLOW) == 0
    assert browser.value(CUT_OFF) == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_light_and_dark_are_drawn(browser: Browser, report: Path, width: int) -> None:
    shown = {}
    for dark in (False, True):
        browser.look(width, dark=dark)
        browser.open(report)
        shown[dark] = browser.pixels()
        assert shown[dark].shape == (900, width, 3)
        assert len(np.unique(shown[dark][::3, ::3].reshape(-1, 3), axis=0)) > 30
    assert np.median(shown[False]) > 240
    assert np.median(shown[True]) < 60


def test_the_first_key_leads_past_the_contents(browser: Browser, report: Path) -> None:
    browser.look(1280)
    browser.open(report)
    browser.press("Tab")
    assert browser.value("document.activeElement.getAttribute('href')") == "#content"
    assert browser.value("document.activeElement.getBoundingClientRect().left >= 0")
    browser.press("Enter")
    assert browser.value("document.activeElement.id") == "content"


def test_tables_that_scroll_can_be_reached_by_keyboard(browser: Browser, report: Path) -> None:
    browser.look(390)
    browser.open(report)
    unreachable = """[...document.querySelectorAll('.wide, pre')]
        .filter(e => e.scrollWidth > e.clientWidth && e.tabIndex < 0).length"""
    scrolling = "[...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth).length"
    assert browser.value(scrolling) > 0
    assert browser.value(unreachable) == 0
