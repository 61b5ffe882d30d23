"""Small staged clients for tests of learning: SYNTHETIC sequences, written as `stage_cohort` writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tff_affect.client_data import StagedCohort, WindowShape
from tff_affect.config import DataConfig

FEATURES, LABELS, WINDOW = 3, ("arousal", "valence"), 10
SHAPE = WindowShape(WINDOW, FEATURES, len(LABELS))


def staged_clients(
    folder: Path,
    windows: dict[str, int],
    missing: float = 0.0,
    hop: int = WINDOW,
    extra_frames: int = 0,
    target: str = "frame",
) -> StagedCohort:
    """Clients with the given numbers of windows of 10 frames, and optionally missing frames and a ragged end."""
    for number, (client, count) in enumerate(windows.items()):
        rng = np.random.default_rng([7, number])
        frames = count * WINDOW + extra_frames
        features = rng.normal(size=(frames, FEATURES))
        labels = 0.5 * np.tanh(np.cumsum(features[:, :2], axis=0) / 5) + 0.1 * number
        sequence = np.concatenate([features, labels], axis=1).astype("<f4")
        sequence[rng.random(frames) < missing] = np.nan
        sequence.tofile(folder / f"{client}.f32")
    data = DataConfig(cohort="tests", window=WINDOW, hop=hop, target=target)
    return StagedCohort(folder, tuple(windows), FEATURES, LABELS, 0, data)
