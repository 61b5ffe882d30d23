"""Clients whose sequences are known number by number, in two parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tff_affect.client_data import StagedCohort
from tff_affect.config import DataConfig, ModelConfig, OptimizerConfig, TrainingConfig
from tff_affect.learning.personalization_parts import Parts

CLIENTS = ("a", "b", "c")
FEATURES, LABELS = 2, ("arousal", "valence")
DATA = DataConfig("unused", window=8, hop=8, scaling="none")
MODEL = ModelConfig("simple_rnn", units=3)
TRAINING = TrainingConfig(batch_size=2, local_epochs=2, client_optimizer=OptimizerConfig("sgd", 0.1))


def sequence(client: str, frames: int = 40) -> np.ndarray:
    """``[frames, features + labels]`` float32; labels follow the features, each client in its own way."""
    rng = np.random.default_rng([7, CLIENTS.index(client)])
    features = np.cumsum(rng.normal(scale=0.4, size=(frames, FEATURES)), axis=0)
    labels = np.tanh(features @ rng.normal(size=(FEATURES, len(LABELS)))) + 0.3 * CLIENTS.index(client)
    return np.concatenate([features, labels], axis=1).astype(np.float32)


def staged_in(folder: Path, data: DataConfig = DATA, delay: int = 0, **sequences: np.ndarray) -> StagedCohort:
    """The clients staged in a folder, with other sequences for those that are named."""
    folder.mkdir(exist_ok=True)
    for client in CLIENTS:
        sequences.get(client, sequence(client)).astype("<f4").tofile(folder / f"{client}.f32")
    return StagedCohort(folder, CLIENTS, FEATURES, LABELS, delay, data)


def parts_in(folder: Path, share: float = 0.5, gap: int = 0, **sequences: np.ndarray) -> Parts:
    return Parts.of(staged_in(folder, **sequences), share, gap)


def of_windows(window: int = 8, hop: int = 8) -> DataConfig:
    return replace(DATA, target="window", window=window, hop=hop)
