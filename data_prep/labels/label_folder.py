"""Folders of labels: ``<folder>/<dimension>/<subject>.csv``, one file per dimension and subject.

A file has a time column and either one column of values or one column per rater. RECOLA's ``emotional_behaviour``
folder (Ringeval et al., 2013) is such a folder as it stands; so are MuSe's labels, and what `write_label` writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data_prep.files.delimited import DelimitedTable, is_missing, read_delimited
from data_prep.files.folders import entries_of, one_file_each
from data_prep.files.timed_tables import joined_labels, seconds, value_columns
from data_prep.labels.gold_standard import fusion_named
from tff_affect.cohort import LABEL_LIMIT, PARTITIONS, SubjectEntry
from tff_affect.errors import InputError

__all__ = ["SUBJECTS_CSV", "LabelFolder", "read_subjects_csv", "write_label"]

SUBJECTS_CSV = "subjects.csv"
_PARTITION_NAMES: Mapping[str, str] = {
    **{name: name for name in PARTITIONS},
    **dict.fromkeys(("dev", "devel", "val", "valid", "validation"), "development"),
}


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts ``P9`` before ``P16``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


class LabelFolder:
    """A folder of labels, opened; its files are read on demand.

    Attributes:
        dimensions: Names of the subfolders, sorted.
        subjects: File names without their ending, in natural order; every dimension has every subject.
        frame_rate: Labels per second, from the median step of the first subject, rounded to six digits.
    """

    def __init__(self, path: Path, fusion: str = "mean") -> None:
        """Opens the folder.

        Args:
            path: The folder.
            fusion: Rule for files of several raters; a name in ``gold_standard.FUSIONS``. One column is taken as it
                is.

        Raises:
            InputError: If the folder is no such folder, a link leads out of it, a dimension lacks a subject, or the
                first file cannot be read.
        """
        self.path = Path(path)
        fusion_named(fusion)
        folders = [entry for entry in entries_of(self.path, self.path) if entry.is_dir()]
        if not folders:
            raise InputError("expected folders of labels, <dimension>/<subject>.csv, found none", file=self.path)
        self._files = {folder.name: one_file_each(_tables(folder, self.path)) for folder in folders}
        self.dimensions: tuple[str, ...] = tuple(sorted(self._files))
        self.subjects: tuple[str, ...] = self._complete()
        time = self.ratings(self.subjects[0], self.dimensions[0])[0]
        self.frame_rate: float = round(1.0 / float(np.median(np.diff(time))), 6)
        self._fuse = fusion_named(fusion, self.frame_rate)

    def _complete(self) -> tuple[str, ...]:
        subjects = sorted({subject for files in self._files.values() for subject in files}, key=_natural)
        if not subjects:
            raise InputError("expected a file <subject>.csv, found none", file=self.path / self.dimensions[0])
        for dimension in self.dimensions:
            for subject in subjects:
                self.file(subject, dimension)
        return tuple(subjects)

    def file(self, subject: str, dimension: str) -> Path:
        """Where a subject's labels of a dimension are; raises `InputError` if there are none."""
        if dimension not in self._files:
            found = ", ".join(self.dimensions)
            raise InputError(f"there are no labels of {dimension!r}; found {found}", file=self.path)
        if subject not in self._files[dimension]:
            reason = "the file is missing; supply it, or remove the subject's other labels"
            raise InputError(reason, file=self.path / dimension / f"{subject}.csv", subject=subject)
        return self._files[dimension][subject]

    def ratings(self, subject: str, dimension: str) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
        """What each rater said of one dimension.

        Returns:
            ``[frames]`` float64 seconds; the names of the columns, one per rater, or the one of values; ``[frames,
            raters]`` float64, NaN where a rater is silent.

        Raises:
            InputError: For the first thing wrong with the file, with its line.
        """
        table = read_delimited(self.file(subject, dimension))
        names = ("value",) if "value" in table.columns else value_columns(table)
        return seconds(table, subject), names, np.stack([_values(table, name) for name in names], axis=1)

    def fused(self, subject: str, dimension: str) -> tuple[np.ndarray, np.ndarray]:
        """One dimension, its raters fused: ``[frames]`` seconds and ``[frames]`` float64 values.

        Raises:
            InputError: For the first thing wrong with the file.
        """
        time, _, ratings = self.ratings(subject, dimension)
        if ratings.shape[1] == 1:
            return time, ratings[:, 0]
        try:
            return time, self._fuse(ratings)
        except InputError as error:
            raise InputError(error.reason, file=self.file(subject, dimension), subject=subject) from error

    def read(self, subject: str) -> tuple[np.ndarray, np.ndarray]:
        """A subject's labels in all dimensions.

        Returns:
            ``[frames]`` float64 seconds and ``[frames, dimensions]`` float32, NaN where nobody rated.

        Raises:
            InputError: For the first thing wrong with a file, or if the dimensions have different times.
        """
        columns = {dimension: self.fused(subject, dimension) for dimension in self.dimensions}
        return joined_labels(columns, {dimension: self.file(subject, dimension) for dimension in columns}, subject)


def _tables(folder: Path, root: Path) -> list[Path]:
    return [entry for entry in entries_of(folder, root) if entry.suffix.lower() == ".csv" and not entry.is_dir()]


def _values(table: DelimitedTable, column: str) -> np.ndarray:
    values = table.numbers(column)
    if not np.isfinite(values).any():
        raise InputError(f"column {column!r} holds no rating; remove the column or the file", file=table.file)
    wrong = np.flatnonzero(np.abs(values) > LABEL_LIMIT)
    if len(wrong):
        reason = f"column {column!r}: expected a rating within +-{LABEL_LIMIT:g}, found {values[wrong[0]]:g}"
        raise InputError(reason, file=table.file, line=table.lines[int(wrong[0])])
    return values


def read_subjects_csv(folder: Path) -> dict[str, SubjectEntry]:
    """What ``subjects.csv`` in a folder says of its subjects.

    The column ``subject`` names them, ``partition`` (optional; ``train``, ``development``, ``test``, or their usual
    short forms) is what the corpus publishes, and every other column is a group attribute; an empty cell says nothing.

    Returns:
        Subject -> entry, in the file's order; empty if there is no such file.

    Raises:
        InputError: If the file is unreadable, a subject is missing or twice, or a partition is unknown.
    """
    file = Path(folder) / SUBJECTS_CSV
    if file.name not in (entry.name for entry in entries_of(Path(folder), Path(folder))):
        return {}
    table = read_delimited(file)
    subjects = table.text("subject")
    partitions = table.text("partition") if "partition" in table.columns else [""] * len(subjects)
    groups = {name: table.text(name) for name in table.columns if name not in ("subject", "partition", "")}
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
    return entries


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


def write_label(file: Path, time: np.ndarray, values: np.ndarray) -> None:
    """Writes one dimension of one subject as ``time,value``, in the shortest texts that read back exactly.

    Args:
        file: The file to make.
        time: ``[frames]`` seconds.
        values: ``[frames]``; NaN becomes an empty cell.

    Raises:
        InputError: If the two differ in length.
    """
    if time.shape != values.shape or time.ndim != 1:
        raise InputError(f"expected times and values of one shape [frames], found {time.shape} and {values.shape}")
    rows = [f"{t!s},{'' if np.isnan(v) else v!s}\n" for t, v in zip(time, values, strict=True)]
    Path(file).write_text("".join(["time,value\n", *rows]), encoding="utf-8")
