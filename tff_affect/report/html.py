"""One HTML file for a study: for a phone, in light or dark, or on paper; no script, nothing from elsewhere.

Beside it goes the folder ``figures``: the CSV of every table and figure, and every figure as SVG.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tff_affect.report.audit import audit_section
from tff_affect.report.cost_section import cost_section
from tff_affect.report.figure_sections import figure_sections
from tff_affect.report.page import render
from tff_affect.report.people_sections import groups_section, participation_section
from tff_affect.report.personal_section import personal_section
from tff_affect.report.privacy_curve import curve_data, curve_figures, ledger_table
from tff_affect.report.privacy_section import privacy_section
from tff_affect.report.pseudonyms import with_pseudonyms
from tff_affect.report.quality_section import quality_section
from tff_affect.report.report_files import Report, ReportOptions, write_report_files
from tff_affect.report.rerun import rerun_of
from tff_affect.report.result_sections import clients_section, results_section
from tff_affect.report.section import FIGURES, DataTable, Section, files_of
from tff_affect.report.study import CohortFacts, Study, open_study, overlapping_subjects, unfinished

_CURVE_CAPTION = (
    "Each mark is a private method at the largest epsilon of its runs, with the 95 % interval of its mean over "
    "clients; lines: without privacy on the same clients. Further left protects more."
)


def write_report(
    study_folder: str | Path,
    facts: CohortFacts,
    out: str | Path | None = None,
    options: ReportOptions = ReportOptions(),  # noqa: B008
    names: Mapping[str, str] | None = None,
) -> Path:
    """Writes ``report.html`` and the folder ``figures``; nothing where anything that they are made of is wrong.

    Args:
        study_folder: A folder of runs ``seed-0``, ``seed-0_fold-1``, ..., or one run. Only ``results.csv`` must be
            there; sections whose files are missing are left out.
        facts: What to say of the cohort.
        out: Folder for the report, made if it is not there; the study's own by default.
        options: What is shown; by default subjects are called client 01, client 02, ..., and groups are left out.
        names: Subject -> name, where several reports have to agree.

    Returns:
        The HTML file.

    Raises:
        InputError: If there is no run with results, a file is unreadable, or the folder cannot be written to.
    """
    folder = Path(study_folder if out is None else out)
    study = open_study(study_folder)
    audit = audit_section(study_folder)
    if audit is not None and out is not None:
        audit = audit | {"page": ""}
    shown = study if options.own_names else with_pseudonyms(study, names)
    report = render_report(shown, facts, audit, options.groups)
    return write_report_files(folder, report)


def render_report(
    study: Study, facts: CohortFacts, audit: Mapping[str, Any] | None = None, groups: bool = False
) -> Report:
    """The report of a study.

    Args:
        study: The study, with the names for its subjects that are to be shown.
        facts: What to say of the cohort.
        audit: As `tff_affect.report.audit.audit_section` gives it; None where the study was not audited.
        groups: Whether CCC by group is shown.

    Raises:
        InputError: If a table is unreadable.
    """
    synthetic = facts.synthetic
    first = [results_section(study, synthetic)]
    rest = _sections(study, facts, groups)
    privacy = privacy_section(study)
    ledger, curve = ledger_table([("", study)]), curve_figures(curve_data([("", study)]), synthetic)
    page = render(
        "report.html.jinja",
        title=f"{facts.name}: federated affect recognition",
        synthetic=synthetic,
        files=FIGURES,
        contents=_contents(first, bool(privacy["methods"]), audit is not None, rest),
        facts=facts,
        dimensions=study.dimensions,
        first=first,
        privacy=privacy,
        ledger=ledger,
        curve=curve,
        curve_caption=_CURVE_CAPTION,
        audit=_shareable(audit),
        rest=rest,
        unfinished=unfinished(study),
        limits=_limits(study),
        runs=len(study.runs),
        rerun=rerun_of(study.folder, facts.name),
        rerun_version=study.environment.get("tff_affect", "of the environment below"),
        config=study.config,
        environment=_flat(study.environment),
    )
    per_window = tuple(method["clients"] for method in privacy["methods"] if method["clients"] is not None)
    tables: tuple[DataTable, ...] = (*((ledger,) if ledger is not None else ()), *per_window)
    beside = Section("privacy", "Privacy", tables=tables, figures=curve)
    return Report(page, files_of([*first, beside, *rest], synthetic))


def _sections(study: Study, facts: CohortFacts, groups: bool) -> list[Section]:
    """What stands between privacy and limits, as far as there is something to show."""
    found: list[Section | None] = [
        participation_section(study),
        groups_section(study, groups),
        personal_section(study, facts.synthetic),
        *figure_sections(study, facts),
        clients_section(study),
        quality_section(study, facts.synthetic),
        cost_section(study),
    ]
    return [section for section in found if section is not None]


def _contents(first: Sequence[Section], private: bool, audited: bool, rest: Sequence[Section]) -> list[tuple[str, str]]:
    """Addresses and headings, in the order of the page."""
    return [
        ("what", "What this is"),
        *((section.key, section.heading) for section in first),
        *([("privacy", "Privacy")] if private else []),
        *([("audit", "Privacy audit")] if audited else []),
        *((section.key, section.heading) for section in rest),
        ("limits", "Limits"),
        ("again", "Run it again"),
    ]


def _shareable(audit: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Without the name of a folder that is not a run's."""
    if audit is None or re.fullmatch(r"seed-\d+(_fold-\d+)?", audit["run"] or ""):
        return audit
    return {**audit, "run": ""}


def _limits(study: Study) -> dict[str, Any]:
    return {
        "splits": bool(study.splits),
        "overlap": overlapping_subjects(study),
        "local_only": "local-only" in set(study.results["method"]),
        "seeds": study.results["seed"].nunique(),
        "test_clients": study.results["client"].nunique(),
        "subject_scaling": _configured(study, "scaling", "subject"),
        "ccc_loss": _configured(study, "loss", "ccc"),
        "post_processed": "post-processed" in set(study.results["kind"]),
        "pseudonyms": bool(study.shown),
    }


def _configured(study: Study, setting: str, value: str) -> bool:
    return re.search(rf"^\s*{setting}: {value}\s*$", study.config, flags=re.MULTILINE) is not None


def _flat(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested entries as dotted names with their values as text."""
    flat: list[tuple[str, str]] = []
    for name, value in content.items():
        if isinstance(value, Mapping):
            flat += _flat(value, f"{prefix}{name}.")
        else:
            flat.append((f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)))
    return flat
