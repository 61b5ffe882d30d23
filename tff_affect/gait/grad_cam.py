"""Guided Grad-CAM for gait networks: which joints, at which phases, speak for an emotion.

After Malek-Podjaski and Deligianni (2021, arXiv 2105.03958), who explain emotion in gait by Guided Grad-CAM (Selvaraju
et al. 2017, arXiv 1610.02391). Grad-CAM says when: the channels of the last convolution, each times the mean gradient
of what is explained, summed, as far as above 0. Guided backpropagation (Springenberg et al. 2015, arXiv 1412.6806) says
where: the gradient at the input, which goes back through a rectifier only where it and the activation are positive.
That gradient says what a change would do; times how far the input is from the mean gait (Shrikumar et al. 2016, arXiv
1605.01713) it says what the movement that is there does, and whether it speaks for the class or against it.

What is explained are the logarithmic odds of a class, not its logit (`tff_affect.gait.explanation.log_odds`).

It tells joints rather than phases, and not each cycle has a map. A value of the last convolution sees 21 samples of
an encoder of `tff_affect.gait.networks`, two thirds of a cycle of 32, which leaves little of when; where its
channels speak against a class by their mean gradient, Grad-CAM is 0 throughout, for some cycles and even for most of an
emotion's. `gradient_times_deviation` tells phases as occlusion does, for every cycle. No method is right by itself
(Adebayo et al. 2018, arXiv 1810.03292), and what is multiplied by the input shows some of it whatever the weights: hold
each map against `tff_affect.gait.occlusion`, by occlusion and by random weights, and see `HeatMaps.cycles`.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tff_affect.errors import InputError
from tff_affect.gait.explanation import log_odds, open_network
from tff_affect.gait_set import GaitSet


def guided_grad_cam(classifier: tf.keras.Model, gaits: GaitSet, classes: np.ndarray) -> np.ndarray:
    """How much each joint speaks for a class, or against it, at each sample of a cycle.

    The gradient is with respect to deviations of the training people, not to metres: see
    `tff_affect.gait.explanation`. Deterministic.

    Args:
        classifier: As of `tff_affect.gait.explanation.open_network`, with a convolution over time; rectifiers are
            activations of layers, not layers of their own.
        gaits: Cycles.
        classes: ``[cycle]`` number of the class that shall be explained.

    Returns:
        ``[cycle, time, joint]`` float64: guided gradient times deviation, summed over what is a joint's, times
        Grad-CAM; below 0 where it speaks against the class.

    Raises:
        InputError: As of `tff_affect.gait.explanation.open_network`, or if there is no convolution, or a rectifier that
            is a layer of its own.
    """
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.model_modifiers import GuidedBackpropagation

    opened = open_network(classifier, gaits, classes)
    last = _last_convolution(opened.network)
    when, where = Gradcam(opened.network), Saliency(opened.network, model_modifier=GuidedBackpropagation())
    found = [np.empty((0, *gaits.motions.shape[1:3]))]
    for inputs, wanted in opened.batches():

        def explained(logits: tf.Tensor, wanted: np.ndarray = wanted) -> tf.Tensor:
            return log_odds(logits, wanted)

        cam = when(explained, inputs, penultimate_layer=last, expand_cam=False, normalize_cam=False)
        guided = where(explained, inputs, keepdims=True, gradient_modifier=None, normalize_map=False)
        speaks = inputs * np.asarray(guided, np.float64) @ opened.joints
        found.append(_around_the_cycle(np.asarray(cam, np.float64), speaks.shape[1])[:, :, np.newaxis] * speaks)
    return np.concatenate(found)


def gradient_times_deviation(classifier: tf.keras.Model, gaits: GaitSet, classes: np.ndarray) -> np.ndarray:
    """How much each joint's difference from the mean gait adds to the odds of a class, to first order.

    Gradient times input (Shrikumar et al. 2016), where an input of 0 is the training people's mean
    gait: what occlusion would find if the network were linear, at each sample and for the price of one gradient.

    Args:
        classifier: As of `tff_affect.gait.explanation.open_network`.
        gaits: Cycles.
        classes: ``[cycle]`` number of the class that shall be explained.

    Returns:
        ``[cycle, time, joint]`` float64 nats, summed over what is a joint's; below 0 where it speaks against it.

    Raises:
        InputError: As of `tff_affect.gait.explanation.open_network`.
    """
    opened = open_network(classifier, gaits, classes)
    found = [np.empty((0, *gaits.motions.shape[1:3]))]
    for inputs, wanted in opened.batches():
        watched = tf.constant(inputs)
        with tf.GradientTape() as tape:
            tape.watch(watched)
            odds = log_odds(opened.network(watched, training=False), wanted)
        found.append(inputs * tape.gradient(odds, watched).numpy().astype(np.float64) @ opened.joints)
    return np.concatenate(found)


def _last_convolution(network: tf.keras.Model) -> tf.keras.layers.Layer:
    if any(isinstance(layer, tf.keras.layers.ReLU) for layer in network.layers):
        raise InputError("gait: expected rectifiers as activations of layers, found one that is a layer of its own")
    found = [layer for layer in network.layers if isinstance(layer, tf.keras.layers.Conv1D)]
    if not found:
        raise InputError("gait: expected a classifier with a convolution over time, found none")
    return found[-1]


def _around_the_cycle(values: np.ndarray, samples: int) -> np.ndarray:
    """``[cycle, samples]`` drawn linearly through fewer values, of which the last goes before the first.

    Strided circular convolutions keep every so-manieth sample: value k stands at sample k x samples / values.
    """
    at = np.arange(samples) * values.shape[1] / samples
    before = np.floor(at).astype(int)
    share = at - before
    return np.asarray((1 - share) * values[:, before] + share * values[:, (before + 1) % values.shape[1]])
