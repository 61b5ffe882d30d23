"""The cohort on disk: a manifest and one columnar table per subject.

Anything that reads a corpus writes a cohort (``data_prep``); anything that trains reads one. The folder holds
``cohort.json`` and ``subjects/<subject>.parquet`` and nothing else: no image, no landmark, no path of the source.

A subject table has the columns ``time``, the features, the labels and ``valid``. A missing value is NaN, never zero. A
frame is ``valid`` when its features and labels are finite and the tracker was trusted; frames that are not valid are
masked in every loss and every metric.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tff_affect.atomic import current_umask
from tff_affect.cohort_checks import LABEL_LIMIT, check_manifest, check_table, require
from tff_affect.cohort_manifest import FORMAT, MANIFEST, read_manifest, table_path
from tff_affect.cohort_types import (
    FEATURE_SCALES,
    PARTITIONS,
    TIME_UNITS,
    CohortManifest,
    SubjectEntry,
    SubjectTable,
)
from tff_affect.errors import InputError, RunError

__all__ = [
    "FEATURE_SCALES",
    "FORMAT",
    "LABEL_LIMIT",
    "MANIFEST",
    "PARTITIONS",
    "TIME_UNITS",
    "Cohort",
    "CohortManifest",
    "SubjectEntry",
    "SubjectTable",
    "check_destination",
    "check_manifest",
    "check_table",
    "file_sha256",
    "new_folder",
    "write_cohort",
]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def new_folder(path: Path, overwrite: bool | None = None) -> Iterator[Path]:
    """Yields a temporary folder that becomes ``path`` only if the block succeeds; nothing half-written is left.

    Raises:
        InputError: If ``path`` exists and is not an empty folder, unless ``overwrite`` is set and it holds a cohort.
    """
    target = check_destination(path, overwrite)
    with _new_parents(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"cannot write here: {getattr(error, 'strerror', None) or error}", file=path) from error
        try:
            yield temporary
            temporary.chmod(0o777 & ~current_umask())
            # The old folder is moved aside, not removed, until the new one is in its place.
            old = Path(f"{temporary}.old")
            if overwrite and target.exists():
                target.rename(old)
            _take_place(temporary, target, path)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _take_place(temporary: Path, target: Path, path: Path) -> None:
    """A folder that was filled meanwhile is not replaced."""
    try:
        temporary.rename(target)
    except OSError as error:
        raise InputError(f"cannot write here: {error.strerror}; name a new folder", file=path) from error


@contextmanager
def _new_parents(target: Path) -> Iterator[None]:
    """Of the folders above ``target``, those made in the block are taken away again if it fails and they are empty."""
    missing = [folder for folder in target.parents if not folder.exists()]
    try:
        yield
    except BaseException:
        for folder in missing:
            try:
                folder.rmdir()
            except OSError:
                break
        raise


def check_destination(path: Path, overwrite: bool | None = None) -> Path:
    """The resolved path of a folder to write, refused now rather than after long work.

    Args:
        path: The folder.
        overwrite: Replace a cohort that is there; None where nobody is asked, so that a refusal does not propose it.

    Raises:
        InputError: If ``path`` exists and is not an empty folder, unless ``overwrite`` is set and it holds a cohort.
    """
    try:
        target = Path(path).resolve()
        if target.exists():
            _require_replaceable(target, overwrite)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"cannot write here: {getattr(error, 'strerror', None) or error}", file=path) from error
    return target


def _require_replaceable(path: Path, overwrite: bool | None) -> None:
    require(path.is_dir(), "expected a folder to write to, found a file", file=path)
    hint = ", or add --overwrite" if overwrite is False and (path / MANIFEST).is_file() else ""
    require(
        not any(path.iterdir()) or (bool(overwrite) and (path / MANIFEST).is_file()),
        f"the folder exists and is not empty; name a new one{hint}",
        file=path,
    )


def write_cohort(
    path: Path,
    manifest: CohortManifest,
    subjects: Iterable[tuple[SubjectEntry, SubjectTable]],
    overwrite: bool | None = None,
) -> Cohort:
    """Writes a cohort folder; all of it, or nothing.

    Args:
        path: The folder to make.
        manifest: The manifest; its ``subjects`` are ignored and taken from ``subjects``.
        subjects: Entries (``frames``, ``file`` and ``sha256`` are filled in here) with their tables. May be a
            generator, so that only one subject is in memory at a time.
        overwrite: Replace an existing cohort; None where nobody is asked.

    Returns:
        The cohort, opened.

    Raises:
        InputError: For the first thing wrong with the manifest, a table or the folder.
        RunError: If a table cannot be written, as on a full disk.
    """
    check_manifest(replace(manifest, subjects=()))
    with new_folder(Path(path), overwrite) as folder:
        (folder / "subjects").mkdir()
        entries: list[SubjectEntry] = []
        written: set[str] = set()
        for given, table in subjects:
            check_manifest(replace(manifest, subjects=(given,)))
            # Case is folded because a case-insensitive file system would give both subjects one table.
            require(given.subject.lower() not in written, "the subject is given twice", subject=given.subject)
            written.add(given.subject.lower())
            check_table(table, manifest, given.subject)
            file = f"subjects/{given.subject}.parquet"
            _write_table(folder / file, table, manifest)
            entries.append(replace(given, frames=table.frames, file=file, sha256=file_sha256(folder / file)))
        require(bool(entries), "expected at least one subject, found none")
        content = {"format": FORMAT, **asdict(replace(manifest, subjects=tuple(entries)))}
        (folder / MANIFEST).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return Cohort.open(path, verify=False)


def _write_table(path: Path, table: SubjectTable, manifest: CohortManifest) -> None:
    columns = {"time": pa.array(table.time.astype(np.float64))}
    for names, array in ((manifest.features, table.features), (manifest.labels, table.labels)):
        columns |= {name: pa.array(array[:, i].astype(np.float32)) for i, name in enumerate(names)}
    columns["valid"] = pa.array(table.valid)
    try:
        pq.write_table(pa.table(columns), path, compression="zstd", write_statistics=False)
    except OSError as error:
        raise RunError(f"cannot write a table of the cohort: {error}; free space or name another folder") from error


class Cohort:
    """A cohort opened for reading. Tables are read on demand, one subject at a time.

    Attributes:
        path: The folder.
        manifest: What ``cohort.json`` says.
    """

    def __init__(self, path: Path, manifest: CohortManifest) -> None:
        self.path = path
        self.manifest = manifest
        self._entries = {entry.subject: entry for entry in manifest.subjects}

    @classmethod
    def open(cls, path: str | Path, verify: bool = True) -> Cohort:
        """Opens a cohort folder.

        Args:
            path: The folder.
            verify: Check every table (hash, shape, scale, time) now, so that nothing fails later in the run.

        Raises:
            InputError: For the first thing wrong.
        """
        path = Path(path)
        cohort = cls(path, read_manifest(path))
        if verify:
            for subject in cohort.subjects:
                cohort.load(subject)
        return cohort

    @property
    def subjects(self) -> tuple[str, ...]:
        """Subject identifiers, in the manifest's order."""
        return tuple(self._entries)

    def entry(self, subject: str) -> SubjectEntry:
        """The manifest's entry of a subject."""
        require(subject in self._entries, "the cohort has no such subject", file=self.path / MANIFEST, subject=subject)
        return self._entries[subject]

    def load(self, subject: str) -> SubjectTable:
        """Reads and checks one subject's table.

        Raises:
            InputError: If the file is missing, altered (hash), unreadable, or its content is wrong.
        """
        entry = self.entry(subject)
        file = table_path(self.path, entry)
        table = _table_from_frame(_read_table(file, entry), self.manifest, file, subject)
        require(
            table.frames == entry.frames,
            f"expected {entry.frames} frames as in the manifest, found {table.frames}",
            file=file,
            subject=subject,
        )
        check_table(table, self.manifest, subject, file)
        return table

    @cached_property
    def content_sha256(self) -> str:
        """One hash for the data: columns, subjects, partitions and table hashes, whatever the name or folder."""
        digest = hashlib.sha256(json.dumps([self.manifest.features, self.manifest.labels]).encode())
        for entry in self.manifest.subjects:
            digest.update(f"{entry.subject}\0{entry.partition}\0{entry.sha256}\n".encode())
        return digest.hexdigest()


