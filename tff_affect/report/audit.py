"""What an audit found, in words and tables: refuted claims first, then the worst.

An attack that failed shows no safety: where nothing was found, the words say that the strongest of these attackers did
not beat chance, and that this bounds nothing. A claim that was not refuted is not proven either.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from tff_affect.privacy.audit.finding import OBSERVERS, SIGNIFICANT, Finding, worst_first
from tff_affect.privacy.guarantee import WIDTH
from tff_affect.report.privacy import INFINITE
from tff_affect.report.tables import ABSENT, SYNTHETIC, counted, epsilon_text, interval, number
from tff_affect.runs.audit.result import AUDIT, AuditResult
from tff_affect.runs.audit.settings import AUDIT_FOLDER

EPSILON = "epsilon"
AUDIT_PAGE = "audit.html"
"""Of an audit's folder."""
REFUTED, FOUND, NOT_SHOWN = "REFUTED", "found", "not shown"
NOT_REFUTED, NO_CLAIM = "not refuted", "no claim"
VERDICTS: Mapping[str, str] = {
    REFUTED: "contradicts what the run claims",
    FOUND: "the strongest attacker did better than chance explains",
    NOT_SHOWN: "the strongest of these attackers did not beat chance, which bounds nothing: a stronger one may",
    NOT_REFUTED: "these canaries do not contradict the claim, which does not prove it",
    NO_CLAIM: "an infinite epsilon promises nothing that could be refuted",
}
"""Verdict -> what it means."""
SHORT_OBSERVERS: Mapping[str, str] = {
    "data": "holders of the features",
    "server": "the server",
    "model": "holders of the model",
    "outputs": "readers of outputs",
}
_SECTION_SENTENCES = 5
_LEAST_P = 0.001


def verdict(finding: Finding) -> str:
    """One of ``VERDICTS``."""
    if finding.refuted:
        return REFUTED
    if is_bound(finding):
        return NO_CLAIM if finding.details.get("claimed") in (math.inf, INFINITE) else NOT_REFUTED
    return FOUND if finding.beats_chance else NOT_SHOWN


def is_bound(finding: Finding) -> bool:
    """Whether it tests the claim itself, on a scale of its own, and not what can be learned of people."""
    return finding.attack == EPSILON


def heading(finding: Finding) -> str:
    """What was attacked, with the method unless the target names it."""
    method = "" if finding.method in finding.target else f', "{finding.method}"'
    return f"{finding.attack}: {finding.target}{method}"


def sentence(finding: Finding) -> str:
    """What it means, as a sentence with a full stop; the verdict, which stands beside it, is not said twice."""
    said = finding.sentence.strip().removeprefix(f"{REFUTED}: ")
    return f"{said[:1].upper()}{said[1:]}" + ("" if said.endswith((".", "!", "?")) else ".")


def measured(finding: Finding, value: float | None) -> str:
    """A number on the finding's scale."""
    if value is None or math.isnan(value):
        return ABSENT
    return number(value) if math.isfinite(finding.best) and math.isfinite(value) else epsilon_text(value)


def ends_text(finding: Finding) -> str:
    """The ends of its interval; ``-`` where there is none. A lower bound is itself one end."""
    low, high = finding.interval or ((finding.value, math.inf) if is_bound(finding) else (math.nan, math.nan))
    if math.isinf(high):
        return f"at least {measured(finding, low)}"
    if math.isfinite(finding.best) or math.isnan(low):
        return interval(low, high)
    return f"[{epsilon_text(low)}, {epsilon_text(high)}]"


def interval_text(finding: Finding) -> str:
    """The ends of its interval with the confidence; ``-`` where there is none."""
    ends = ends_text(finding)
    return ends if ends == ABSENT else f"{ends} ({100 * finding.level:.4g} %)"


def p_text(p: float | None) -> str:
    """A p-value with three decimals; ``-`` where nothing was tested."""
    if p is None or math.isnan(p):
        return ABSENT
    return f"< {_LEAST_P:g}" if p < _LEAST_P else f"{p:.3f}"


def holm_rejected(p_values: Iterable[float]) -> int:
    """How many hypotheses are rejected when as many are tested (Holm 1979, Scandinavian Journal of Statistics 6)."""
    ordered = sorted(p_values)
    for place, p in enumerate(ordered):
        if p * (len(ordered) - place) > SIGNIFICANT:
            return place
    return len(ordered)


def summary(result: AuditResult) -> str:
    """The verdict in one sentence."""
    claims, attacks = _claims_text(result), _attacks_text(result)
    said = "; ".join(part for part in (claims, attacks) if part) or "nothing was attacked, so that nothing is known"
    return f"{said[:1].upper()}{said[1:]}."


def _claims_text(result: AuditResult) -> str:
    if result.refuted:
        return f"{REFUTED}: what is claimed of {_methods(result.refuted)} does not hold"
    bounds = [finding for finding in result.findings if is_bound(finding)]
    standing = [finding for finding in bounds if verdict(finding) == NOT_REFUTED]
    empty = [finding for finding in bounds if verdict(finding) == NO_CLAIM]
    parts = (
        [f"the epsilon claimed of {_methods(standing)} was not refuted, which does not prove it"] if standing else []
    )
    parts += [f"the epsilon of {_methods(empty)} is infinite and promises nothing"] if empty else []
    return "; ".join(parts)


def _methods(findings: Iterable[Finding]) -> str:
    return ", ".join(dict.fromkeys(finding.method or finding.target for finding in findings))


def _attacks_text(result: AuditResult) -> str:
    attacks = [finding for finding in result.findings if not is_bound(finding)]
    if not attacks:
        return ""
    found = sum(finding.beats_chance for finding in attacks)
    if not found:
        tried = counted(len(attacks), "attack")
        return f"no attacker beat chance in {tried}, which bounds nothing: a stronger attacker may find more"
    return f"{found} of {counted(len(attacks), 'attack')} found more than chance explains{_corrected(attacks)}"


