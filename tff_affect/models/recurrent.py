"""Recurrent networks that predict every label dimension at every frame."""

from __future__ import annotations

import tensorflow as tf

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.models.masking import MissingFrames


def build_stacked(layer: type[tf.keras.layers.Layer], config: ModelConfig, shape: WindowShape) -> tf.keras.Model:
    """Stacked recurrent layers with one dense head per frame.

    Args:
        layer: ``tf.keras.layers.LSTM`` or ``GRU``.
        config: Units and number of layers.
        shape: Of one window; the head predicts all label dimensions jointly, as in Mase et al. 2021.

    Returns:
        A model from ``[batch, window, features]`` (NaN = missing) to ``[batch, window, labels]``.
    """
    inputs = tf.keras.Input((shape.window, shape.features), name="features")
    hidden = MissingFrames(name="missing_frames")(inputs)
    for index in range(config.layers):
        hidden = layer(config.units, return_sequences=True, name=f"recurrent_{index}")(hidden)
    outputs = tf.keras.layers.Dense(shape.labels, name="affect")(hidden)
    return tf.keras.Model(inputs, outputs, name=config.name)
