"""RECOLA's original distribution, or the SYNTHETIC copy of its layout, to a cohort.

Ringeval, Sonderegger, Sauer and Lalanne (2013). The original annotations have one row more than there are frames (7501,
from 0.00 s); loaders, this one too, drop the first, known by its time. All else meets by time. No delay is compensated
here: that is a choice of training, made on development subjects.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from data_prep.files.delimited import DelimitedTable, first_row, read_delimited
from data_prep.files.marker import says_synthetic
from data_prep.files.resample import SAME_TIME, to_times
from data_prep.files.timed_tables import clock, joined_labels, seconds
from data_prep.labels.gold_standard import check_fusion, fusion_named
from data_prep.recola_features import FeatureFile, require_every_row, select_columns
from data_prep.recola_layout import (
    CENTRED,
    DIMENSIONS,
    PARTITION,
    RATERS,
    TIMINGS,
    RecolaFiles,
    find_files,
    label_folder,
    read_groups,
)
from data_prep.source import SourceOptions
from tff_affect.cohort import CohortManifest, SubjectEntry, SubjectTable, check_table
from tff_affect.errors import InputError

# Of a step: an annotation so near to a frame is that frame's.
_ROUNDED = 0.1


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
            options: ``fusion`` (default ``mean``; refused for the CCC-centred package, which is fused already and
                taken as it is) and ``deltas``.

        Raises:
            InputError: For the first thing wrong with the folder.
        """
        self._folder = Path(folder)
        fusion = options.fusion or "mean"
        check_fusion(fusion)
        self._deltas = options.deltas
        if not self._folder.is_dir():
            raise InputError("no such folder", file=folder)
        self._files = {files.subject: files for files in find_files(self._folder)}
        self.subjects = tuple(self._files)
        self._groups = read_groups(self._folder, self.subjects)
        self._centred = label_folder(self._folder) == self._folder / CENTRED
        if self._centred and options.fusion is not None:
            raise InputError(f"{CENTRED} is fused already; leave --fusion out", file=folder)
        self._rate = self._label_rate()
        self._fuse = fusion_named(fusion, self._rate)
        self._synthetic = says_synthetic(self._folder)
        self.manifest = self._make_manifest("as distributed, CCC-centred" if self._centred else fusion)

    def _label_rate(self) -> float:
        """Annotations per second in the first file."""
        first = self._files[self.subjects[0]]
        return clock(self._table(first.labels[DIMENSIONS[0]]), first.subject).rate

    def _make_manifest(self, fusion: str) -> CohortManifest:
        first = self._files[self.subjects[0]]
        columns = select_columns(FeatureFile(first.features, first.subject).columns, self._deltas, first.features)
        return CohortManifest(
            name="SYNTHETIC RECOLA layout" if self._synthetic else "RECOLA",
            features=tuple(columns),
            feature_scale="0-5" if self._synthetic else "arbitrary",
            frame_rate=self._rate,
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
        own = _feature_times(files, source)
        if own is None:
            source.require_every_row()
        first = _first_annotation(time, len(features), own is not None, files)
        own = time[first:] if own is None else _one_each(own, len(features), files)
        time, labels = time[first:], labels[first:]
        features = _at(time, own, features, files)
        table = SubjectTable.of_complete_frames(time, features, labels)
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
        return joined_labels({name: self._label(files, name) for name in DIMENSIONS}, files.labels, files.subject)

    def _table(self, file: Path) -> DelimitedTable:
        return _centred_table(file) if self._centred else read_delimited(file)

    def _label(self, files: RecolaFiles, dimension: str) -> tuple[np.ndarray, np.ndarray]:
        table = self._table(files.labels[dimension])
        names = table.columns[1:2] if self._centred else RATERS
        time = seconds(table, files.subject)
        ratings = np.stack([_ratings(table, name, files.subject) for name in names], axis=1)
        return time, ratings[:, 0] if self._centred else self._fuse(ratings)


def _centred_table(file: Path) -> DelimitedTable:
    """The CCC-centred package's tables: a time, a value, perhaps more; some copies have no header line."""
    first = first_row(file)
    if len(first) < 2:
        raise InputError("expected a time and a value column", file=file, line=1)
    names = ("time", "value", *(f"column {i}" for i in range(3, len(first) + 1)))
    try:
        [float(cell) for cell in first[:2]]
    except ValueError:
        table = read_delimited(file)
        # Whatever the first column is called.
        return replace(table, columns=("time", *table.columns[1:]))
    return read_delimited(file, names=names)


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
    """Seconds of the feature rows: their own, those beside them, or None."""
    own = source.times()
    if own is not None or files.timings is None:
        return own
    table = read_delimited(files.timings)
    require_every_row(table, files.subject)
    return seconds(table, files.subject)


def _one_each(own: np.ndarray, count: int, files: RecolaFiles) -> np.ndarray:
    if len(own) != count:
        reason = f"expected {count} frame times as there are feature rows, found {len(own)}"
        raise InputError(reason, file=files.timings, subject=files.subject)
    return own


def _first_annotation(time: np.ndarray, count: int, timed: bool, files: RecolaFiles) -> int:
    """1 where the original's row at time 0, which has no features, is to be left out; else 0."""
    surplus = len(time) - count
    at_zero = abs(time[0]) <= SAME_TIME
    if surplus == 1 and at_zero:
        return 1
    # Without a clock, as many annotations from time 0 on could be the features' own, or one frame off.
    if (timed and surplus in (0, 1)) or (surplus == 0 and not at_zero):
        return 0
    reason = (
        f"expected as many annotations after time 0 as there are feature rows ({count}), "
        f"found {len(time)} from {time[0]:g} s; supply the frames' times in {TIMINGS.as_posix()}"
    )
    raise InputError(reason, file=files.labels[DIMENSIONS[0]], subject=files.subject)


def _at(time: np.ndarray, own: np.ndarray, features: np.ndarray, files: RecolaFiles) -> np.ndarray:
    """The features at the annotations' times, ``[frames, features]`` float32; NaN where there are none."""
    step = float(np.median(np.diff(time))) if len(time) > 1 else 0.0
    if ((time < own[0] - step) | (time > own[-1] + step)).mean() > 0.5:
        reason = "most frame times are far from any annotation; correct the frame times, in seconds"
        raise InputError(reason, file=files.timings or files.features, subject=files.subject)
    with np.errstate(over="ignore"):
        return to_times(features, own, time).astype(np.float32)
