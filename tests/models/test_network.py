"""A network without variables beside the Keras model that it stands for."""

import numpy as np
import pytest
import tensorflow as tf

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.losses import build_loss
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


def test_a_graph_with_it_has_no_variables() -> None:
    network = Network(ModelConfig("gru", units=4), SHAPE)
    weights = [tf.zeros(s.shape) for s in network.weight_specs]
    predict = tf.function(network.predict).get_concrete_function(weights, tf.TensorSpec([None, 12, 3]))
    assert not list(predict.graph.variables)
    assert not [op.type for op in predict.graph.get_operations() if "Variable" in op.type or op.type == "VarHandleOp"]
