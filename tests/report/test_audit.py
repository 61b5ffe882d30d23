"""The words and tables of an audit: refuted first, nothing called safe, every number that of its finding."""

from __future__ import annotations

import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console
from sample_audit import FACTS, FINDINGS, NOTHING, REFUTED, RESULT, epsilon, membership, recognition

from tff_affect.errors import InputError
from tff_affect.privacy.audit.finding import OBSERVERS, Finding
from tff_affect.report.audit import (
    SHORT_OBSERVERS,
    VERDICTS,
    audit_records,
    audit_section,
    audit_table,
    audit_text,
    heading,
    holm_rejected,
    interval_text,
    observer_text,
    p_text,
    sentence,
    summary,
    verdict,
)
from tff_affect.runs.audit.result import AUDIT, AuditResult

ORDER = [6, 3, 4, 5, 2, 0, 1]
"""Of ``FINDINGS``: refuted, then found by falling advantage, then what was not shown, then the epsilon that stands."""
SAFETY = re.compile(r"\b(safe|safely|safety|secure|harmless|protected|no leak|no risk|anonymous)\b", re.IGNORECASE)


def printed(result: AuditResult) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(audit_table(result))
    return console.export_text()


def test_the_order_is_refuted_then_found_then_the_rest() -> None:
    expected = [FINDINGS[i] for i in ORDER]
    records = audit_records(RESULT)
    assert [(r["attack"], r["target"], r["method"]) for r in records] == [
        (f.attack, f.target, f.method) for f in expected
    ]
    verdicts = ["REFUTED", "found", "found", "found", "found", "not shown", "not refuted"]
    assert [record["verdict"] for record in records] == verdicts
    table = audit_table(RESULT)
    assert [str(cell) for cell in table.columns[-1].cells] == verdicts
    assert [str(cell) for cell in table.columns[0].cells] == [heading(finding) for finding in expected]
    items = [line for line in audit_text(RESULT).splitlines() if line.startswith("- ")]
    assert [line.split(":")[0] for line in items] == [f"- {name}" for name in (*verdicts, "left out")]


def test_a_refuted_claim_comes_first_however_small_its_advantage() -> None:
    small = membership("federated + DP", 0.5625, 0.01, refuted=True)
    result = replace(RESULT, findings=(recognition("action units", "", "data", 1.0, 0.0001), small))
    assert audit_records(result)[0]["attack"] == "membership"
    assert audit_records(result)[0]["verdict"] == "REFUTED"
    assert summary(result).startswith("REFUTED: what is claimed of federated + DP does not hold; 2 of 2 attacks")


def test_the_table_fits_the_terminal_and_shows_the_numbers() -> None:
    text = printed(RESULT)
    assert max(map(len, text.splitlines())) <= 100
    rows = [line.split() for line in text.splitlines() if re.search(r"REFUTED +$|found +$|refuted +$|shown +$", line)]
    assert rows[0][-6:] == ["at", "least", "9.5", "-", "-", "REFUTED"]
    assert rows[1][-6:] == ["[0.750,", "0.875]", "0.037", "<", "0.001", "found"]
    assert rows[3][-6:] == ["0.781", "[0.656,", "0.906]", "0.500", "0.001", "found"]
    assert rows[-2][-7:] == ["0.531", "[0.406,", "0.656]", "0.500", "0.438", "not", "shown"]
    assert len(rows) == len(FINDINGS)
    assert "…" not in text
    assert "Intervals: 95 % and 99 %;" in " ".join(text.split())


def test_names_are_no_markup() -> None:
    hostile = recognition("[red]units[/red]", "[bold]m", "data", 0.5, 0.001)
    text = " ".join(printed(replace(RESULT, findings=(hostile,))).split())
    assert "[red]units[/re" in text
    assert "[bold]m" in text


def test_synthetic_is_said_only_where_it_is() -> None:
    real = replace(RESULT, facts=replace(FACTS, synthetic=False))
    table = audit_table(RESULT)
    assert "SYNTHETIC data" in str(table.title)
    assert "SYNTHETIC data" in str(table.caption)
    assert audit_text(RESULT).startswith("SYNTHETIC data - ")
    assert all(record["synthetic"] for record in audit_records(RESULT))
    assert "SYNTHETIC" not in printed(real) + audit_text(real)
    assert not any(record["synthetic"] for record in audit_records(real))


@pytest.mark.parametrize("result", [RESULT, NOTHING, replace(NOTHING, findings=())])
def test_nothing_is_called_safe(result: AuditResult) -> None:
    said = " ".join([printed(result), audit_text(result), summary(result), *VERDICTS.values()])
    assert not SAFETY.search(said)


def test_a_failed_attack_bounds_nothing() -> None:
    assert summary(NOTHING) == (
        "The epsilon claimed of federated + DP was not refuted, which does not prove it; no attacker beat chance in 2 "
        "attacks, which bounds nothing: a stronger attacker may find more."
    )
    assert "the strongest of these attackers did not beat chance, which bounds nothing" in " ".join(
        printed(NOTHING).split()
    )
    assert summary(replace(NOTHING, findings=())) == "Nothing was attacked, so that nothing is known."
    assert summary(replace(NOTHING, findings=NOTHING.findings[:1])) == (
        "No attacker beat chance in 1 attack, which bounds nothing: a stronger attacker may find more."
    )


