"""Stacked recurrent layers, forward or bidirectional."""

from __future__ import annotations

import tensorflow as tf

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.models.dropout import SeededDropout
from tff_affect.models.heads import affect_head


def recurrent_stack(
    hidden: tf.Tensor,
    config: ModelConfig,
    layer: type[tf.keras.layers.Layer],
    bidirectional: bool = False,
    dropout: float = 0.0,
) -> tf.Tensor:
    """Stacks ``config.layers`` recurrent layers of ``config.units``.

    A layer carries its state over a masked frame. A forward layer says there what it said before; a bidirectional one
    says zero.

    Args:
        hidden: ``[batch, time, feature]``, with a mask.
        config: The network's configuration.
        layer: One of ``tff_affect.models.layers``.
        bidirectional: Whether a second layer reads the window backwards (Schuster and Paliwal 1997); its output stands
            beside that of the first.
        dropout: Rate of the dropout above each layer; 0 is none.

    Returns:
        ``[batch, time, units]``, or ``[batch, time, 2 units]`` where bidirectional.
    """
    for index in range(config.layers):
        recurrent = layer(config.units, return_sequences=True, name=f"recurrent_{index}")
        if bidirectional:
            recurrent = tf.keras.layers.Bidirectional(recurrent, merge_mode="concat", name=f"recurrent_{index}")
        hidden = recurrent(hidden)
        if dropout:
            hidden = SeededDropout(dropout, name=f"recurrent_dropout_{index}")(hidden)
    return hidden


def build_recurrent(
    hidden: tf.Tensor,
    config: ModelConfig,
    shape: WindowShape,
    layer: type[tf.keras.layers.Layer],
    bidirectional: bool = False,
) -> tf.Tensor:
    """Recurrent layers and head: from masked frames ``[batch, time, feature]`` to ``[batch, targets, labels]``."""
    return affect_head(recurrent_stack(hidden, config, layer, bidirectional, config.dropout or 0.0), shape)
