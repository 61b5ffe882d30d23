"""Occlusion and random weights: two checks of what is said of a gait network, neither of which needs a gradient.

Occlusion (as in Zeiler and Fergus 2014, arXiv 1311.2901) asks what the network itself does when a joint's movement in a
part of the cycle is replaced by the training people's mean gait. Random weights are the sanity check of Adebayo et al.
(2018, arXiv 1810.03292): an explanation that stays the same when all that was learned is gone explains nothing.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tff_affect.errors import InputError
from tff_affect.gait.explanation import OpenNetwork, log_odds, open_network
from tff_affect.gait_set import GaitSet
from tff_affect.streams import stream

WINDOWS = 8


def occlusion(classifier: tf.keras.Model, gaits: GaitSet, classes: np.ndarray, windows: int = WINDOWS) -> np.ndarray:
    """How far the odds of a class fall without a joint's own movement in a part of the cycle.

    Args:
        classifier: As of `tff_affect.gait.explanation.open_network`, with a `tff_affect.gait.layers.Standardised`
            layer, which knows the mean gait; without one, what is a joint's becomes 0.
        gaits: Cycles.
        classes: ``[cycle]`` number of the class that shall be explained.
        windows: Equal parts of the cycle; 1 for whole joints.

    Returns:
        ``[cycle, window, joint]`` float64: fall of the logarithmic odds, in nats; below 0 where they rise.

    Raises:
        InputError: As of `tff_affect.gait.explanation.open_network`, or if windows do not divide the samples.
    """
    opened = open_network(classifier, gaits, classes)
    samples, joints = gaits.motions.shape[1:3]
    if windows < 1 or samples % windows:
        raise InputError(f"occlusion: expected windows that divide {samples} samples of a cycle, found {windows}")
    whole = _odds(opened, np.ones(opened.inputs.shape[1:], np.float32))
    found = np.empty((len(gaits), windows, joints))
    for window, hidden in enumerate(np.split(np.arange(samples), windows)):
        for joint in range(joints):
            kept = np.ones(opened.inputs.shape[1:], np.float32)
            kept[hidden] = 1 - opened.joints[:, joint]
            found[:, window, joint] = whole - _odds(opened, kept)
    return found


def _odds(opened: OpenNetwork, kept: np.ndarray) -> np.ndarray:
    """``[cycle]`` with that much of each number's difference from the mean gait."""
    parts = [
        log_odds(opened.network(inputs * kept, training=False), classes).numpy() for inputs, classes in opened.batches()
    ]
    return np.concatenate([np.empty(0), *parts])


def randomised(classifier: tf.keras.Model, seed: int) -> tf.keras.Model:
    """The same network with all that was learned drawn afresh; what is not trained, such as scaling, stays.

    Kernels are drawn as Keras's own first weights (Glorot and Bengio 2010), biases are 0.

    Args:
        classifier: Any whose layers can be copied.
        seed: The same seed gives the same weights.
    """
    copy = tf.keras.models.clone_model(classifier, clone_function=_copied)
    copy.set_weights(classifier.get_weights())
    for number, variable in enumerate(copy.trainable_variables):
        # An initializer with a seed says the same each time.
        drawn = tf.keras.initializers.GlorotUniform(int(stream(seed, "random weights", number).integers(2**31)))
        variable.assign(drawn(variable.shape) if len(variable.shape) > 1 else tf.zeros(variable.shape))
    return copy


def _copied(layer: tf.keras.layers.Layer) -> tf.keras.layers.Layer:
    if isinstance(layer, tf.keras.Model):
        return tf.keras.models.clone_model(layer, clone_function=_copied)
    # What has no weights need not be copied, and layers that are made from a skeleton cannot be.
    return type(layer).from_config(layer.get_config()) if layer.weights else layer
