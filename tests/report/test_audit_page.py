"""The audit's page, and its section in a study's report."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from html_page import Page
from sample_audit import FACTS, FINDINGS, NOTHING, RESULT, membership, recognition

from tff_affect.errors import InputError
from tff_affect.privacy.audit.finding import worst_first
from tff_affect.report import audit_page, html
from tff_affect.report.audit import interval_text, measured, observer_text, p_text, sentence, summary, verdict
from tff_affect.report.audit_page import details_tables, render_audit, shown, write_audit_page
from tff_affect.report.html import write_report
from tff_affect.report.study import CohortFacts
from tff_affect.runs.audit.result import AuditResult

HOSTILE = '<script>alert("x")</script>&'


@pytest.fixture(scope="module")
def page_text() -> str:
    """The page of ``RESULT``: drawing takes a while."""
    return render_audit(RESULT)


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text alone."""
    monkeypatch.setattr(audit_page, "_figures", lambda result: [])


def spoken(text: str) -> str:
    """What a reader sees, without plots and style, its spaces folded."""
    plain = re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", text, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", plain)).split())


@pytest.mark.parametrize("result", [RESULT, NOTHING, replace(NOTHING, findings=(), left_out={})])
def test_the_page_stands_alone(result: AuditResult) -> None:
    text = render_audit(result)
    page = Page(text)
    assert page.open == []
    assert not set(page.tags) & {"script", "link", "iframe", "img", "image", "object", "embed", "base", "a"}
    names = {name for name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on") or name in ("src", "srcset")}
    assert all(value.startswith("#") for name, value in page.attributes if name.endswith("href") and value)
    identifiers = [value for name, value in page.attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers))
    assert "http" not in text
    assert not re.search(r"url\((?!#)|@import", text)
    assert "@media print" in text
    assert "prefers-color-scheme: dark" in text


def test_the_page_is_written_and_the_same_each_time(tmp_path: Path, page_text: str) -> None:
    path = write_audit_page(tmp_path, RESULT)
    assert path == tmp_path / "audit.html"
    assert path.read_text() == page_text
    assert [file.name for file in tmp_path.iterdir()] == ["audit.html"]


@pytest.mark.usefixtures("without_figures")
def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write here"):
        write_audit_page(tmp_path / "missing", RESULT)


@pytest.mark.usefixtures("without_figures")
def test_the_verdict_leads_and_refuted_claims_follow(page_text: str) -> None:
    said = spoken(page_text)
    places = [
        said.index(part)
        for part in (
            summary(RESULT),
            "Refuted claims",
            sentence(FINDINGS[6]),
            "At a glance",
            observer_text("data"),
            sentence(FINDINGS[3]),
            observer_text("server"),
            sentence(FINDINGS[4]),
            # The worst that holders of the model found beats predictions.
            sentence(FINDINGS[5]),
            sentence(FINDINGS[0]),
            sentence(FINDINGS[1]),
            observer_text("outputs"),
            sentence(FINDINGS[2]),
            "What was left out",
            "How to read this",
            "Settings",
        )
    ]
    assert places == sorted(places)
    assert "Refuted claims" not in spoken(render_audit(NOTHING))


