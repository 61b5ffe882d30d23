"""One page for several studies of one cohort: what differs, who is better by how much, and what privacy costs.

Studies are called study 1, study 2, ... unless their own names are asked for: a folder's name may tell who made it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from tff_affect.config import METHODS
from tff_affect.errors import InputError
from tff_affect.evaluation.comparability import ComparedStudy, comparable, open_studies
from tff_affect.evaluation.run_comparison import compare_studies
from tff_affect.report.comparison import comparison_caption, comparison_records, p_text
from tff_affect.report.html import write_report
from tff_affect.report.page import render
from tff_affect.report.privacy_curve import curve_data, curve_figures, ledger_table
from tff_affect.report.pseudonyms import key_of, pseudonyms, subjects_of
from tff_affect.report.report_files import REPORT, Report, ReportOptions, write_report_files
from tff_affect.report.section import FIGURES, Column, DataTable, Section, ends, files_of, measure, text
from tff_affect.report.study import CohortFacts, Study, open_study, unfinished
from tff_affect.report.tables import group_heading

_ABSENT = "not set"
_CONSTANT = "mean predictor"
_CURVE_CAPTION = (
    "Each mark is a private method of one study at the largest epsilon of its runs, with the 95 % interval of its mean "
    "over clients; lines: without privacy. Studies that used the same recordings compose: releasing several costs more "
    "than the epsilon of any one."
)


def write_several(folders: Sequence[Path], facts: CohortFacts, out: Path, options: ReportOptions) -> Path:
    """Writes a page over several studies, and each study's own report below it.

    Args:
        folders: Of the studies, at least two.
        facts: What to say of their cohort.
        out: Folder for the reports: new, empty, or that of an earlier report.
        options: What is shown.

    Returns:
        The page over all.

    Raises:
        InputError: If the studies cannot be compared, one is unreadable, or the folder holds something else.
    """
    check_out(out)
    opened = open_studies(folders)
    compared = comparable(opened)
    left_out = sorted(set.union(*(study.seeds for study in opened)) - compared[0].seeds)
    names = [study.name if options.own_names else f"study {place}" for place, study in enumerate(compared, start=1)]
    compared = [replace(study, name=name) for study, name in zip(compared, names, strict=True)]
    studies = [(name, open_study(folder)) for name, folder in zip(names, folders, strict=True)]
    shown = _common_names([study for _, study in studies])
    report = _page(compared, studies, facts, left_out)
    for place, folder in enumerate(folders, start=1):
        write_report(folder, facts, out / f"study-{place}", options, shown)
    return write_report_files(out, report)


def check_out(out: Path) -> None:
    """Refuses a folder for reports that holds something else.

    Raises:
        InputError: If it is a file, or is not empty and holds no report.
    """
    if out.exists() and not out.is_dir():
        raise InputError("expected a folder, found a file", file=out)
    if out.is_dir() and any(out.iterdir()) and not (out / REPORT).is_file():
        raise InputError("the folder is not empty and holds no report; name a new one", file=out)


def _common_names(studies: Sequence[Study]) -> dict[str, str]:
    """Made-up names that agree over the studies."""
    results = pd.concat([study.results.assign(study=place) for place, study in enumerate(studies)], ignore_index=True)
    return pseudonyms(set.union(*map(subjects_of, studies)), key_of(results))


def _page(
    compared: Sequence[ComparedStudy], studies: Sequence[tuple[str, Study]], facts: CohortFacts, left_out: Sequence[int]
) -> Report:
    curve = curve_figures(curve_data(studies), facts.synthetic)
    ledger = ledger_table(studies)
    sections = [_what(studies, facts), *_comparison(compared, left_out)]
    if ledger is not None:
        heading, words = "Privacy", "What each run guarantees, and what that costs in agreement."
        sections.append(Section("privacy", heading, (words,), (), (ledger,), curve, _CURVE_CAPTION))
    page = render(
        "several.html.jinja",
        title=f"{facts.name}: {len(studies)} studies",
        synthetic=facts.synthetic,
        files=FIGURES,
        contents=[*((section.key, section.heading) for section in sections), ("studies", "Each study")],
        sections=sections,
        links=[(name, f"study-{place}/{REPORT}") for place, (name, _) in enumerate(studies, start=1)],
    )
    return Report(page, files_of(sections, facts.synthetic))


def _what(studies: Sequence[tuple[str, Study]], facts: CohortFacts) -> Section:
    settings = {name: _flat(yaml.safe_load(study.config) if study.config else {}) for name, study in studies}
    keys = list(dict.fromkeys(key for found in settings.values() for key in found))
    rows = [
        {"setting": key} | {name: found.get(key, _ABSENT) for name, found in settings.items()}
        for key in keys
        if len({found.get(key, _ABSENT) for found in settings.values()}) > 1
    ]
    frame = pd.DataFrame(rows, columns=["setting", *settings])
    table = DataTable(
        "settings",
        "Settings that differ",
        frame,
        tuple(text(name, name) for name in frame.columns),
        note="" if rows else "No setting differs.",
    )
    words = (
        f"{len(studies)} studies of one cohort, {facts.name}, with the same splits, the same scored frames and the "
        "same gold standard. What differs between them is below; what they have in common is in the report of each."
    )
    cut_off = (f"{name} - {unfinished(study)}" for name, study in studies if study.missing)
    return Section("what", "What is compared", (*cut_off, words), tables=(table,))


def _flat(content: Any, prefix: str = "") -> dict[str, str]:
    if not isinstance(content, Mapping):
        return {}
    flat: dict[str, str] = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return flat


def _comparison(compared: Sequence[ComparedStudy], left_out: Sequence[int]) -> list[Section]:
    methods = [set(study.results.loc[study.results["kind"] == "measured", "method"]) for study in compared]
    if not [method for method in METHODS if method != _CONSTANT and all(method in found for found in methods)]:
        words = "The studies have no trained method in common, so that there is nothing to pair by client."
        return [Section("comparison", "Comparison", (words,))]
    records = comparison_records(compare_studies(compared), compared)
    frame = pd.DataFrame(records)
    heads = [
        f"{group_heading(row['dimension'], row['kind'])}: {row['reference']} and {row['compared']}" for row in records
    ]
    table = DataTable(
        "comparison",
        "The same method in two studies, paired by test client",
        frame,
        (
            text("method", "compared_method"),
            measure("CCC, first", "reference_ccc"),
            measure("CCC, second", "compared_ccc"),
            measure("second less first", "difference_mean"),
            ends("95 % interval", "difference_low", "difference_high"),
            measure("r", "rank_biserial"),
            Column("p", ("p_value",), _p),
            Column("p Holm", ("p_holm",), _p),
        ),
        group=heads,
        note=comparison_caption(records, left_out),
    )
    return [Section("comparison", "Comparison", tables=(table,))]


def _p(value: float | None) -> str:
    return p_text(None if value is None or value != value else value)
