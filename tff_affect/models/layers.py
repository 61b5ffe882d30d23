"""Recurrent layers with the weights, names, gate order and masks of Keras."""

from __future__ import annotations

import tensorflow as tf


@tf.keras.utils.register_keras_serializable("tff_affect")
class FastLSTM(tf.keras.layers.LSTM):
    """`tf.keras.layers.LSTM`."""


@tf.keras.utils.register_keras_serializable("tff_affect")
class FastGRU(tf.keras.layers.GRU):
    """`tf.keras.layers.GRU`."""


@tf.keras.utils.register_keras_serializable("tff_affect")
class FastSimpleRNN(tf.keras.layers.SimpleRNN):
    """`tf.keras.layers.SimpleRNN`."""
