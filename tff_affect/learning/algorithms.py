"""Federated averaging and FedProx over staged clients.

Weighted FedAvg (McMahan et al. 2017) with an adaptive server optimizer (Reddi et al. 2021) and, with
``proximal_strength`` above 0, FedProx (Li et al. 2020). Special cases that are tests: FedProx with mu = 0 is FedAvg;
one client, one batch and server SGD at rate 1 is a step of centralised training.

Distribution, aggregation and the server's step are TFF's own processes. A client's part is one TensorFlow computation
over its windows (`client_update`): TFF's generic loops over datasets, with metrics kept batch by batch, cost several
times what the network does.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_affect.client_data import ABSENT, StagedCohort, TrainingBatches, parts_of_key
from tff_affect.config import ModelConfig, OptimizerConfig, TrainingConfig
from tff_affect.learning.aggregation import RoundAggregation, private_mean, weighted_mean
from tff_affect.learning.local_training import LocalTraining, Trained
from tff_affect.learning.proximal import ProximalOptimizer
from tff_affect.models.network import Network
from tff_affect.privacy_config import PrivacyConfig


def build_optimizer(config: OptimizerConfig) -> tff.learning.optimizers.Optimizer:
    """The TFF optimizer of a configuration."""
    if config.name == "sgd":
        return tff.learning.optimizers.build_sgdm(config.learning_rate, momentum=config.momentum or None)
    builders = {
        "adam": tff.learning.optimizers.build_adam,
        "yogi": tff.learning.optimizers.build_yogi,
        "adagrad": tff.learning.optimizers.build_adagrad,
    }
    return builders[config.name](config.learning_rate)


def build_client_optimizer(training: TrainingConfig) -> tff.learning.optimizers.Optimizer:
    """What clients step with: their optimizer, with FedProx's pull where that is asked for."""
    optimizer = build_optimizer(training.client_optimizer)
    return ProximalOptimizer(optimizer, training.proximal_strength) if training.proximal_strength > 0 else optimizer


def model_type(staged: StagedCohort, model: ModelConfig) -> tff.Type:
    """Type of a model's weights, trainable ones in Keras order; the zoo has no others."""
    specs = Network(model, staged.shape).weight_specs
    trainable = [tff.TensorType(s.dtype.as_numpy_dtype, s.shape.as_list()) for s in specs]
    return tff.to_type(tff.learning.models.ModelWeights(trainable, non_trainable=[]))


def client_update(
    staged: StagedCohort, model: ModelConfig, training: TrainingConfig, windows: PrivacyConfig | None = None
) -> tff.Computation:
    """What a client does in a round.

    Type: ``(<ModelWeights, str> -> <update=weights, weight=float64, loss=float64, windows=int64, clients=int64>)``,
    from the server's weights and a `training_key`. The update is the pseudo-gradient of Reddi et al. 2021, the weights
    before local training less those after it, times the client's weight. ``loss`` is the sum over the windows seen,
    ``windows`` their number, times epochs, and ``clients`` is 1. All of it is zero for a client that is absent; where
    an update is not finite it is zero, and so are weight and ``clients``: the loss tells. Sums are float64, so that it
    does not matter which worker adds up which clients.

    With ``windows``, local training protects each window by DP-SGD; nothing but update and weight is sent then.
    """
    local = LocalRound(staged, model, training, windows)

    @tff.tensorflow.computation(model_type(staged, model), np.str_)
    @tf.function(autograph=False)
    def update(sent: Any, key: tf.Tensor) -> OrderedDict:
        change, done, seen = local.train(list(sent.trainable), key)
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(c)) for c in change])
        weight = tf.cast(seen if training.weighting == "windows" else tf.minimum(seen, 1), tf.float64)
        result = OrderedDict(
            update=[tf.where(finite, tf.cast(c, tf.float64) * weight, tf.zeros_like(c, tf.float64)) for c in change],
            weight=tf.where(finite, weight, tf.zeros_like(weight)),
        )
        if windows is not None:
            return result
        there = tf.logical_and(tf.not_equal(parts_of_key(key)[0], ABSENT), finite)
        return result | OrderedDict(
            loss=tf.cast(done.loss, tf.float64) * tf.cast(seen, tf.float64),
            windows=tf.cast(seen, tf.int64),
            clients=tf.cast(there, tf.int64),
        )

    return update


def bare_client_update(staged: StagedCohort, model: ModelConfig, training: TrainingConfig) -> tff.Computation:
    """What a client does in a round and sends to a mechanism that protects subjects: its update and nothing else.

    Type: ``(<ModelWeights, str> -> weights)``. The update of an absent client is zero. One that is not finite is sent
    as it is: no client may be trusted to look.
    """
    local = LocalRound(staged, model, training, None)

    @tff.tensorflow.computation(model_type(staged, model), np.str_)
    @tf.function(autograph=False)
    def update(sent: Any, key: tf.Tensor) -> list[tf.Tensor]:
        weights = list(sent.trainable)
        return tf.cond(
            tf.equal(parts_of_key(key)[0], ABSENT),
            lambda: [tf.zeros_like(w) for w in weights],
            lambda: local.train(weights, key)[0],
        )

    return update


