"""RECOLA's original distribution, or the SYNTHETIC copy of its layout, to a cohort.

Ringeval, Sonderegger, Sauer and Lalanne (2013). The original annotations have one row more than there are frames (7501,
from 0.00 s); loaders, this one too, drop the first. No delay is compensated here: that is a choice of training, made on
development subjects.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from data_prep.files.delimited import DelimitedTable, read_delimited
from data_prep.labels.gold_standard import fusion_named
from data_prep.recola_features import FeatureFile, select_columns
from data_prep.recola_layout import (
    CENTRED,
    DIMENSIONS,
    MARKER,
    PARTITION,
    RATERS,
    TIME_IN_SECONDS,
    RecolaFiles,
    find_files,
    label_folder,
    read_groups,
)
from data_prep.source import SourceOptions
from tff_affect.cohort import CohortManifest, SubjectEntry, SubjectTable, check_table
from tff_affect.errors import InputError


class RecolaSource:
    """A RECOLA folder, opened. Recordings are read on demand.

    Attributes:
        manifest: The manifest of the cohort that the folder makes, without subjects.
        subjects: Participants' identifiers, by number.
    """

    kind = "recola"
    takes: ClassVar[frozenset[str]] = frozenset({"fusion", "deltas"})
    notes: tuple[str, ...] = ()

    def __init__(self, folder: Path, options: SourceOptions) -> None:
        """Opens the folder.

        Args:
            folder: Holds ``RECOLA-Video-features`` and ``RECOLA-Annotation`` or
                ``Ratings_affective_behaviour_CCC_centred``.
            options: ``fusion`` (default ``mean``; the CCC-centred package is already fused and taken as it is) and
                ``deltas``.

        Raises:
            InputError: For the first thing wrong with the folder.
        """
        self._folder = Path(folder)
        fusion = options.fusion or "mean"
        self._fuse = fusion_named(fusion)
        self._deltas = options.deltas
        if not self._folder.is_dir():
            raise InputError("no such folder", file=folder)
        self._files = {files.subject: files for files in find_files(self._folder)}
        self.subjects = tuple(self._files)
        self._groups = read_groups(self._folder, self.subjects)
        self._centred = label_folder(self._folder) == self._folder / CENTRED
        self._synthetic = (self._folder / MARKER).is_file()
        self.manifest = self._make_manifest("as distributed, CCC-centred" if self._centred else fusion)

    def _make_manifest(self, fusion: str) -> CohortManifest:
        first = self._files[self.subjects[0]]
        columns = select_columns(FeatureFile(first.features, first.subject).columns, self._deltas, first.features)
        time, _ = self._label(first, DIMENSIONS[0])
        return CohortManifest(
            name="SYNTHETIC RECOLA layout" if self._synthetic else "RECOLA",
            features=tuple(columns),
            feature_scale="0-5" if self._synthetic else "arbitrary",
            frame_rate=round(1.0 / float(np.median(np.diff(time))), 6),
            labels=DIMENSIONS,
            synthetic=self._synthetic,
            provenance={"reader": "data_prep.recola", "fusion": fusion, "deltas": self._deltas},
        )

    def _entry(self, subject: str) -> SubjectEntry:
        partition = "unassigned" if self._synthetic else PARTITION.get(subject, "unassigned")
        return SubjectEntry(subject=subject, partition=partition, groups=self._groups[subject])

    def read(self, subject: str) -> tuple[SubjectEntry, SubjectTable]:
        """Reads one subject: published partition, groups, sequence.

        Raises:
            InputError: For the first thing wrong with the subject's files.
        """
        files = self._files[subject]
        time, labels = self._labels(files)
        source = FeatureFile(files.features, subject)
        features = source.features(self._columns(source))
        extra = len(time) - len(features)
        if extra not in (0, 1):
            raise InputError(
                f"expected {len(features)} annotation rows as there are feature rows, or one more, found {len(time)}",
                file=files.labels[DIMENSIONS[0]],
                subject=subject,
            )
        time, labels = time[extra:], labels[extra:]
        features = _align(features, _feature_times(files, source), time, files)
        valid = np.isfinite(features).all(axis=1) & np.isfinite(labels).all(axis=1)
        table = SubjectTable(time=time, features=features, labels=labels, valid=valid)
        check_table(table, self.manifest, subject, files.features)
        return self._entry(subject), table

    def _columns(self, source: FeatureFile) -> dict[str, str]:
        chosen = select_columns(source.columns, self._deltas, source.file)
        missing = [name for name in self.manifest.features if name not in chosen]
        if missing:
            reason = f"the feature {missing[0]!r}, which the first subject has, is missing"
            raise InputError(reason, file=source.file, subject=source.subject)
        return {name: chosen[name] for name in self.manifest.features}

    def _labels(self, files: RecolaFiles) -> tuple[np.ndarray, np.ndarray]:
        """``[rows]`` seconds and ``[rows, 2]`` float32."""
        time, arousal = self._label(files, DIMENSIONS[0])
        other, valence = self._label(files, DIMENSIONS[1])
        if len(time) != len(other) or not np.allclose(time, other, atol=1e-3):
            raise InputError(
                f"arousal ({len(time)} rows) and valence ({len(other)} rows) have different times",
                file=files.labels[DIMENSIONS[1]],
                subject=files.subject,
            )
        return time, np.stack([arousal, valence], axis=1).astype(np.float32)

    def _label(self, files: RecolaFiles, dimension: str) -> tuple[np.ndarray, np.ndarray]:
        file = files.labels[dimension]
        table = read_delimited(file)
        if self._centred:
            table = _with_header(table)
            names: tuple[str, ...] = table.columns[1:2]
        else:
            names = RATERS
        time = _increasing(table, "time" if not self._centred else table.columns[0], files.subject)
        ratings = np.stack([_ratings(table, name, files.subject) for name in names], axis=1)
        return time, ratings[:, 0] if self._centred else self._fuse(ratings)


def _with_header(table: DelimitedTable) -> DelimitedTable:
    """The CCC-centred package's tables: two columns or more; a header that is a row of numbers is a row."""
    if len(table.columns) < 2:
        raise InputError("expected a time and a value column", file=table.file, line=1)
    try:
        [float(name) for name in table.columns[:2]]
    except ValueError:
        return table
    names = ("time", "value", *(f"column {i}" for i in range(3, len(table.columns) + 1)))
    rows, lines = [list(table.columns), *table.rows], [1, *table.lines]
    return DelimitedTable(table.file, names, rows, lines, table.blank_rows, table.separator)


