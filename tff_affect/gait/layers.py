"""Layers for gait cycles: convolutions around the cycle, standardising, and bodies made of bones.

What a layer knows of the training people is in weights that are not trained, and is saved with the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tff_affect.gait.bone_tree import BoneTree

LEAST_DEVIATION = 1e-3
"""Of standardised numbers: what varies less is not made louder."""


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


class Directions(tf.keras.layers.Layer):
    """Series of a `GaitSet` to ``[batch, time, bone x 6 + 1]``: what of a gait does not depend on lengths of bones.

    These are the directions of bones (unit vectors), how fast they change (1/s, around the cycle), and the logarithm
    of the cycle's duration. Proportions of the body, which say who it is and nothing of emotion, are not in them.

    Args:
        tree: Of the bones.
    """

    def __init__(self, tree: BoneTree) -> None:
        super().__init__(name="directions")
        self._near, self._far = map(list, zip(*tree.bones, strict=True))
        self._joints = len(tree.joints)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Directions, rates, logarithm of seconds."""
        samples, durations = inputs.shape[1], inputs[:, :, -1:]
        places = tf.reshape(inputs[:, :, :-1], (-1, samples, self._joints, 3))
        vectors = tf.gather(places, self._far, axis=2) - tf.gather(places, self._near, axis=2)
        directions = tf.reshape(tf.math.l2_normalize(vectors, axis=3), (-1, samples, 3 * len(self._far)))
        changes = tf.roll(directions, -1, axis=1) - tf.roll(directions, 1, axis=1)
        return tf.concat([directions, changes * samples / (2 * durations), tf.math.log(durations)], axis=2)


class Standardised(tf.keras.layers.Layer):
    """``[batch, time, channel]`` to how far they are from the training people's mean cycle, in deviations.

    Before `adapt` nothing is changed.
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        """Makes room for what it will know."""
        self._mean = self.add_weight("mean", input_shape[1:], trainable=False, initializer="zeros")
        self._deviation = self.add_weight("deviation", input_shape[-1:], trainable=False, initializer="ones")
        super().build(input_shape)

    def adapt(self, inputs: np.ndarray) -> None:
        """Learns the mean cycle and the deviations of what it is given of the training people."""
        doubled = inputs.astype(np.float64)
        mean = doubled.mean(axis=0)
        self._mean.assign(mean)
        self._deviation.assign(np.maximum(np.sqrt(((doubled - mean) ** 2).mean(axis=(0, 1))), LEAST_DEVIATION))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The same shape."""
        return (inputs - self._mean) / self._deviation


class Body(tf.keras.layers.Layer):
    """A body put together: ``([batch, time, bone x 3], [batch, bone], [batch, 1])`` to series of a `GaitSet`.

    The first says how far directions of bones are from those of the training people's mean gait, the second how long
    bones are, and the third how long the cycle takes, all in deviations. A bone has one length throughout a cycle,
    whatever the networks say. Zeros make the mean gait; before `adapt` there is none.

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
        self._length, self._length_deviation = self._known("length", bones), self._known("length_deviation", bones)
        self._pace, self._pace_deviation = self._known("pace", 1), self._known("pace_deviation", 1)

    def _known(self, name: str, *shape: int) -> tf.Variable:
        return self.add_weight(name, shape, trainable=False, initializer="zeros")

    def adapt(self, series: np.ndarray) -> None:
        """Learns the mean gait and the deviations from series of the training people."""
        places = series[:, :, :-1].astype(np.float64)
        vectors = self._tree.vectors(places.reshape(*places.shape[:2], -1, 3))
        lengths = np.linalg.norm(vectors, axis=3)
        directions = vectors / lengths[..., np.newaxis]
        mean = directions.mean(axis=0)
        self._mean.assign(mean)
        deviation = np.sqrt(((directions - mean) ** 2).mean(axis=(0, 1)))
        self._deviation.assign(np.maximum(deviation, LEAST_DEVIATION))
        for sizes, middle, spread in (
            (lengths.mean(axis=1), self._length, self._length_deviation),
            (series[:, 0, -1:].astype(np.float64), self._pace, self._pace_deviation),
        ):
            middle.assign(np.log(sizes).mean(axis=0))
            spread.assign(np.maximum(np.log(sizes).std(axis=0), LEAST_DEVIATION))

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """``[batch, time, joint x 3 + 1]`` metres, the pelvis as the origin, and seconds."""
        turned, stretched, slowed = inputs
        count, (samples, bones, _) = tf.shape(turned)[0], self._mean.shape
        directions = self._mean + self._deviation * tf.reshape(turned, (count, samples, bones, 3))
        directions = tf.math.l2_normalize(directions, axis=3)
        lengths = tf.exp(self._length + self._length_deviation * stretched)
        placed = tf.einsum("jb,ntbc->ntjc", self._paths, directions * lengths[:, tf.newaxis, :, tf.newaxis])
        places = tf.reshape(placed, (count, samples, 3 * self._paths.shape[0]))
        durations = tf.exp(self._pace + self._pace_deviation * slowed)
        return tf.concat([places, tf.repeat(durations[:, tf.newaxis], samples, axis=1)], axis=2)


def adapt(network: tf.keras.Model, series: np.ndarray) -> None:
    """Shows series of the training people to those layers of a network that know something of them.

    Args:
        network: With layers of this module.
        series: ``[cycle, time, joint x 3 + 1]`` as `GaitSet.series`.
    """
    for layer in network.layers:
        if isinstance(layer, Body):
            layer.adapt(series)
        elif isinstance(layer, Standardised):
            layer.adapt(tf.keras.Model(network.inputs, layer.input)(series).numpy())
