"""``subjects.csv``: partition and group attributes of subjects, and nothing that points at a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data_prep.files.delimited import DelimitedTable, is_missing, read_delimited
from data_prep.files.folders import entries_of
from tff_affect.cohort import PARTITIONS, SubjectEntry
from tff_affect.errors import InputError

__all__ = ["SUBJECTS_CSV", "SubjectsCsv", "read_subjects_csv"]

SUBJECTS_CSV = "subjects.csv"
_PARTITION_NAMES: Mapping[str, str] = {
    **{name: name for name in PARTITIONS},
    **dict.fromkeys(("dev", "devel", "val", "valid", "validation"), "development"),
}
# In a folder of two subjects, each has a gender of its own.
_USUAL_GROUPS = frozenset(
    {"gender", "sex", "language", "nationality", "country", "ethnicity", "site", "group", "condition", "handedness"}
)
_FORBIDDEN = "/\\@"
_LONGEST = 40
_MOST_OWN_VALUES = 0.5


@dataclass(frozen=True)
class SubjectsCsv:
    """What the file says.

    Attributes:
        entries: Subject -> entry, in the file's order; empty if there is no such file.
        notes: Which columns were left aside, a sentence or none.
    """

    entries: Mapping[str, SubjectEntry]
    notes: tuple[str, ...] = ()


def read_subjects_csv(folder: Path) -> SubjectsCsv:
    """What ``subjects.csv`` in a folder says of its subjects.

    The column ``subject`` names them, ``partition`` (optional; ``train``, ``development``, ``test``, or their usual
    short forms) is what the corpus publishes, and every other column that behaves as a group does is a group attribute;
    an empty cell says nothing. Left aside are columns with a text of more than 40 characters, those in which more than
    half of the values are one subject's own, and those with more different values than half of them (two are
    always allowed), as names and dates of birth are, unless they are called
    ``gender``, ``sex``, ``language``, ``nationality``, ``country``, ``ethnicity``, ``site``, ``group``, ``condition``
    or ``handedness``.

    Raises:
        InputError: If the file is unreadable, a subject is missing or twice, a partition is unknown, or a column holds
            a path or an address.
    """
    file = Path(folder) / SUBJECTS_CSV
    if file.name not in (entry.name for entry in entries_of(Path(folder), Path(folder))):
        return SubjectsCsv({})
    table = read_delimited(file)
    subjects = table.text("subject")
    partitions = table.text("partition") if "partition" in table.columns else [""] * len(subjects)
    groups, aside = _groups(table)
    entries: dict[str, SubjectEntry] = {}
    seen: set[str] = set()
    for row, subject in enumerate(subjects):
        _check_subject(subject, seen, file, table.lines[row])
        seen.add(subject.lower())
        entries[subject] = SubjectEntry(
            subject=subject,
            partition=_partition(partitions[row], file, table.lines[row]),
            groups={name: cells[row] for name, cells in groups.items() if not is_missing(cells[row])},
        )
    note = f"{len(aside)} columns of {SUBJECTS_CSV} do not divide the subjects into groups and are left aside"
    return SubjectsCsv(entries, (f"{note}: {', '.join(aside)}",) if aside else ())


def _groups(table: DelimitedTable) -> tuple[dict[str, list[str]], list[str]]:
    """Column -> cells of those that behave as groups; names of the others."""
    groups: dict[str, list[str]] = {}
    aside: list[str] = []
    for name in table.columns:
        if name in ("subject", "partition", ""):
            continue
        cells = table.text(name)
        _refuse_addresses(name, cells, table)
        if _behaves_as_group(name, cells):
            groups[name] = cells
        else:
            aside.append(name)
    return groups, aside


def _refuse_addresses(name: str, cells: list[str], table: DelimitedTable) -> None:
    for line, cell in zip((1, *table.lines), (name, *cells), strict=True):
        if not is_missing(cell) and any(mark in cell for mark in _FORBIDDEN):
            reason = f"column {name!r}: expected a group such as 'female', found '/', '\\' or '@'"
            raise InputError(f"{reason}; remove the column or reword its values", file=table.file, line=line)


def _behaves_as_group(name: str, cells: list[str]) -> bool:
    values = [cell for cell in cells if not is_missing(cell)]
    if any(len(value) > _LONGEST for value in (name, *values)):
        return False
    if name.lower() in _USUAL_GROUPS:
        return True
    counts = Counter(values)
    own = sum(count == 1 for count in counts.values())
    # A group has members, and there are few groups: names and dates with a few repeats are neither.
    return own <= _MOST_OWN_VALUES * len(values) and len(counts) <= max(2, len(values) // 2)


def _check_subject(subject: str, seen: set[str], file: Path, line: int) -> None:
    if is_missing(subject):
        raise InputError("column 'subject': the subject is missing", file=file, line=line)
    if subject.lower() in seen:
        raise InputError(f"subject {subject!r} is there twice", file=file, line=line)


def _partition(cell: str, file: Path, line: int) -> str:
    if is_missing(cell):
        return "unassigned"
    if cell.lower() not in _PARTITION_NAMES:
        reason = f"column 'partition': expected one of {', '.join(PARTITIONS)}, found {cell!r}"
        raise InputError(reason, file=file, line=line)
    return _PARTITION_NAMES[cell.lower()]
