"""Rebuilding windows from a client's update: windows are sought whose update would be the one that was seen.

Zhu et al., "Deep Leakage from Gradients" (NeurIPS 2019), minimise the squared distance of the two; Geiping et al.,
"Inverting Gradients" (NeurIPS 2020), the angle, with a prior for images that change little from place to place, here
for faces that change little from frame to frame. The angle is taken of each weight by itself, so that small ones count
as much as large ones. All victims and restarts are one batch: they share every operation, and nothing else.

The attacker knows the weights that a client started from and how it trains; not its windows, and perhaps not its
labels, which are then sought as well. A few steps of SGD are repeated step by step. After other optimizers, dropout or
more steps the update is taken for a single gradient's direction, which is coarser.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import tensorflow as tf

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig, OptimizerConfig
from tff_affect.errors import InputError
from tff_affect.losses import build_loss
from tff_affect.privacy.audit.plain_network import PlainNetwork

Tensors = Sequence[tf.Tensor]
MATCHINGS = ("cosine", "squared distance")
MOST_STEPS = 4
"""Local steps that are repeated one by one: each makes the graph that much larger."""
_LABEL_SCALE = 0.3  # an optimiser's unit of features, which are standardised, is this much of a label's
_LAST_SMOOTHNESS = 0.03  # what is left of it in the end
_DECAYS = (0.9, 0.99)


@dataclass(frozen=True)
class LocalWork:
    """What a client did to make its update, as the server knows it: it gave the orders.

    Attributes:
        model: One of the models of ``PlainNetwork``.
        shape: Of one window.
        loss: ``ccc`` or ``mse``.
        optimizer: That of the client.
        windows: How many the client has.
        epochs: Passes over them.
        batch_size: Windows per step, in the order that they are in.
    """

    model: ModelConfig
    shape: WindowShape
    loss: str
    optimizer: OptimizerConfig
    windows: int = 1
    epochs: int = 1
    batch_size: int = 10

    def __post_init__(self) -> None:
        for name in ("windows", "epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"local work: expected {name} of at least 1, found {getattr(self, name)}; raise it")

    @property
    def batches(self) -> list[slice]:
        """The windows of each step."""
        starts = range(0, self.windows, self.batch_size)
        return [slice(start, start + self.batch_size) for start in starts] * self.epochs

    @property
    def repeatable(self) -> bool:
        """Whether the update can be made again from the windows; if not, it is taken for one gradient's direction."""
        return self.optimizer.name == "sgd" and not self.model.dropout and len(self.batches) <= MOST_STEPS


@dataclass(frozen=True)
class MatchingConfig:
    """How windows are sought.

    Attributes:
        matching: One of ``MATCHINGS``; a direction is matched by ``cosine`` alone.
        restarts: Random windows to start from. After a quarter of the steps, the quarter of them that came nearest to
            the update starts again from there; of these the nearest counts.
        iterations: Steps of Adam of those that are kept.
        step: The first step's size, in units of standardised features; the size falls to 0 along a cosine.
        smoothness: Weight of the mean square change from frame to frame beside the distance, at first; it falls.
        seed: Of the random windows; the same seed finds the same.
    """

    matching: str = "cosine"
    restarts: int = 12
    iterations: int = 800
    step: float = 0.1
    smoothness: float = 2e-2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.matching not in MATCHINGS:
            raise InputError(f"matching: expected one of {', '.join(MATCHINGS)}, found {self.matching!r}; name one")
        if min(self.restarts, self.iterations) < 1 or self.seed < 0:
            raise InputError(
                "matching: expected restarts and iterations of at least 1 and a seed of at least 0, found "
                f"{self.restarts}, {self.iterations} and {self.seed}; raise what is below"
            )
        if not (0 < self.step < math.inf and 0 <= self.smoothness < math.inf):
            raise InputError(
                f"matching: expected a step above 0 and a smoothness of at least 0, found {self.step:g} and "
                f"{self.smoothness:g}; change them"
            )


@dataclass(frozen=True)
class Rebuilt:
    """What was found.

    Attributes:
        features: ``[victims, windows, time, feature]``, in the units of training.
        distance: ``[victims]``, between the updates of these windows and those seen; 0 is the same, for ``cosine`` at
            most 2.
    """

    features: np.ndarray
    distance: np.ndarray


