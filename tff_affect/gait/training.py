"""The game in which gaits are learned to be taken apart.

After Malek-Podjaski and Deligianni (2021, arXiv 2105.03958): codes are exchanged between people who show the same
emotion, and between emotions of the same person, and the cycle has to come out as it was. Adversaries for what a code
shall not hold, as relatives of that paper have them (PMR, arXiv 2405.05428), are trained in turn with the rest:

(i) one learns to name people from emotion codes, another to read emotions from biometric codes, encoders frozen;
(ii) encoders, decoder and heads take a step on the weighted sum of all losses, adversaries frozen. An adversary's
part is ``-min(cross-entropy, log classes)``: beyond chance it is wrong on purpose, and a fresh one is not.

There is a head start before adversaries count. Training takes a fixed number of steps: in a game no loss tells when to
stop. Nothing is fitted on anybody but the training people.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tff_affect.emotion_scores import check_emotions
from tff_affect.errors import DivergedError, InputError
from tff_affect.gait.bone_tree import bones_of
from tff_affect.gait.config import GaitConfig
from tff_affect.gait.disentangler import Disentangler
from tff_affect.gait.drawing_error import error_weights
from tff_affect.gait.layers import adapt
from tff_affect.gait.mirrored import mirror_some, mirrored_joints
from tff_affect.gait.networks import (
    build_adversary,
    build_biometric_encoder,
    build_decoder,
    build_emotion_encoder,
    build_head,
    check_training,
)
from tff_affect.gait.partners import Partners
from tff_affect.gait_set import GaitSet
from tff_affect.models.classifying import cross_entropy
from tff_affect.progress import StepDone
from tff_affect.streams import keras_seed, stream

_CHECKS = 20
_CHECK_SEED = 0
_STEEPEST = 1.0
_CROSS_ENTROPY = cross_entropy()
_EMOTION, _BIOMETRIC = 0, 1


def train(
    gaits: GaitSet, development: GaitSet, config: GaitConfig, seed: int, step_done: StepDone | None = None
) -> Disentangler:
    """Trains encoders and decoder; equal seeds give equal weights on one machine.

    Args:
        gaits: Of the training people.
        development: Of others, for the history alone.
        config: How.
        seed: Of weights and batches.
        step_done: Is told of each check.

    Raises:
        InputError: If there are fewer than two people or emotions, nobody to exchange codes with, development people
            show other emotions, or skeletons or numbers of samples do not fit.
        DivergedError: If a loss is no longer finite.
    """
    check_training(gaits)
    check_emotions(development, gaits.classes)
    if development.joints != gaits.joints:
        raise InputError(f"gait: expected development people with the joints {', '.join(gaits.joints)}, found others")
    game = _Game(gaits, config, seed)
    found = game.disentangler()
    found.check(development)
    history = []
    check_after = max(1, config.steps // _CHECKS)
    for step in range(config.steps):
        game.step(step)
        if (step + 1) % check_after == 0 or step + 1 == config.steps:
            history.append(game.check(step, found, development))
            if step_done is not None:
                step_done(f"reconstruction {history[-1]['reconstruction']:.2f}", config.steps, check_after)
    return game.disentangler(tuple(history))


@dataclass(frozen=True, eq=False)
class _Leak:
    """An adversary, the code that it looks at, and what it looks for there.

    Attributes:
        name: Of its weight.
        weight: In the end.
        code: Number of the code.
        wanted: Number of what it names: the emotion or the person.
        classes: How many it chooses among.
        adversary: ``[batch, code]`` to ``[batch, class]`` logits.
    """

    name: str
    weight: float
    code: int
    wanted: int
    classes: int
    adversary: tf.keras.Model

    def loss(self, codes: tuple[tf.Tensor, ...], labels: tuple[tf.Tensor, ...], training: bool) -> tf.Tensor:
        """Cross-entropy of what the adversary says."""
        return _CROSS_ENTROPY(labels[self.wanted], self.adversary(codes[self.code], training=training))


class _Game:
    """The networks, what they learn from, and their steps."""

    def __init__(self, gaits: GaitSet, config: GaitConfig, seed: int) -> None:
        self._config, self._gaits = config, gaits
        self._tree = bones_of(gaits)
        self._emotion = gaits.emotion(gaits.classes)
        self._partners = Partners(gaits.person, self._emotion)
        self._check_partners()
        self._series, samples = gaits.series, gaits.motions.shape[1]
        self._mirror = mirrored_joints(gaits.joints) if config.mirrored else None
        self._mean = self._series.mean(axis=0, dtype=np.float64).astype(np.float32)
        variance = np.mean((self._series - self._mean) ** 2, axis=(0, 1), dtype=np.float64)
        self._error_weights = error_weights(variance)
        tf.keras.utils.set_random_seed(keras_seed(seed, "first weights"))
        sizes, names = (config.emotion_code, config.biometric_code), ("emotion", "biometric")
        counts = len(gaits.classes), (1 + config.mirrored) * len(gaits.people)
        self.encoders = [
            build(self._tree, samples, config) for build in (build_emotion_encoder, build_biometric_encoder)
        ]
        self.decoder = build_decoder(self._tree, samples, config)
        for network in (*self.encoders, self.decoder):
            adapt(network, self._series)
        self.heads = [
            build_head(size, count, f"{name}_head") for size, count, name in zip(sizes, counts, names, strict=True)
        ]
        self.leaks = [
            _Leak(name, weight, code, 1 - code, counts[1 - code], build_adversary(sizes[code], counts[1 - code], name))
            for name, weight, code in (
                ("identity_leak", config.identity_leak, _EMOTION), ("emotion_leak", config.emotion_leak, _BIOMETRIC)
            )
            if weight
        ]  # fmt: skip
        self._batches = self._draw(stream(seed, "batches and partners"))
        falling = tf.keras.optimizers.schedules.CosineDecay(config.learning_rate, config.steps, alpha=0.1)
        self._optimizer = tf.keras.optimizers.Adam(falling, global_clipnorm=_STEEPEST)
        self._optimizer.build(self.learned)
        self._adversary_optimizer = tf.keras.optimizers.Adam(config.adversary_learning_rate)
        self._adversary_optimizer.build(self.adversarial)
        self._look_for_leaks = tf.function(self._adversary_step)
        self._learn = tf.function(self._main_step)

    @property
    def learned(self) -> list[tf.Variable]:
        """All but the adversaries'; a head whose loss has no weight stays as it is."""
        config = self._config
        heads = [head for head, weight in zip(self.heads, (config.emotion, config.person), strict=True) if weight]
        draws = config.reconstruction or config.same_emotion_swap or config.same_person_swap
        networks = [*self.encoders, *([self.decoder] if draws else []), *heads]
        return [variable for network in networks for variable in network.trainable_variables]

    @property
    def adversarial(self) -> list[tf.Variable]:
        """The adversaries'."""
        return [variable for leak in self.leaks for variable in leak.adversary.trainable_variables]

    def disentangler(self, history: tuple[dict[str, float], ...] = ()) -> Disentangler:
        """The networks as they are, which go on learning."""
        return Disentangler(
            config=self._config,
            classes=self._gaits.classes,
            tree=self._tree,
            emotion_encoder=self.encoders[_EMOTION],
            biometric_encoder=self.encoders[_BIOMETRIC],
            decoder=self.decoder,
            emotion_head=self.heads[_EMOTION],
            history=history,
            people=self._gaits.people,
        )

    def step(self, number: int) -> None:
        """The adversaries' steps, once they have started, and everybody else's."""
        if self.leaks and self._config.adversaries_learn(number):
            for _ in range(self._config.adversary_steps):
                self._look_for_leaks(*next(self._batches)[:2])
        self._learn(*next(self._batches), tf.constant(self._config.leak_share(number), tf.float32))

    def check(self, step: int, networks: Disentangler, development: GaitSet) -> dict[str, float]:
        """How far things are.

        Raises:
            DivergedError: If a loss is no longer finite.
        """
        codes = networks.emotion_codes(development, _CHECK_SEED), networks.biometric_codes(development)
        missed, moved = (
            np.mean((development.series - drawn)[:, :, :-1] ** 2) for drawn in (networks.draw(*codes), self._mean)
        )
        wanted = development.emotion(self._gaits.classes)
        logits = self.heads[_EMOTION](codes[_EMOTION]).numpy()
        found = {
            "step": step + 1.0,
            "leak_share": self._config.leak_share(step),
            "reconstruction": float(missed / moved),
            "emotion_loss": float(_CROSS_ENTROPY(wanted, logits)),
            "emotion_accuracy": float((logits.argmax(axis=1) == wanted).mean()),
        }
        for name, loss in found.items():
            if not math.isfinite(loss):
                raise DivergedError(
                    f"gait: {name} is {loss:g} after {step + 1} steps; try a smaller gait.learning_rate or smaller "
                    "weights of the leaks"
                )
        return {
            **found,
            **{f"{leak.name}_accuracy": self._leaked(leak, networks, codes[_BIOMETRIC], wanted) for leak in self.leaks},
        }

    def _leaked(self, leak: _Leak, networks: Disentangler, codes: np.ndarray, wanted: np.ndarray) -> float:
        """Share that an adversary names: emotions of development people by their biometric codes, or training people.

        Args:
            leak: The adversary.
            networks: As they are.
            codes: Biometric codes of development people.
            wanted: Their emotions.
        """
        if leak.wanted != _EMOTION:
            codes, wanted = networks.emotion_codes(self._gaits, _CHECK_SEED), self._gaits.person
        return float((leak.adversary(codes, training=False).numpy().argmax(axis=1) == wanted).mean())

    def _check_partners(self) -> None:
        for name, there, lacking in (
            ("same_emotion_swap", self._partners.any_of_same_emotion, "no two people show one emotion"),
            ("same_person_swap", self._partners.any_of_same_person, "nobody shows two emotions"),
        ):
            if getattr(self._config, name) and not there:
                raise InputError(f"gait.{name}: expected cycles to exchange codes between, but {lacking}; set it to 0")

    def _draw(self, rng: np.random.Generator) -> Iterator[tuple[tf.Tensor, ...]]:
        """Cycles, then their partners of the same emotion and of the same person; labels; who has a partner."""
        while True:
            drawn = self._partners.draw(self._config.batch, rng)
            rows = np.concatenate(drawn[:3])
            series, person = self._seen(rows, rng)
            labels = tf.constant(self._emotion[rows]), tf.constant(person)
            yield tf.constant(series), labels, tf.constant(drawn.paired, tf.float32)

    def _seen(self, rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Series, and numbers of their people; of a cycle in a mirror, its partners are in one, too.

        In a mirror somebody is another person: which side swings further is a mark of people.
        """
        series, person = self._series[rows], self._gaits.person[rows]
        if self._mirror is None:
            return series, person
        turned = np.tile(rng.random(self._config.batch) < 0.5, 3)
        return mirror_some(series, turned, self._mirror), person + len(self._gaits.people) * turned

    def _codes(self, series: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Of both encoders, emotion codes with noise."""
        emotion, biometric = (encoder(series) for encoder in self.encoders)
        return emotion + self._config.emotion_noise * tf.random.normal(tf.shape(emotion)), biometric

    def _adversary_step(self, series: tf.Tensor, labels: tuple[tf.Tensor, ...]) -> None:
        """Adversaries learn, everybody else is frozen."""
        codes, learned = self._codes(series), self.adversarial
        with tf.GradientTape() as tape:
            loss = tf.add_n([leak.loss(codes, labels, training=True) for leak in self.leaks])
        self._adversary_optimizer.apply_gradients(zip(tape.gradient(loss, learned), learned, strict=True))

    def _main_step(
        self, series: tf.Tensor, labels: tuple[tf.Tensor, ...], paired: tf.Tensor, leak_share: tf.Tensor
    ) -> None:
        """Everybody else learns, adversaries are frozen."""
        learned = self.learned
        with tf.GradientTape() as tape:
            loss = tf.add_n(self._losses(series, labels, paired, leak_share))
        gradients = tape.gradient(loss, learned, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        self._optimizer.apply_gradients(zip(gradients, learned, strict=True))

    def _losses(
        self, series: tf.Tensor, labels: tuple[tf.Tensor, ...], paired: tf.Tensor, leak_share: tf.Tensor
    ) -> list[tf.Tensor]:
        """Each with its weight; those without are left out."""
        config, codes = self._config, self._codes(series)
        own, other_person, other_emotion = zip(*(tf.split(code, 3) for code in codes), strict=True)
        everybody = tf.ones_like(paired[0])
        drawings = (
            (config.reconstruction, own, everybody),
            (config.same_emotion_swap, (other_person[_EMOTION], own[_BIOMETRIC]), paired[0]),
            (config.same_person_swap, (own[_EMOTION], other_emotion[_BIOMETRIC]), paired[1]),
        )
        wanted = tf.split(series, 3)[0]
        losses = [weight * self._missed(pair, wanted, counts) for weight, pair, counts in drawings if weight]
        losses += [
            weight * _CROSS_ENTROPY(label, head(code))
            for weight, label, head, code in zip(
                (config.emotion, config.person), labels, self.heads, codes, strict=True
            )
            if weight
        ]
        losses += [
            -leak_share * leak.weight * tf.minimum(leak.loss(codes, labels, training=False), math.log(leak.classes))
            for leak in self.leaks
        ]
        return losses

    def _missed(self, codes: tuple[tf.Tensor, ...], wanted: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
        """Error of what is drawn from codes as a part of the mean gait's, mean over the cycles that count."""
        errors = tf.reduce_mean(tf.square(self.decoder(codes) - wanted) * self._error_weights, axis=(1, 2))
        return tf.math.divide_no_nan(tf.reduce_sum(counts * errors), tf.reduce_sum(counts))
