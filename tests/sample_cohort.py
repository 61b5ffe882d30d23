"""A small SYNTHETIC cohort for tests, the same on every call."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tff_affect.cohort import CohortManifest, SubjectEntry, SubjectTable

FRAME_RATE = 25.0
PARTITIONS = ("train", "train", "development", "test")


def small_manifest() -> CohortManifest:
    return CohortManifest(
        name="SYNTHETIC small",
        features=("AU01", "AU06", "AU12"),
        feature_scale="0-5",
        frame_rate=FRAME_RATE,
        labels=("arousal", "valence"),
        synthetic=True,
        provenance={"generator": "tests"},
    )


def small_subjects(frames: int = 200) -> Iterator[tuple[SubjectEntry, SubjectTable]]:
    """Four subjects; labels follow the features, and a few frames are missing and masked."""
    for number, partition in enumerate(PARTITIONS, start=1):
        rng = np.random.default_rng(number)
        features = np.clip(2 + np.cumsum(rng.normal(0, 0.2, (frames, 3)), axis=0), 0, 5).astype(np.float32)
        labels = np.tanh(features[:, :2] - features[:, 2:]).astype(np.float32)
        missing = rng.random(frames) < 0.05
        features[missing, 1] = np.nan
        table = SubjectTable(np.arange(frames) / FRAME_RATE, features, labels, ~missing)
        yield SubjectEntry(f"P{number}", partition, {"gender": ("female", "male")[number % 2]}), table
