"""Models by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import tensorflow as tf

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.errors import InputError
from tff_affect.models.recurrent import build_stacked

Weights = Sequence[np.ndarray]
"""Trainable weights of a model, in Keras order."""
ModelBuilder = Callable[[ModelConfig, WindowShape], tf.keras.Model]

MODELS: dict[str, ModelBuilder] = {
    "lstm": partial(build_stacked, tf.keras.layers.LSTM),
    "gru": partial(build_stacked, tf.keras.layers.GRU),
}


def build_model(config: ModelConfig, shape: WindowShape) -> tf.keras.Model:
    """Builds a model from ``[batch, window, features]`` to ``[batch, targets, labels]``.

    Raises:
        InputError: If the registry has no model of that name.
    """
    if config.name not in MODELS:
        raise InputError(f"model.name: expected one of {', '.join(sorted(MODELS))}, found {config.name!r}")
    return MODELS[config.name](config, shape)


def initial_weights(config: ModelConfig, shape: WindowShape, seed: int) -> list[np.ndarray]:
    """Seeded initial weights, in Keras order; the same for every way of training that starts from this seed."""
    tf.keras.utils.set_random_seed(seed)
    return list(build_model(config, shape).get_weights())
