"""A network without variables beside the Keras model that it stands for."""

import numpy as np
import numpy_lstm
import pytest
import tensorflow as tf

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.losses import build_loss
from tff_affect.models import recurrences
from tff_affect.models.network import Network
from tff_affect.models.registry import MODELS, build_model

SHAPE = WindowShape(window=12, features=3, labels=2)
CONFIGS = [ModelConfig(name, units=4) for name in MODELS if name != "ridge"] + [
    ModelConfig("bilstm", units=4, layers=2)
]


def labelled_windows(rng: np.random.Generator) -> tuple[tf.Tensor, tf.Tensor]:
    features = rng.normal(size=(5, 12, 3)).astype(np.float32)
    features[1, 3:6] = np.nan
    return tf.constant(features), tf.constant(rng.normal(size=(5, 12, 2)).astype(np.float32))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.name}-{config.layers}")
def test_it_predicts_and_learns_as_the_keras_model_with_these_weights(config: ModelConfig) -> None:
    rng = np.random.default_rng(4)
    features, labels = labelled_windows(rng)
    model, network, loss = build_model(config, SHAPE), Network(config, SHAPE), build_loss("mse")
    assert [s.shape for s in network.weight_specs] == [v.shape for v in model.trainable_variables]
    weights = [tf.constant(rng.normal(scale=0.3, size=v.shape), tf.float32) for v in model.trainable_variables]
    model.set_weights([w.numpy() for w in weights])
    np.testing.assert_allclose(
        tf.function(network.predict)(weights, features), model(features, training=False), atol=1e-6
    )
    if any("dropout" in layer.name for layer in model.layers):
        return  # what is dropped depends on the layers' places in the graph
    with tf.GradientTape() as tape:
        expected_loss = loss(labels, model(features, training=True))
    expected = tape.gradient(expected_loss, model.trainable_variables)
    step = tf.function(lambda w: network.gradients(loss, w, features, labels, tf.constant(0, tf.int64)))
    value, gradients = step(weights)
    np.testing.assert_allclose(value, expected_loss, rtol=1e-6)
    for found, wanted in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("config", "target"),
    [*((config, "frame") for config in CONFIGS), (CONFIGS[-1], "window")],
    ids=lambda each: each if isinstance(each, str) else f"{each.name}-{each.layers}",
)
def test_its_head_reads_the_hidden_states(config: ModelConfig, target: str) -> None:
    shape = WindowShape(window=12, features=3, labels=2, target=target)
    rng = np.random.default_rng(4)
    features, _ = labelled_windows(rng)
    network = Network(config, shape)
    weights = [tf.constant(rng.normal(scale=0.3, size=s.shape), tf.float32) for s in network.weight_specs]
    states = tf.function(network.states)(weights, features).numpy()
    predicted = tf.function(network.predict)(weights, features).numpy()
    if target == "window":
        valid = np.isfinite(features.numpy()).all(axis=-1)
        states = np.stack([s[v].mean(axis=0, keepdims=True) for s, v in zip(states, valid, strict=True)])
    kernel, bias = (w.numpy() for w in weights[-2:])
    np.testing.assert_allclose(states @ kernel + bias, predicted, atol=1e-5)


def test_a_graph_with_it_has_no_variables() -> None:
    network = Network(ModelConfig("gru", units=4), SHAPE)
    weights = [tf.zeros(s.shape) for s in network.weight_specs]
    predict = tf.function(network.predict).get_concrete_function(weights, tf.TensorSpec([None, 12, 3]))
    assert not list(predict.graph.variables)
    assert not [op.type for op in predict.graph.get_operations() if "Variable" in op.type or op.type == "VarHandleOp"]


def random_weights(network: Network, rng: np.random.Generator) -> list[tf.Tensor]:
    return [tf.constant(rng.normal(scale=0.3, size=s.shape), tf.float32) for s in network.weight_specs]


