"""Reports of finished studies: what ``tff-affect report`` runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tff_affect.errors import InputError
from tff_affect.report.html import write_report
from tff_affect.report.report_files import REPORT, ReportOptions
from tff_affect.report.study import CohortFacts
from tff_affect.run_folder import COHORT


def report(studies: Sequence[Path], out: Path | None, options: ReportOptions) -> list[Path]:
    """Writes the report of one study, or of several that can be compared.

    Args:
        studies: Their folders.
        out: Folder for the report; of one study its own by default.
        options: What is shown.

    Returns:
        The pages written; that over all studies first.

    Raises:
        InputError: If a study is unreadable, several cannot be compared, or the folder cannot be written to.
    """
    if len(studies) == 1:
        if out is not None and out.resolve() != studies[0].resolve():
            from tff_affect.report.several import check_out

            check_out(out)
        return [write_report(studies[0], facts_of(studies[0]), out, options)]
    if out is None:
        raise InputError("several studies have no folder in common; name one by --out FOLDER")
    from tff_affect.report.several import write_several

    page = write_several(studies, facts_of(studies[0]), out, options)
    return [page, *(out / f"study-{place}" / REPORT for place in range(1, len(studies) + 1))]


def facts_of(folder: Path) -> CohortFacts:
    """What training wrote of the cohort; of a single run, what it wrote of its study.

    Raises:
        InputError: If it is missing or something else.
    """
    file = folder / COHORT
    if not file.is_file() and (folder.resolve().parent / COHORT).is_file():
        file = folder.resolve().parent / COHORT
    return CohortFacts.read(file)
