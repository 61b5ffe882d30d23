"""The game in which a transformation learns to keep emotion and to lose identity (Narula, Wang and Chaspari 2020).

In turn, (i) the identity head learns to name people from transformed images, with the transformation frozen; (ii) the
transformation and the emotion head take a step on ``L_emotion + lambda L_privacy``, with the identity head frozen.
``L_privacy`` is one of

- ``adversary``: ``-min(L_identity, log people)``. Beyond chance the head is wrong on purpose, and a fresh one is not.
- ``reversal``: as ``adversary``, with both parts of the step on the same images at the same time.
- ``entropy``: the divergence of what the head says from the uniform distribution; it needs no identity.

Before lambda rises there is a head start for emotion. Training takes a fixed number of steps: in a game no loss tells
when to stop, and an identity head at chance is no evidence that identity is gone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tff_affect.anonymizer.config import FEDERATED, IDENTITY_ONLY, AnonymizerConfig
from tff_affect.anonymizer.networks import (
    build_emotion_head,
    build_identity_head,
    build_transformation,
    code_shape,
)
from tff_affect.errors import DivergedError, InputError
from tff_affect.face_set import FaceSet
from tff_affect.models.classifying import cross_entropy
from tff_affect.progress import StepDone
from tff_affect.streams import keras_seed, stream

_JOINT = ("reversal", IDENTITY_ONLY)
_CHECKS = 20
HELD_OUT = 8
"""Of as many images one is kept from all heads, to see how often the adversary names it."""
_PREDICTED = 256
_SHIFT, _GAIN = 2, 0.15
_CROSS_ENTROPY = cross_entropy()


@dataclass(frozen=True, eq=False)
class Anonymizer:
    """A trained transformation with its emotion head.

    Attributes:
        config: How it was trained.
        classes: Emotions, in the order of the head's outputs.
        transformation: As of `tff_affect.anonymizer.networks.build_transformation`.
        emotion_head: ``[batch, row, column, 1]`` transformed images to ``[batch, class]`` logits.
        history: At each check ``step``, ``privacy_weight``, and ``adversary_accuracy`` on images that no head learned
            from; in one place ``emotion_loss`` and ``emotion_accuracy`` on development people, federated ``loss`` of
            the clients of a round.
        people: On whom the transformation was trained; not known of one that was saved.
        adversary_people: How many people the adversary chose among.
    """

    config: AnonymizerConfig
    classes: tuple[str, ...]
    transformation: tf.keras.Model
    emotion_head: tf.keras.Model
    history: tuple[dict[str, float], ...] = ()
    people: tuple[str, ...] = ()
    adversary_people: int = 0

    @property
    def adversary_accuracy(self) -> float | None:
        """Of the identity head in the end; None where there was none."""
        return self.history[-1].get("adversary_accuracy") if self.history else None

    def transform(self, images: np.ndarray, seed: int | None = None) -> np.ndarray:
        """Transformed images, ``[image, row, column]`` float32, 0 to 1.

        Args:
            images: Likewise.
            seed: Of the noise; the system's entropy by default, since whoever knows the noise could take it away.
        """
        rng = np.random.default_rng(seed)
        shape = self.transformation.input_shape[1][1:]
        found = [np.empty((0, *images.shape[1:]), np.float32)]
        for first in range(0, len(images), _PREDICTED):
            batch = images[first : first + _PREDICTED, ..., np.newaxis].astype(np.float32)
            noise = rng.standard_normal((len(batch), *shape), np.float32)
            found.append(self.transformation([batch, noise], training=False).numpy()[..., 0])
        return np.concatenate(found)

    def emotion(self, transformed: np.ndarray) -> np.ndarray:
        """``[image, class]`` what its own head takes transformed images for, as probabilities."""
        logits = [
            self.emotion_head(transformed[first : first + _PREDICTED, ..., np.newaxis], training=False)
            for first in range(0, len(transformed), _PREDICTED)
        ]
        return np.asarray(tf.nn.softmax(np.concatenate(logits)))


def train(
    faces: FaceSet, development: FaceSet, config: AnonymizerConfig, seed: int, step_done: StepDone | None = None
) -> Anonymizer:
    """Trains a transformation; equal seeds give equal weights on one machine.

    Args:
        faces: Of the training people.
        development: Of others, for the history alone.
        config: How.
        seed: Of weights, batches, noise, and of what is held out for the history.
        step_done: Is told of each check.

    Raises:
        InputError: If there are fewer than two people or emotions, or the size does not fit.
        DivergedError: If a loss is no longer finite.
    """
    if config.objective == FEDERATED:
        raise InputError("anonymizer.objective: federated training is `train_federated`, found it asked for here")
    if len(faces.people) < 2 or len(faces.classes) < 2:
        raise InputError(
            f"faces: expected at least two people and two emotions to train on, found {len(faces.people)} and "
            f"{len(faces.classes)}"
        )
    game = _Game(faces, config, seed)
    history = []
    check_after = max(1, config.steps // _CHECKS)
    for step in range(config.steps):
        game.step(step)
        if (step + 1) % check_after == 0 or step + 1 == config.steps:
            history.append(game.check(step, development))
            if step_done is not None:
                step_done(f"emotion loss {history[-1]['emotion_loss']:.2f}", config.steps, check_after)
    return Anonymizer(
        config, faces.classes, game.transformation, game.emotion_head, tuple(history), faces.people, len(faces.people)
    )


class _Game:
    """The networks, what they learn from, and their steps."""

    def __init__(self, faces: FaceSet, config: AnonymizerConfig, seed: int) -> None:
        self._config = config
        shape = (faces.images.shape[1], faces.images.shape[2])
        self._code = code_shape(shape, config)
        tf.keras.utils.set_random_seed(keras_seed(seed, "first weights"))
        self.transformation = build_transformation(shape, config)
        self.emotion_head = build_emotion_head(shape, len(faces.classes))
        self._identity_head = build_identity_head(shape, len(faces.people))
        held_out = stream(seed, "held out for the history").permutation(len(faces)) % HELD_OUT == 0
        self._held_out, self._faces = faces.part(held_out), faces.part(~held_out)
        self._everybody, self._classes = faces.people, faces.classes
        self._batches = self._draw(stream(seed, "batches and noise"))
        falling = tf.keras.optimizers.schedules.CosineDecay(config.learning_rate, config.steps, alpha=0.1)
        self._optimizer = tf.keras.optimizers.Adam(falling)
        self._optimizer.build(self._learned)
        self._adversary_optimizer = tf.keras.optimizers.Adam(config.adversary_learning_rate)
        self._adversary_optimizer.build(self._identity_head.trainable_variables)
        self._name_people = tf.function(self._identity_step)
        self._learn = tf.function(self._joint_step if config.objective in _JOINT else self._main_step)

    @property
    def _learned(self) -> list[tf.Variable]:
        return self.transformation.trainable_variables + self.emotion_head.trainable_variables

    def step(self, number: int) -> None:
        """The identity head's steps, where it has its own, and the transformation's."""
        config = self._config
        if config.objective not in _JOINT and config.privacy_weight and config.has_started(number):
            for _ in range(config.adversary_steps):
                self._name_people(*next(self._batches)[:2])
        self._learn(*next(self._batches), tf.constant(config.weight_at(number), tf.float32))

    def check(self, step: int, development: FaceSet) -> dict[str, float]:
        """How far things are.

        Raises:
            DivergedError: If the emotion loss is no longer finite.
        """
        logits = self._emotion_logits(development)
        wanted = development.emotion(self._classes)
        loss = float(_CROSS_ENTROPY(wanted, logits))
        if not math.isfinite(loss):
            raise DivergedError(
                f"anonymizer: the emotion loss is {loss:g} after {step + 1} steps; try a smaller "
                "anonymizer.learning_rate or privacy_weight"
            )
        found = {
            "step": step + 1.0,
            "privacy_weight": self._config.weight_at(step),
            "emotion_loss": loss,
            "emotion_accuracy": float((logits.argmax(axis=1) == wanted).mean()),
        }
        if self._config.privacy_weight or self._config.objective == IDENTITY_ONLY:
            found["adversary_accuracy"] = self._adversary_accuracy()
        return found

    def _emotion_logits(self, faces: FaceSet) -> np.ndarray:
        parts = [
            self.emotion_head(self._transformed(tf.constant(faces.images[first : first + _PREDICTED, ..., np.newaxis])))
            for first in range(0, len(faces), _PREDICTED)
        ]
        return np.concatenate(parts)

    def _adversary_accuracy(self) -> float:
        images = tf.constant(self._held_out.images[..., np.newaxis])
        named = np.argmax(self._identity_head(self._transformed(images), training=False), axis=1)
        people = np.searchsorted(self._everybody, self._held_out.subjects)
        return float((named == people).mean())

    def _draw(self, rng: np.random.Generator) -> Iterator[tuple[tf.Tensor, ...]]:
        """Images, moved and lit a little differently each time, with the numbers of their people and emotions."""
        images, emotion = self._faces.images, self._faces.emotion(self._classes)
        person = np.searchsorted(self._everybody, self._faces.subjects)
        while True:
            rows = rng.integers(len(images), size=self._config.batch)
            moved = np.roll(images[rows], rng.integers(-_SHIFT, _SHIFT + 1, size=2), axis=(1, 2))
            lit = np.clip(moved * rng.uniform(1 - _GAIN, 1 + _GAIN, size=(len(rows), 1, 1)), 0, 1)
            yield (
                tf.constant(lit[..., np.newaxis], tf.float32),
                tf.constant(person[rows]),
                tf.constant(emotion[rows]),
            )

    def _transformed(self, images: tf.Tensor) -> tf.Tensor:
        return self.transformation([images, tf.random.normal((tf.shape(images)[0], *self._code))])

    def _identity_step(self, images: tf.Tensor, person: tf.Tensor) -> None:
        """The identity head learns, the transformation is frozen."""
        learned = self._identity_head.trainable_variables
        with tf.GradientTape() as tape:
            loss = _CROSS_ENTROPY(person, self._identity_head(self._transformed(images), training=True))
        self._adversary_optimizer.apply_gradients(zip(tape.gradient(loss, learned), learned, strict=True))

    def _main_step(self, images: tf.Tensor, person: tf.Tensor, emotion: tf.Tensor, weight: tf.Tensor) -> None:
        """The transformation and the emotion head learn, the identity head is frozen."""
        with tf.GradientTape() as tape:
            transformed = self._transformed(images)
            named = self._identity_head(transformed, training=False)
            loss = _CROSS_ENTROPY(emotion, self.emotion_head(transformed, training=True))
            loss += weight * self._privacy_loss(named, person)
        self._optimizer.apply_gradients(zip(tape.gradient(loss, self._learned), self._learned, strict=True))

    def _joint_step(self, images: tf.Tensor, person: tf.Tensor, emotion: tf.Tensor, weight: tf.Tensor) -> None:
        """All learn from the same images; from the identity head to the transformation gradients are reversed."""
        own = self._identity_head.trainable_variables
        with tf.GradientTape(persistent=True) as tape:
            transformed = self._transformed(images)
            named = self._identity_head(transformed, training=True)
            identity = _CROSS_ENTROPY(person, named)
            loss = _CROSS_ENTROPY(emotion, self.emotion_head(self._read(transformed), training=True))
            loss += identity if self._config.objective == IDENTITY_ONLY else weight * self._privacy_loss(named, person)
        self._optimizer.apply_gradients(zip(tape.gradient(loss, self._learned), self._learned, strict=True))
        self._adversary_optimizer.apply_gradients(zip(tape.gradient(identity, own), own, strict=True))

    def _read(self, transformed: tf.Tensor) -> tf.Tensor:
        """What the emotion head sees; in the single-task network for identity it must not teach the transformation."""
        return tf.stop_gradient(transformed) if self._config.objective == IDENTITY_ONLY else transformed

    def _privacy_loss(self, named: tf.Tensor, person: tf.Tensor) -> tf.Tensor:
        if self._config.objective == "entropy":
            return undecided(named)
        return -tf.minimum(_CROSS_ENTROPY(person, named), math.log(len(self._everybody)))


def undecided(logits: tf.Tensor) -> tf.Tensor:
    """Divergence of the uniform distribution from what a head says, mean over ``[batch, person]`` logits; 0 if even."""
    return -tf.reduce_mean(tf.nn.log_softmax(logits)) - math.log(logits.shape[-1])
