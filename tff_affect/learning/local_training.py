"""Passes of gradient descent over the windows of one client, or of several pooled, as one graph.

The same graph serves a client's part of a round inside TensorFlow Federated's worker and the baselines outside it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_federated as tff

from tff_affect.losses import build_loss
from tff_affect.models.network import Network, Tensors
from tff_affect.privacy.dpsgd import PoissonBatch, poisson_batch, private_gradient, sampling_rate
from tff_affect.privacy.noise import fresh_seed, seed_of
from tff_affect.privacy_config import PrivacyConfig

_BATCH, _NOISE = 0, 1  # what a step draws for


class Trained(NamedTuple):
    """What some passes gave.

    Attributes:
        weights: Trainable weights, in Keras order.
        optimizer: State of the optimizer.
        loss: Mean loss over the batches, each weighted by its windows.
    """

    weights: Tensors
    optimizer: Any
    loss: tf.Tensor


class LocalTraining:
    """Trains a network on windows that are given as tensors.

    Args:
        network: The network.
        loss: Name of the loss.
        optimizer: Takes the steps.
    """

    def __init__(self, network: Network, loss: str, optimizer: tff.learning.optimizers.Optimizer) -> None:
        self._network, self._loss, self._optimizer = network, build_loss(loss), optimizer

    def initial_optimizer(self) -> Any:
        """The optimizer's state before the first step."""
        return tf.nest.map_structure(tf.convert_to_tensor, self._optimizer.initialize(self._network.weight_specs))

    def step(
        self, weights: Tensors, optimizer: Any, features: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> Trained:
        """One step on one batch; ``seed`` is that of its dropout."""
        loss, gradients = self._network.gradients(self._loss, weights, features, labels, seed)
        optimizer, new_weights = self._optimizer.next(optimizer, weights, gradients)
        return Trained(list(new_weights), optimizer, loss)

    def passes(
        self,
        weights: Tensors,
        optimizer: Any,
        windows: tuple[tf.Tensor, tf.Tensor],
        order: tf.Tensor,
        batch_size: int,
        seed: tf.Tensor,
    ) -> Trained:
        """Steps over all windows, once for each row of ``order``.

        Args:
            weights: To start from.
            optimizer: Its state.
            windows: Features ``[windows, time, feature]`` and labels ``[windows, targets, dimension]``.
            order: ``[passes, windows]`` indices.
            batch_size: Windows per step; the last step of a pass has what is left.
            seed: Of dropout, int64.
        """
        count = tf.shape(order)[1]
        batches = -(-count // batch_size)

        def body(number: tf.Tensor, state: tuple[Tensors, Any], total: tf.Tensor) -> tuple:
            first = number % batches * batch_size
            index = order[number // batches, first : first + batch_size]
            features, labels = (tf.gather(part, index) for part in windows)
            done = self.step(*state, features, labels, seed + tf.cast(number, tf.int64))
            return number + 1, (done.weights, done.optimizer), total + done.loss * tf.cast(tf.size(index), tf.float32)

        steps = tf.shape(order)[0] * batches
        _, (weights, optimizer), total = tf.while_loop(
            lambda number, *_: number < steps, body, (0, (list(weights), optimizer), 0.0), parallel_iterations=1
        )
        return Trained(weights, optimizer, tf.math.divide_no_nan(total, tf.cast(tf.size(order), tf.float32)))

    def private_step(
        self,
        weights: Tensors,
        optimizer: Any,
        windows: tuple[tf.Tensor, tf.Tensor],
        batch: PoissonBatch,
        privacy: PrivacyConfig,
        expected_batch: tf.Tensor,
        dropout: tf.Tensor,
        noise: tf.Tensor,
    ) -> Trained:
        """One step of DP-SGD (Abadi et al. 2016) on one batch; its loss is the sum over the batch's windows.

        Args:
            weights: To start from.
            optimizer: Its state.
            windows: Features ``[windows, time, feature]`` and labels ``[windows, targets, dimension]``.
            batch: Which of them take part.
            privacy: Clipping norm and noise.
            expected_batch: What the noisy sum is divided by.
            dropout: Seed of dropout, int64.
            noise: Seed of noise, two int64 numbers.
        """
        features, labels = (tf.gather(part, batch.index) for part in windows)
        losses, gradients = self._network.window_gradients(self._loss, weights, features, labels, dropout)
        multiplier = privacy.noise_multiplier or 0.0
        private = private_gradient(gradients, batch.present, privacy.clipping_norm, multiplier, expected_batch, noise)
        optimizer, new_weights = self._optimizer.next(optimizer, weights, private)
        return Trained(list(new_weights), optimizer, tf.reduce_sum(tf.boolean_mask(losses, batch.present)))

    def private_steps(
        self,
        weights: Tensors,
        optimizer: Any,
        windows: tuple[tf.Tensor, tf.Tensor],
        epochs: int,
        batch_size: int,
        privacy: PrivacyConfig,
        seed: tf.Tensor,
    ) -> Trained:
        """Steps of DP-SGD over Poisson batches: each window joins each batch by itself.

        There are as many steps as `passes` makes. Batches and noise come from the entropy of the process that computes
        them, or from ``seed`` where ``privacy.reproducible_noise`` says so. Special cases that are tests: with noise 0,
        an infinite norm and all windows in each batch a step is one of `passes`, for a loss that is a mean over
        windows; with one window and one step of SGD the whole update is the clipped gradient, as at level ``user``.

        Args:
            weights: To start from.
            optimizer: Its state.
            windows: Features ``[windows, time, feature]`` and labels ``[windows, targets, dimension]``.
            epochs: Passes over the windows that the steps amount to, on average.
            batch_size: Windows per step, on average; with fewer windows all of them join each step.
            privacy: Clipping norm and noise, for one window.
            seed: Of dropout, and of all else where it is to be reproducible; int64.

        Returns:
            Weights and optimizer that may be released. The loss, a mean over the windows seen, may not: it has no
            noise.
        """
        count = tf.shape(windows[0])[0]
        rate = sampling_rate(count, batch_size)
        expected_batch = rate * tf.cast(count, tf.float64)
        root = tf.unstack(seed_of(seed) if privacy.reproducible_noise else fresh_seed())

        def body(number: tf.Tensor, state: tuple[Tensors, Any], total: tf.Tensor, seen: tf.Tensor) -> tuple:
            batch = poisson_batch(count, rate, seed_of(*root, number, _BATCH))
            dropout, noise = seed + tf.cast(number, tf.int64), seed_of(*root, number, _NOISE)
            done = self.private_step(*state, windows, batch, privacy, expected_batch, dropout, noise)
            seen += tf.reduce_sum(tf.cast(batch.present, tf.float32))
            return number + 1, (done.weights, done.optimizer), total + done.loss, seen

        steps = epochs * -(-count // batch_size)
        _, (weights, optimizer), total, seen = tf.while_loop(
            lambda number, *_: number < steps, body, (0, (list(weights), optimizer), 0.0, 0.0), parallel_iterations=1
        )
        return Trained(weights, optimizer, tf.math.divide_no_nan(total, seen))
