"""The two ways in which TensorFlow Federated is timed: this package's engine, and what its tutorials do."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from benchmarks.simulator_machine import stop_descendants
from benchmarks.simulator_work import Task, Work
from tff_affect.client_data import StagedCohort, training_key
from tff_affect.config import DataConfig, ModelConfig, OptimizerConfig, TrainingConfig
from tff_affect.errors import InputError
from tff_affect.learning.algorithms import build_federated_averaging
from tff_affect.learning.runtime import local_runtime
from tff_affect.staging import staging_folder

STOCK_LAYERS: dict[str, Callable[[int], tf.keras.layers.Layer]] = {
    "simple_rnn": functools.partial(tf.keras.layers.SimpleRNN, return_sequences=True),
    "lstm": functools.partial(tf.keras.layers.LSTM, return_sequences=True),
    "gru": functools.partial(tf.keras.layers.GRU, return_sequences=True),
    "bilstm": lambda units: tf.keras.layers.Bidirectional(tf.keras.layers.LSTM(units, return_sequences=True)),
    "bigru": lambda units: tf.keras.layers.Bidirectional(tf.keras.layers.GRU(units, return_sequences=True)),
}
_WORKER = "worker_binary"


@dataclass(frozen=True)
class Engine:
    """A learning process that can be run.

    Attributes:
        process: The learning process.
        inputs: What ``process.next`` takes for the given clients in the given round (from 1).
    """

    process: tff.learning.templates.LearningProcess
    inputs: Callable[[Sequence[int], int], list]


@dataclass(frozen=True)
class Trained:
    """What a run gave.

    Attributes:
        began: ``time.perf_counter()`` when the first round began.
        seconds: Of each round; the first holds all tracing and compiling.
        loss: Mean training loss that the engine reported for the last round.
        weights: After the last round, in Keras order.
    """

    began: float
    seconds: list[float]
    loss: float
    weights: list[np.ndarray]


def stage(folder: Path, task: Task) -> StagedCohort:
    """Writes every client's sequence, as `tff_affect.client_data.stage_cohort` does for a cohort."""
    work = task.work
    clients = tuple(f"C{number:06d}" for number in range(work.clients))
    for number, client in enumerate(clients):
        task.sequence(number).astype("<f4").tofile(folder / f"{client}.f32")
    labels = tuple(f"label_{index}" for index in range(work.labels))
    data = DataConfig(cohort="SYNTHETIC", window=work.window, hop=work.window, scaling="none")
    return StagedCohort(folder, clients, work.features, labels, 0, data)


@contextmanager
def our_engine(task: Task) -> Iterator[Engine]:
    """This package's federated averaging over staged clients, on its own worker."""
    work = task.work
    training = TrainingConfig(
        batch_size=work.batch, shuffle=False, loss="mse", client_optimizer=OptimizerConfig("sgd", work.rate)
    )
    with staging_folder() as folder, local_runtime():
        staged = stage(folder, task)
        process = build_federated_averaging(staged, ModelConfig(work.layer, units=work.units), training)
        yield Engine(process, lambda clients, number: [training_key(staged.clients[c], number) for c in clients])


def stock_process(work: Work) -> tff.learning.templates.LearningProcess:
    """``from_keras_model`` around a plain Keras layer, in ``build_weighted_fed_avg`` with its default loop.

    Raises:
        InputError: If Keras has no layer for the work's.
    """
    if work.layer not in STOCK_LAYERS:
        raise InputError(f"expected one of the layers {', '.join(STOCK_LAYERS)}, found {work.layer!r}")
    specs = ([None, work.window, work.features], [None, work.window, work.labels])

    def model_fn() -> tff.learning.models.VariableModel:
        model = tf.keras.Sequential(
            [
                tf.keras.Input((work.window, work.features)),
                STOCK_LAYERS[work.layer](work.units),
                tf.keras.layers.Dense(work.labels),
            ]
        )
        return tff.learning.models.from_keras_model(
            model,
            loss=tf.keras.losses.MeanSquaredError(),
            input_spec=tuple(tf.TensorSpec(shape, tf.float32) for shape in specs),
        )

    return tff.learning.algorithms.build_weighted_fed_avg(
        model_fn,
        client_optimizer_fn=tff.learning.optimizers.build_sgdm(work.rate),
        server_optimizer_fn=tff.learning.optimizers.build_sgdm(1.0),
    )


def stock_inputs(task: Task) -> Callable[[Sequence[int], int], list]:
    """Clients as in-memory datasets of batches, made once each."""
    work = task.work

    @functools.cache
    def dataset(client: int) -> tf.data.Dataset:
        windows = task.sequence(client).reshape(work.windows, work.window, work.features + work.labels)
        parts = (windows[..., : work.features], windows[..., work.features :])
        return tf.data.Dataset.from_tensor_slices(parts).batch(work.batch)

    return lambda clients, _: [dataset(client) for client in clients]


@contextmanager
def stock_engine(task: Task) -> Iterator[Engine]:
    """What a tutorial of TensorFlow Federated does, in the context that importing it installs."""
    try:
        yield Engine(stock_process(task.work), stock_inputs(task))
    finally:
        # The default context leaves its worker behind, and that would hold our output open.
        stop_descendants(os.getpid(), _WORKER)


ENGINES: dict[str, Callable[[Task], AbstractContextManager[Engine]]] = {"ours": our_engine, "stock": stock_engine}


def train(engine: Engine, task: Task, after_round: Callable[[int, list[np.ndarray]], None] | None = None) -> Trained:
    """Runs the task's rounds.

    Args:
        engine: One that was made for the task.
        task: The work, its initial weights and its schedule.
        after_round: Called with the round's number, from 1, and its weights; outside what is timed.
    """
    process = engine.process
    start = tff.learning.models.ModelWeights(task.start(), [])
    state = process.set_model_weights(process.initialize(), start)
    began = time.perf_counter()
    seconds: list[float] = []
    metrics: Any = {}
    for number, clients in enumerate(task.schedule, start=1):
        before = time.perf_counter()
        output = process.next(state, engine.inputs(clients, number))
        seconds.append(time.perf_counter() - before)
        state, metrics = output.state, output.metrics
        if after_round is not None:
            after_round(number, _weights(process, state))
    return Trained(began, seconds, float(metrics["client_work"]["train"]["loss"]), _weights(process, state))


def _weights(process: tff.learning.templates.LearningProcess, state: Any) -> list[np.ndarray]:
    return [np.asarray(tensor) for tensor in process.get_model_weights(state).trainable]
