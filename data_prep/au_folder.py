"""Folders of action-unit tables, one per subject, with labels beside them or elsewhere, to a cohort.

Levels of the tools differ, so that one folder holds one tool's files. No delay is compensated here: that is a choice
of training, made on development subjects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from data_prep.au_frames import AuFrames, read_frames
from data_prep.au_tables import Dialect, detect_dialect
from data_prep.label_folder import SUBJECTS_CSV, LabelFolder, read_subjects_csv
from data_prep.recola_layout import MARKER
from data_prep.resample import regular_times, to_times, without_jitter
from data_prep.source import SourceOptions
from data_prep.wide_csv import read_header
from tff_affect.cohort import (
    CohortManifest,
    SubjectEntry,
    SubjectTable,
    check_manifest,
    check_table,
    file_sha256,
)
from tff_affect.errors import InputError

LABELS = "labels"
_LEAST_OVERLAP = 0.5


def is_au_file(path: Path) -> bool:
    """Whether a path is a CSV that OpenFace, py-feat or LibreFace wrote."""
    return _dialect(Path(path)) is not None


def is_au_folder(path: Path) -> bool:
    """Whether a folder holds such files, one per subject or one in each subject's folder."""
    return Path(path).is_dir() and au_kind(path) is not None


def au_kind(path: Path) -> str | None:
    """The tool whose file, or folder of files, a path is: ``openface``, ``py-feat``, ``libreface``; None otherwise."""
    try:
        files = _tables(path) or [file for folder in _folders(path) for file in _tables(folder)]
    except (OSError, RuntimeError):
        return None
    candidates = [Path(path)] if Path(path).is_file() else files
    found = (_dialect(file) for file in candidates)
    return next((dialect.kind for dialect in found if dialect is not None), None)


def _dialect(file: Path) -> Dialect | None:
    try:
        return detect_dialect(read_header(file)) if file.suffix.lower() == ".csv" and file.is_file() else None
    except (InputError, OSError, RuntimeError):
        return None


def _tables(folder: Path) -> list[Path]:
    entries = sorted(Path(folder).iterdir()) if Path(folder).is_dir() else []
    return [
        entry
        for entry in entries
        if entry.suffix.lower() == ".csv" and entry.name[0] != "." and entry.name.lower() != SUBJECTS_CSV
    ]


def _folders(folder: Path) -> list[Path]:
    entries = sorted(Path(folder).iterdir()) if Path(folder).is_dir() else []
    return [entry for entry in entries if entry.is_dir() and entry.name[0] != "." and entry.name != LABELS]


def find_recordings(path: Path) -> dict[str, Path]:
    """Subject -> table: ``<subject>.csv``, else ``<subject>/<one>.csv``.

    Raises:
        InputError: If a link leads out of the folder or cannot be followed, a subject has several tables or two
            spellings, or there is no table.
    """
    try:
        found = [(file.stem, file) for file in _tables(path)]
        found = found or [(folder.name, _only_table(folder)) for folder in _folders(path) if _tables(folder)]
        inside = Path(path).resolve()
        for _, file in found:
            if not file.resolve().is_relative_to(inside):
                raise InputError("a link leads out of the folder; put the file itself there", file=file)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "a link cannot be followed"
        raise InputError(f"cannot read the folder: {reason}", file=path) from error
    if not found:
        raise InputError("expected <subject>.csv or <subject>/<one>.csv, found none", file=path)
    files: dict[str, Path] = {}
    for subject, file in found:
        twice = next((other for other in files if other.lower() == subject.lower()), None)
        if twice is not None:
            raise InputError(f"{files[twice].name!r} is there too; keep one of the two", file=file, subject=subject)
        files[subject] = file
    return files


def _only_table(folder: Path) -> Path:
    tables = _tables(folder)
    if len(tables) != 1:
        raise InputError(f"expected one CSV in a subject's folder, found {len(tables)}; keep one", file=folder)
    return tables[0]


