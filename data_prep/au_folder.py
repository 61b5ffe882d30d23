"""Folders of action-unit tables, one per subject, with labels beside them or elsewhere, to a cohort.

Levels of the tools differ, so that one folder holds one tool's files. No delay is compensated here: that is a choice
of training, made on development subjects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from data_prep.au_frames import AuFrames, read_frames
from data_prep.au_tables import Dialect, detect_dialect
from data_prep.files.folders import entries_of, one_file_each
from data_prep.files.wide_csv import read_header
from data_prep.labels.recording_labels import LABELS, RecordingLabels
from data_prep.labels.subjects_csv import SUBJECTS_CSV
from data_prep.source import SourceOptions
from tff_affect.cohort import CohortManifest, SubjectEntry, SubjectTable, check_manifest, check_table, file_sha256
from tff_affect.errors import InputError


def au_kind(path: Path) -> str | None:
    """The tool whose file, or folder of files, a path is: one of ``au_tables.TOOLS``; None otherwise."""
    path = Path(path)
    try:
        candidates = [path] if path.is_file() else sorted([*path.glob("*"), *path.glob("*/*")])
    except OSError:
        return None
    found = (_dialect(file) for file in candidates)
    return next((dialect.kind for dialect in found if dialect is not None), None)


def _dialect(file: Path) -> Dialect | None:
    try:
        return detect_dialect(read_header(file)) if file.suffix.lower() == ".csv" and file.is_file() else None
    except (InputError, OSError, RuntimeError):
        return None


def find_recordings(path: Path) -> dict[str, Path]:
    """Subject -> table: ``<subject>.csv``, else ``<subject>/<one>.csv``.

    Raises:
        InputError: If a link leads out of the folder or cannot be followed, a subject has several tables or two
            spellings, or there is no table.
    """
    tables = _tables(path, path)
    found = one_file_each(tables) or {folder.name: _only_table(folder, path) for folder in _folders(path)}
    if not found:
        raise InputError("expected <subject>.csv or <subject>/<one>.csv, found none", file=path)
    return found


def _tables(folder: Path, root: Path) -> list[Path]:
    entries = entries_of(folder, root)
    return [entry for entry in entries if entry.suffix.lower() == ".csv" and entry.name.lower() != SUBJECTS_CSV]


def _folders(path: Path) -> list[Path]:
    """Folders with tables, that of the labels left out."""
    folders = [entry for entry in entries_of(path, path) if entry.is_dir() and entry.name != LABELS]
    return [folder for folder in folders if _tables(folder, path)]


def _only_table(folder: Path, root: Path) -> Path:
    tables = _tables(folder, root)
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
        alone = path.is_file()
        self._files = {path.stem: path} if alone else find_recordings(path)
        self.subjects = tuple(self._files)
        self._beside = RecordingLabels(
            path.parent if alone else path, self.subjects, options.labels, options.fusion, all_subjects=not alone
        )
        self.notes = () if alone else (*_left_out(path, self._files), *self._beside.notes)
        self._first = self._files[self.subjects[0]]
        columns = read_header(self._first)
        self._dialect = _known_dialect(columns, self._first)
        self.kind = self._dialect.kind
        self._names = tuple(self._dialect.select(columns, options.pose, self._first))
        self.manifest = self._make_manifest(len(columns))

    def _make_manifest(self, columns: int) -> CohortManifest:
        dialect, beside, pose = self._dialect, self._beside, self._options.pose
        rate = beside.labels.frame_rate if beside.labels else round(self._read(self._first).frame_rate, 6)
        return CohortManifest(
            name=f"{'SYNTHETIC ' if beside.synthetic else ''}{dialect.title}",
            features=self._names,
            feature_scale="arbitrary" if pose else dialect.scale,
            frame_rate=rate,
            labels=beside.dimensions,
            synthetic=beside.synthetic,
            provenance={
                "reader": "data_prep.au_folder",
                "dialect": dialect.name,
                "columns_left_behind": columns - len(self._names),
                "fusion": beside.fusion,
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
        entry = self._beside.entry(subject)
        check_manifest(replace(self.manifest, subjects=(entry,)), file)
        frames = self._read(file)
        quality: dict[str, Any] = {"source_sha256": file_sha256(file), **frames.quality}
        table = self._beside.table(subject, frames.time, frames.features, self.manifest.frame_rate, file)
        check_table(table, self.manifest, subject, file)
        return replace(entry, quality=quality), table


def _left_out(path: Path, files: Mapping[str, Path]) -> Iterator[str]:
    beside = [folder.name for folder in _folders(path) if folder.name not in files]
    if beside:
        yield f"folders beside the tables are left out: {', '.join(beside)}"


def _known_dialect(columns: tuple[str, ...], file: Path) -> Dialect:
    dialect = detect_dialect(columns)
    if dialect is None:
        reason = "expected the columns of OpenFace, py-feat or LibreFace, found others; move the file away"
        raise InputError(f"{reason} (found {', '.join(columns[:8])})", file=file, line=1)
    return dialect
