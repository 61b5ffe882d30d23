"""The networks that are differentiable twice beside those that are trained."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.errors import InputError
from tff_affect.losses import build_loss
from tff_affect.models.network import Network
from tff_affect.models.registry import MODELS, build_model
from tff_affect.privacy.audit.plain_network import PlainNetwork, why_not_plain

ATTACKED = ("simple_rnn", "lstm", "gru", "bilstm", "bigru")
SHAPES = {target: WindowShape(9, 3, 2, target) for target in ("frame", "window")}


def item_weights(config: ModelConfig, shape: WindowShape, items: int) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.normal(scale=0.4, size=(items, *s.shape)) for s in Network(config, shape).weight_specs]


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("target", ["frame", "window"])
@pytest.mark.parametrize("name", ATTACKED)
def test_each_item_predicts_as_keras_with_its_weights(name: str, target: str, layers: int) -> None:
    config, shape = ModelConfig(name, units=4, layers=layers), SHAPES[target]
    weights = item_weights(config, shape, 2)
    features = np.random.default_rng(0).normal(size=(2, 3, 9, 3))
    found = PlainNetwork(config, shape).predict([tf.constant(w) for w in weights], tf.constant(features))
    assert found.dtype == tf.float64
    keras = build_model(config, shape)
    for item in range(2):
        keras.set_weights([w[item] for w in weights])
        np.testing.assert_allclose(found[item], keras(features[item].astype(np.float32)), atol=1e-6)


@pytest.mark.parametrize("loss_name", ["ccc", "mse"])
@pytest.mark.parametrize("name", ATTACKED)
def test_each_item_has_the_gradients_that_training_computes(name: str, loss_name: str) -> None:
    config, shape, loss = ModelConfig(name, units=4), SHAPES["frame"], build_loss(loss_name)
    rng = np.random.default_rng(1)
    weights, features = item_weights(config, shape, 2), rng.normal(size=(2, 3, 9, 3))
    labels = rng.normal(size=(2, 3, 9, 2))
    labels[0, 1, 4:] = np.nan
    found = PlainNetwork(config, shape).gradients(
        loss, [tf.constant(w) for w in weights], tf.constant(features), tf.constant(labels)
    )
    for item in range(2):
        own, x, y = (
            [tf.constant(part, tf.float32) for part in parts]
            for parts in ([w[item] for w in weights], features[item], labels[item])
        )
        trained = tf.function(Network(config, shape).gradients)
        _, expected = trained(loss, own, tf.stack(x), tf.stack(y), tf.constant(0, tf.int64))
        for f, e in zip(found, expected, strict=True):
            np.testing.assert_allclose(f[item], e, atol=2e-6)


def test_models_without_such_a_form_are_refused_with_a_reason() -> None:
    for name in set(MODELS) - set(ATTACKED):
        assert why_not_plain(ModelConfig(name)).startswith(f"inversion is not attempted for {name}: ")
        with pytest.raises(InputError, match=rf"expected one of simple_rnn, .* found '{name}'"):
            PlainNetwork(ModelConfig(name), SHAPES["frame"])
    assert "solved" in why_not_plain(ModelConfig("ridge"))
    assert not any(why_not_plain(ModelConfig(name)) for name in ATTACKED)
