"""One HTML page for an audit: for a phone, in light or dark, or on paper; no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tff_affect.atomic import replace_text
from tff_affect.privacy.audit.finding import SIGNIFICANT, Finding, worst_first
from tff_affect.report import audit_plot
from tff_affect.report.audit import (
    AUDIT_PAGE,
    VERDICTS,
    heading,
    interval_text,
    is_bound,
    measured,
    observer_text,
    p_text,
    sentence,
    summary,
    verdict,
)
from tff_affect.report.page import inline, render
from tff_affect.report.svg import BLUE
from tff_affect.report.tables import ABSENT, counted, epsilon_text
from tff_affect.runs.audit.result import AuditFacts, AuditResult

_LONG = 12
_ENDS = 3
_GENERATED = (
    "SYNTHETIC data: the numbers show that the attacks run and what they find on this generator; they say nothing "
    "about people."
)
_LOWER_BOUND = (
    "What attackers reached bounds from below what there is to find. The strongest that was tried counts, and a better "
    "one may find more: with more data, other networks, or knowledge from elsewhere. What was not shown is not ruled "
    "out."
)
_COVERED = (
    "Epsilon holds for what its accounting covers only: not for tables of clients, for choices made on development "
    "clients, or against whoever sees what is sent before the noise. Canaries that fail to refute a claim do not prove "
    "it."
)
_COMPLEMENTARY = (
    "Standardised by a whole recording, its first part is the mirror of its last: where one is above the mean, the "
    "other is below, whoever it is. Where pairs of parts are compared, and in outputs and updates of models, each part "
    "was therefore standardised by itself, as if it were of another day."
)
_SIMULATED = (
    "The attacks ran on one machine that holds every recording, and were given what each observer would see. They are "
    "about this run; other seeds and cohorts have findings of their own."
)
_CAPTIONS = (
    (
        audit_plot.findings_plot,
        "All findings but epsilon. Filled: better than chance explains; hollow: not shown. The line is the interval; "
        "what lies below chance is drawn at chance.",
    ),
    (
        audit_plot.epsilon_plot,
        "Epsilon is what a run claims at most; an audit bounds it from below. A claim is refuted where a bound of 99 % "
        "confidence is above it, or where the run's own records are. The bound of one run is loose, and refutes "
        "nothing.",
    ),
    (
        audit_plot.reidentification_plot,
        "Re-identification by what is exposed, each by its strongest attacker. The features are what all else is "
        "computed from.",
    ),
    (
        audit_plot.roc_plot,
        "Membership inference, both axes logarithmic: what counts is who is found with hardly anyone falsely accused, "
        "on the left.",
    ),
)


def write_audit_page(folder: str | Path, result: AuditResult) -> Path:
    """Writes ``audit.html`` into an audit's folder; all of it, or nothing.

    Args:
        folder: Where ``audit.json`` lies.
        result: What to show.

    Returns:
        The file written.

    Raises:
        InputError: If it cannot be written there.
    """
    path = Path(folder) / AUDIT_PAGE
    replace_text(path, render_audit(result))
    return path


def render_audit(result: AuditResult) -> str:
    """The page as one HTML document: the verdict, refuted claims, findings by who could make them, and their limits."""
    facts = result.facts
    return render(
        "audit.html.jinja",
        facts=facts,
        name=facts.run or facts.cohort,
        summary=summary(result),
        refuted=[_card(finding) for finding in worst_first(result.refuted)],
        figures=_figures(result),
        groups=_groups(result.findings),
        verdicts=VERDICTS,
        left_out=result.left_out,
        limits=_limits(result),
        settings=_settings(facts),
    )


def _groups(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings by observer, the observer with the worst first; refuted ones stand in a section of their own."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for finding in worst_first(findings):
        if not finding.refuted:
            groups.setdefault(finding.observer, []).append(_card(finding))
    return [{"heading": observer_text(observer), "findings": cards} for observer, cards in groups.items()]


def _card(finding: Finding) -> dict[str, Any]:
    chance = ABSENT if is_bound(finding) else measured(finding, finding.chance)
    return {
        "verdict": verdict(finding),
        "heading": heading(finding),
        "observer": observer_text(finding.observer),
        "sentence": sentence(finding),
        "entries": [
            (finding.measure, measured(finding, finding.value)),
            ("interval", interval_text(finding)),
            ("chance", chance),
            ("p", p_text(finding.p)),
            ("strongest attacker", finding.attacker),
        ],
        "details": details_tables(finding.details),
    }


def details_tables(details: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Further figures as tables: single ones in the first, then one for each entry whose own entries are alike.

    Args:
        details: Names -> values of JSON's types, nested as they come.

    Returns:
        Tables with a ``heading``, ``columns`` and ``rows`` of a name and its cells.
    """
    alike = {name: value for name, value in details.items() if _is_table(value)}
    single = [(_worded(name), [shown(value)]) for name, value in details.items() if name not in alike]
    tables = [{"heading": "figures", "columns": ["value"], "rows": single}] if single else []
    for name, value in alike.items():
        columns = list(dict.fromkeys(column for row in value.values() for column in row))
        rows = [(str(key), [shown(row.get(column)) for column in columns]) for key, row in value.items()]
        tables.append({"heading": _worded(name), "columns": [_worded(column) for column in columns], "rows": rows})
    return tables


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(row, Mapping) for row in value.values())