def rebuild_windows(
    weights: Sequence[np.ndarray],
    updates: Sequence[np.ndarray],
    work: LocalWork,
    labels: np.ndarray | None = None,
    config: MatchingConfig | None = None,
) -> Rebuilt:
    """Seeks the windows of several victims, each from its own update.

    Preparing the graph takes as long as hundreds of steps: updates of one kind of work that are protected in different
    ways are best stacked as so many victims more.

    Args:
        weights: What all of them started from, in Keras order.
        updates: Weights before less weights after, each ``[victims, *shape of the weight]``.
        work: What the victims did.
        labels: ``[victims, windows, targets, dimension]``, NaN where there is none; None where the attacker does not
            know them.
        config: How to seek.

    Raises:
        InputError: If the model cannot be attacked so, shapes do not go together, or an update is not finite.
    """
    config = config or MatchingConfig()
    _check(weights, updates, work, labels, config)
    return _Search(weights, updates, work, labels, config).run()


def update_of(weights: Tensors, features: tf.Tensor, labels: tf.Tensor, work: LocalWork) -> list[tf.Tensor]:
    """The update that local work on some windows makes, differentiable with respect to the windows.

    Args:
        weights: To start from, each ``[items, *shape of the weight]``.
        features: ``[items, windows, time, feature]``, of the type of the weights.
        labels: ``[items, windows, targets, dimension]``.
        work: What is done; where it is not `LocalWork.repeatable`, the result is a direction.

    Returns:
        Weights before less weights after, of the shape of ``weights``.
    """
    gradients = partial(PlainNetwork(work.model, work.shape).gradients, build_loss(work.loss))
    if not work.repeatable:
        return _direction(gradients(weights, features, labels), work)
    after, velocity = list(weights), [tf.zeros_like(w) for w in weights]
    for batch in work.batches:
        found = gradients(after, features[:, batch], labels[:, batch])
        velocity = [work.optimizer.momentum * v + g for v, g in zip(velocity, found, strict=True)]
        after = [w - work.optimizer.learning_rate * v for w, v in zip(after, velocity, strict=True)]
    return [before - now for before, now in zip(weights, after, strict=True)]


def _direction(gradients: Tensors, work: LocalWork) -> list[tf.Tensor]:
    """Of a gradient; Adam's first steps are nearly its signs, which are made soft so that they have a slope."""
    if work.optimizer.name != "adam":
        return list(gradients)
    return [g / (tf.abs(g) + 0.1 * tf.reshape(_norm(g), _column(g)) / math.sqrt(_size(g)) + 1e-30) for g in gradients]


def _size(tensor: tf.Tensor) -> int:
    return int(np.prod(tensor.shape[1:]))


def _column(tensor: tf.Tensor) -> list[int]:
    """A shape in which ``[items]`` stands beside ``[items, ...]``."""
    return [-1] + [1] * (tensor.shape.rank - 1)


