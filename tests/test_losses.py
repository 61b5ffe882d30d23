import audmetric
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.errors import InputError
from tff_affect.losses import build_loss
from tff_affect.models.registry import build_model


def batch(seed: int, masked: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    gold = rng.normal(size=(3, 7, 2)).astype(np.float32)
    predicted = (0.6 * gold + rng.normal(size=gold.shape) + 0.3).astype(np.float32)
    gold[rng.random((3, 7)) < masked] = np.nan
    return gold, predicted


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.7))
def test_ccc_loss_equals_audmetric_on_valid_frames(seed: int, masked: float) -> None:
    gold, predicted = batch(seed, masked)
    there = np.isfinite(gold[..., 0])
    if there.sum() < 3:
        return
    cccs = [audmetric.concordance_cc(gold[there][:, d], predicted[there][:, d]) for d in range(2)]
    assert float(build_loss("ccc")(gold, predicted)) == pytest.approx(1 - np.mean(cccs), abs=1e-5)


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.7))
def test_squared_error_counts_valid_frames_only(seed: int, masked: float) -> None:
    gold, predicted = batch(seed, masked)
    if np.isfinite(gold).any():
        expected = np.nanmean((gold.astype(np.float64) - predicted) ** 2)
        assert float(build_loss("mse")(gold, predicted)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["ccc", "mse"])
def test_masked_frames_have_no_gradient_and_nothing_is_nan(name: str) -> None:
    gold, predicted = batch(1, 0.4)
    guess = tf.Variable(predicted)
    with tf.GradientTape() as tape:
        loss = build_loss(name)(tf.constant(gold), guess)
    gradient = tape.gradient(loss, guess).numpy()
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[np.isnan(gold)], 0)
    assert (np.abs(gradient[np.isfinite(gold)]) > 0).all()


@pytest.mark.parametrize(("name", "value"), [("ccc", 1.0), ("mse", 0.0)])
def test_a_batch_without_a_valid_frame_teaches_nothing(name: str, value: float) -> None:
    guess = tf.Variable(np.ones((2, 3, 2), np.float32))
    with tf.GradientTape() as tape:
        loss = build_loss(name)(tf.fill((2, 3, 2), float("nan")), guess)
    assert float(loss) == value
    np.testing.assert_array_equal(tape.gradient(loss, guess).numpy(), 0)


@pytest.mark.parametrize("name", ["ccc", "mse"])
def test_the_predictions_keras_mask_does_not_multiply_the_loss(name: str) -> None:
    model = build_model(ModelConfig("gru", units=3), WindowShape(window=7, features=4, labels=2))
    predicted = model(np.random.default_rng(0).normal(size=(3, 7, 4)).astype(np.float32))
    gold, _ = batch(2, 0.2)
    loss = build_loss(name)(gold, predicted)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(float(build_loss(name)(gold, predicted.numpy())), rel=1e-6)


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(InputError, match="expected one of ccc, mse, found 'mae'"):
        build_loss("mae")


@pytest.mark.parametrize("name", ["ccc", "mse"])
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.7))
def test_the_loss_of_a_window_is_that_of_a_batch_of_it_alone(name: str, seed: int, masked: float) -> None:
    gold, predicted = batch(seed, masked)
    loss = build_loss(name)
    found = loss.windows(gold, predicted).numpy()
    assert found.shape == (3,)
    for window, value in enumerate(found):
        there = np.isfinite(gold[window]).any()
        expected = float(loss(gold[[window]], predicted[[window]])) if there else 0.0
        assert value == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_the_losses_of_windows_against_numpy_and_audmetric() -> None:
    gold, predicted = batch(5, 0.0)
    gold[1, 4:] = np.nan
    frames = [7, 4, 7]
    pairs = [(g[:n].astype(np.float64), p[:n]) for g, p, n in zip(gold, predicted, frames, strict=True)]
    squared = [np.mean((g - p) ** 2) for g, p in pairs]
    ccc = [1 - np.mean([audmetric.concordance_cc(g[:, d], p[:, d]) for d in range(2)]) for g, p in pairs]
    np.testing.assert_allclose(build_loss("mse").windows(gold, predicted), squared, rtol=1e-5)
    np.testing.assert_allclose(build_loss("ccc").windows(gold, predicted), ccc, rtol=1e-5)


@pytest.mark.parametrize("name", ["ccc", "mse"])
def test_a_window_without_a_valid_frame_has_no_loss_and_no_gradient(name: str) -> None:
    gold, predicted = batch(6, 0.0)
    gold[1] = np.nan
    predicted[1, 2] = np.inf
    guess = tf.Variable(predicted)
    with tf.GradientTape() as tape:
        losses = build_loss(name).windows(tf.constant(gold), guess)
    gradient = tape.gradient(losses, guess).numpy()
    assert losses[1] == 0
    np.testing.assert_array_equal(gradient[1], 0)
    assert np.isfinite(gradient).all()
    assert (np.abs(gradient[[0, 2]]) > 0).all()