def _increasing(table: DelimitedTable, column: str, subject: str) -> np.ndarray:
    time = table.numbers(column)
    wrong = np.flatnonzero(~np.isfinite(time) | np.concatenate([[False], np.diff(time) <= 0]))
    if len(wrong):
        reason = f"column {column!r}: expected times that increase, found {time[wrong[0]]:g}"
        raise InputError(reason, file=table.file, line=table.lines[int(wrong[0])], subject=subject)
    if len(time) < 2:
        raise InputError("expected at least two rows", file=table.file, subject=subject)
    return time


def _ratings(table: DelimitedTable, column: str, subject: str) -> np.ndarray:
    ratings = table.numbers(column)
    if not np.isfinite(ratings).any():
        raise InputError(f"column {column!r} holds no rating", file=table.file, subject=subject)
    wrong = np.flatnonzero(np.abs(ratings) > 1 + 1e-9)
    if len(wrong):
        reason = f"column {column!r}: expected a rating from -1 to 1, found {ratings[wrong[0]]:g}"
        raise InputError(reason, file=table.file, line=table.lines[int(wrong[0])], subject=subject)
    return ratings


def _feature_times(files: RecolaFiles, source: FeatureFile) -> np.ndarray | None:
    if (own := source.times()) is not None:
        return own
    return None if files.timings is None else read_delimited(files.timings).numbers(TIME_IN_SECONDS)


def _align(features: np.ndarray, own: np.ndarray | None, time: np.ndarray, files: RecolaFiles) -> np.ndarray:
    """The feature row nearest to each annotation, within half a frame; NaN where there is none."""
    if own is None:
        return features
    place: dict[str, Any] = {"file": files.timings or files.features, "subject": files.subject}
    if len(own) != len(features):
        raise InputError(f"expected {len(features)} frame times as there are feature rows, found {len(own)}", **place)
    if not np.isfinite(own).all() or (np.diff(own) <= 0).any():
        raise InputError("expected frame times that increase", **place)
    after = np.clip(np.searchsorted(own, time), 1, max(1, len(own) - 1))
    nearest = np.where(np.abs(own[after] - time) < np.abs(own[after - 1] - time), after, after - 1)
    far = np.abs(own[nearest] - time) > 0.5 * float(np.median(np.diff(time))) + 1e-6
    if far.mean() > 0.5:
        raise InputError("most frame times are far from any annotation; correct the frame times, in seconds", **place)
    aligned = features[nearest]
    aligned[far] = np.nan
    return aligned
