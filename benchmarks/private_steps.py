"""What differential privacy of single windows costs a step, beside the same step without it.

On one SYNTHETIC client of the size of `affect-27`'s: 75 windows x 100 frames x 20 features, two targets per frame, mean
squared error, about 15 windows a step. The ways are timed in turn in one process, so that a busy machine slows them
alike; what counts is the ratio of neighbours.

    python -m benchmarks.private_steps --repeats 40
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tensorflow_privacy as tfp

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig, OptimizerConfig
from tff_affect.learning.algorithms import build_optimizer
from tff_affect.learning.local_training import LocalTraining
from tff_affect.learning.private_baseline import KnownJacobian
from tff_affect.losses import build_loss
from tff_affect.models.network import Network
from tff_affect.models.registry import build_model, initial_weights
from tff_affect.privacy.noise import fresh_seed
from tff_affect.privacy.window_query import WindowSumQuery
from tff_affect.privacy_config import PrivacyConfig

WINDOWS, BATCH = 75, 15
SHAPE = WindowShape(window=100, features=20, labels=2)
RATE = 0.05
PRIVACY = PrivacyConfig(noise_multiplier=1.0, clipping_norm=1.0, level="window")
BOUND, HOPE = 3.0, 1.5
Step = Callable[[], object]


@dataclass(frozen=True)
class Pair:
    """Two ways of the same work.

    Attributes:
        name: What is compared.
        private: With differential privacy.
        plain: Without.
        bound: Largest median ratio; None where nothing is promised.
    """

    name: str
    private: Step
    plain: Step
    bound: float | None = None


def synthetic_windows() -> tuple[tf.Tensor, tf.Tensor]:
    """SYNTHETIC features ``[windows, time, feature]`` and labels ``[windows, time, dimension]``."""
    rng = np.random.default_rng(7)
    features = rng.normal(size=(WINDOWS, SHAPE.window, SHAPE.features)).astype(np.float32)
    mixing = rng.normal(size=(SHAPE.features, SHAPE.labels)) / np.sqrt(SHAPE.features)
    return tf.constant(features), tf.constant(np.tanh(features @ mixing), tf.float32)


def client_pass(model: ModelConfig) -> Pair:
    """A client's pass, five steps, as federated training makes it."""
    features, labels = synthetic_windows()
    local = LocalTraining(Network(model, SHAPE), "mse", build_optimizer(OptimizerConfig("sgd", RATE)))
    start = [tf.constant(w) for w in initial_weights(model, SHAPE, 7)]
    order, seed = tf.range(WINDOWS)[tf.newaxis], tf.constant(0, tf.int64)

    @tf.function(autograph=False)
    def plain(features: tf.Tensor, labels: tf.Tensor) -> list[tf.Tensor]:
        begin = local.initial_optimizer()
        return local.passes(start, begin, (features, labels), order, BATCH, seed).weights

    @tf.function(autograph=False)
    def private(features: tf.Tensor, labels: tf.Tensor) -> list[tf.Tensor]:
        begin = local.initial_optimizer()
        return local.private_steps(start, begin, (features, labels), 1, BATCH, PRIVACY, seed).weights

    return Pair(
        f"{model.name}: a client's pass", lambda: private(features, labels), lambda: plain(features, labels), BOUND
    )