class LocalRound:
    """A client's local training in a round.

    Args:
        staged: The clients' sequences.
        model: The network.
        training: Optimizer, passes and batches.
        windows: Privacy of single windows; None where local training is not private.
    """

    def __init__(
        self, staged: StagedCohort, model: ModelConfig, training: TrainingConfig, windows: PrivacyConfig | None
    ) -> None:
        self._staged, self._training, self._windows = staged, training, windows
        self._local = LocalTraining(Network(model, staged.shape), training.loss, build_client_optimizer(training))

    def train(self, start: list[tf.Tensor], key: tf.Tensor) -> tuple[list[tf.Tensor], Trained, tf.Tensor]:
        """The change of the weights, what training gave, and windows seen, times epochs; from a `training_key`."""
        training = self._training
        return self.train_on(start, self._staged.training_batches(key, training.local_epochs, training.shuffle))

    def train_on(self, start: list[tf.Tensor], batches: TrainingBatches) -> tuple[list[tf.Tensor], Trained, tf.Tensor]:
        """`train` on windows that are given."""
        training, local = self._training, self._local
        begin, size = local.initial_optimizer(), training.batch_size
        if self._windows is None:
            done = local.passes(start, begin, batches.windows, batches.order, size, batches.seed)
        else:
            done = local.private_steps(
                start, begin, batches.windows, training.local_epochs, size, self._windows, batches.seed
            )
        change = [before - after for after, before in zip(done.weights, start, strict=True)]
        return change, done, tf.size(batches.order)


def build_federated_averaging(
    staged: StagedCohort, model: ModelConfig, training: TrainingConfig
) -> tff.learning.templates.LearningProcess:
    """Federated averaging without privacy: a learning process as of `build_learning_process`."""
    update = client_update(staged, model, training)
    return build_learning_process(update, weighted_mean(update.type_signature.result), training)


def build_private_averaging(
    staged: StagedCohort,
    model: ModelConfig,
    training: TrainingConfig,
    privacy: PrivacyConfig,
    mechanism: tff.aggregators.UnweightedAggregationFactory | None,
) -> tff.learning.templates.LearningProcess:
    """Federated averaging with differential privacy: a learning process as of `build_learning_process`.

    With a mechanism that neither clips nor adds noise it is federated averaging with uniform weights.

    Args:
        staged: The clients' sequences.
        model: The network.
        training: Weighting must be uniform.
        privacy: What is protected.
        mechanism: What protects subjects (McMahan et al. 2018); None where windows are protected.
    """
    if mechanism is None:
        update = client_update(staged, model, training, privacy)
        return build_learning_process(update, weighted_mean(update.type_signature.result), training)
    update = bare_client_update(staged, model, training)
    return build_learning_process(update, private_mean(update.type_signature.result, mechanism), training)


def build_learning_process(
    update: tff.Computation, aggregation: RoundAggregation, training: TrainingConfig
) -> tff.learning.templates.LearningProcess:
    """A learning process whose ``next`` takes `training_key` strings, one per client of the round.

    Type of ``next``: ``(<state@SERVER, {str}@CLIENTS> -> <state@SERVER, metrics@SERVER>)``; each client's data are
    produced where its file is.

    Args:
        update: What a client does, from the server's weights and its key to what it sends.
        aggregation: Makes the mean update of it.
        training: Gives the server's optimizer.
    """
    weights = update.type_signature.parameter[0]
    distributor = tff.learning.templates.build_broadcast_process(weights)
    aggregator = aggregation.process
    finalizer = tff.learning.templates.build_apply_optimizer_finalizer(
        build_optimizer(training.server_optimizer), weights
    )

    @tff.tensorflow.computation
    def zeros() -> tff.learning.models.ModelWeights:
        return tff.learning.models.ModelWeights([tf.zeros(w.shape, w.dtype) for w in weights.trainable], [])

    @tff.federated_computation
    def initialize() -> Any:
        return tff.federated_zip(
            tff.learning.templates.LearningAlgorithmState(
                tff.federated_eval(zeros, tff.SERVER),
                distributor.initialize(),
                tff.federated_value((), tff.SERVER),
                aggregator.initialize(),
                finalizer.initialize(),
            )
        )

    state_type = initialize.type_signature.result

    @tff.federated_computation(state_type, tff.FederatedType(np.str_, tff.CLIENTS))
    def next_round(state: Any, keys: Any) -> tff.learning.templates.LearningProcessOutput:
        sent = distributor.next(state.distributor, state.global_model_weights)
        total = aggregator.next(state.aggregator, tff.federated_map(update, (sent.result, keys)))
        mean = tff.federated_map(aggregation.mean, total.result)
        stepped = finalizer.next(state.finalizer, state.global_model_weights, mean)
        metrics = OrderedDict(
            distributor=sent.measurements,
            client_work=tff.federated_map(aggregation.measured, total.result),
            aggregator=total.measurements,
            finalizer=stepped.measurements,
        )
        new_state = tff.learning.templates.LearningAlgorithmState(
            stepped.result, sent.state, state.client_work, total.state, stepped.state
        )
        return tff.learning.templates.LearningProcessOutput(tff.federated_zip(new_state), tff.federated_zip(metrics))

    member = state_type.member

    @tff.tensorflow.computation(member)
    def get_model_weights(state: Any) -> Any:
        return state.global_model_weights

    @tff.tensorflow.computation(member, weights)
    def set_model_weights(state: Any, model_weights: Any) -> Any:
        return tff.learning.templates.LearningAlgorithmState(
            model_weights, state.distributor, state.client_work, state.aggregator, state.finalizer
        )

    return tff.learning.templates.LearningProcess(initialize, next_round, get_model_weights, set_model_weights)
