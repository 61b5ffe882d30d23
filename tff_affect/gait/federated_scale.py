"""What networks know of people, from sums that each of them makes of own cycles."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_affect.gait.bone_tree import BoneTree
from tff_affect.gait.drawing_error import error_weights
from tff_affect.gait.federated_client import Networks
from tff_affect.gait.layers import LEAST_DEVIATION, Directions
from tff_affect.gait_set import GaitSet


class Moments(NamedTuple):
    """Of numbers that all cycles have.

    Attributes:
        mean: Over cycles.
        variance: From it; over time, too, where there is time.
    """

    mean: np.ndarray
    variance: np.ndarray

    @property
    def deviation(self) -> np.ndarray:
        """Never below that which layers keep to."""
        return np.maximum(np.sqrt(self.variance), LEAST_DEVIATION)


class Scale(NamedTuple):
    """Moments of all clients' cycles.

    Attributes:
        seen: Mean ``[time, bone x 6 + 1]``, variance ``[bone x 6 + 1]`` of what `layers.Directions` makes of series.
        series: Mean ``[time, joint x 3 + 1]``, variance ``[joint x 3 + 1]`` as `GaitSet.series`.
        length: Both ``[bone]``, of logarithms of metres.
    """

    seen: Moments
    series: Moments
    length: Moments

    def show(self, networks: Networks) -> None:
        """Does what `tff_affect.gait.layers.adapt` does, without cycles."""
        networks.emotion_encoder.get_layer("standardised").set_weights([self.seen.mean, self.seen.deviation])
        networks.biometric_encoder.get_layer("standardised").set_weights([self.series.mean, self.series.deviation])
        bones, samples = len(self.length.mean), len(self.seen.mean)
        turned, spread = self.seen.mean[:, : 3 * bones], self.seen.deviation[: 3 * bones]
        networks.decoder.get_layer("body").set_weights(
            [
                turned.reshape(samples, bones, 3), spread.reshape(bones, 3), self.length.mean, self.length.deviation,
                self.seen.mean[0, -1:], self.seen.deviation[-1:],
            ]
        )  # fmt: skip

    @property
    def error_weights(self) -> np.ndarray:
        """``[joint x 3 + 1]`` float32 as of `tff_affect.gait.drawing_error.error_weights`."""
        return error_weights(self.series.variance)


def federated_scale(gaits: GaitSet, tree: BoneTree) -> Scale:
    """The scale of all cycles, from sums that each client makes of own ones.

    Type: ``({float32[?,time,joint x 3 + 1]}@CLIENTS -> <...>@SERVER)``; only totals are seen.

    Args:
        gaits: Of the clients.
        tree: Their bones.
    """
    near, far = np.array(tree.bones).T
    shape = gaits.series.shape[1:]

    @tff.tensorflow.computation(tff.TensorType(np.float32, (None, *shape)))
    def sums(series: tf.Tensor) -> OrderedDict:
        places = tf.reshape(series[:, :, :-1], (-1, shape[0], len(tree.joints), 3))
        lengths = tf.norm(tf.gather(places, far, axis=2) - tf.gather(places, near, axis=2), axis=3)
        logs = tf.math.log(tf.reduce_mean(lengths, axis=1))
        found = OrderedDict(cycles=tf.cast(tf.shape(series)[0], tf.float64))
        for name, values in (("seen", Directions(tree)(series)), ("series", series), ("length", logs)):
            doubled = tf.cast(values, tf.float64)
            found[name], found[f"{name}_square"] = (tf.reduce_sum(each, axis=0) for each in (doubled, doubled**2))
        return found

    @tff.federated_computation(tff.FederatedType(sums.type_signature.parameter, tff.CLIENTS))
    def total(series: tff.Value) -> tff.Value:
        return tff.federated_sum(tff.federated_map(sums, series))

    found = total([gaits.of([person]).series for person in gaits.people])

    def moments(name: str) -> Moments:
        mean = found[name] / found["cycles"]
        variance = np.maximum(found[f"{name}_square"] / found["cycles"] - mean**2, 0)
        return Moments(mean, variance.mean(axis=0) if variance.ndim > 1 else variance)

    return Scale(moments("seen"), moments("series"), moments("length"))
