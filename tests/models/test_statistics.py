import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.models.registry import build_model
from tff_affect.models.statistics import WindowStatistics, design


def windows(seed: int, missing: float, offset: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    features = (rng.normal(size=(3, 12, 2)) + offset).astype(np.float32)
    features[rng.random((3, 12)) < missing, 1] = np.nan
    return features


def moments(rows: np.ndarray) -> np.ndarray:
    rows = rows[np.isfinite(rows).all(axis=-1)]
    return np.concatenate([rows.mean(axis=0), rows.std(axis=0)]) if len(rows) else np.zeros(2 * rows.shape[-1])


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), missing=st.sampled_from([0.0, 0.3, 1.0]), offset=st.sampled_from([0.0, 50.0]))
def test_statistics_equal_numpy_in_float64(seed: int, missing: float, offset: float) -> None:
    features = windows(seed, missing, offset)
    exact = features.astype(np.float64)
    window, frame = (design(tf.constant(features), target).numpy() for target in ("window", "frame"))
    assert window.shape == (3, 1, 4)
    assert frame.shape == (3, 12, 6)
    np.testing.assert_allclose(window[:, 0], [moments(w) for w in exact], rtol=1e-5, atol=1e-6)
    running = [[moments(w[: t + 1]) for t in range(12)] for w in exact]
    np.testing.assert_allclose(frame[..., 2:], running, rtol=1e-5, atol=1e-6)
    valid = np.isfinite(features).all(axis=-1, keepdims=True)
    np.testing.assert_array_equal(frame[..., :2], np.where(valid, features, 0))


def test_without_a_mask_every_frame_counts() -> None:
    features = windows(0, 0.0)
    np.testing.assert_array_equal(WindowStatistics("window")(features), design(features, "window"))


def test_a_constant_feature_has_no_deviation_and_a_finite_gradient() -> None:
    features = tf.fill([1, 6, 1], 4.7)
    with tf.GradientTape() as tape:
        tape.watch(features)
        found = design(features, "frame")
    np.testing.assert_array_equal(found[0, :, 2], np.zeros(6))
    assert np.isfinite(tape.gradient(found, features)).all()


@pytest.mark.parametrize("target", ["frame", "window"])
def test_the_ridge_model_is_linear_in_its_design(target: str) -> None:
    features = windows(1, 0.2)
    model = build_model(ModelConfig("ridge"), WindowShape(12, 2, 2, target))
    kernel, bias = model.get_weights()
    expected = design(features, target).numpy().astype(np.float64) @ kernel + bias
    np.testing.assert_allclose(model(features).numpy(), expected, atol=1e-5)
