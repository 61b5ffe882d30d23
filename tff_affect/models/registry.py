"""Models by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import tensorflow as tf

from tff_affect.config import ModelConfig
from tff_affect.errors import InputError
from tff_affect.models.recurrent import build_stacked

Weights = Sequence[np.ndarray]
"""Trainable weights of a model, in Keras order."""
ModelBuilder = Callable[[ModelConfig, int, int, int], tf.keras.Model]

MODELS: dict[str, ModelBuilder] = {
    "lstm": partial(build_stacked, tf.keras.layers.LSTM),
    "gru": partial(build_stacked, tf.keras.layers.GRU),
}


def build_model(config: ModelConfig, window: int, features: int, labels: int) -> tf.keras.Model:
    """Builds a model from ``[batch, window, features]`` to ``[batch, window, labels]``.

    Raises:
        InputError: If the registry has no model of that name.
    """
    if config.name not in MODELS:
        raise InputError(f"model.name: expected one of {', '.join(sorted(MODELS))}, found {config.name!r}")
    return MODELS[config.name](config, window, features, labels)


def initial_weights(config: ModelConfig, window: int, features: int, labels: int, seed: int) -> list[np.ndarray]:
    """Seeded initial weights, in Keras order; the same for every way of training that starts from this seed."""
    tf.keras.utils.set_random_seed(seed)
    return list(build_model(config, window, features, labels).get_weights())