def _product(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """``[items]``: inner products over all but the items."""
    return tf.reduce_sum(a * b, axis=list(range(1, a.shape.rank)))


def _norm(a: tf.Tensor) -> tf.Tensor:
    # The slope of a root at zero is infinite.
    return tf.sqrt(_product(a, a) + 1e-60)


def matching_distance(matching: str, found: Tensors, seen: Tensors) -> tf.Tensor:
    """How far updates are apart, ``[items]``; both are lists of ``[items, ...]``.

    ``squared distance`` is relative to the squared norm of what was seen. ``cosine`` is one minus the cosine, the mean
    over weights.
    """
    if matching == "cosine":
        angles = [1 - _product(f, s) / (_norm(f) * _norm(s)) for f, s in zip(found, seen, strict=True)]
        return tf.add_n(angles) / len(angles)
    apart = [tf.square(_norm(f - s)) for f, s in zip(found, seen, strict=True)]
    return tf.add_n(apart) / tf.add_n([tf.square(_norm(s)) for s in seen])


class _Search:
    """All restarts of all victims at once, each of which is an item."""

    def __init__(
        self,
        weights: Sequence[np.ndarray],
        updates: Sequence[np.ndarray],
        work: LocalWork,
        labels: np.ndarray | None,
        config: MatchingConfig,
    ) -> None:
        self._victims, self._work, self._config = len(updates[0]), work, config
        self._weights = [tf.constant(w, tf.float64) for w in weights]
        self._seen = [tf.constant(u, tf.float64) for u in updates]
        self._labels = None if labels is None else tf.constant(labels, tf.float64)
        shape = work.shape
        self._sizes = [shape.window * shape.features, 0 if labels is not None else shape.targets * shape.labels]
        numbers = tf.TensorSpec([None, work.windows, sum(self._sizes)], tf.float64)
        signature = [numbers, tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.float64)]
        self._slope = tf.function(self._slope_in_graph, signature, autograph=False)

    def _parts(self, point: tf.Tensor, victim: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Features and labels of a point ``[items, windows, numbers]``."""
        shape, (features, labels) = self._work.shape, tf.split(point, self._sizes, axis=-1)
        features = tf.reshape(features, [-1, self._work.windows, shape.window, shape.features])
        if self._labels is not None:
            return features, tf.gather(self._labels, victim)
        return features, _LABEL_SCALE * tf.reshape(labels, [-1, self._work.windows, shape.targets, shape.labels])

    def _slope_in_graph(
        self, point: tf.Tensor, victim: tf.Tensor, smoothness: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The distance ``[items]``, and the slope of what is minimised."""
        weights = [tf.repeat(w[tf.newaxis], tf.size(victim), axis=0) for w in self._weights]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(point)
            features, labels = self._parts(point, victim)
            update = update_of(weights, features, labels, self._work)
            distance = matching_distance(self._config.matching, update, [tf.gather(s, victim) for s in self._seen])
            change = tf.reduce_mean(tf.square(features[:, :, 1:] - features[:, :, :-1]), axis=[1, 2, 3])
            target = distance + smoothness * change
        return distance, tape.gradient(target, point)

    def run(self) -> Rebuilt:
        """A short descent from every start, a long one of the best, and the victims' nearest of these."""
        victim = np.repeat(np.arange(self._victims, dtype=np.int32), self._config.restarts)
        point, distance = self._descend(self._start(), victim, self._config.iterations // 4 or 1)
        kept = self._nearest(victim, distance, max(1, self._config.restarts // 4))
        point, distance = self._descend(point[kept], victim[kept], self._config.iterations)
        best = self._nearest(victim[kept], distance, 1)
        features, _ = self._parts(tf.constant(point[best]), tf.constant(victim[kept][best]))
        return Rebuilt(features.numpy(), distance[best])

    def _start(self) -> np.ndarray:
        """Small random windows, the same for each victim: what is found of one does not depend on who else is there."""
        shape = (self._config.restarts, self._work.windows, sum(self._sizes))
        drawn = np.random.default_rng(self._config.seed).normal(0, 0.3, shape)
        return np.concatenate([drawn] * self._victims)

    def _descend(self, point: np.ndarray, victim: np.ndarray, iterations: int) -> tuple[np.ndarray, np.ndarray]:
        """Adam (Kingma and Ba 2015) on each item by itself; the points where it ends, and their distances."""
        config, mean, square = self._config, np.zeros_like(point), np.zeros_like(point)
        for number in range(1, iterations + 1):
            done = (number - 1) / iterations
            # Smoothness leads out of poor minima early on, and would flatten what is fine in the end.
            smoothness = tf.constant(config.smoothness * _LAST_SMOOTHNESS**done, tf.float64)
            gradient = self._slope(tf.constant(point), tf.constant(victim), smoothness)[1].numpy()
            # Slopes shrink by orders of magnitude on the way: of a constant length Adam's memory counts all alike.
            gradient /= np.sqrt(np.square(gradient).sum(axis=(1, 2), keepdims=True)) + 1e-300
            mean += (1 - _DECAYS[0]) * (gradient - mean)
            square += (1 - _DECAYS[1]) * (np.square(gradient) - square)
            first, second = mean / (1 - _DECAYS[0] ** number), square / (1 - _DECAYS[1] ** number)
            size = config.step * (1 + math.cos(math.pi * done)) / 2
            point = point - size * first / (np.sqrt(second) + 1e-12)
        return point, self._slope(tf.constant(point), tf.constant(victim), tf.constant(0.0, tf.float64))[0].numpy()

    def _nearest(self, victim: np.ndarray, distance: np.ndarray, count: int) -> np.ndarray:
        """The ``count`` items of each victim whose update came nearest: the attacker sees that without the truth."""
        order = np.lexsort([np.where(np.isfinite(distance), distance, np.inf), victim])
        return np.asarray(order.reshape(self._victims, -1)[:, :count].ravel())


def _check(
    weights: Sequence[np.ndarray],
    updates: Sequence[np.ndarray],
    work: LocalWork,
    labels: np.ndarray | None,
    config: MatchingConfig,
) -> None:
    shapes = [w.shape for w in weights]
    if [u.shape[1:] for u in updates] != shapes or len({len(u) for u in updates}) != 1:
        raise InputError(
            f"inversion: expected updates of shapes [victims, *weight] for {shapes}, found "
            f"{[u.shape for u in updates]}; stack one update of each victim"
        )
    if not all(np.isfinite(u).all() for u in updates):
        raise InputError("inversion: expected finite updates, found NaN or infinity; leave that victim out")
    wanted = (len(updates[0]), work.windows, work.shape.targets, work.shape.labels)
    if labels is not None and labels.shape != wanted:
        raise InputError(f"inversion: expected labels {wanted}, found {labels.shape}; give those of each window")
    if not work.repeatable and config.matching != "cosine":
        raise InputError(
            f"inversion: expected matching 'cosine', found {config.matching!r}: after {work.optimizer.name}, "
            f"dropout or more than {MOST_STEPS} steps an update is a direction; match by 'cosine'"
        )
