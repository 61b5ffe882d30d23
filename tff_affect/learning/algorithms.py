"""Federated averaging and FedProx over staged clients.

Weighted FedAvg (McMahan et al. 2017) with an adaptive server optimizer (Reddi et al. 2021) and, with
``proximal_strength`` above 0, FedProx (Li et al. 2020). Special cases that are tests: FedProx with mu = 0 is FedAvg;
one client, one batch and server SGD at rate 1 is a step of centralised training.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow_federated as tff

from tff_affect.client_data import StagedCohort
from tff_affect.config import ModelConfig, OptimizerConfig, TrainingConfig
from tff_affect.learning.proximal import ProximalOptimizer
from tff_affect.losses import build_loss
from tff_affect.models.registry import build_model

# The default loop is 2-5 times slower for recurrent models, with the same weights.
_LOOP = tff.learning.LoopImplementation.DATASET_ITERATOR


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


def build_model_fn(
    staged: StagedCohort, model: ModelConfig, training: TrainingConfig
) -> Callable[[], tff.learning.models.VariableModel]:
    """What TFF calls, inside its own graph, to make the model."""

    def model_fn() -> tff.learning.models.VariableModel:
        keras_model = build_model(model, staged.shape)
        return tff.learning.models.from_keras_model(
            keras_model, loss=build_loss(training.loss), input_spec=staged.window_spec
        )

    return model_fn


def build_federated_averaging(
    staged: StagedCohort, model: ModelConfig, training: TrainingConfig
) -> tff.learning.templates.LearningProcess:
    """A learning process whose ``next`` takes `training_key` strings, one per client of the round.

    Type of ``next``: ``(<state@SERVER, {str}@CLIENTS> -> <state@SERVER, metrics@SERVER>)``; each client's data are
    produced where its file is, by the composed dataset computation.
    """
    weightings = {
        "windows": tff.learning.ClientWeighting.NUM_EXAMPLES,
        "uniform": tff.learning.ClientWeighting.UNIFORM,
    }
    client_optimizer = build_optimizer(training.client_optimizer)
    if training.proximal_strength > 0:
        client_optimizer = ProximalOptimizer(client_optimizer, training.proximal_strength)
    process = tff.learning.algorithms.build_weighted_fed_avg(
        build_model_fn(staged, model, training),
        client_optimizer_fn=client_optimizer,
        server_optimizer_fn=build_optimizer(training.server_optimizer),
        client_weighting=weightings[training.weighting],
        loop_implementation=_LOOP,
    )
    return tff.simulation.compose_dataset_computation_with_learning_process(
        staged.training_computation(training.batch_size, training.local_epochs, training.shuffle), process
    )