def test_every_finding_is_shown_once_with_its_numbers(page_text: str) -> None:
    text = page_text
    cards = [spoken(card) for card in re.findall(r"<article.*?</article>", text, flags=re.DOTALL)]
    assert len(cards) == len(FINDINGS)
    for finding in FINDINGS:
        (card,) = (card for card in cards if sentence(finding) in card)
        chance = "-" if finding.attack == "epsilon" else f"{finding.chance:.3f}"
        numbers = (
            f"{verdict(finding)}. {sentence(finding)}",
            f"{finding.measure} {measured(finding, finding.value)} interval {interval_text(finding)} chance {chance} "
            f"p {p_text(finding.p)} strongest attacker {finding.attacker}",
        )
        assert all(part in card for part in numbers)
    assert "0.812 interval [0.750, 0.875] (95 %) chance 0.037 p < 0.001" in cards[1]
    assert "9.5 interval at least 9.5 (99 %) chance - p -" in cards[0]
    assert "nearest mean 0.4062" in cards[1]
    order = [sentence(finding) for finding in worst_first(FINDINGS) if finding.observer == "model"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


@pytest.mark.usefixtures("without_figures")
def test_what_was_left_out_is_said(page_text: str) -> None:
    assert "inversion: expected windows of one client, found none" in spoken(page_text)
    assert "What was left out" not in render_audit(replace(RESULT, left_out={}))


def test_synthetic_is_said_only_where_it_is(page_text: str) -> None:
    text = page_text
    assert "<title>SYNTHETIC - " in text
    captions = re.findall(r"<figcaption>(.*?)</figcaption>|<caption>(.*?)</caption>", text, flags=re.DOTALL)
    assert len(captions) >= 4 + len(FINDINGS)
    assert all("".join(caption).startswith("SYNTHETIC data") for caption in captions)
    sections = re.findall(r"<section>\s*<h2>(.*?)</section>", text, flags=re.DOTALL)
    with_numbers = [part for part in sections if "<article" in part or "<svg" in part]
    assert len(with_numbers) == 6
    assert all("SYNTHETIC data" in part for part in with_numbers)
    assert "SYNTHETIC" not in render_audit(replace(RESULT, facts=replace(FACTS, synthetic=False)))


@pytest.mark.parametrize("result", [RESULT, NOTHING])
@pytest.mark.usefixtures("without_figures")
def test_nothing_is_called_safe(result: AuditResult) -> None:
    said = spoken(render_audit(result))
    assert not re.search(r"\b(safe|safely|safety|secure|harmless|protected|no leak|no risk|anonymous)\b", said, re.I)
    assert "What was not shown is not ruled out." in said
    assert "which bounds nothing: a stronger one may" in said


@pytest.mark.usefixtures("without_figures")
def test_limits_follow_the_facts() -> None:
    said = spoken(render_audit(RESULT))
    assert "How well they are recognised on another day was not measured." in said
    assert "of 5 tests of nothing, about 0.2 would be below 0.05 by luck" in said
    assert "Membership was inferred with 16 shadow runs" in said
    assert "Epsilon holds for what its accounting covers only" in said
    other = replace(FACTS, session="another session", shadows=0, window="one step")
    said = spoken(render_audit(AuditResult(other, (recognition("action units", "", "data", 0.5, 0.001),))))
    assert "People were recognised in another session, by one step each." in said
    assert not re.search("another day|tests of nothing|Membership was|Epsilon holds", said)


@pytest.mark.usefixtures("without_figures")
def test_settings_are_the_facts() -> None:
    said = spoken(render_audit(RESULT))
    assert (
        "cohort toy cohort, SYNTHETIC run seed-0 subjects 27 subjects; 12 trained on, 8 tested on methods federated, "
        "federated + DP windows 10 seconds recognised in same session shadow runs 16 seed 7"
    ) in said
    alone = replace(FACTS, run="", methods=(), synthetic=False)
    said = spoken(render_audit(AuditResult(alone, ())))
    assert "cohort toy cohort run none: the cohort alone subjects 27 subjects methods - windows" in said
    assert said.startswith("toy cohort: privacy audit toy cohort: privacy audit Nothing was attacked")


def test_hostile_names_are_escaped() -> None:
    finding = replace(
        membership(HOSTILE, 0.75, 0.001),
        attacker=HOSTILE, measure=HOSTILE, sentence=HOSTILE, observer=HOSTILE, target=HOSTILE,
        details={HOSTILE: HOSTILE, "table": {HOSTILE: {HOSTILE: [HOSTILE]}}},
    )  # fmt: skip
    facts = replace(FACTS, cohort=HOSTILE, run=HOSTILE, methods=(HOSTILE,), session=HOSTILE)
    text = render_audit(AuditResult(facts, (finding,), {HOSTILE: HOSTILE}))
    assert "script" not in Page(text).tags
    assert "alert(&#34;x&#34;)" in text
    assert spoken(text).count(HOSTILE) > 10


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"), (math.nan, "-"), (True, "yes"), (False, "no"), (1200, "1,200"), (0.123456, "0.1235"),
        (math.inf, "inf"), ("inf", "inf"), ([], "-"), ({}, "-"), ([1, 0.5], "[1, 0.5]"), ((None, "a"), "[-, a]"),
        ({"a_b": 1, "c": [2]}, "a b: 1; c: [2]"), (list(range(20)), "[0, 1, 2, …, 17, 18, 19] (20 entries)"),
    ],
)  # fmt: skip
def test_values_of_any_kind_are_text(value: Any, text: str) -> None:
    assert shown(value) == text