def keras_step(model: ModelConfig, stock: bool) -> Pair:
    """A step of TF Privacy's optimizer and of the Keras optimizer that it derives from.

    Args:
        model: The network.
        stock: Whether TF Privacy's vectorised optimizer takes its own Jacobian through Keras's layers, as its tutorial
            does; else it gets the gradients of windows from the network, and the query is ours.
    """
    features, labels = (part[:BATCH] for part in synthetic_windows())
    if stock:
        return _stock_pair(model, features, labels)
    network, loss, seed = Network(model, SHAPE), build_loss("mse"), tf.constant(0, tf.int64)
    variables = [[tf.Variable(w) for w in initial_weights(model, SHAPE, 7)] for _ in range(2)]
    query = WindowSumQuery(PRIVACY.clipping_norm, PRIVACY.noise_multiplier or 0.0, BATCH, fresh_seed)
    private_optimizer = tfp.GenericDPSGDOptimizer(query, learning_rate=RATE)
    plain_optimizer = tf.keras.optimizers.legacy.SGD(RATE)

    @tf.function(autograph=False)
    def private() -> None:
        weights = [tf.convert_to_tensor(v) for v in variables[0]]
        losses, gradients = network.window_gradients(loss, weights, features, labels, seed)
        private_optimizer.minimize(losses, variables[0], tape=KnownJacobian(gradients))

    @tf.function(autograph=False)
    def plain() -> None:
        weights = [tf.convert_to_tensor(v) for v in variables[1]]
        _, gradients = network.gradients(loss, weights, features, labels, seed)
        plain_optimizer.apply_gradients(zip(gradients, variables[1], strict=True))

    return Pair(f"{model.name}: a step of TF Privacy's optimizer, gradients of windows ours", private, plain, BOUND)


def _stock_pair(model: ModelConfig, features: tf.Tensor, labels: tf.Tensor) -> Pair:
    layer = {"lstm": tf.keras.layers.LSTM, "gru": tf.keras.layers.GRU}[model.name]
    optimizers = (
        tfp.VectorizedDPKerasSGDOptimizer(PRIVACY.clipping_norm, PRIVACY.noise_multiplier, BATCH, learning_rate=RATE),
        tf.keras.optimizers.legacy.SGD(RATE),
    )

    def step_of(optimizer: tf.keras.optimizers.Optimizer, private: bool) -> Step:
        inputs = tf.keras.Input((SHAPE.window, SHAPE.features))
        hidden = layer(model.units, return_sequences=True)(inputs)
        network = tf.keras.Model(inputs, tf.keras.layers.Dense(SHAPE.labels)(hidden))
        network.set_weights(build_model(model, SHAPE).get_weights())

        @tf.function(autograph=False)
        def step() -> None:
            with tf.GradientTape(persistent=True) as tape:
                losses = tf.reduce_mean(tf.square(labels - network(features, training=True)), axis=[1, 2])
                losses = losses if private else tf.reduce_mean(losses)
            optimizer.minimize(losses, network.trainable_variables, tape=tape)

        return step

    private, plain = (step_of(optimizer, number == 0) for number, optimizer in enumerate(optimizers))
    return Pair(f"{model.name}: a step of stock TF Privacy and stock Keras", private, plain)


def _seconds(step: Step) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def measure(pair: Pair, repeats: int) -> bool:
    """Times the two in turn and prints the figures; whether the bound is met."""
    for step in (pair.private, pair.plain, pair.private, pair.plain):
        step()
    times = [(_seconds(pair.private), _seconds(pair.plain)) for _ in range(repeats)]
    private, plain = (1000 * statistics.median(column) for column in zip(*times, strict=True))
    low, middle, high = statistics.quantiles([a / b for a, b in times], n=4)
    spread = f"ratio {middle:.2f}, quartiles {low:.2f}-{high:.2f}"
    bound = "" if pair.bound is None else f" (bound {pair.bound:g}, hoped for {HOPE:g})"
    print(f"{pair.name}: {private:.1f} ms, plain {plain:.1f} ms, {spread}{bound}")
    return pair.bound is None or middle <= pair.bound


def main() -> int:
    """Prints the measurements; returns 0 if the bounds are met, else 1."""
    parser = argparse.ArgumentParser(description="Times private steps beside plain ones, on SYNTHETIC windows.")
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--models", nargs="+", choices=("lstm", "gru"), default=["lstm", "gru"])
    options = parser.parse_args()
    models = [ModelConfig(name, units=options.units) for name in options.models]
    met = []
    for model in models:
        for pair in (client_pass(model), keras_step(model, stock=False), keras_step(model, stock=True)):
            met.append(measure(pair, options.repeats))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
