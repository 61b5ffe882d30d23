"""A report on the disk: the page, and the folder of CSV and SVG files beside it, which belongs to the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tff_affect.atomic import replace_text
from tff_affect.errors import InputError
from tff_affect.report.section import FIGURES

REPORT = "report.html"
_SUFFIXES = (".csv", ".svg")


@dataclass(frozen=True)
class ReportOptions:
    """What a report shows beyond what can be passed on.

    Attributes:
        own_names: Subjects' ids and folders' names; by default they are made up.
        groups: CCC by group. Beside the CCC of each client it gives away who is in which group: whoever adds up
            clients finds the few, or the one, whose mean is the group's.
    """

    own_names: bool = False
    groups: bool = False


@dataclass(frozen=True)
class Report:
    """A page, and what goes beside it.

    Attributes:
        page: The HTML document.
        files: Names and contents of the files of the folder ``figures``.
    """

    page: str
    files: Mapping[str, str]


def write_report_files(folder: Path, report: Report) -> Path:
    """Writes a report into a folder, which is made if it is not there; each file whole or not at all, the page last.

    CSV and SVG files of an earlier report that this one does not have are removed: they may show other names.

    Returns:
        The page.

    Raises:
        InputError: If the folder cannot be written to.
    """
    beside = folder / FIGURES
    if beside.is_symlink() or (beside.exists() and not beside.is_dir()):
        raise InputError("expected a folder of the report's own, found something else; move it away", file=beside)
    try:
        beside.mkdir(parents=True, exist_ok=True)
        for old in beside.iterdir():
            if old.suffix in _SUFFIXES and old.name not in report.files:
                old.unlink()
    except OSError as error:
        raise InputError(f"cannot write here: {error.strerror}", file=beside) from error
    for name, content in report.files.items():
        replace_text(beside / name, content)
    replace_text(folder / REPORT, report.page)
    return folder / REPORT
