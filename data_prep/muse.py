"""MuSe packages (Stappen et al., 2020 and later), or their SYNTHETIC copy, to a cohort: the action units, nothing else.

A package comes with many feature sets. Only columns that are action units come through: face embeddings (VGGface,
FaceNet) were trained to tell people apart, and a set that holds no action unit is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from data_prep.files.arff_tables import open_table
from data_prep.files.delimited import DelimitedTable, read_delimited
from data_prep.files.folders import csv_files, entries_of
from data_prep.files.marker import says_synthetic
from data_prep.files.timed_tables import (
    clock,
    failed_rows,
    features_at,
    joined_labels,
    seconds,
    stacked,
    tracking_columns,
    value_columns,
)
from data_prep.files.wide_csv import read_columns, read_header
from data_prep.source import SourceOptions
from tff_affect.cohort import CohortManifest, SubjectEntry, SubjectTable, check_table, file_sha256
from tff_affect.errors import InputError

FEATURES = ("features", "feature_segments")
LABELS = ("labels", "label_segments")
PARTITIONS = (Path("partition.csv"), Path("metadata/partition.csv"))
_PROPOSALS = {"train": "train", "devel": "development", "dev": "development", "test": "test"}
_UNIT = re.compile(r"AU_?(\d{1,2})(_r)?", re.IGNORECASE)


def is_muse(folder: Path) -> bool:
    """Whether a folder looks like a MuSe package."""
    return _first(folder, FEATURES) is not None and any((folder / file).is_file() for file in PARTITIONS)


def _first(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def unit_columns(columns: Sequence[str], file: Path) -> dict[str, str]:
    """Cohort name -> source column of the action-unit intensities, in the file's order; empty if there is none.

    ``AU01``, ``AU1`` and ``AU01_r`` are intensities; ``AU01_c``, which only says present or absent, is not.

    Raises:
        InputError: If two columns are one unit.
    """
    chosen: dict[str, str] = {}
    for column in columns:
        match = _UNIT.fullmatch(column)
        if match is None:
            continue
        name = f"AU{int(match[1]):02d}"
        if name in chosen:
            raise InputError(f"columns {chosen[name]!r} and {column!r} are both {name}; keep one", file=file)
        chosen[name] = column
    return chosen


class MuseSource:
    """A MuSe folder, opened. Recordings are read on demand.

    Attributes:
        manifest: The manifest of the cohort that the folder makes, without subjects.
        subjects: Those of ``partition.csv`` that have labels, in its order.
        notes: Who was left out, and whether failed frames cannot be told.
    """

    kind = "muse"
    takes: ClassVar[frozenset[str]] = frozenset({"feature_set"})

    def __init__(self, path: Path, options: SourceOptions) -> None:
        """Opens the folder.

        Args:
            path: The folder of the package, or of one of its sub-challenges.
            options: ``feature_set``, a folder of ``features``; by default the one that holds action units.

        Raises:
            InputError: For the first thing wrong with the folder.
        """
        self._folder = Path(path)
        self._partition = _read_partition(self._folder)
        self._set, self._features = self._choose(options.feature_set)
        self._labels = self._label_files()
        self.subjects, unlabelled = self._complete()
        left_out = f"{len(unlabelled)} test subjects have no labels and are left out: {', '.join(unlabelled)}."
        self.notes = (left_out,) if unlabelled else ()
        self.manifest = self._make_manifest()
        if any(_has_rows_of_zeros(self._features[subject]) for subject in self.subjects):
            self.notes += (
                f"the set {self._set} does not say which frames failed (no success, no confidence) and has rows in "
                "which all units are 0, perhaps frames without a face: they are kept, and counted as frames_of_zeros",
            )

    def _make_manifest(self) -> CohortManifest:
        first = self.subjects[0]
        table = open_table(self._features[first])
        units = unit_columns(table.columns, table.file)
        rate = clock(open_table(next(iter(self._labels.values()))[first]), first).rate
        synthetic = says_synthetic(self._folder)
        return CohortManifest(
            name="SYNTHETIC MuSe layout" if synthetic else "MuSe",
            features=tuple(units),
            # Only OpenFace writes the suffix, and OpenFace's intensities have a known scale.
            feature_scale="0-5" if all(column.lower().endswith("_r") for column in units.values()) else "arbitrary",
            frame_rate=rate,
            labels=tuple(self._labels),
            synthetic=synthetic,
            provenance={
                "reader": "data_prep.muse",
                "feature_set": self._set,
                "fusion": "as distributed",
                "columns_left_behind": len(table.columns) - len(units),
            },
        )

    def _choose(self, wanted: str | None) -> tuple[str, dict[str, Path]]:
        place = _first(self._folder, FEATURES)
        if place is None:
            raise InputError(f"expected a folder {' or '.join(FEATURES)}", file=self._folder)
        sets = {entry.name: entry for entry in entries_of(place, self._folder) if entry.is_dir()}
        if wanted is not None and wanted not in sets:
            raise InputError(f"no feature set {wanted!r}; found {', '.join(sets) or 'none'}", file=place)
        chosen = {wanted: sets[wanted]} if wanted is not None else sets
        files = {name: _tables(folder, self._folder) for name, folder in chosen.items()}
        units = [name for name, found in files.items() if found and _holds_units(found)]
        if not units:
            raise InputError(_no_units(wanted, sets), file=place if wanted is None else sets[wanted])
        if len(units) > 1:
            raise InputError(f"several sets hold action units; name one: {', '.join(units)}", file=place)
        return units[0], files[units[0]]

    def _label_files(self) -> dict[str, dict[str, Path]]:
        place = _first(self._folder, LABELS)
        if place is None:
            raise InputError(f"expected a folder {' or '.join(LABELS)}", file=self._folder)
        folders = [entry for entry in entries_of(place, self._folder) if entry.is_dir()]
        files = {folder.name: _tables(folder, self._folder) for folder in folders}
        files = {dimension: found for dimension, found in files.items() if found}
        if not files:
            raise InputError("expected <dimension>/<id>.csv, found none", file=place)
        return files

    def _complete(self) -> tuple[tuple[str, ...], list[str]]:
        """Subjects with all their files; test subjects without labels."""
        found = {*self._features, *(subject for files in self._labels.values() for subject in files)}
        for subject in sorted(found - set(self._partition)):
            reason = "the subject has files but no row in partition.csv; add the row or remove the files"
            raise InputError(reason, file=self._features.get(subject, self._folder), subject=subject)
        unlabelled = [s for s, partition in self._partition.items() if partition == "test" and not self._rated(s)]
        subjects = tuple(s for s in self._partition if s not in unlabelled)
        for subject in subjects:
            for place in (self._features, *self._labels.values()):
                if subject not in place:
                    reason = "the file is missing; supply it, or remove the subject's row of partition.csv and files"
                    raise InputError(
                        reason, file=next(iter(place.values())).with_name(f"{subject}.csv"), subject=subject
                    )
        if not subjects:
            raise InputError("no subject of partition.csv has labels", file=self._folder)
        return subjects, unlabelled

    def _rated(self, subject: str) -> bool:
        """Whether any dimension has a value: packages come with test labels absent, or there and empty."""
        tables = [open_table(files[subject]) for files in self._labels.values() if subject in files]
        return any(np.isfinite(stacked(table, value_columns(table), subject)).any() for table in tables)

    def read(self, subject: str) -> tuple[SubjectEntry, SubjectTable]:
        """Reads one subject: partition, labels, the action units at their times.

        Raises:
            InputError: For the first thing wrong with the subject's files.
        """
        time, labels = _read_labels({name: files[subject] for name, files in self._labels.items()}, subject)
        file = self._features[subject]
        source = read_delimited(file)
        units = unit_columns(source.columns, file)
        columns = [units.get(name, name) for name in self.manifest.features]
        failed, counts = failed_rows(source, tuple(units.values()))
        features = features_at(source, columns, time, subject, failed)
        table = SubjectTable.of_complete_frames(time, features, labels)
        check_table(table, self.manifest, subject, file)
        quality = {
            "source_sha256": file_sha256(file),
            **counts,
            "frames_without_features": int(np.isnan(features).any(axis=1).sum()),
        }
        return SubjectEntry(subject=subject, partition=self._partition[subject], quality=quality), table


def _has_rows_of_zeros(file: Path) -> bool:
    """Whether a file without marks of tracking has them; a broken file has none, and is refused when it is read."""
    try:
        columns = read_header(file)
        units = unit_columns(columns, file)
        if tracking_columns(columns) or not units:
            return False
        values = read_columns(file, units.values())
    except InputError:
        return False
    return bool((np.stack(list(values.values()), axis=1) == 0).all(axis=1).any())


def _read_labels(files: Mapping[str, Path], subject: str) -> tuple[np.ndarray, np.ndarray]:
    """``[frames]`` seconds and ``[frames, dimensions]`` float32."""
    return joined_labels({name: _label(file, subject) for name, file in files.items()}, files, subject)


def _label(file: Path, subject: str) -> tuple[np.ndarray, np.ndarray]:
    table = open_table(file)
    names = value_columns(table)
    if len(names) != 1:
        raise InputError(f"expected one column of values, found {', '.join(names)}", file=file, subject=subject)
    return seconds(table, subject), stacked(table, names, subject)[:, 0]


def _tables(folder: Path, root: Path) -> dict[str, Path]:
    return {file.stem: file for file in csv_files(folder, root)}


def _holds_units(files: dict[str, Path]) -> bool:
    first = next(iter(files.values()))
    return bool(unit_columns(read_header(first), first))


def _no_units(wanted: str | None, sets: dict[str, Path]) -> str:
    what = f"the feature set {wanted!r} holds" if wanted is not None else f"none of the sets ({', '.join(sets)}) holds"
    return f"{what} no action-unit column such as AU01; embeddings of a face identify the person and are not read"


def _read_partition(folder: Path) -> dict[str, str]:
    """Subject -> partition, in the file's order."""
    file = next((folder / place for place in PARTITIONS if (folder / place).is_file()), folder / PARTITIONS[0])
    table = read_delimited(file)
    partition: dict[str, str] = {}
    for subject, word, line in zip(_cells(table, "id"), _cells(table, "proposal"), table.lines, strict=True):
        if word.lower() not in _PROPOSALS:
            raise InputError(f"expected train, devel or test, found {word[:40]!r}", file=file, line=line)
        if subject in partition:
            raise InputError("the subject is listed twice", file=file, line=line, subject=subject)
        partition[subject] = _PROPOSALS[word.lower()]
    return partition


def _cells(table: DelimitedTable, name: str) -> list[str]:
    column = next((column for column in table.columns if column.lower() == name), None)
    if column is None:
        found = ", ".join(table.columns[:8])
        raise InputError(f"expected a column {name!r}, found {found}", file=table.file, line=1)
    return table.text(column)