def test_entries_alike_are_a_table() -> None:
    tables = details_tables({"people": 3, "left out": {}, "attackers": {"a": {"p": 0.5}, "b": {"top_1": 1.0}}})
    assert tables == [
        {"heading": "figures", "columns": ["value"], "rows": [("people", ["3"]), ("left out", ["-"])]},
        {"heading": "attackers", "columns": ["p", "top 1"], "rows": [("a", ["0.5", "-"]), ("b", ["-", "1"])]},
    ]
    assert details_tables({}) == []


COHORT = CohortFacts("toy", True, 12, 25.0)


@pytest.fixture
def study(make_study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study whose report has no figures: drawing takes seconds."""
    monkeypatch.setattr(html, "figure_sections", lambda study, facts: iter(()))
    monkeypatch.setattr(audit_page, "_figures", lambda result: [])
    return make_study()


def section(text: str) -> str:
    found = re.search(r'<h2 id="audit-heading">Privacy audit</h2>(.*?)</section>', text, flags=re.DOTALL)
    return found[1] if found else ""


def test_a_studys_report_has_the_worst_of_its_audit(study: Path) -> None:
    assert not section(write_report(study, COHORT).read_text())
    folder = study / "audit"
    folder.mkdir()
    RESULT.write(folder)
    without = write_report(study, COHORT).read_text()
    assert "its page is not there" in section(without)
    assert not re.findall(r'href="[^#]', without)
    write_audit_page(folder, RESULT)
    text = write_report(study, COHORT).read_text()
    said = spoken(section(text))
    assert said.startswith("SYNTHETIC data. What attackers learned of seed-0, put next to what was claimed: REFUTED: ")
    parts = [summary(RESULT), *(f"{verdict(f)}. {sentence(f)}" for f in worst_first(FINDINGS)[:5])]
    places = [said.index(part) for part in parts]
    assert places == sorted(places)
    assert sentence(worst_first(FINDINGS)[5]) not in said
    assert "2 more findings, intervals and limits: audit/audit.html" in said
    assert re.findall(r'href="([^#].*?)"', text) == ["audit/audit.html"]
    assert (study / "audit" / "audit.html").is_file()
    assert not Page(text).open


def test_a_report_says_synthetic_of_the_audit_only_where_it_is(study: Path) -> None:
    (study / "audit").mkdir()
    replace(NOTHING, left_out={"a": "b"}).write(study / "audit")
    said = section(write_report(study, COHORT).read_text())
    assert said
    assert "SYNTHETIC" not in said
    assert "remark" not in said


def test_a_spoilt_audit_leaves_no_report(study: Path) -> None:
    (study / "audit").mkdir()
    file = study / "audit" / "audit.json"
    file.write_text("{")
    with pytest.raises(InputError) as caught:
        write_report(study, COHORT)
    assert caught.value.file == str(file)
    assert not (study / "report.html").exists()
