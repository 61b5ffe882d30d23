"""Generic tables of action units: one file, one row per frame or clip, a column for the subject.

A `ColumnMap` is a whitelist: landmarks, identity embeddings, paths and whatever else a table holds stay behind.

Where all subjects met the same stimuli in one order, the position of a step predicts its label without any face; the
map's ``shuffle_steps`` permutes each subject's steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from data_prep.column_map import ColumnMap
from data_prep.delimited import DelimitedTable, is_missing, read_delimited
from tff_affect.cohort import (
    Cohort,
    CohortManifest,
    SubjectEntry,
    SubjectTable,
    check_manifest,
    check_table,
    file_sha256,
    write_cohort,
)
from tff_affect.errors import InputError


def _label(table: DelimitedTable, column_map: ColumnMap, label: str) -> np.ndarray:
    column = column_map.labels[label]
    if label not in column_map.values:
        return table.numbers(column)
    words = column_map.values[label]
    values = np.full(len(table.rows), np.nan)
    for row, cell in enumerate(table.text(column)):
        if cell in words:
            values[row] = words[cell]
        elif not is_missing(cell):
            raise InputError(
                f"column {column!r}: expected one of {', '.join(words)}, found {cell[:40]!r}; "
                "add it to the map's values",
                file=table.file,
                line=table.lines[row],
            )
    return values


def _times(table: DelimitedTable, column_map: ColumnMap, rows: np.ndarray, times: np.ndarray | None) -> np.ndarray:
    if times is None:
        return np.arange(len(rows)) / column_map.frame_rate
    own = times[rows]
    wrong = np.flatnonzero(~np.isfinite(own) | np.concatenate([[False], np.diff(own) <= 0]))
    if len(wrong):
        raise InputError(
            f"column {column_map.order!r}: expected times that increase within a subject, found "
            f"{own[wrong[0]]:g}{f' after {own[wrong[0] - 1]:g}' if wrong[0] else ''}; sort or repair the rows",
            file=table.file,
            line=table.lines[int(rows[wrong[0]])],
        )
    return np.asarray(own)


def _groups(table: DelimitedTable, columns: Mapping[str, list[str]], subject: str, rows: np.ndarray) -> dict[str, str]:
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
                    line=table.lines[int(row)],
                    subject=subject,
                )
    return groups


def _rows_by_subject(table: DelimitedTable, column: str) -> dict[str, np.ndarray]:
    rows: dict[str, list[int]] = {}
    spelling: dict[str, str] = {}
    for row, subject in enumerate(table.text(column)):
        if is_missing(subject):
            raise InputError(f"column {column!r}: the subject is missing", file=table.file, line=table.lines[row])
        if spelling.setdefault(subject.lower(), subject) != subject:
            raise InputError(
                f"subjects {spelling[subject.lower()]!r} and {subject!r} differ by case alone; use one spelling",
                file=table.file,
                line=table.lines[row],
            )
        rows.setdefault(subject, []).append(row)
    return {subject: np.array(found) for subject, found in rows.items()}


def _subjects(
    table: DelimitedTable, column_map: ColumnMap, manifest: CohortManifest
) -> Iterator[tuple[SubjectEntry, SubjectTable]]:
    features = np.stack([table.numbers(name) for name in manifest.features], axis=1).astype(np.float32)
    labels = np.stack([_label(table, column_map, name) for name in manifest.labels], axis=1).astype(np.float32)
    times = table.numbers(column_map.order) if column_map.order else None
    groups = {attribute: table.text(column) for attribute, column in column_map.groups.items()}
    for index, (subject, rows) in enumerate(_rows_by_subject(table, column_map.subject).items()):
        time = _times(table, column_map, rows, times)
        entry = SubjectEntry(subject=subject, groups=_groups(table, groups, subject, rows))
        check_manifest(CohortManifest(**{**manifest.__dict__, "subjects": (entry,)}), table.file)
        if column_map.shuffle_steps is not None:
            rows = np.random.default_rng([column_map.shuffle_steps, index + 1]).permutation(rows)
        x, y = features[rows], labels[rows]
        valid = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
        own = SubjectTable(time=time, features=x, labels=y, valid=valid)
        check_table(own, manifest, subject, table.file)
        yield entry, own


def read_table(file: Path, column_map: ColumnMap) -> tuple[CohortManifest, Iterator[tuple[SubjectEntry, SubjectTable]]]:
    """Reads a table through a column map.

    Args:
        file: The table; UTF-8, header line, separated by tab, comma or semicolon.
        column_map: What its columns mean.

    Returns:
        The manifest, and an iterator over the subjects in the order of their first row.

    Raises:
        InputError: For the first thing wrong, with its line.
    """
    file = Path(file)
    table = read_delimited(file, column_map.separator)
    features = column_map.select_features(table.columns, file)
    for column in (column_map.subject, *features, *column_map.labels.values(), *column_map.groups.values()):
        table.text(column)
    used = {column_map.subject, column_map.order, *features, *column_map.labels.values(), *column_map.groups.values()}
    manifest = CohortManifest(
        name=f"SYNTHETIC {column_map.name}" if column_map.synthetic else column_map.name,
        features=features,
        feature_scale=column_map.feature_scale,
        frame_rate=column_map.frame_rate,
        labels=tuple(column_map.labels),
        synthetic=column_map.synthetic,
        time_unit=column_map.time_unit,
        provenance={
            "reader": "data_prep.au_tables",
            "source_sha256": file_sha256(file),
            "map": column_map.to_json(),
            "rows": len(table.rows),
            "blank_rows_dropped": table.blank_rows,
            "columns_left_behind": len(set(table.columns) - used),
        },
    )
    return manifest, _subjects(table, column_map, manifest)


def convert_table(file: Path, cohort_path: Path, column_map: ColumnMap, overwrite: bool = False) -> Cohort:
    """Converts a table to a cohort; all of it, or nothing.

    Args:
        file: The table.
        cohort_path: The cohort's folder.
        column_map: What the columns mean.
        overwrite: Replace an existing cohort.

    Raises:
        InputError: For the first thing wrong with the table, the map or the folder.
    """
    manifest, subjects = read_table(Path(file), column_map)
    return write_cohort(Path(cohort_path), manifest, subjects, overwrite)
