"""Residual convolutions over time: below a bidirectional layer, or causal and on their own.

A masked frame is zero before every convolution, like the padding at a window's ends: no layer reads as data what it
computed at a frame that is not there. Below the first convolution of standardised features zero is their mean. A window
padded with masked frames therefore gives what the window without padding gives.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.models.dropout import SeededDropout
from tff_affect.models.heads import affect_head
from tff_affect.models.recurrent import recurrent_stack


@tf.keras.utils.register_keras_serializable("tff_affect")
class MaskedConv1D(tf.keras.layers.Conv1D):
    """`tf.keras.layers.Conv1D` that reads a masked frame as zero and hands the mask on.

    Input and output: ``[batch, time, channel]`` over the same frames, so without strides and never ``valid`` padding.
    """

    def __init__(self, filters: int, kernel_size: int, padding: str = "same", **arguments: Any) -> None:
        if padding not in ("same", "causal"):
            raise ValueError(f"expected padding 'same' or 'causal', found {padding!r}")
        super().__init__(filters, kernel_size, padding=padding, **arguments)
        self.supports_masking = True

    def call(self, inputs: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """The convolution of the frames that are there."""
        if mask is not None:
            inputs = tf.where(mask[:, :, tf.newaxis], inputs, tf.zeros_like(inputs))
        return super().call(inputs)


def residual_block(
    hidden: tf.Tensor, config: ModelConfig, index: int, padding: str, dilation: int = 1, inner_skip: bool = True
) -> tf.Tensor:
    """Two convolutions with a shortcut around them (He et al. 2016), each normalised over its channels per frame.

    ``inner_skip`` places the shortcut before the second ReLU, as in He et al.; without, it is added after it and
    followed by a third, as in Bai et al. 2018. The shortcut is a 1x1 convolution where the width changes.

    Args:
        hidden: ``[batch, time, channel]``, with a mask.
        config: Resolved; its units, kernel size and dropout count.
        index: Of the block, for the names of its layers.
        padding: ``same`` (sees frames on both sides) or ``causal``.
        dilation: Frames between the frames that a convolution sees.
        inner_skip: See above.

    Returns:
        ``[batch, time, units]``.
    """
    name = f"block_{index}"

    def convolved(x: tf.Tensor, number: int) -> tf.Tensor:
        convolution = MaskedConv1D(
            config.units, config.kernel_size or 1, padding, dilation_rate=dilation, name=f"{name}_convolution_{number}"
        )
        return tf.keras.layers.LayerNormalization(name=f"{name}_normalization_{number}")(convolution(x))

    def activated(x: tf.Tensor, number: int, drop: bool = True) -> tf.Tensor:
        x = tf.keras.layers.Activation("relu", name=f"{name}_relu_{number}")(x)
        return SeededDropout(config.dropout, name=f"{name}_dropout_{number}")(x) if drop and config.dropout else x

    skip = hidden
    if hidden.shape[-1] != config.units:
        skip = MaskedConv1D(config.units, 1, name=f"{name}_projection")(hidden)
    inner = convolved(activated(convolved(hidden, 0), 0), 1)
    add = tf.keras.layers.Add(name=f"{name}_add")
    if inner_skip:
        return activated(add([inner, skip]), 1)
    return activated(add([activated(inner, 1), skip]), 2, drop=False)


def build_convolutional_recurrent(
    hidden: tf.Tensor, config: ModelConfig, shape: WindowShape, layer: type[tf.keras.layers.Layer]
) -> tf.Tensor:
    """Residual convolutions below bidirectional layers (Mase et al. 2021); to ``[batch, targets, labels]``."""
    for index in range(config.blocks or 0):
        hidden = residual_block(hidden, config, index, "same")
    return affect_head(recurrent_stack(hidden, config, layer, bidirectional=True), shape)


def build_tcn(hidden: tf.Tensor, config: ModelConfig, shape: WindowShape) -> tf.Tensor:
    """Causal temporal convolutional network (Bai, Kolter and Koltun 2018); to ``[batch, targets, labels]``.

    Block b sees every 2^b-th frame; with k the kernel size and B the blocks, a prediction depends on its own frame and
    the 2 (k - 1) (2^B - 1) before it. Layers are normalised where the paper normalises weights: a kernel kept as
    direction and length is not averaged by averaging the two, which is what federated averaging would do.
    """
    for index in range(config.blocks or 0):
        hidden = residual_block(hidden, config, index, "causal", dilation=2**index, inner_skip=False)
    return affect_head(hidden, shape)
