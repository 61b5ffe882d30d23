"""Generic tables: one file, one row per frame or clip, a column for the subject.

A `ColumnMap` is a whitelist: landmarks, identity embeddings, paths and whatever else a table holds stay behind.

Where all subjects met the same stimuli in one order, the position of a step predicts its label without any face; the
map's ``shuffle_steps`` permutes each subject's steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from data_prep.column_map import ColumnMap, packaged_maps
from data_prep.files.delimited import is_missing
from data_prep.files.wide_csv import WideTable, read_header, read_table
from data_prep.source import SourceOptions
from tff_affect.cohort import CohortManifest, SubjectEntry, SubjectTable, check_manifest, check_table, file_sha256
from tff_affect.errors import InputError


def _label(table: WideTable, column_map: ColumnMap, label: str) -> np.ndarray:
    column = column_map.labels[label]
    if label not in column_map.values:
        return table.numbers[column]
    words = column_map.values[label]
    values = np.full(table.rows, np.nan)
    for row, cell in enumerate(table.texts[column]):
        if cell in words:
            values[row] = words[cell]
        elif not is_missing(cell):
            raise InputError(
                f"column {column!r}: expected one of {', '.join(words)}, found {cell[:40]!r}; "
                "add it to the map's values",
                file=table.file,
                line=table.line(row),
            )
    return values


def _times(table: WideTable, column_map: ColumnMap, rows: np.ndarray, times: np.ndarray | None) -> np.ndarray:
    if times is None:
        return np.arange(len(rows)) / column_map.frame_rate
    own = times[rows]
    wrong = np.flatnonzero(~np.isfinite(own) | np.concatenate([[False], np.diff(own) <= 0]))
    if len(wrong):
        raise InputError(
            f"column {column_map.order!r}: expected times that increase within a subject, found "
            f"{own[wrong[0]]:g}{f' after {own[wrong[0] - 1]:g}' if wrong[0] else ''}; sort or repair the rows",
            file=table.file,
            line=table.line(int(rows[wrong[0]])),
        )
    return np.asarray(own)


def _groups(table: WideTable, columns: Mapping[str, Sequence[str]], subject: str, rows: np.ndarray) -> dict[str, str]:
    groups: dict[str, str] = {}
    for attribute, cells in columns.items():
        for row in rows:
            cell = cells[int(row)]
            if is_missing(cell):
                continue
            if groups.setdefault(attribute, cell) != cell:
                raise InputError(
                    f"group {attribute!r} is {groups[attribute]!r} and then {cell!r}; a subject belongs to one group",
                    file=table.file,
                    line=table.line(int(row)),
                    subject=subject,
                )
    return groups


def _rows_by_subject(table: WideTable, column: str) -> dict[str, np.ndarray]:
    rows: dict[str, list[int]] = {}
    spelling: dict[str, str] = {}
    for row, subject in enumerate(table.texts[column]):
        if is_missing(subject):
            raise InputError(f"column {column!r}: the subject is missing", file=table.file, line=table.line(row))
        if spelling.setdefault(subject.lower(), subject) != subject:
            raise InputError(
                f"subjects {spelling[subject.lower()]!r} and {subject!r} differ by case alone; use one spelling",
                file=table.file,
                line=table.line(row),
            )
        rows.setdefault(subject, []).append(row)
    return {subject: np.array(found) for subject, found in rows.items()}


class TableSource:
    """A table, read whole through a column map; subjects in the order of their first row."""

    kind = "table"
    takes: ClassVar[frozenset[str]] = frozenset({"column_map"})
    notes: tuple[str, ...] = ()

    def __init__(self, file: Path, options: SourceOptions) -> None:
        """Opens the table.

        Args:
            file: UTF-8, with a header line, separated by tab, comma or semicolon.
            options: Its column map says what the columns mean.

        Raises:
            InputError: If there is no map, or for the first thing wrong with the table.
        """
        if options.column_map is None:
            known = ", ".join(packaged_maps())
            raise InputError(f"a table needs a column map: a YAML file, or one of {known}", file=file)
        self._map = options.column_map
        columns = read_header(file, self._map.separator)
        names = self._map.select_features(columns, file)
        self._table = _read(file, self._map, names)
        self.manifest = _manifest(self._table, self._map, names, columns)
        self._features = np.stack([self._table.numbers[name] for name in names], axis=1).astype(np.float32)
        labels = [_label(self._table, self._map, name) for name in self.manifest.labels]
        self._labels = np.stack(labels, axis=1).astype(np.float32)
        self._times = self._table.numbers[self._map.order] if self._map.order else None
        self._groups = {attribute: self._table.texts[column] for attribute, column in self._map.groups.items()}
        self._rows = _rows_by_subject(self._table, self._map.subject)
        self.subjects = tuple(self._rows)

    def read(self, subject: str) -> tuple[SubjectEntry, SubjectTable]:
        """Cuts out one subject.

        Raises:
            InputError: For the first thing wrong with the subject's rows, with its line.
        """
        rows, file = self._rows[subject], self._table.file
        time = _times(self._table, self._map, rows, self._times)
        entry = SubjectEntry(subject=subject, groups=_groups(self._table, self._groups, subject, rows))
        check_manifest(replace(self.manifest, subjects=(entry,)), file)
        if self._map.shuffle_steps is not None:
            seed = [self._map.shuffle_steps, self.subjects.index(subject) + 1]
            rows = np.random.default_rng(seed).permutation(rows)
        x, y = self._features[rows], self._labels[rows]
        table = SubjectTable.of_complete_frames(time, x, y)
        check_table(table, self.manifest, subject, file)
        return entry, table


def _read(file: Path, column_map: ColumnMap, features: Sequence[str]) -> WideTable:
    """The mapped columns; the many others of a wide table are not held."""
    worded = [column for label, column in column_map.labels.items() if label in column_map.values]
    plain = [column for column in column_map.labels.values() if column not in worded]
    order = [column_map.order] if column_map.order else []
    numbers = dict.fromkeys([*features, *plain, *order])
    texts = dict.fromkeys([column_map.subject, *worded, *column_map.groups.values()])
    return read_table(file, numbers, texts, column_map.separator)


def _manifest(
    table: WideTable, column_map: ColumnMap, features: tuple[str, ...], columns: Sequence[str]
) -> CohortManifest:
    used = {column_map.subject, *features, *column_map.labels.values(), *column_map.groups.values()}
    return CohortManifest(
        name=f"SYNTHETIC {column_map.name}" if column_map.synthetic else column_map.name,
        features=features,
        feature_scale=column_map.feature_scale,
        frame_rate=column_map.frame_rate,
        labels=tuple(column_map.labels),
        synthetic=column_map.synthetic,
        time_unit=column_map.time_unit,
        provenance={
            "reader": "data_prep.generic_tables",
            "source_sha256": file_sha256(table.file),
            "map": column_map.to_json(),
            "rows": table.rows,
            "blank_rows_dropped": table.blank_rows,
            "columns_left_behind": len(set(columns) - used - {column_map.order}),
        },
    )
