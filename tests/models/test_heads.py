from pathlib import Path

import numpy as np
import tensorflow as tf

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.models.heads import AffectDense, MaskedMean
from tff_affect.models.registry import build_model


def test_masked_mean_equals_numpy_and_is_zero_for_an_empty_window() -> None:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(5, 8, 3))
    mask = rng.random((5, 8)) < 0.5
    mask[2] = False
    found = MaskedMean(dtype="float64")(tf.constant(hidden), mask=tf.constant(mask)).numpy()
    assert found.shape == (5, 1, 3)
    for window, valid, mean in zip(hidden, mask, found, strict=True):
        expected = window[valid].mean(axis=0) if valid.any() else np.zeros(3)
        np.testing.assert_allclose(mean[0], expected, atol=1e-12)


def test_masked_mean_without_a_mask_is_the_mean() -> None:
    hidden = np.random.default_rng(0).normal(size=(5, 8, 3))
    np.testing.assert_allclose(
        MaskedMean(dtype="float64")(tf.constant(hidden)).numpy()[:, 0], hidden.mean(axis=1), atol=1e-12
    )


def test_masked_frames_have_no_gradient() -> None:
    hidden = tf.Variable(np.full((1, 4, 2), np.inf))
    hidden[:, :2].assign(tf.ones([1, 2, 2], tf.float64))
    with tf.GradientTape() as tape:
        mean = MaskedMean(dtype="float64")(hidden, mask=tf.constant([[True, True, False, False]]))
    np.testing.assert_array_equal(tape.gradient(mean, hidden)[0, :, 0], [0.5, 0.5, 0, 0])


def test_window_head_predicts_from_the_mean_state() -> None:
    features = np.random.default_rng(0).normal(size=(4, 9, 3)).astype(np.float32)
    features[:, 6:] = np.nan
    frame, window = (
        build_model(ModelConfig("gru", units=4), WindowShape(9, 3, 2, target)) for target in ("frame", "window")
    )
    window.set_weights(frame.get_weights())
    # The head is linear: the prediction from the mean state is the mean of the frames' predictions.
    expected = frame(features).numpy()[:, :6].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(window(features).numpy(), expected, atol=1e-6)


def test_a_copy_of_the_weights_for_each_window_is_used_for_that_window() -> None:
    rng = np.random.default_rng(0)
    hidden, kernel, bias = (rng.normal(size=size).astype(np.float32) for size in ((4, 9, 3), (4, 3, 2), (4, 2)))
    left = iter([tf.constant(kernel), tf.constant(bias)])
    layer = AffectDense(2)
    with tf.variable_creator_scope(lambda _, **__: next(left)):
        found = layer(tf.constant(hidden))
    expected = np.einsum("btu,bud->btd", hidden, kernel) + bias[:, np.newaxis]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_head_is_saved_and_loaded_and_named_as_a_dense_layer(tmp_path: Path) -> None:
    model = build_model(ModelConfig("gru", units=4), WindowShape(9, 3, 2))
    assert [w.name for w in model.get_layer("affect").weights] == ["affect/kernel:0", "affect/bias:0"]
    features = np.random.default_rng(0).normal(size=(4, 9, 3)).astype(np.float32)
    model.save(tmp_path / "model.keras")
    loaded = tf.keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(features), model(features))
