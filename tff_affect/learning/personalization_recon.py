"""A shared body with heads that each client makes anew: partially local federated learning.

Federated Reconstruction (Singhal et al. 2021, arXiv 2102.03448). In each round a client makes a head from own support
windows, beginning with the first weights that all have in common, then changes the body by its later windows beside
that head, and forgets the head. The server never sees one. Whoever comes later makes a head in the same way, from the
own support part: no weight of anybody else's head is needed.

TFF's own `tff.learning.algorithms.build_fed_recon` does the same, and a test holds a round against it. Its loops over
datasets cost some fifteen times as much here, so that a client's part is one computation, as in
`tff_affect.learning.algorithms`; distribution, aggregation and the server's step are TFF's.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_affect.client_data import ABSENT, parts_of_key
from tff_affect.config import ModelConfig, TrainingConfig
from tff_affect.learning.aggregation import weighted_mean
from tff_affect.learning.algorithms import (
    build_client_optimizer,
    build_learning_process,
    build_optimizer,
    model_type,
)
from tff_affect.learning.local_training import LocalTraining
from tff_affect.learning.personalization import HEAD_WEIGHTS, PartOnly
from tff_affect.learning.personalization_parts import Parts
from tff_affect.learning.sampling import ClientSampling
from tff_affect.models.network import Network
from tff_affect.models.registry import Weights


def reconstruction_update(
    parts: Parts, model: ModelConfig, training: TrainingConfig, passes: int, head: Weights
) -> tff.Computation:
    """What a client does in a round.

    Type as of `tff_affect.learning.algorithms.client_update`. The update of the head is zero; loss and windows are
    those of the later part.

    Args:
        parts: Of the clients' recordings.
        model: The network.
        training: Optimizers, batches, and passes over the later part.
        passes: Over the support part, for the head.
        head: Weights that each head begins with, kernel and bias.
    """
    network = Network(model, parts.later.shape)
    heads = LocalTraining(network, training.loss, PartOnly(build_optimizer(training.client_optimizer), head=True))
    bodies = LocalTraining(network, training.loss, PartOnly(build_client_optimizer(training), head=False))
    first, size, shuffle = [np.asarray(w, np.float32) for w in head], training.batch_size, training.shuffle

    @tff.tensorflow.computation(model_type(parts.later, model), np.str_)
    @tf.function(autograph=False)
    def update(sent: Any, key: tf.Tensor) -> OrderedDict:
        start = [*list(sent.trainable)[:-HEAD_WEIGHTS], *map(tf.constant, first)]
        own = parts.support.training_batches(key, passes, shuffle)
        made = heads.passes(start, heads.initial_optimizer(), own.windows, own.order, size, own.seed).weights
        later = parts.later.training_batches(key, training.local_epochs, shuffle)
        done = bodies.passes(made, bodies.initial_optimizer(), later.windows, later.order, size, later.seed)
        change = [before - after for before, after in zip(made, done.weights, strict=True)]
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(c)) for c in change])
        seen = tf.size(later.order)
        weight = tf.cast(seen if training.weighting == "windows" else tf.minimum(seen, 1), tf.float64)
        there = tf.logical_and(tf.not_equal(parts_of_key(key)[0], ABSENT), finite)
        return OrderedDict(
            update=[tf.where(finite, tf.cast(c, tf.float64) * weight, tf.zeros_like(c, tf.float64)) for c in change],
            weight=tf.where(finite, weight, tf.zeros_like(weight)),
            loss=tf.cast(done.loss, tf.float64) * tf.cast(seen, tf.float64),
            windows=tf.cast(seen, tf.int64),
            clients=tf.cast(there, tf.int64),
        )

    return update


class Reconstruction:
    """Rounds of federated reconstruction over the parts of recordings.

    Args:
        parts: Of the clients' recordings.
        model: The network.
        training: Optimizers, batches, and passes over the later part.
        passes: Over the support part, for the head.
        first: Weights to begin with; of the head, in every round.
    """

    def __init__(self, parts: Parts, model: ModelConfig, training: TrainingConfig, passes: int, first: Weights) -> None:
        update = reconstruction_update(parts, model, training, passes, first[-HEAD_WEIGHTS:])
        self._process = build_learning_process(update, weighted_mean(update.type_signature.result), training)
        weights = tff.learning.models.ModelWeights([np.asarray(w, np.float32) for w in first], [])
        self._state = self._process.set_model_weights(self._process.initialize(), weights)

    def next(self, sampling: ClientSampling, number: int) -> list[np.ndarray]:
        """Carries out a round, and returns the body after it with the head that all begin with, in Keras order."""
        self._state = self._process.next(self._state, sampling.keys(number, sampling.cohort(number))).state
        return [np.asarray(w) for w in self._process.get_model_weights(self._state).trainable]