def _read_table(file: Path, entry: SubjectEntry) -> pd.DataFrame:
    place: dict[str, Any] = {"file": file, "subject": entry.subject}
    try:
        require(file.is_file(), "the subject's table is missing", **place)
        found = file_sha256(file)
    except OSError as error:
        raise InputError(f"cannot read the subject's table: {error.strerror}", **place) from error
    require(
        found == entry.sha256,
        f"the file was altered: expected sha256 {entry.sha256[:12]}..., found {found[:12]}...; "
        "convert the source again",
        **place,
    )
    try:
        arrow = pq.ParquetFile(file).read()
        twice = [name for name in arrow.column_names if arrow.column_names.count(name) > 1]
        require(not twice, f"column {twice[0] if twice else ''!r} is there more than once", **place)
        return arrow.to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"not a readable Parquet table: {error}", **place) from error


def _table_from_frame(frame: pd.DataFrame, manifest: CohortManifest, file: Path, subject: str) -> SubjectTable:
    expected = ["time", *manifest.features, *manifest.labels, "valid"]
    missing = [name for name in expected if name not in frame.columns]
    require(not missing, f"column {missing[0] if missing else ''!r} is missing", file=file, subject=subject)
    extra = [name for name in frame.columns if name not in expected]
    require(not extra, f"column {extra[0] if extra else ''!r} is not in the manifest", file=file, subject=subject)
    for name in expected[:-1]:
        require(
            pd.api.types.is_float_dtype(frame[name]), f"expected numbers in column {name!r}, found {frame[name].dtype}",
            file=file, subject=subject,
        )  # fmt: skip
    require(frame["valid"].dtype == bool, "expected true/false in column 'valid'", file=file, subject=subject)
    return SubjectTable(
        time=frame["time"].to_numpy(np.float64),
        features=frame[list(manifest.features)].to_numpy(np.float32),
        labels=frame[list(manifest.labels)].to_numpy(np.float32),
        valid=frame["valid"].to_numpy(bool),
    )