def test_an_infinite_epsilon_is_no_claim() -> None:
    for claimed in (math.inf, "inf"):
        endless = replace(epsilon("federated + DP", 1.0, math.inf, False), details={"claimed": claimed})
        result = replace(RESULT, findings=(endless, FINDINGS[1]))
        assert [record["verdict"] for record in audit_records(result)] == ["no claim", "not refuted"]
        assert summary(result) == (
            "The epsilon claimed of centralised + DP was not refuted, which does not prove it; the epsilon of "
            "federated + DP is infinite and promises nothing."
        )
    assert verdict(replace(REFUTED, refuted=False, details={})) == "not refuted"


def test_the_summary_counts_with_holm() -> None:
    # p: 0.0001, 0.0001, 0.001, 0.03125, 0.4375; the fourth passes alone, but not 0.05 / 2.
    assert summary(RESULT) == (
        "REFUTED: what is claimed of federated + DP does not hold; 4 of 5 attacks found more than chance explains (3 "
        "of 4 also when corrected for 5 tests, Holm)."
    )


@given(st.lists(st.floats(0, 0.1), min_size=1, max_size=12))
@example([0.03, 0.01, 0.02])
@example([0.01, 0.04, 0.04, 0.02])
def test_holm_is_the_adjusted_p_below_the_level(p_values: list[float]) -> None:
    """Oracle: the closed form of adjusted p-values, the running maximum of (m - rank) p."""
    p = np.sort(np.array(p_values, np.float64))
    adjusted = np.maximum.accumulate((len(p) - np.arange(len(p))) * p)
    assert holm_rejected(p_values) == int((adjusted <= 0.05).sum())


def test_a_verdict_twice_said_is_said_once() -> None:
    assert REFUTED.sentence.startswith("REFUTED: ")
    assert sentence(REFUTED) == "Claimed epsilon 4 at delta 0.01 for one subject; canaries show at least 9.5."
    assert sentence(replace(REFUTED, sentence="already said.")) == "Already said."


def test_intervals_and_p_say_what_is_not_there() -> None:
    assert interval_text(FINDINGS[5]) == "[0.656, 0.906] (95 %)"
    assert interval_text(REFUTED) == "at least 9.5 (99 %)"
    assert interval_text(replace(REFUTED, interval=(9.25, math.inf))) == "at least 9.25 (99 %)"
    assert interval_text(replace(REFUTED, value=math.inf)) == "at least inf (99 %)"
    assert interval_text(replace(REFUTED, interval=(1.5, 9.25), level=0.9)) == "[1.5, 9.25] (90 %)"
    assert interval_text(replace(FINDINGS[5], interval=None)) == "-"
    assert [p_text(p) for p in (None, math.nan, 0.0001, 0.001, 0.0496)] == ["-", "-", "< 0.001", "0.001", "0.050"]


def test_the_heading_names_the_method_once() -> None:
    assert heading(FINDINGS[5]) == 'membership: models of "federated"'
    assert heading(REFUTED) == 'epsilon: privacy mechanism, "federated + DP"'
    assert heading(FINDINGS[3]) == "re-identification: action units"


def test_every_observer_has_a_short_name() -> None:
    assert set(SHORT_OBSERVERS) == set(OBSERVERS)
    assert observer_text("server").startswith("The server that runs the rounds")
    assert observer_text("passers-by") == "Passers-by"


def not_json(constant: str) -> None:
    raise ValueError(constant)


@pytest.mark.parametrize(
    "finding",
    [
        REFUTED,
        epsilon("federated + DP", math.inf, math.inf, False, one_run_epsilon=math.nan),
        replace(REFUTED, interval=(2.5, math.inf)),
        replace(FINDINGS[0], interval=None, p=None),
        replace(FINDINGS[0], value=math.nan, p=math.nan),
    ],
)
def test_records_are_json(finding: Finding) -> None:
    records = audit_records(replace(RESULT, findings=(finding,)))
    kept = json.loads(json.dumps(records), parse_constant=not_json)
    assert kept == records


def test_records_hold_the_findings_numbers() -> None:
    found, stated = audit_records(RESULT)[3], audit_records(RESULT)[0]
    assert found | {"sentence": ""} == {
        "verdict": "found", "attack": "membership", "target": 'models of "federated"', "method": "federated",
        "observer": "model", "attacker": "likelihood ratio", "measure": "AUC", "value": 0.78125, "low": 0.65625,
        "high": 0.90625, "level": 0.95, "chance": 0.5, "best": 1.0, "advantage": 0.5625, "p": 0.001, "sentence": "",
        "synthetic": True,
    }  # fmt: skip
    assert (stated["value"], stated["low"], stated["high"], stated["best"]) == (9.5, None, None, "inf")


def test_a_studys_section_is_read_from_its_audit(tmp_path: Path) -> None:
    assert audit_section(tmp_path) is None
    folder = tmp_path / "audit"
    folder.mkdir()
    assert audit_section(tmp_path) is None
    RESULT.write(folder)
    found = audit_section(tmp_path)
    assert found is not None
    assert found["summary"] == summary(RESULT)
    expected = [FINDINGS[i] for i in ORDER[:5]]
    assert found["worst"] == [(verdict(finding), sentence(finding)) for finding in expected]
    assert (found["more"], found["page"], found["refuted"], found["synthetic"]) == (2, "", True, True)
    (folder / "audit.html").touch()
    assert audit_section(tmp_path) == found | {"page": "audit/audit.html"}


@pytest.mark.parametrize("content", ["{", "[]", '{"facts": {}}', '{"facts": null, "findings": [], "left_out": {}}'])
def test_a_spoilt_audit_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "audit" / AUDIT
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(InputError) as caught:
        audit_section(tmp_path)
    assert caught.value.file == str(file)
