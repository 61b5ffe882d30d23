"""Folders of labels: ``<folder>/<dimension>/<subject>.csv``, one file per dimension and subject.

A file has a time column and either one column of values or one column per rater. RECOLA's ``emotional_behaviour``
folder (Ringeval et al., 2013) is such a folder as it stands; so are MuSe's labels, and what `write_label` writes.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from data_prep.files.delimited import DelimitedTable, read_delimited
from data_prep.files.folders import csv_files, entries_of, one_file_each
from data_prep.files.timed_tables import clock, joined_labels, seconds, value_columns
from data_prep.labels.fusion_record import read_fusion
from data_prep.labels.gold_standard import check_fusion, fusion_named
from data_prep.labels.raters import named_like_raters
from tff_affect.cohort import LABEL_LIMIT
from tff_affect.errors import InputError

__all__ = ["LabelFolder", "write_label"]

_DEFAULT = "mean"
_SUPPLIED = "as supplied"


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts ``P9`` before ``P16``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


class LabelFolder:
    """A folder of labels, opened; its files are read on demand.

    Attributes:
        dimensions: Names of the subfolders, sorted.
        subjects: File names without their ending, in natural order; every dimension has every subject.
        frame_rate: Labels per second, from the median step of the first subject, rounded to six digits.
        fusion: The rule that fuses several raters; ``as supplied`` where every label comes in a single column, with
            what ``fusion.json`` says of it.
        notes: How the clock was understood, where it does not go without saying.
    """

    def __init__(self, path: Path, fusion: str | None = None) -> None:
        """Opens the folder.

        Args:
            path: The folder.
            fusion: Rule for files of several raters, a name in ``gold_standard.FUSIONS``: every column of values is
                then a rater. By default single columns are taken as they are, and columns that are named like raters
                (see `named_like_raters`) are fused by ``mean``.

        Raises:
            InputError: If the folder is no such folder, a link leads out of it, a dimension lacks a subject, there is
                nothing to fuse by the rule, or the first subject's files cannot be read.
        """
        self.path = Path(path)
        check_fusion(fusion or _DEFAULT)
        folders = [entry for entry in entries_of(self.path, self.path) if entry.is_dir()]
        if not folders:
            raise InputError("expected folders of labels, <dimension>/<subject>.csv, found none", file=self.path)
        self._files = {folder.name: one_file_each(csv_files(folder, self.path)) for folder in folders}
        self.dimensions: tuple[str, ...] = tuple(sorted(self._files))
        self.subjects: tuple[str, ...] = self._complete()
        self._asked = fusion
        first = {dimension: read_delimited(self.file(self.subjects[0], dimension)) for dimension in self.dimensions}
        self._several = any(len(self._raters(table)) > 1 for table in first.values())
        self.fusion: str = self._how()
        times = clock(first[self.dimensions[0]], self.subjects[0])
        self.frame_rate: float = times.rate
        unit = f"the labels' times, column {times.column!r}, are taken for milliseconds"
        self.notes: tuple[str, ...] = (unit,) if times.in_milliseconds else ()
        try:
            self._fuse = fusion_named(fusion or _DEFAULT, self.frame_rate)
        except InputError as error:
            raise InputError(error.reason, file=first[self.dimensions[0]].file) from error

    def _how(self) -> str:
        """The rule that fuses, or how labels that come fused were supplied."""
        if self._several:
            return self._asked or _DEFAULT
        if self._asked is not None:
            reason = f"each file has a single column of values: there is nothing to fuse by {self._asked!r}"
            raise InputError(f"{reason}; leave the fusion out, or name a folder of ratings", file=self.path)
        record = read_fusion(self.path)
        return _SUPPLIED if record is None else f"{_SUPPLIED}: {record}"

    def _raters(self, table: DelimitedTable) -> tuple[str, ...]:
        """The columns of a file that are fused; one where there is nothing to fuse."""
        names = _columns(table)
        if len(names) > 1 and self._asked is None and not named_like_raters(names):
            reason = (
                f"expected one column of values, or columns named like raters (FM1, R2, rater_3), found "
                f"{', '.join(names[:8])}; keep one, call it 'value', or name a fusion if all of them are raters"
            )
            raise InputError(reason, file=table.file, line=1)
        return names

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
        names = _columns(table)
        return seconds(table, subject), names, np.stack([_values(table, name) for name in names], axis=1)

    def fused(self, subject: str, dimension: str) -> tuple[np.ndarray, np.ndarray]:
        """One dimension, its raters fused: ``[frames]`` seconds and ``[frames]`` float64 values.

        Raises:
            InputError: For the first thing wrong with the file.
        """
        table = read_delimited(self.file(subject, dimension))
        names = self._raters(table)
        time, ratings = seconds(table, subject), np.stack([_values(table, name) for name in names], axis=1)
        if len(names) == 1:
            return time, ratings[:, 0]
        if not self._several:
            reason = f"expected one column of values as in the first subject's files, found {', '.join(names[:8])}"
            raise InputError(reason, file=table.file, line=1, subject=subject)
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


def _columns(table: DelimitedTable) -> tuple[str, ...]:
    """``value`` where there is such a column, else all columns of values."""
    return ("value",) if "value" in table.columns else value_columns(table)


def _values(table: DelimitedTable, column: str) -> np.ndarray:
    values = table.numbers(column)
    if not np.isfinite(values).any():
        raise InputError(f"column {column!r} holds no rating; remove the column or the file", file=table.file)
    wrong = np.flatnonzero(np.abs(values) > LABEL_LIMIT)
    if len(wrong):
        reason = f"column {column!r}: expected a rating within +-{LABEL_LIMIT:g}, found {values[wrong[0]]:g}"
        raise InputError(reason, file=table.file, line=table.lines[int(wrong[0])])
    return values


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
