"""What explanations of gait networks have in common: the network behind its scaling, and maps averaged over cycles.

A network sees no metres. A layer near its beginning says how far each number is from the training people's mean gait,
in their deviations (`tff_affect.gait.layers.Standardised`), and only behind it is a step of one size equally usual for
all joints: a centimetre is nothing for a wrist and much for a hip. Explanations therefore start there. A number that
did not vary in the training people, such as where the pelvis is if it is the origin, has no importance: how a network
would answer to what never happens is left from its first weights.

Behind `tff_affect.gait.layers.Directions` these numbers are directions of bones and how fast they change, which belong
to the joint at the bone's far end: the wrist's is how the forearm moves, whatever carries it. The duration of the cycle
belongs to no joint, and is in no map.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tff_affect.errors import InputError
from tff_affect.gait.bone_tree import BoneTree
from tff_affect.gait_set import GaitSet

if TYPE_CHECKING:
    import tensorflow as tf

AT_ONCE = 256
"""Cycles that a network is shown at once."""


@dataclass(frozen=True, eq=False)
class HeatMaps:
    """How much each joint matters at each phase of the gait cycle, for each emotion.

    Attributes:
        emotions: Their names.
        joints: Their names.
        maps: ``[emotion, time, joint]`` float64, at least 0, of sum 1 for each emotion; NaN for one without cycles.
        cycles: Of each emotion, how many its map is the mean of.
    """

    emotions: tuple[str, ...]
    joints: tuple[str, ...]
    maps: np.ndarray
    cycles: tuple[int, ...]

    def __post_init__(self) -> None:
        shape = self.maps.shape
        if len(shape) != 3 or (shape[0], shape[2]) != (len(self.emotions), len(self.joints)) or not shape[1]:
            raise InputError(
                f"heat maps: expected [{len(self.emotions)} emotions, time, {len(self.joints)} joints], found "
                f"{list(shape)}"
            )
        if len(self.cycles) != len(self.emotions):
            raise InputError(f"heat maps: expected a count of cycles for each emotion, found {len(self.cycles)}")

    @property
    def phases(self) -> np.ndarray:
        """``[time]`` where each part of the cycle begins, from 0 to below 1."""
        return np.arange(self.maps.shape[1]) / self.maps.shape[1]

    @property
    def emotion_joint_importance(self) -> np.ndarray:
        """``[emotion, joint]`` shares of a whole cycle; NaN as of `maps`."""
        return np.asarray(self.maps.sum(axis=1))

    @cached_property
    def joint_importance(self) -> np.ndarray:
        """``[joint]`` mean share over the emotions that have a map; NaN if none has."""
        found = self.emotion_joint_importance[np.array(self.cycles) > 0]
        return found.mean(axis=0) if len(found) else np.full(len(self.joints), np.nan)

    def coarser(self, parts: int) -> HeatMaps:
        """The same with a cycle in fewer, equal parts.

        Raises:
            InputError: If its samples cannot be divided so.
        """
        emotions, samples, joints = self.maps.shape
        if parts < 1 or samples % parts:
            raise InputError(f"heat maps: expected parts that divide {samples} samples of a cycle, found {parts}")
        maps = self.maps.reshape(emotions, parts, -1, joints).sum(axis=2)
        return HeatMaps(self.emotions, self.joints, maps, self.cycles)


def heat_maps(importance: np.ndarray, gaits: GaitSet) -> HeatMaps:
    """Averages over cycles, which are aligned by being cut at one event (as Malek-Podjaski and Deligianni 2021 do).

    What speaks for an emotion in one cycle and against it in another is the person's or chance's, not the emotion's:
    contributions are averaged with their sign, and what then speaks against an emotion counts as 0. Before that each
    cycle's map is scaled to contributions of 1 in all, so that no cycle counts more because the network is surer of it;
    maps of one person are averaged before those of people, so that all people count the same.

    Args:
        importance: ``[cycle, time, joint]``; below 0, what speaks against a class. A cycle of zeros is left out.
        gaits: Whose cycles they are, and with which emotions.

    Raises:
        InputError: If there is not one map of the joints for each cycle, or one is NaN or infinite.
    """
    if importance.ndim != 3 or (len(importance), importance.shape[2]) != (len(gaits), len(gaits.joints)):
        raise InputError(
            f"heat maps: expected [{len(gaits)} cycles, time, {len(gaits.joints)} joints], found "
            f"{list(importance.shape)}"
        )
    if not np.isfinite(importance).all():
        raise InputError("heat maps: expected an importance of all joints in every sample, found NaN or infinity")
    sizes = np.abs(importance).sum(axis=(1, 2), dtype=np.float64)
    emotion, maps, counts = gaits.emotion(gaits.classes), [], []
    for number in range(len(gaits.classes)):
        shown = (emotion == number) & (sizes > 0)
        scaled, whose = importance[shown] / sizes[shown, np.newaxis, np.newaxis], gaits.person[shown]
        each = [scaled[whose == person].mean(axis=0) for person in np.unique(whose)]
        speaks = np.maximum(np.mean(each, axis=0) if each else np.zeros(importance.shape[1:]), 0)
        maps.append(speaks / speaks.sum() if speaks.any() else np.full(speaks.shape, np.nan))
        counts.append(int(shown.sum()) if speaks.any() else 0)
    shape = (len(counts), *importance.shape[1:])
    return HeatMaps(gaits.classes, gaits.joints, np.reshape(maps, shape), tuple(counts))


class Agreement(NamedTuple):
    """Spearman's rank correlations of two sets of heat maps.

    Attributes:
        phases: Over joints and phases, on the coarser of the two grids: mean over emotions.
        joints: Over the joints' importance in all.
    """

    phases: float
    joints: float


def agreement(one: HeatMaps, other: HeatMaps) -> Agreement:
    """How alike two explanations are; NaN where one of them ranks nothing.

    Joints of no importance in either are left out: that what never moves is last in both is nobody's merit.

    Raises:
        InputError: If emotions or joints differ, no emotion has both maps, or one cycle's samples are no multiple of
            the other's.
    """
    if (one.emotions, one.joints) != (other.emotions, other.joints):
        raise InputError("heat maps: expected the same emotions and joints in both, found others")
    both = np.flatnonzero((np.array(one.cycles) > 0) & (np.array(other.cycles) > 0))
    if not len(both):
        raise InputError("heat maps: expected an emotion with a map in both, found none")
    parts = min(len(one.phases), len(other.phases))
    first, second = (maps.coarser(parts).maps[both] for maps in (one, other))
    ranked = (first + second).sum(axis=(0, 1)) > 0
    phases = [
        rank_correlation(left.ravel(), right.ravel())
        for left, right in zip(first[:, :, ranked], second[:, :, ranked], strict=True)
    ]
    joints = rank_correlation(one.joint_importance[ranked], other.joint_importance[ranked])
    return Agreement(float(np.mean(phases)), joints)


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation; NaN where all of one are equal.

    Ties bound it: where one of 14 joints is important and the others are equal, it is .45 at most.
    """
    from scipy.stats import spearmanr

    return float(spearmanr(one, other).correlation) if min(map(np.ptp, (one, other))) > 0 else float("nan")


