"""What a client would send in a round, had it these windows and no others."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from tff_affect.client_data import StagedCohort, training_batches
from tff_affect.config import PRIVATE_FEDERATED, StudyConfig
from tff_affect.learning.algorithms import LocalRound
from tff_affect.models.network import Network
from tff_affect.models.registry import Weights
from tff_affect.privacy.audit.observed_update import Protection, observe

Windows = tuple[tf.Tensor, tf.Tensor]
"""Features ``[windows, time, feature]`` and labels ``[windows, targets, dimension]``."""


@dataclass(frozen=True)
class UpdateSettings:
    """How the clients of a method make what they send.

    Attributes:
        config: The run's.
        method: ``federated``, with or without privacy.
    """

    config: StudyConfig
    method: str

    @property
    def private_level(self) -> str:
        """What the updates themselves protect: ``window``, ``user`` (``local`` alone) or nothing, empty."""
        privacy = self.config.privacy
        if self.method != PRIVATE_FEDERATED:
            return ""
        if privacy.level == "window":
            return "window"
        return "user" if privacy.mechanism == "local" else ""

    @property
    def are_seen(self) -> bool:
        """Whether a server sees updates of single clients: not under a secure sum."""
        return self.method == "federated" or self.config.privacy.mechanism != "distributed"


class ClientUpdates:
    """Computes updates as the clients of a run do, with its optimizer, passes and batches, and its local protection.

    Noise follows from the seed here, so that an audit can be repeated.

    Args:
        staged: The clients' sequences.
        settings: How updates are made.
    """

    def __init__(self, staged: StagedCohort, settings: UpdateSettings) -> None:
        config = settings.config
        self._local = config.privacy if settings.private_level == "user" else None
        windows = replace(config.privacy, reproducible_noise=True) if settings.private_level == "window" else None
        training = config.training_at(config.client_rates[0])
        local = LocalRound(staged, config.model, training, windows)

        def update(start: list[tf.Tensor], features: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> list[tf.Tensor]:
            batches = training_batches((features, labels), training.local_epochs, training.shuffle, seed)
            return local.train_on(start, batches)[0]

        weights = Network(config.model, staged.shape).weight_specs
        signature = [weights, *staged.window_spec, tf.TensorSpec([], tf.int64)]
        self._update = tf.function(update, signature, autograph=False)

    def update(self, start: Weights, windows: Windows, seed: int) -> list[np.ndarray]:
        """What the server gets: the weights before local training less those after it, in Keras order.

        Args:
            start: What the server sent.
            windows: What the client trains on.
            seed: Of their order, of dropout and of the noise.
        """
        current = [tf.constant(w, tf.float32) for w in start]
        change = [u.numpy() for u in self._update(current, *windows, tf.constant(seed, tf.int64))]
        if self._local is None:
            return change
        protection = Protection(self._local.clipping_norm, self._local.noise_multiplier or 0.0)
        return [u[0] for u in observe([c[np.newaxis] for c in change], protection, seed)]
