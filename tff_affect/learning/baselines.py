"""What training without federation gives, on the same split and the same budget.

`Trainer` trains one Keras network in this process. Centralised training gives it the windows of all training clients,
local-only training those of one client. Loss, initial weights, optimizer, passes over the data and early stopping are
those of the federated run, unless the configuration names an optimizer of their own; the optimizer's state is kept from
pass to pass, since nothing interrupts it. A centralised batch mixes clients where a federated one holds windows of one:
there the CCC loss, taken over a batch, rewards differences between people too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import tensorflow as tf

from tff_affect.client_data import StagedCohort, average_windows
from tff_affect.config import ModelConfig, TrainingConfig
from tff_affect.errors import RunError
from tff_affect.learning.algorithms import build_optimizer
from tff_affect.learning.sampling import derived_seed
from tff_affect.losses import build_loss
from tff_affect.metrics import SufficientStatistics
from tff_affect.models.registry import Weights, build_model

Windows = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Budget:
    """How long a baseline trains.

    Attributes:
        passes: Passes over the training windows at most.
        evaluate_every: Passes between evaluations on development clients.
        patience: Evaluations without improvement before it stops; 0 never stops early.
    """

    passes: int
    evaluate_every: int
    patience: int

    @classmethod
    def of(cls, training: TrainingConfig, clients: int) -> Budget:
        """As many passes over each client's windows as the federated run makes on average."""
        share = min(training.clients_per_round or clients, clients) / clients
        per_round = training.local_epochs * share
        return cls(
            passes=max(1, round(training.rounds * per_round)),
            evaluate_every=max(1, round(training.evaluate_every * per_round)),
            patience=training.patience,
        )


class Trainer:
    """Trains and applies one network, in this process."""

    def __init__(self, staged: StagedCohort, model: ModelConfig, training: TrainingConfig) -> None:
        self._staged = staged
        self._training = training
        self._model = build_model(model, staged.shape)
        self._loss = build_loss(training.loss)
        self._optimizer = build_optimizer(training.baseline_optimizer or training.client_optimizer)
        self._sequence = lru_cache(maxsize=64)(self._read_sequence)

    @tf.function
    def _step(self, weights: list, state: object, features: tf.Tensor, labels: tf.Tensor) -> tuple:
        variables = self._assign(weights)
        with tf.GradientTape() as tape:
            loss = self._loss(labels, self._model(features, training=True))
        state, weights = self._optimizer.next(state, weights, tape.gradient(loss, variables))
        return weights, state, loss

    @tf.function
    def _forward(self, weights: list, features: tf.Tensor) -> tf.Tensor:
        self._assign(weights)
        return self._model(features, training=False)

    def _assign(self, weights: list) -> list[tf.Variable]:
        """Gives the model these weights; returns its variables."""
        variables = self._model.trainable_variables
        for variable, weight in zip(variables, weights, strict=True):
            variable.assign(weight)
        return variables

    def fit(
        self,
        weights: Weights,
        clients: Sequence[str],
        seed: int,
        budget: Budget,
        development_score: Callable[[Weights], float],
        on_pass: Callable[[], None] = lambda: None,
    ) -> Weights:
        """Trains on the windows of some clients, pooled.

        Args:
            weights: Initial weights.
            clients: One client for local-only training, all training clients for centralised.
            seed: Seed of the window order.
            budget: When to stop.
            development_score: Higher is better; the best weights by this score are returned.
            on_pass: Called after each pass over the windows.

        Returns:
            The best weights.

        Raises:
            RunError: If training diverged before the first evaluation.
        """
        features, labels = self._training_windows(clients)
        current = [tf.constant(w, tf.float32) for w in weights]
        state = self._optimizer.initialize(tf.nest.map_structure(lambda w: tf.TensorSpec(w.shape, w.dtype), current))
        state = tf.nest.map_structure(tf.convert_to_tensor, state)
        best, best_score, stale = None, -np.inf, 0
        for number in range(1, budget.passes + 1):
            order = np.random.default_rng(derived_seed(seed, "baseline", *clients, number)).permutation(
                len(features) - 1
            )
            for batch in self._batches(order):
                current, state, _ = self._step(current, state, features[batch], labels[batch])
            on_pass()
            if not all(np.isfinite(w).all() for w in current):
                break
            if number % budget.evaluate_every == 0 or number == budget.passes:
                score = development_score([w.numpy() for w in current])
                best, best_score, stale = (current, score, 0) if score > best_score else (best, best_score, stale + 1)
                if budget.patience and stale >= budget.patience:
                    break
        if best is None:
            raise RunError("a baseline's training diverged; lower training.baseline_optimizer.learning_rate")
        return [w.numpy() for w in best]

    def _batches(self, order: np.ndarray) -> list[np.ndarray]:
        """Index batches of one size, so that one step is traced; -1 points at the empty window put last."""
        size = self._training.batch_size
        padded = np.concatenate([order, np.full(-len(order) % size, -1)])
        return list(padded.reshape(-1, size))

    def _training_windows(self, clients: Sequence[str]) -> Windows:
        """Windows of the clients and, last, one window without a single valid frame."""
        cut = [[part.numpy() for part in self._staged.training_windows(client)] for client in clients]
        features, labels = (np.concatenate(parts) for parts in zip(*cut, strict=True))
        empty = [np.full((1, *array.shape[1:]), np.nan, np.float32) for array in (features, labels)]
        return np.concatenate([features, empty[0]]), np.concatenate([labels, empty[1]])

    def predictions(self, weights: Weights, client: str) -> np.ndarray:
        """Predictions on a client's whole sequence, ``[frames, dimension]``."""
        windows, starts, gold = self._sequence(client)
        current = [tf.constant(w, tf.float32) for w in weights]
        size = self._training.batch_size
        predicted = [self._forward(current, windows[i : i + size]) for i in range(0, len(windows), size)]
        return average_windows(tf.concat(predicted, axis=0)[: len(starts)], starts, len(gold)).numpy()

    def statistics(self, weights: Weights, clients: Sequence[str]) -> list[SufficientStatistics]:
        """Each client's statistics, ``[dimension]``, in the order of ``clients``."""
        return [
            SufficientStatistics.from_series(self._sequence(client)[2], self.predictions(weights, client))
            for client in clients
        ]

    def _read_sequence(self, client: str) -> tuple[tf.Tensor, tf.Tensor, np.ndarray]:
        """Windows padded to whole batches, first frames of the real ones, and gold standard."""
        features, _, starts = self._staged.windows(client)
        padding = [[0, -len(features) % self._training.batch_size], [0, 0], [0, 0]]
        return tf.pad(features, padding, constant_values=float("nan")), starts, self._staged.gold(client)


def training_mean(staged: StagedCohort, clients: Sequence[str]) -> np.ndarray:
    """Mean label of the training clients' valid frames, ``[dimension]``; what the mean predictor always says."""
    gold = np.concatenate([staged.gold(client) for client in clients])
    return np.nanmean(gold.astype(np.float64), axis=0)