class AuFolderSource:
    """Action-unit tables, opened. Recordings are read on demand, one at a time.

    Attributes:
        kind: The tool: ``openface``, ``py-feat``, ``libreface``.
        manifest: The manifest of the cohort that they make, without subjects.
        subjects: The files' names without their ending, or the folders'.
        notes: What was left out, one sentence each.
    """

    takes: ClassVar[frozenset[str]] = frozenset({"labels", "fusion", "frame_rate", "pose"})

    def __init__(self, path: Path, options: SourceOptions) -> None:
        """Opens the folder.

        Args:
            path: A folder of one table per subject, or one such table. A folder ``labels`` in it is used where the
                options name none; without labels, the cohort has none.
            options: ``labels``, ``fusion`` (default ``mean``), ``frame_rate`` and ``pose``.

        Raises:
            InputError: For the first thing wrong with the folder, the labels or the first table.
        """
        path = Path(path)
        self._options = options
        self._folder = path.parent if path.is_file() else path
        self._files = {path.stem: path} if path.is_file() else find_recordings(path)
        self.subjects = tuple(self._files)
        self._labels = self._open_labels(alone=path.is_file())
        known = self._known_subjects()
        self._entries = {subject: known.get(subject, SubjectEntry(subject)) for subject in self.subjects}
        self.notes = () if path.is_file() else tuple(_left_out(path, self._files, known))
        self._first = self._files[self.subjects[0]]
        columns = read_header(self._first)
        self._dialect = _known_dialect(columns, self._first)
        self.kind = self._dialect.kind
        self._names = tuple(self._dialect.select(columns, options.pose, self._first))
        self.manifest = self._make_manifest(len(columns))

    def _open_labels(self, alone: bool) -> LabelFolder | None:
        own = self._folder / LABELS
        place = self._options.labels or (own if own.is_dir() else None)
        if place is None:
            if self._options.fusion is not None:
                raise InputError("a fusion needs labels; name their folder with --labels", file=self._folder)
            return None
        labels = LabelFolder(place, self._options.fusion or "mean")
        for subject in self.subjects:
            if subject not in labels.subjects:
                reason = "the recording has no labels; supply them, or remove the recording"
                raise InputError(reason, file=labels.path, subject=subject)
        rated = [] if alone else [subject for subject in labels.subjects if subject not in self._files]
        if rated:
            reason = "the subject has labels and no recording; supply it, or remove the labels"
            raise InputError(reason, file=self._folder, subject=rated[0])
        return labels

    def _known_subjects(self) -> Mapping[str, SubjectEntry]:
        places = [self._folder, *([self._labels.path] if self._labels else [])]
        known = next((found for place in places if (found := read_subjects_csv(place))), {})
        absent = [subject for subject in self.subjects if known and subject not in known]
        if absent:
            raise InputError(f"the recording has no row in {SUBJECTS_CSV}", file=self._folder, subject=absent[0])
        return known

    def _make_manifest(self, columns: int) -> CohortManifest:
        dialect, labels, pose = self._dialect, self._labels, self._options.pose
        rate = labels.frame_rate if labels else self._options.frame_rate
        if rate is None:
            rate = round(self._read(self._first).frame_rate, 6)
        places = [self._folder, *([labels.path] if labels else [])]
        synthetic = any((place / MARKER).is_file() for place in places)
        return CohortManifest(
            name=f"{'SYNTHETIC ' if synthetic else ''}{dialect.title}",
            features=self._names,
            feature_scale="arbitrary" if pose else dialect.scale,
            frame_rate=rate,
            labels=labels.dimensions if labels else (),
            synthetic=synthetic,
            provenance={
                "reader": "data_prep.au_folder",
                "dialect": dialect.name,
                "columns_left_behind": columns - len(self._names),
                "fusion": (self._options.fusion or "mean") if labels else None,
                "frame_rate": self._options.frame_rate,
                "pose": pose,
            },
        )

    def _read(self, file: Path) -> AuFrames:
        columns = read_header(file)
        dialect = _known_dialect(columns, file)
        if dialect != self._dialect:
            reason = f"this is a table of {dialect.name}, the first is of {self._dialect.name}; convert them apart"
            raise InputError(reason, file=file, line=1)
        chosen = dialect.select(columns, self._options.pose, file, self._names)
        return read_frames(file, dialect, chosen, self._options.frame_rate)

    def read(self, subject: str) -> tuple[SubjectEntry, SubjectTable]:
        """Reads one subject: entry with what was masked, repaired and left aside; sequence.

        With labels, the sequence is at their times; without, at ``k / frame_rate`` within the recording.

        Raises:
            InputError: For the first thing wrong with the subject's files.
        """
        file = self._files[subject]
        check_manifest(replace(self.manifest, subjects=(self._entries[subject],)), file)
        frames = self._read(file)
        quality: dict[str, Any] = {"source_sha256": file_sha256(file), **frames.quality}
        table = self._table(subject, frames, file)
        check_table(table, self.manifest, subject, file)
        return replace(self._entries[subject], quality=quality), table

    def _table(self, subject: str, frames: AuFrames, file: Path) -> SubjectTable:
        if self._labels is None:
            time = regular_times(frames.time, self.manifest.frame_rate)
            labels = np.empty((len(time), 0), dtype=np.float32)
            own = without_jitter(frames.time, self.manifest.frame_rate)
        else:
            time, labels = self._labels.read(subject)
            own = frames.time
            _check_overlap(time, own, file, subject)
        features = to_times(frames.features, own, time).astype(np.float32)
        valid = np.isfinite(features).all(axis=1) & np.isfinite(labels).all(axis=1)
        return SubjectTable(time=time, features=features, labels=labels, valid=valid)


def _left_out(path: Path, files: Mapping[str, Path], known: Mapping[str, SubjectEntry]) -> Iterator[str]:
    beside = [folder.name for folder in _folders(path) if _tables(folder) and folder.name not in files]
    if beside:
        yield f"folders beside the tables are left out: {', '.join(beside)}"
    absent = [subject for subject in known if subject not in files]
    if absent:
        yield f"subjects of {SUBJECTS_CSV} without a recording are left out: {', '.join(absent)}"


def _known_dialect(columns: tuple[str, ...], file: Path) -> Dialect:
    dialect = detect_dialect(columns)
    if dialect is None:
        reason = "expected the columns of OpenFace, py-feat or LibreFace, found others; move the file away"
        raise InputError(f"{reason} (found {', '.join(columns[:8])})", file=file, line=1)
    return dialect


def _check_overlap(time: np.ndarray, own: np.ndarray, file: Path, subject: str) -> None:
    share = float(((time >= own[0] - 1e-6) & (time <= own[-1] + 1e-6)).mean())
    if share < _LEAST_OVERLAP:
        reason = (
            f"{100 * share:.0f} % of the labels ({time[0]:.3f}-{time[-1]:.3f} s) lie within the recording "
            f"({own[0]:.3f}-{own[-1]:.3f} s); correct the times, or name the frame rate with --frame-rate"
        )
        raise InputError(reason, file=file, subject=subject)
