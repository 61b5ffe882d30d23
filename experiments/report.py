"""Reports of finished studies: what ``tff-affect report`` runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tff_affect.errors import InputError
from tff_affect.report.html import write_report
from tff_affect.report.report_files import REPORT
from tff_affect.report.study import CohortFacts
from tff_affect.run_folder import COHORT, read_json


def report(studies: Sequence[Path], out: Path | None = None, own_names: bool = False) -> list[Path]:
    """Writes the report of one study, or of several that can be compared.

    Args:
        studies: Their folders.
        out: Folder for the report; of one study its own by default.
        own_names: Show subjects' ids and names of folders.

    Returns:
        The pages written; that over all studies first.

    Raises:
        InputError: If a study is unreadable, several cannot be compared, or the folder cannot be written to.
    """
    if len(studies) == 1:
        if out is not None and out.resolve() != studies[0].resolve():
            from tff_affect.report.several import check_out

            check_out(out)
        return [write_report(studies[0], facts_of(studies[0]), out, own_names)]
    if out is None:
        raise InputError("several studies have no folder in common; name one by --out FOLDER")
    from tff_affect.report.several import write_several

    page = write_several(studies, facts_of(studies[0]), out, own_names)
    return [page, *(out / f"study-{place}" / REPORT for place in range(1, len(studies) + 1))]


def facts_of(folder: Path) -> CohortFacts:
    """What training wrote of the cohort; of a single run, what it wrote of its study.

    Raises:
        InputError: If it is missing or something else.
    """
    file = folder / COHORT
    if not file.is_file() and (folder.resolve().parent / COHORT).is_file():
        file = folder.resolve().parent / COHORT
    try:
        return CohortFacts(**read_json(file))
    except TypeError as error:
        raise InputError("expected the facts that training wrote; train into a new folder", file=file) from error
