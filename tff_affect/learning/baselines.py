"""What training without federation gives, on the same split and the same budget.

`Trainer` trains one Keras network in this process. Centralised training gives it the windows of all training clients,
local-only training those of one client. Loss, initial weights, optimizer, passes over the data and early stopping are
those of the federated run, unless the configuration names an optimizer of their own; the optimizer's state is kept from
pass to pass, since nothing interrupts it. A centralised batch mixes clients where a federated one holds windows of one:
there the CCC loss, taken over a batch, rewards differences between people too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

import numpy as np
import tensorflow as tf

from tff_affect.client_data import StagedCohort
from tff_affect.config import ModelConfig, TrainingConfig
from tff_affect.errors import DivergedError
from tff_affect.learning.algorithms import build_optimizer
from tff_affect.learning.local_training import LocalTraining, Trained
from tff_affect.learning.sampling import derived_seed
from tff_affect.metrics import SufficientStatistics
from tff_affect.models.network import Network
from tff_affect.models.registry import Weights

_Sequence = tuple[tf.Tensor, tf.Tensor, np.ndarray]
_WINDOWS_AT_ONCE = 64


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
        optimizer = build_optimizer(training.baseline_optimizer or training.client_optimizer)
        network = Network(model, staged.shape)
        self._local = LocalTraining(network, training.loss, optimizer)
        self._sequence = lru_cache(maxsize=64)(self._read_sequence)
        features, labels = staged.window_spec
        weights = network.weight_specs
        state = tf.nest.map_structure(lambda s: tf.TensorSpec(s.shape, s.dtype), self._local.initial_optimizer())
        order, seed = tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.int64)
        self._pass = tf.function(self._one_pass, [weights, state, features, labels, order, seed], autograph=False)
        self._forward = tf.function(network.predict, [weights, features], autograph=False)

    def _one_pass(
        self, weights: list, state: object, features: tf.Tensor, labels: tf.Tensor, order: tf.Tensor, seed: tf.Tensor
    ) -> Trained:
        return self._local.passes(
            weights, state, (features, labels), order[tf.newaxis], self._training.batch_size, seed
        )

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
            seed: Seed of window order and dropout.
            budget: When to stop.
            development_score: Higher is better; the best weights by this score are returned.
            on_pass: Called after each pass over the windows.

        Returns:
            The best weights.

        Raises:
            DivergedError: If training diverged before the first evaluation.
        """
        best, best_score, stale = None, -np.inf, 0
        for number, current in zip(range(1, budget.passes + 1), self._trained(weights, clients, seed), strict=False):
            on_pass()
            if not all(np.isfinite(w).all() for w in current):
                break
            if number % budget.evaluate_every == 0 or number == budget.passes:
                score = development_score([w.numpy() for w in current])
                best, best_score, stale = (current, score, 0) if score > best_score else (best, best_score, stale + 1)
                if budget.patience and stale >= budget.patience:
                    break
        if best is None:
            raise DivergedError("a baseline's training diverged; lower training.baseline_optimizer.learning_rate")
        return [w.numpy() for w in best]

    def _pooled(self, clients: Sequence[str]) -> tuple[tf.Tensor, tf.Tensor]:
        """The training windows of some clients: features ``[windows, time, feature]``, and labels."""
        cut = [self._staged.training_windows(client) for client in clients]
        features, labels = (tf.concat(parts, axis=0) for parts in zip(*cut, strict=True))
        return features, labels

    def _trained(self, weights: Weights, clients: Sequence[str], seed: int) -> Iterator[list[tf.Tensor]]:
        """The weights after each pass over the windows of some clients, without end."""
        features, labels = self._pooled(clients)
        current = [tf.constant(w, tf.float32) for w in weights]
        state = self._local.initial_optimizer()
        for number in count(1):
            pass_seed = derived_seed(seed, "baseline", *clients, number)
            order = self._order(len(features), pass_seed)
            current, state, _ = self._pass(current, state, features, labels, order, np.int64(pass_seed))
            yield current

    def _order(self, windows: int, seed: int) -> np.ndarray:
        shuffled = self._training.shuffle
        order = np.random.default_rng(seed).permutation(windows) if shuffled else np.arange(windows)
        return order.astype(np.int32)

    def statistics(self, weights: Weights, clients: Sequence[str]) -> list[SufficientStatistics]:
        """Each client's statistics, ``[dimension]``, in the order of ``clients``."""
        gold = [self._sequence(client)[2] for client in clients]
        predicted = self.predictions(weights, clients)
        return [SufficientStatistics.from_series(g, p) for g, p in zip(gold, predicted, strict=True)]

    def predictions(self, weights: Weights, clients: Sequence[str]) -> list[np.ndarray]:
        """Predictions on each client's whole sequence, in the order of `StagedCohort.gold`."""
        current = [tf.constant(w, tf.float32) for w in weights]
        sequences = [self._sequence(client) for client in clients]
        found: list[np.ndarray] = []
        for group in _grouped(sequences):
            predicted = self._forward(current, tf.concat([windows for windows, _, _ in group], axis=0))
            parts = tf.split(predicted, [len(windows) for windows, _, _ in group])
            for part, (_, starts, gold) in zip(parts, group, strict=True):
                found.append(self._staged.to_frames(part, starts, len(gold)).numpy())
        return found

    def _read_sequence(self, client: str) -> _Sequence:
        """Windows, their first frames, and the gold standard."""
        features, _, starts = self._staged.windows(client)
        return features, starts, self._staged.gold(client)


def _grouped(sequences: Sequence[_Sequence]) -> Iterator[list[_Sequence]]:
    """Neighbours together, since a recurrence takes its time by frames, but not more than memory bears."""
    group: list[_Sequence] = []
    for sequence in sequences:
        if group and sum(len(windows) for windows, _, _ in (*group, sequence)) > _WINDOWS_AT_ONCE:
            yield group
            group = []
        group.append(sequence)
    if group:
        yield group


def training_mean(staged: StagedCohort, clients: Sequence[str]) -> np.ndarray:
    """Mean of the training clients' valid targets, ``[dimension]``; what the mean predictor always says."""
    gold = np.concatenate([staged.gold(client) for client in clients])
    return np.nanmean(gold.astype(np.float64), axis=0)
