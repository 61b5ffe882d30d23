"""Centralised training with differential privacy of single windows.

DP-SGD (Abadi et al. 2016) by TF Privacy's Keras optimizers, on the windows of all training clients, pooled. They clip,
add noise and step; the gradient of each window comes from `Network.window_gradients`, which is exact and several times
faster than the Jacobian that they would take.

Each window joins each batch by itself, and a batch may have any size: it is not cut to a capacity, which would bring in
a mechanism that the accountant knows nothing of. Where nobody joined, a window without a target stands in, whose
gradient is zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_privacy as tfp

from tff_affect.client_data import StagedCohort
from tff_affect.config import ModelConfig, OptimizerConfig, TrainingConfig
from tff_affect.errors import InputError
from tff_affect.learning.baselines import Trainer
from tff_affect.learning.sampling import derived_seed
from tff_affect.losses import build_loss
from tff_affect.models.network import Network
from tff_affect.models.registry import Weights, check_window_gradients
from tff_affect.privacy.dpsgd import poisson_batch, sampling_rate
from tff_affect.privacy.noise import fresh_seed, seed_of
from tff_affect.privacy.window_query import WindowSumQuery
from tff_affect.privacy_config import PrivacyConfig

_BATCH, _NOISE = 0, 1  # what a step draws for


class Schedule(NamedTuple):
    """What an accountant needs to know of private training beside the noise.

    Attributes:
        windows: Training windows in all.
        sampling_rate: Probability of each window to join a batch.
        steps_per_pass: Steps, each with noise of its own, that count as a pass over the windows.
    """

    windows: int
    sampling_rate: float
    steps_per_pass: int


def check_private_optimizer(config: OptimizerConfig) -> None:
    """Refuses an optimizer that TF Privacy has not.

    Raises:
        InputError: Names those that it has.
    """
    if config.name not in ("sgd", "adam", "adagrad"):
        raise InputError(
            f"training.baseline_optimizer.name: centralised training with DP has sgd, adam and adagrad, found "
            f"{config.name!r}; name one of these"
        )


def build_private_optimizer(config: OptimizerConfig, query: WindowSumQuery) -> Any:
    """TF Privacy's optimizer that steps as the one of the configuration does.

    Raises:
        InputError: For one that TF Privacy has not.
    """
    check_private_optimizer(config)
    rate = config.learning_rate
    if config.name == "sgd":
        return tfp.GenericDPSGDOptimizer(query, learning_rate=rate, momentum=config.momentum)
    if config.name == "adam":
        return tfp.GenericDPAdamOptimizer(query, learning_rate=rate)
    return tfp.GenericDPAdagradOptimizer(query, learning_rate=rate)


class PrivateTrainer(Trainer):
    """`Trainer` whose training is differentially private for each window of the pooled clients.

    ``fit`` makes ``steps_per_pass`` steps a pass. The seed that it is given decides on dropout and, with
    ``privacy.reproducible_noise`` alone, on batches and noise. With noise 0, an infinite clipping norm, all windows in
    each batch and a loss that is a mean over windows it is `Trainer`.

    Args:
        staged: The clients.
        model: The network.
        training: Loss, batch size and optimizer, that of the baselines.
        privacy: Clipping norm and noise, for one window.

    Raises:
        InputError: For a model without gradients of single windows, or an optimizer that TF Privacy has not.
    """

    def __init__(
        self, staged: StagedCohort, model: ModelConfig, training: TrainingConfig, privacy: PrivacyConfig
    ) -> None:
        check_window_gradients(model)
        super().__init__(staged, model, training)
        self._network, self._privacy = Network(model, staged.shape), privacy
        self._optimizer = training.baseline_optimizer or training.client_optimizer
        check_private_optimizer(self._optimizer)

    def schedule(self, clients: Sequence[str]) -> Schedule:
        """How often each window of some clients is used."""
        return self._schedule(len(self._pooled(clients)[0]))

    def _schedule(self, windows: int) -> Schedule:
        rate = float(sampling_rate(tf.constant(windows), self._training.batch_size))
        return Schedule(windows, rate, -(-windows // self._training.batch_size))

    def _trained(self, weights: Weights, clients: Sequence[str], seed: int) -> Iterator[list[tf.Tensor]]:
        windows = self._pooled(clients)
        schedule = self._schedule(len(windows[0]))
        seed = derived_seed(seed, "private baseline", *clients)
        descent = _Descent(self._network, self._training.loss, self._optimizer, self._privacy, schedule, weights, seed)
        step = tf.function(descent.step, autograph=False)
        while True:
            for _ in range(schedule.steps_per_pass):
                step(*windows)
            yield [tf.identity(v) for v in descent.variables]


class _Descent:
    """The variables of one training, and its step."""

    def __init__(
        self,
        network: Network,
        loss: str,
        optimizer: OptimizerConfig,
        privacy: PrivacyConfig,
        schedule: Schedule,
        weights: Weights,
        seed: int,
    ) -> None:
        self._network, self._loss, self._rate = network, build_loss(loss), schedule.sampling_rate
        self._dropout = np.int64(seed)
        self._root = seed_of(self._dropout) if privacy.reproducible_noise else fresh_seed()
        self.variables = [tf.Variable(w, dtype=tf.float32) for w in weights]
        query = WindowSumQuery(
            privacy.clipping_norm,
            privacy.noise_multiplier or 0.0,
            schedule.sampling_rate * schedule.windows,
            lambda: self._seed(_NOISE),
        )
        self._optimizer = build_private_optimizer(optimizer, query)

    def _seed(self, purpose: int) -> tf.Tensor:
        return seed_of(*tf.unstack(self._root), self._optimizer.iterations, purpose)

    def step(self, features: tf.Tensor, labels: tf.Tensor) -> None:
        """One step on a batch of the windows; for a graph."""
        batch = poisson_batch(tf.shape(features)[0], tf.constant(self._rate, tf.float64), self._seed(_BATCH))
        features, labels = tf.gather(features, batch.index), tf.gather(labels, batch.index)
        labels = tf.where(batch.present[:, tf.newaxis, tf.newaxis], labels, float("nan"))
        current = [tf.convert_to_tensor(v) for v in self.variables]
        seed = self._dropout + tf.cast(self._optimizer.iterations, tf.int64)
        losses, gradients = self._network.window_gradients(self._loss, current, features, labels, seed)
        self._optimizer.minimize(losses, self.variables, tape=KnownJacobian(gradients))


class KnownJacobian(tf.GradientTape):
    """A tape that was read already: it gives TF Privacy's optimizers the gradients of single windows."""

    def __init__(self, gradients: list[tf.Tensor]) -> None:
        super().__init__()
        self._gradients = gradients

    def jacobian(self, *_: Any, **__: Any) -> list[tf.Tensor]:
        """The gradients, ``[windows, ...]`` each."""
        return self._gradients
