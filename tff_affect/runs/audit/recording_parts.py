"""First and last parts of the recordings that a model sees, with nothing in common.

With scaling per subject, mean and deviation of a whole recording stand in all of its parts: its end can be told from
its beginning, whoever it is. Here each part is standardised by itself, as if it were of another day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from tff_affect.client_data import StagedCohort
from tff_affect.scaling import Scaling

_PARTS = ("first", "last")


def stage_parts(staged: StagedCohort, subjects: Sequence[str], folder: Path) -> StagedCohort:
    """Writes the first 60 % and the last 30 % of each sequence as clients of their own.

    Args:
        staged: The sequences as training reads them.
        subjects: Whose.
        folder: An existing private folder.
    """
    names = []
    for subject in subjects:
        sequence = staged.sequence(subject).numpy()
        frames = len(sequence)
        for name, rows in zip(
            _PARTS, (slice(0, 6 * frames // 10), slice(frames - 3 * frames // 10, frames)), strict=True
        ):
            part = sequence[rows].copy()
            if staged.data.scaling == "subject" and np.isfinite(part[:, : staged.features]).any():
                part[:, : staged.features] = _standardised(part[:, : staged.features])
            part.astype("<f4").tofile(folder / f"{part_of(subject, name)}.f32")
            names.append(part_of(subject, name))
    return replace(staged, folder=folder, clients=tuple(names))


def part_of(subject: str, part: str) -> str:
    """The client that a subject's ``first`` or ``last`` part is."""
    return f"{subject}.{part}"


def apart(windows: tuple[tf.Tensor, tf.Tensor], scaling: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Windows, features and labels; with scaling per subject the features are standardised by these windows alone."""
    if scaling != "subject" or not len(windows[0]):
        return windows
    features = windows[0].numpy()
    flat = _standardised(features.reshape(-1, features.shape[-1]))
    return tf.constant(flat.reshape(features.shape)), windows[1]


def _standardised(features: np.ndarray) -> np.ndarray:
    """Feature by feature; one that is nowhere there stays as it is."""
    there = np.isfinite(features).any(axis=0)
    found = features.copy()
    found[:, there] = Scaling.of_subject(features[:, there]).apply(features[:, there])
    return found