def _worded(name: Any) -> str:
    return str(name).replace("_", " ")


def shown(value: Any) -> str:
    """A value of JSON's types as text; numbers with four digits, of a long list its ends and its length."""
    if value is None or value != value:
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else epsilon_text(value)
    if isinstance(value, Mapping):
        return "; ".join(f"{_worded(name)}: {shown(entry)}" for name, entry in value.items()) or ABSENT
    if isinstance(value, list | tuple):
        return _listed(value)
    return str(value)


def _listed(values: Sequence[Any]) -> str:
    if len(values) <= _LONG:
        return f"[{', '.join(map(shown, values))}]" if values else ABSENT
    ends = [*map(shown, values[:_ENDS]), "…", *map(shown, values[-_ENDS:])]
    return f"[{', '.join(ends)}] ({len(values):,} entries)"


def _figures(result: AuditResult) -> list[dict[str, Any]]:
    drawn = [(plot(result), caption) for plot, caption in _CAPTIONS]
    return [{"image": _inline(image), "caption": caption} for image, caption in drawn if image is not None]


def _inline(image: str) -> Markup:
    return inline(image.replace(BLUE.lower(), "var(--blue)"))


def _limits(result: AuditResult) -> list[str]:
    """What the numbers do not say."""
    facts = result.facts
    parts = (
        [_GENERATED] if facts.synthetic else [],
        [_LOWER_BOUND],
        _session_limit(facts),
        [_COMPLEMENTARY] if any("standardised" in finding.target for finding in result.findings) else [],
        _testing_limit(result.findings),
        _shadow_limit(facts),
        [_COVERED] if any(map(is_bound, result.findings)) else [],
        [_SIMULATED],
    )
    return [limit for part in parts for limit in part]


def _session_limit(facts: AuditFacts) -> list[str]:
    if facts.session == "same session":
        return [
            "People were recognised in a later part of the same session: mood, light and task are the same there too. "
            "How well they are recognised on another day was not measured."
        ]
    return [f"People were recognised in {facts.session}, by {facts.window} each."]


def _testing_limit(findings: Sequence[Finding]) -> list[str]:
    said = "Intervals are over people, who are independent of each other as their frames are not; none with too few."
    tested = sum(finding.p is not None for finding in findings)
    if tested < 2:
        return [said]
    return [
        f"{said} Each p is corrected for the number of attackers behind it, not for the number of findings: of "
        f"{tested} tests of nothing, about {SIGNIFICANT * tested:.1g} would be below {SIGNIFICANT:g} by luck."
    ]


def _shadow_limit(facts: AuditFacts) -> list[str]:
    if not facts.shadows:
        return []
    return [
        f"Membership was inferred with {counted(facts.shadows, 'shadow run')}: the attacker knows the settings, and "
        "has other people of the same kind. More shadow runs make a stronger attacker."
    ]


def _settings(facts: AuditFacts) -> list[tuple[str, str]]:
    people = f"{counted(facts.subjects, 'subject')}"
    if facts.run:
        people += f"; {facts.train} trained on, {facts.test} tested on"
    entries = {
        "cohort": f"{facts.cohort}{', SYNTHETIC' if facts.synthetic else ''}",
        "run": facts.run or "none: the cohort alone",
        "subjects": people,
        "methods": ", ".join(facts.methods) or ABSENT,
        "windows": facts.window,
        "recognised in": facts.session,
        "shadow runs": str(facts.shadows),
        "seed": str(facts.seed),
    }
    return list(entries.items())
