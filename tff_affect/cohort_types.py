"""What a cohort consists of: its manifest's entries and a subject's table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

PARTITIONS = ("train", "development", "test", "unassigned")
TIME_UNITS = ("second", "step")
FEATURE_SCALES = {"0-5": (-1e-6, 5.0), "0-1": (-1e-6, 1.0), "standardised": (-100.0, 100.0), "arbitrary": (-1e9, 1e9)}


@dataclass(frozen=True)
class SubjectTable:
    """One subject's sequence.

    Attributes:
        time: ``[frames]`` float64, strictly increasing, in the cohort's time unit (seconds or steps).
        features: ``[frames, features]`` float32, NaN where missing.
        labels: ``[frames, labels]`` float32, NaN where missing.
        valid: ``[frames]`` bool; True only where all features and labels are finite.
    """

    time: np.ndarray
    features: np.ndarray
    labels: np.ndarray
    valid: np.ndarray

    @classmethod
    def of_complete_frames(cls, time: np.ndarray, features: np.ndarray, labels: np.ndarray) -> SubjectTable:
        """The table in which every frame is valid whose features and labels are all there."""
        valid = np.isfinite(features).all(axis=1) & np.isfinite(labels).all(axis=1)
        return cls(time=time, features=features, labels=labels, valid=valid)

    @property
    def frames(self) -> int:
        """Number of rows."""
        return len(self.time)

    @property
    def trusted(self) -> np.ndarray:
        """``[frames]`` bool: features are there, and nothing but a missing label makes the frame invalid."""
        unlabelled = ~np.isfinite(self.labels).all(axis=1)
        return np.asarray(np.isfinite(self.features).all(axis=1) & (self.valid | unlabelled))


@dataclass(frozen=True)
class SubjectEntry:
    """What the manifest says of one subject.

    Attributes:
        subject: Identifier, unique in the cohort: letters, digits, ``.``, ``_``, ``-``.
        partition: One of ``PARTITIONS``; what the corpus publishes, else ``unassigned``.
        groups: Group attributes for fairness tables, such as ``{"gender": "female"}``.
        frames: Rows of the table.
        file: Path of the table below the cohort's folder, with forward slashes.
        sha256: Hash of that file.
        quality: What the reader counted: frames without a face, faces left aside, repaired timestamps ...
    """

    subject: str
    partition: str = "unassigned"
    groups: Mapping[str, str] = field(default_factory=dict)
    frames: int = 0
    file: str = ""
    sha256: str = ""
    quality: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CohortManifest:
    """What ``cohort.json`` says.

    Attributes:
        name: A short name for tables and plots.
        features: Feature column names, in order.
        feature_scale: Key of ``FEATURE_SCALES``: ``0-5`` and ``0-1`` action-unit intensities, ``standardised``,
            ``arbitrary``.
        frame_rate: Frames per time unit: Hz where ``time_unit`` is ``second``, else 1.
        time_unit: ``second``, or ``step`` for sequences without a clock (one clip per step).
        labels: Label column names, in order: ``arousal``, ``valence`` or what the corpus has; none for recordings that
            nobody rated, which can be looked at and attacked, and not trained on.
        synthetic: True for generated data; every table and plot made from it says SYNTHETIC.
        provenance: Where the numbers come from and how (reader, options, counts of what was dropped); never a path.
        subjects: One entry per subject, in order.
    """

    name: str
    features: tuple[str, ...]
    feature_scale: str
    frame_rate: float
    labels: tuple[str, ...]
    synthetic: bool
    time_unit: str = "second"
    provenance: Mapping[str, Any] = field(default_factory=dict)
    subjects: tuple[SubjectEntry, ...] = ()