def _corrected(attacks: list[Finding]) -> str:
    """Whoever makes many attacks finds something by luck; empty where a single one was tested."""
    tested = [finding.p for finding in attacks if finding.p is not None]
    if len(tested) < 2:
        return ""
    passed = sum(p <= SIGNIFICANT for p in tested)
    return f" ({holm_rejected(tested)} of {passed} also when corrected for {len(tested)} tests, Holm)" if passed else ""


def audit_table(result: AuditResult) -> Table:
    """What was found, for a terminal of 100 columns, the worst first."""
    table = Table(
        title=Text(_title(result)),
        caption=Text(_caption(result)),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
    )
    table.add_column("attack", overflow="fold")
    for name in ("who", "measure"):
        table.add_column(name, overflow="fold", max_width=11)
    for name in ("value", "interval", "chance", "p", "verdict"):
        table.add_column(name, justify="left" if name == "verdict" else "right", no_wrap=True)
    for finding in worst_first(result.findings):
        style = "bold red" if finding.refuted else ""
        table.add_row(*(Text(cell, style=style) for cell in _cells(finding)))
    return table


def _cells(finding: Finding) -> tuple[str, ...]:
    chance = ABSENT if is_bound(finding) else measured(finding, finding.chance)
    return (
        heading(finding), finding.observer, finding.measure,
        measured(finding, finding.value), ends_text(finding), chance, p_text(finding.p), verdict(finding),
    )  # fmt: skip


def _title(result: AuditResult) -> str:
    facts = result.facts
    name = f"Privacy audit of {facts.run or facts.cohort}"
    return f"{SYNTHETIC} data - {name}" if facts.synthetic else name


def _caption(result: AuditResult) -> str:
    if not result.findings:
        return "no findings"
    given = dict.fromkeys(verdict(finding) for finding in worst_first(result.findings))
    meanings = "; ".join(f"{name}: {VERDICTS[name]}" for name in given)
    levels = " and ".join(f"{100 * level:.4g} %" for level in _levels(result.findings))
    who = "; ".join(f"{o}: {SHORT_OBSERVERS.get(o, o)}" for o in dict.fromkeys(f.observer for f in result.findings))
    text = (
        f"Who could do it: {who}. Verdicts: {meanings}. Intervals: {levels or 'none'}; p is corrected for the "
        "number of attackers, not of attacks."
    )
    return f"{SYNTHETIC} data. {text}" if result.facts.synthetic else text


def _levels(findings: Iterable[Finding]) -> list[float]:
    return sorted({finding.level for finding in findings if ends_text(finding) != ABSENT})


def audit_records(result: AuditResult) -> list[dict[str, Any]]:
    """One record for each finding, the worst first, for ``--json``.

    Returns:
        Records with ``verdict, attack, target, method, observer, attacker, measure, value, low, high, level, chance,
        best, advantage, p, sentence, synthetic``. An infinite number is the text ``inf``; what is not defined is None.
    """
    return [_record(finding, result.facts.synthetic) for finding in worst_first(result.findings)]


def _record(finding: Finding, synthetic: bool) -> dict[str, Any]:
    low, high = finding.interval or (None, None)
    names = ("attack", "target", "method", "observer", "attacker", "measure")
    numbers = {"value": finding.value, "low": low, "high": high, "level": finding.level, "chance": finding.chance}
    numbers |= {"best": finding.best, "advantage": finding.advantage, "p": finding.p}
    return {
        "verdict": verdict(finding),
        **{name: getattr(finding, name) for name in names},
        **{name: _plain(value) for name, value in numbers.items()},
        "sentence": finding.sentence,
        "synthetic": synthetic,
    }


def _plain(value: float | None) -> float | str | None:
    """Of JSON's types, which know neither NaN nor an infinite number."""
    if value is None or math.isnan(value):
        return None
    return epsilon_text(value) if math.isinf(value) else float(value)


def audit_text(result: AuditResult) -> str:
    """Plain sentences for a terminal of ``WIDTH`` columns: the verdict, the findings, and what was left out."""
    lines = textwrap.wrap(f"{_title(result)}: {summary(result)}", WIDTH)
    for finding in worst_first(result.findings):
        lines += _item(f"{verdict(finding)}: {heading(finding)}: {sentence(finding)}")
    for attack, reason in result.left_out.items():
        lines += _item(f"left out: {attack}: {reason}")
    return "\n".join(lines)


def _item(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="- ", subsequent_indent="  ")


def observer_text(observer: str) -> str:
    """What the trust model assumes, with a capital."""
    said = OBSERVERS.get(observer, observer)
    return f"{said[:1].upper()}{said[1:]}"


def audit_section(study_folder: str | Path) -> dict[str, Any] | None:
    """What a study's report says of its audit; None where it was not audited.

    Raises:
        InputError: If ``audit.json`` is unreadable.
    """
    folder = Path(study_folder) / AUDIT_FOLDER
    if not (folder / AUDIT).is_file():
        return None
    result = AuditResult.read(folder)
    findings = worst_first(result.findings)
    return {
        "synthetic": result.facts.synthetic,
        "run": result.facts.run,
        "refuted": bool(result.refuted),
        "summary": summary(result),
        "worst": [(verdict(each), sentence(each)) for each in findings[:_SECTION_SENTENCES]],
        "more": max(0, len(findings) - _SECTION_SENTENCES),
        "page": f"{AUDIT_FOLDER}/{AUDIT_PAGE}" if (folder / AUDIT_PAGE).is_file() else "",
    }