@dataclass(frozen=True, eq=False)
class OpenNetwork:
    """A copy of a classifier from behind its scaling on, all layers in one graph.

    Attributes:
        network: ``[batch, time, channel]`` deviations to ``[batch, class]`` logits.
        inputs: ``[cycle, time, channel]`` float32, the gaits in deviations.
        joints: ``[channel, joint]`` 1 where a channel belongs to a joint and varied in the training people, else 0.
        classes: ``[cycle]`` the classes to be explained.
    """

    network: tf.keras.Model
    inputs: np.ndarray
    joints: np.ndarray
    classes: np.ndarray

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Inputs and their classes, so many at once as is good for memory."""
        for first in range(0, len(self.inputs), AT_ONCE):
            rows = slice(first, first + AT_ONCE)
            yield self.inputs[rows], self.classes[rows]


def open_network(classifier: tf.keras.Model, gaits: GaitSet, classes: np.ndarray) -> OpenNetwork:
    """Copies what is behind a classifier's scaling, and scales gaits as it does.

    A classifier without a `tff_affect.gait.layers.Standardised` layer is explained from its input on.

    Args:
        classifier: A chain of layers, some of which may be chains themselves, from ``[batch, time, joint x 3]`` metres
            or ``[batch, time, joint x 3 + 1]`` as `GaitSet.series` to ``[batch, class]`` logits, or to probabilities by
            a softmax in its last layer, which is left out.
        gaits: Cycles.
        classes: ``[cycle]`` number of the class that shall be explained.

    Raises:
        InputError: If the classifier is not of that kind, gaits are not of its shape, or there is not one of its
            classes for each.
    """
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear

    from tff_affect.gait.layers import LEAST_DEVIATION, Standardised

    layers = list(_chain(classifier))
    _check(classifier, gaits, classes)
    scaling = next((at for at, layer in enumerate(layers) if isinstance(layer, Standardised)), None)
    behind = 0 if scaling is None else scaling + 1
    inputs = _inputs(gaits, classifier.input_shape[2])
    for layer in layers[:behind]:
        inputs = layer(inputs)
    joints = _joints(gaits, inputs.shape[2])
    if scaling is not None:
        joints[layers[scaling].get_weights()[1] <= LEAST_DEVIATION] = 0
    network = _copied(layers[behind:], inputs.shape[1:])
    ReplaceToLinear()(network)
    return OpenNetwork(network, np.asarray(inputs), joints, np.asarray(classes))


def _inputs(gaits: GaitSet, channels: int) -> np.ndarray:
    """``[cycle, time, channel]`` float32: places alone, or with the duration."""
    if channels % 3:
        return gaits.series
    return gaits.motions.reshape(*gaits.motions.shape[:2], channels).astype(np.float32)


def _joints(gaits: GaitSet, channels: int) -> np.ndarray:
    """``[channel, joint]`` 1 where a channel is of a joint, for places or for directions of bones and their rates."""
    places = np.repeat(np.eye(len(gaits.joints)), 3, axis=0)
    if channels <= len(places) + 1:
        found = places
    else:
        far = [joint for _, joint in BoneTree.of(gaits.joints, gaits.bones).bones]
        found = np.tile(places.reshape(-1, 3, len(gaits.joints))[far].reshape(-1, len(gaits.joints)), (2, 1))
    if not 0 <= channels - len(found) <= 1:
        raise InputError(f"gait: expected scaled places or directions of bones, found {channels} channels")
    return np.concatenate([found, np.zeros((channels - len(found), len(gaits.joints)))])


def log_odds(logits: tf.Tensor, classes: np.ndarray) -> tf.Tensor:
    """``[batch]`` logarithm of the odds of a class against all others.

    A logit alone says little, since a softmax does not see what all logits have in common; a probability near 1 hardly
    changes, whatever is done.

    Args:
        logits: ``[batch, class]``.
        classes: ``[batch]`` number of a class.
    """
    import tensorflow as tf

    wanted = tf.one_hot(classes, logits.shape[1], on_value=True, off_value=False, dtype=tf.bool)
    others = tf.where(wanted, tf.constant(-np.inf, logits.dtype), logits)
    return tf.gather(logits, classes, batch_dims=1) - tf.reduce_logsumexp(others, axis=1)


def _chain(network: tf.keras.Model) -> Iterator[tf.keras.layers.Layer]:
    """All layers in order, but for inputs."""
    import tensorflow as tf

    before = None
    for layer in network.layers:
        if not isinstance(network, tf.keras.Sequential):
            wanted: list[tf.keras.layers.Layer] = [] if before is None else [before]
            sources = [[parent.layer for parent in node.parent_nodes] for node in layer.inbound_nodes]
            if wanted not in sources:
                raise InputError(f"gait: expected a classifier that is a chain of layers, found {layer.name} elsewhere")
        before = layer
        if isinstance(layer, tf.keras.Model):
            yield from _chain(layer)
        elif not isinstance(layer, tf.keras.layers.InputLayer):
            yield layer


def _copied(layers: list[tf.keras.layers.Layer], shape: tuple[int, ...]) -> tf.keras.Model:
    """The same layers with the same weights in a graph of their own: explaining changes activations."""
    import tensorflow as tf

    # Layers of two networks may have one name, which one graph cannot hold.
    copies = [
        type(layer).from_config({**layer.get_config(), "name": f"layer_{number}"})
        for number, layer in enumerate(layers)
    ]
    inputs = hidden = tf.keras.Input(shape)
    for copy in copies:
        hidden = copy(hidden)
    for layer, copy in zip(layers, copies, strict=True):
        copy.set_weights(layer.get_weights())
    return tf.keras.Model(inputs, hidden)


def _check(classifier: tf.keras.Model, gaits: GaitSet, classes: np.ndarray) -> None:
    shape, answers, (_, samples, joints, _) = classifier.input_shape, classifier.output_shape, gaits.motions.shape
    if len(answers) != 2 or answers[1] < 2:
        raise InputError(f"gait: expected a classifier of two classes or more, found outputs {list(answers)}")
    if len(shape) != 3 or shape[1] != samples or not 0 <= shape[2] - 3 * joints <= 1:
        raise InputError(
            f"gait: expected a classifier with inputs [{samples} samples, {joints} joints x 3 or one more], found "
            f"{list(shape[1:])}"
        )
    if classes.shape != (len(gaits),) or not np.isin(classes, np.arange(answers[1])).all():
        found = f"{list(classes.shape)}" if classes.shape != (len(gaits),) else f"{classes.min()} to {classes.max()}"
        raise InputError(
            f"gait: expected a class from 0 to {answers[1] - 1} for each of {len(gaits)} cycles, found {found}"
        )
