"""AVEC 2015/2016 and AVEC 2018 GES, RECOLA as the challenges distributed it, or their SYNTHETIC copies, to a cohort.

The gold standard is taken as distributed, or fused anew from the individual ratings. Test labels were never released:
test subjects without labels are left out, and the notes say so. Features are brought to the labels' times by time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from data_prep.avec_layout import choose_set, edition_of, in_order, label_files, partition_of
from data_prep.files.arff_tables import Table, open_table
from data_prep.files.marker import says_synthetic
from data_prep.files.timed_tables import (
    clock,
    failed_rows,
    features_at,
    joined_labels,
    seconds,
    stacked,
    value_columns,
)
from data_prep.labels.gold_standard import check_fusion, fusion_named
from data_prep.recola_layout import DIMENSIONS
from data_prep.source import SourceOptions
from tff_affect.cohort import CohortManifest, SubjectEntry, SubjectTable, check_table, file_sha256
from tff_affect.errors import InputError

_DISTRIBUTED = "as distributed"
# What tools and merged tables write beside features: answers, who it is, where the face was, how sure the tracker.
_LEFT_BEHIND = re.compile(
    r"identity.*|.*gold.*|.*arousal.*|.*valence.*|F[MF]\d( ?_[xy])?|success.*|confidence.*|face_?id"
    r"|[xyz]_\d+|p_.*|.*lmk.*|.*landmark.*|gaze.*",
    re.IGNORECASE,
)


def feature_columns(table: Table) -> tuple[str, ...]:
    """The columns of a feature file that are taken: no answer, identity, landmark, gaze or mark of tracking.

    Raises:
        InputError: If there is none.
    """
    names = value_columns(table)
    chosen = tuple(name for name in names if not _LEFT_BEHIND.fullmatch(name))
    if not chosen:
        reason = "expected features, found {}: labels, identities, landmarks and marks of tracking are left behind"
        raise InputError(reason.format(", ".join(names[:8])), file=table.file, line=1)
    return chosen


class AvecSource:
    """An AVEC folder, opened. Recordings are read on demand.

    Attributes:
        kind: ``avec2016`` (2015 too) or ``avec2018``.
        manifest: The manifest of the cohort that the folder makes, without subjects.
        subjects: ``train_1`` ..., ``dev_1`` ..., and test subjects that have labels.
        notes: Who was left out, and what the features give away.
    """

    takes: ClassVar[frozenset[str]] = frozenset({"feature_set", "fusion"})

    def __init__(self, path: Path, options: SourceOptions) -> None:
        """Opens the folder.

        Args:
            path: The folder of the package.
            options: ``feature_set``, such as ``video_geometric/valence`` or ``AU`` (by default the only set, else
                ``video_geometric`` for arousal, or ``AU``); ``fusion``, to fuse the individual ratings by that rule
                instead of taking the gold standard as it is.

        Raises:
            InputError: For the first thing wrong with the folder.
        """
        self._folder = Path(path)
        edition = edition_of(self._folder)
        if edition is None:
            raise InputError("neither the layout of AVEC 2016 nor of AVEC 2018 GES", file=path)
        self.kind = edition.kind
        if options.fusion is not None:
            check_fusion(options.fusion)
        place = edition.gold if options.fusion is None else edition.individual
        self._labels_of = label_files(self._folder, place)
        self._set, self._features = choose_set(self._folder, edition, options.feature_set)
        self.subjects = self._complete(self._folder / place)
        self.notes = self._make_notes()
        rate = self._frame_rate()
        self._fuse = None if options.fusion is None else fusion_named(options.fusion, rate)
        synthetic = says_synthetic(self._folder)
        first = open_table(self._features[self.subjects[0]])
        features = feature_columns(first)
        self.manifest = CohortManifest(
            name=f"SYNTHETIC {edition.title} layout" if synthetic else edition.title,
            features=features,
            feature_scale="arbitrary",
            frame_rate=rate,
            labels=DIMENSIONS,
            synthetic=synthetic,
            provenance={
                "reader": "data_prep.avec",
                "edition": edition.kind,
                "feature_set": self._set,
                "fusion": options.fusion or _DISTRIBUTED,
                "columns_left_behind": len(first.columns) - len(features),
            },
        )

    def _complete(self, place: Path) -> tuple[str, ...]:
        labelled = {subject for files in self._labels_of.values() for subject in files}
        known = labelled | {subject for subject in self._features if partition_of(subject) != "test"}
        for subject in in_order(known):
            for dimension, files in self._labels_of.items():
                if subject not in files:
                    _missing(place / dimension / f"{subject}.*", subject, "other files")
            if subject not in self._features:
                _missing(next(iter(self._features.values())).parent / f"{subject}.*", subject, "labels")
        return tuple(in_order(known))

    def _make_notes(self) -> tuple[str, ...]:
        unlabelled = in_order(set(self._features) - set(self.subjects))
        notes = []
        if unlabelled:
            notes.append(
                f"{len(unlabelled)} test subjects have no labels and are left out: {unlabelled[0]} to {unlabelled[-1]}."
            )
        if not self._set.startswith("AU"):
            notes.append(
                f"The feature set {self._set} holds functionals of the face's shape or texture, not action units; "
                "expect identity to leak."
            )
        return tuple(notes)

    def _frame_rate(self) -> float:
        first = self.subjects[0]
        return clock(open_table(self._labels_of[DIMENSIONS[0]][first]), first).rate

    def read(self, subject: str) -> tuple[SubjectEntry, SubjectTable]:
        """Reads one subject: partition, gold standard, the features at its times.

        Raises:
            InputError: For the first thing wrong with the subject's files.
        """
        file = self._features[subject]
        time, labels = _labels({name: files[subject] for name, files in self._labels_of.items()}, subject, self._fuse)
        source = open_table(file)
        failed, counts = failed_rows(source, self.manifest.features)
        features = features_at(source, self.manifest.features, time, subject, failed)
        table = SubjectTable.of_complete_frames(time, features, labels)
        check_table(table, self.manifest, subject, file)
        quality = {
            "source_sha256": file_sha256(file),
            **counts,
            "frames_without_features": int(np.isnan(features).any(axis=1).sum()),
        }
        return SubjectEntry(subject=subject, partition=partition_of(subject), quality=quality), table


def _missing(file: Path, subject: str, others: str) -> None:
    reason = f"the file is missing; supply it, or remove the subject's {others} to leave the subject out"
    raise InputError(reason, file=file, subject=subject)


def _labels(
    files: Mapping[str, Path], subject: str, fuse: Callable[[np.ndarray], np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray]:
    """``[frames]`` seconds and ``[frames, 2]`` float32."""
    columns = {dimension: _label(file, subject, fuse) for dimension, file in files.items()}
    return joined_labels(columns, files, subject)


def _label(file: Path, subject: str, fuse: Callable[[np.ndarray], np.ndarray] | None) -> tuple[np.ndarray, np.ndarray]:
    table = open_table(file)
    time, names = seconds(table, subject), value_columns(table)
    values = stacked(table, names, subject)
    if fuse is not None:
        try:
            return time, fuse(values)
        except InputError as error:
            raise InputError(error.reason, file=file, subject=subject) from error
    if len(names) != 1:
        reason = f"expected one column of a gold standard, found {', '.join(names)}; name a fusion for several raters"
        raise InputError(reason, file=file, subject=subject)
    return time, values[:, 0]
