"""Layers for gait cycles: convolutions around the cycle, standardising, and bodies made of bones.

What a layer knows of the training people is in weights that are not trained, and is saved with the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tff_affect.gait.bone_tree import BoneTree

LEAST_DEVIATION = 1e-3
"""Metres; joints that move less are not made louder."""


@tf.keras.utils.register_keras_serializable("tff_affect")
class CircularConv1D(tf.keras.layers.Conv1D):
    """A convolution over ``[batch, time, channel]`` for which the end of a cycle goes before its beginning.

    Without strides, turning the input around the cycle turns the output as far.

    Args:
        filters: Channels of the output.
        kernel_size: Odd.
        **arguments: Of ``tf.keras.layers.Conv1D``, but for its padding.
    """

    def __init__(self, filters: int, kernel_size: int | tuple[int, ...], **arguments: Any) -> None:
        arguments["padding"] = "valid"
        super().__init__(filters, kernel_size, **arguments)
        if self.kernel_size[0] % 2 == 0:
            raise ValueError(f"expected an odd kernel, found {self.kernel_size[0]}")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """``[batch, time / stride, channel]``."""
        reach = self.kernel_size[0] // 2
        if reach:
            inputs = tf.concat([inputs[:, -reach:], inputs, inputs[:, :reach]], axis=1)
        return super().call(inputs)


@tf.keras.utils.register_keras_serializable("tff_affect")
class Standardised(tf.keras.layers.Layer):
    """``[batch, time, joint x 3]`` metres to how far they are from the training people's mean gait, in deviations.

    Before `adapt` nothing is changed.
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        """Makes room for what it will know."""
        self._mean = self.add_weight("mean", input_shape[1:], trainable=False, initializer="zeros")
        self._deviation = self.add_weight("deviation", input_shape[-1:], trainable=False, initializer="ones")
        super().build(input_shape)

    def adapt(self, motions: np.ndarray) -> None:
        """Learns the mean gait and the deviations of ``[cycle, time, joint, 3]`` of the training people."""
        flat = motions.reshape(*motions.shape[:2], -1).astype(np.float64)
        mean = flat.mean(axis=0)
        deviation = np.sqrt(((flat - mean) ** 2).mean(axis=(0, 1)))
        self._mean.assign(mean)
        self._deviation.assign(np.maximum(deviation, LEAST_DEVIATION))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The same shape."""
        return (inputs - self._mean) / self._deviation


class Body(tf.keras.layers.Layer):
    """A body put together: ``([batch, time, bone x 3], [batch, bone])`` to ``[batch, time, joint x 3]`` metres.

    The first says how far directions of bones are from those of the training people's mean gait, the second how long
    bones are, both in deviations. A bone has one length throughout a cycle, whatever the networks say. Zeros make the
    mean gait; before `adapt` there is none.

    Args:
        tree: Of the bones.
        samples: Of a cycle.
    """

    def __init__(self, tree: BoneTree, samples: int) -> None:
        super().__init__(name="body")
        self._paths = tf.constant(tree.paths)
        self._tree, bones = tree, len(tree.bones)
        self._mean = self._known("mean", samples, bones, 3)
        self._deviation = self._known("deviation", bones, 3)
        self._length = self._known("length", bones)
        self._length_deviation = self._known("length_deviation", bones)

    def _known(self, name: str, *shape: int) -> tf.Variable:
        return self.add_weight(name, shape, trainable=False, initializer="zeros")

    def adapt(self, motions: np.ndarray) -> None:
        """Learns the mean gait and the deviations of ``[cycle, time, joint, 3]`` of the training people."""
        vectors = self._tree.vectors(motions.astype(np.float64))
        lengths = np.linalg.norm(vectors, axis=3)
        directions = vectors / lengths[..., np.newaxis]
        mean = directions.mean(axis=0)
        logs = np.log(lengths.mean(axis=1))
        self._mean.assign(mean)
        deviation = np.sqrt(((directions - mean) ** 2).mean(axis=(0, 1)))
        self._deviation.assign(np.maximum(deviation, LEAST_DEVIATION))
        self._length.assign(logs.mean(axis=0))
        self._length_deviation.assign(np.maximum(logs.std(axis=0), LEAST_DEVIATION))

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """``[batch, time, joint x 3]`` metres, the pelvis as the origin."""
        turned, stretched = inputs
        count, (samples, bones, _) = tf.shape(turned)[0], self._mean.shape
        directions = self._mean + self._deviation * tf.reshape(turned, (count, samples, bones, 3))
        directions = tf.math.l2_normalize(directions, axis=3)
        lengths = tf.exp(self._length + self._length_deviation * stretched)
        placed = tf.einsum("jb,ntbc->ntjc", self._paths, directions * lengths[:, tf.newaxis, :, tf.newaxis])
        return tf.reshape(placed, (count, samples, 3 * self._paths.shape[0]))


def adapt(network: tf.keras.Model, motions: np.ndarray) -> None:
    """Shows the training people's motions to those layers of a network that know something of them.

    Args:
        network: With layers of this module.
        motions: ``[cycle, time, joint, 3]`` metres.
    """
    for layer in network.layers:
        if isinstance(layer, Standardised | Body):
            layer.adapt(motions)
