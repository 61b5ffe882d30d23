"""Private steps inside a client: the identities that they must keep, and what is drawn afresh."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff
from staged_clients import SHAPE, staged_clients

from tff_affect.config import ModelConfig, OptimizerConfig
from tff_affect.learning.algorithms import build_optimizer
from tff_affect.learning.local_training import LocalTraining, Trained
from tff_affect.losses import build_loss
from tff_affect.models.network import Network
from tff_affect.models.registry import initial_weights
from tff_affect.privacy_config import PrivacyConfig

pytestmark = pytest.mark.slow
MODEL = ModelConfig("lstm", units=4)
NETWORK = Network(MODEL, SHAPE)
SGD, ADAM = OptimizerConfig("sgd", 0.1), OptimizerConfig("adam", 0.01)
PLAIN = PrivacyConfig(noise_multiplier=0.0, clipping_norm=np.inf, level="window")
Windows = tuple[tf.Tensor, tf.Tensor]


def start() -> list[tf.Tensor]:
    return [tf.constant(w) for w in initial_weights(MODEL, SHAPE, seed=1)]


def windows(folder: Path, count: int) -> Windows:
    return staged_clients(folder, {"P1": count}).training_windows("P1")


def private(
    data: Windows, privacy: PrivacyConfig, batch: int, epochs: int = 1, optimizer: OptimizerConfig = SGD, seed: int = 0
) -> Trained:
    local = LocalTraining(NETWORK, "mse", build_optimizer(optimizer))
    run = tf.function(
        lambda w, x: local.private_steps(
            w, local.initial_optimizer(), x, epochs, batch, privacy, tf.constant(seed, tf.int64)
        )
    )
    return run(start(), data)


def difference(a: list, b: list) -> float:
    return max(float(np.abs(np.asarray(x) - np.asarray(y)).max()) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("optimizer", [SGD, ADAM], ids=lambda o: o.name)
@pytest.mark.parametrize("epochs", [1, 3])
def test_without_noise_and_clipping_full_batches_are_plain_steps(
    tmp_path: Path, optimizer: OptimizerConfig, epochs: int
) -> None:
    data = windows(tmp_path, 5)
    local = LocalTraining(NETWORK, "mse", build_optimizer(optimizer))
    order = tf.tile(tf.range(5)[tf.newaxis], [epochs, 1])
    plain = tf.function(lambda w, x: local.passes(w, local.initial_optimizer(), x, order, 5, tf.constant(0, tf.int64)))(
        start(), data
    )
    found = private(data, PLAIN, batch=5, epochs=epochs, optimizer=optimizer)
    assert difference(found.weights, plain.weights) < 1e-6
    assert difference(found.weights, start()) > 1e-3
    assert float(found.loss) == pytest.approx(float(plain.loss), rel=1e-5)
    # Fewer windows than a batch: all join, and they are what is divided by.
    assert difference(private(data, PLAIN, batch=50, epochs=epochs, optimizer=optimizer).weights, plain.weights) < 1e-6


@pytest.mark.parametrize("norm", [0.01, 100.0])
def test_with_one_window_and_one_step_the_update_is_the_clipped_gradient(tmp_path: Path, norm: float) -> None:
    features, labels = windows(tmp_path, 1)
    gradient = tf.function(NETWORK.gradients)(build_loss("mse"), start(), features, labels, tf.constant(0, tf.int64))[1]
    length = np.sqrt(sum(np.square(g.numpy().astype(np.float64)).sum() for g in gradient))
    assert 0.02 < length < 50
    found = private(
        (features, labels), PrivacyConfig(noise_multiplier=0.0, clipping_norm=norm, level="window"), batch=4
    )
    update = [w - s for w, s in zip(found.weights, start(), strict=True)]
    expected = [-0.1 * g.numpy() * min(1, norm / length) for g in gradient]
    assert difference(update, expected) < 1e-6
    if norm < length:
        found_length = np.sqrt(sum(np.square(u.numpy().astype(np.float64)).sum() for u in update))
        assert found_length == pytest.approx(0.1 * norm, rel=1e-3)


def test_there_are_as_many_steps_as_plain_training_makes(tmp_path: Path) -> None:
    data = windows(tmp_path, 7)
    found = private(data, PrivacyConfig(noise_multiplier=1.0, level="window"), batch=3, epochs=2, optimizer=ADAM)
    assert int(found.optimizer["step"]) == 6


def test_each_step_adds_noise_over_the_expected_batch_even_if_nobody_joined(tmp_path: Path) -> None:
    # No label to learn from: what moves the weights is noise alone, and most batches of one of 40 are small or empty.
    features, labels = windows(tmp_path, 40)
    data = (features, tf.fill(tf.shape(labels), float("nan")))
    privacy = PrivacyConfig(noise_multiplier=2.0, clipping_norm=0.5, level="window")
    model = ModelConfig("lstm", units=80)
    local = LocalTraining(Network(model, SHAPE), "mse", build_optimizer(OptimizerConfig("sgd", 1.0)))
    begin = [tf.constant(w) for w in initial_weights(model, SHAPE, seed=1)]
    run = tf.function(
        lambda w: local.private_steps(w, local.initial_optimizer(), data, 2, 1, privacy, tf.constant(0, tf.int64))
    )
    done = run(begin)
    assert float(done.loss) == 0
    samples = np.concatenate([(w - s).numpy().ravel() for w, s in zip(done.weights, begin, strict=True)])
    assert len(samples) > 2e4
    # 80 steps, each with deviation z C over an expected batch of one.
    assert samples.std() == pytest.approx(np.sqrt(80) * 2.0 * 0.5, rel=0.02)


def test_windows_of_a_client_without_any_teach_nothing(tmp_path: Path) -> None:
    features, labels = windows(tmp_path, 2)
    done = private((features[:0], labels[:0]), PrivacyConfig(noise_multiplier=1.0, level="window"), batch=3)
    assert difference(done.weights, start()) == 0
    assert float(done.loss) == 0


def test_batches_and_noise_are_drawn_afresh_unless_asked_otherwise(tmp_path: Path) -> None:
    data = windows(tmp_path, 8)
    for privacy in (
        PrivacyConfig(noise_multiplier=1.0, level="window"),
        PrivacyConfig(noise_multiplier=0.0, level="window"),  # batches alone
    ):
        first, second = (private(data, privacy, batch=3, epochs=2).weights for _ in range(2))
        assert difference(first, second) > 1e-4
        same = PrivacyConfig(privacy.noise_multiplier, level="window", reproducible_noise=True)
        first, second, other = (private(data, same, batch=3, epochs=2, seed=seed).weights for seed in (1, 1, 2))
        assert difference(first, second) == 0
        assert difference(first, other) > 1e-4


@pytest.mark.usefixtures("runtime")
def test_in_a_worker_draws_differ_and_reproducible_ones_are_those_of_this_process(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, {"P1": 8})
    local = LocalTraining(NETWORK, "mse", build_optimizer(SGD))

    def computed(privacy: PrivacyConfig) -> tff.Computation:
        @tff.tensorflow.computation(
            [tff.TensorType(w.dtype.as_numpy_dtype, w.shape.as_list()) for w in NETWORK.weight_specs], np.int64
        )
        @tf.function(autograph=False)
        def train(weights: list, seed: tf.Tensor) -> list:
            data = staged.training_windows("P1")
            return local.private_steps(list(weights), local.initial_optimizer(), data, 2, 3, privacy, seed).weights

        return train

    secret = computed(PrivacyConfig(noise_multiplier=1.0, level="window"))
    assert difference(secret(start(), 1), secret(start(), 1)) > 1e-3
    reproducible = PrivacyConfig(noise_multiplier=1.0, level="window", reproducible_noise=True)
    here = private(staged.training_windows("P1"), reproducible, batch=3, epochs=2, seed=1).weights
    assert difference(computed(reproducible)(start(), 1), here) < 1e-5