def damaged_windows(rng: np.random.Generator, target: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Six windows: whole, frames missing in the middle, at the start, all; labels missing in part, all."""
    features = rng.normal(size=(6, 12, 3)).astype(np.float32)
    labels = rng.normal(size=(6, 1 if target == "window" else 12, 2)).astype(np.float32)
    features[1, 3:6], features[2, :4], features[3] = np.nan, np.nan, np.nan
    if target == "frame":
        labels[1, 3:6], labels[4, 5:] = np.nan, np.nan
    labels[5] = np.nan
    return tf.constant(features), tf.constant(labels)


def assert_those_of_each_window(
    network: Network, loss_name: str, features: tf.Tensor, labels: tf.Tensor, rng: np.random.Generator
) -> None:
    weights, loss, seed = random_weights(network, rng), build_loss(loss_name), tf.constant(0, tf.int64)
    losses, found = tf.function(lambda f, y: network.window_gradients(loss, weights, f, y, seed))(features, labels)
    alone = tf.function(lambda f, y: network.gradients(loss, weights, f, y, seed))
    for window in range(len(features)):
        value, expected = alone(features[window : window + 1], labels[window : window + 1])
        if np.isfinite(labels[window]).any():
            np.testing.assert_allclose(losses[window], value, rtol=1e-5)
            assert max(np.abs(e).max() for e in expected) > 1e-3 or not np.isfinite(features[window]).any()
        else:
            assert losses[window] == 0
            assert not any(g[window].numpy().any() for g in found)
        for gradient, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(gradient[window], wanted, atol=1e-5)


RECURRENT = [name for name, entry in MODELS.items() if entry.window_gradients]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "loss", "target"),
    [*((name, "mse", "frame") for name in RECURRENT), ("lstm", "ccc", "frame"), ("bigru", "mse", "window")],
)
def test_gradients_of_windows_are_those_of_each_window_alone(name: str, loss: str, target: str) -> None:
    rng = np.random.default_rng(8)
    network = Network(ModelConfig(name, units=4, layers=2), WindowShape(12, 3, 2, target))
    assert_those_of_each_window(network, loss, *damaged_windows(rng, target), rng)


@pytest.mark.parametrize("name", ["simple_rnn", "lstm", "gru"])
def test_gradients_of_windows_in_long_sequences(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrences, "CHUNK", 5)
    rng = np.random.default_rng(9)
    assert_those_of_each_window(Network(ModelConfig(name, units=4), SHAPE), "mse", *damaged_windows(rng, "frame"), rng)


def test_gradients_of_windows_against_float64_by_hand() -> None:
    rng = np.random.default_rng(10)
    network, loss = Network(ModelConfig("lstm", units=5), SHAPE), build_loss("mse")
    features, labels = rng.normal(size=(4, 12, 3)), rng.normal(size=(4, 12, 2))
    weights = [rng.normal(scale=0.3, size=s.shape) for s in network.weight_specs]
    _, found = tf.function(network.window_gradients)(
        loss, [tf.constant(w, tf.float32) for w in weights], tf.constant(features, tf.float32),
        tf.constant(labels, tf.float32), tf.constant(0, tf.int64),
    )  # fmt: skip
    for window in range(4):
        expected = numpy_lstm.gradients(weights, features[[window]], labels[[window]])
        for gradient, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(gradient[window], wanted, atol=1e-6)


def test_gradients_of_windows_drop_what_the_batch_drops() -> None:
    rng = np.random.default_rng(11)
    network, loss = Network(ModelConfig("bigru", units=4, layers=2, dropout=0.5), SHAPE), build_loss("mse")
    weights = random_weights(network, rng)
    features, labels = labelled_windows(rng)
    batch = tf.function(lambda y, seed: network.gradients(loss, weights, features, y, seed)[1])
    windows = tf.function(lambda seed: network.window_gradients(loss, weights, features, labels, seed)[1])
    seed = tf.constant(3, tf.int64)
    found, other = windows(seed), windows(seed + 1)
    for window in range(5):
        only = np.where(np.arange(5)[:, None, None] == window, labels, np.float32(np.nan))
        for gradient, wanted in zip(found, batch(tf.constant(only), seed), strict=True):
            np.testing.assert_allclose(gradient[window], wanted, atol=1e-5)
    assert max(np.abs(a - b).max() for a, b in zip(found, other, strict=True)) > 1e-3
