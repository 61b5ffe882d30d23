from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from staged_clients import SHAPE, staged_clients

from tff_affect.client_data import ABSENT, WindowShape
from tff_affect.config import ModelConfig
from tff_affect.errors import RunError
from tff_affect.learning.ridge import (
    PENALTIES,
    GramSums,
    choose_penalty,
    federated_gram_sums,
    gram_sums,
    solve,
    window_sums,
)
from tff_affect.models.registry import build_model


def pooled(features: np.ndarray, labels: np.ndarray, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows that scikit-learn is given, made by the layer that the model itself applies; float64."""
    shape = WindowShape(features.shape[1], features.shape[2], labels.shape[2], target)
    model = build_model(ModelConfig("ridge"), shape)
    regressors = tf.keras.Model(model.input, model.get_layer("window_statistics").output)(features).numpy()
    there = np.isfinite(features).all(axis=-1)
    there = there if target == "frame" else there.any(axis=-1, keepdims=True)
    rows = there & np.isfinite(labels).all(axis=-1)
    return regressors[rows].astype(np.float64), labels[rows].astype(np.float64)


def by_scikit_learn(x: np.ndarray, y: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    deviation[deviation == 0] = 1
    fitted = Ridge(alpha=penalty * len(x)).fit((x - mean) / deviation, y)
    kernel = fitted.coef_.T / deviation[:, np.newaxis]
    return kernel, fitted.intercept_ - mean @ kernel


def windows(seed: int, target: str, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = (rng.normal(size=(40, 12, 3)) + offset).astype(np.float32)
    labels = rng.normal(size=(40, 12 if target == "frame" else 1, 2)).astype(np.float32)
    features[rng.random((40, 12)) < 0.2, 1] = np.nan
    features[0] = np.nan
    labels[rng.random(labels.shape[:2]) < 0.2, 0] = np.nan
    return features, labels


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 10**6), target=st.sampled_from(["frame", "window"]), penalty=st.sampled_from(PENALTIES),
    offset=st.sampled_from([0.0, 30.0]),
)  # fmt: skip
def test_solution_equals_scikit_learn(seed: int, target: str, penalty: float, offset: float) -> None:
    features, labels = windows(seed, target, offset)
    x, y = pooled(features, labels, target)
    sums = GramSums(window_sums(tf.constant(features), tf.constant(labels), target).numpy())
    assert sums.rows == len(x)
    kernel, bias = solve(sums, penalty)
    expected_kernel, expected_bias = by_scikit_learn(x, y, penalty)
    np.testing.assert_allclose(kernel, expected_kernel, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(bias, expected_bias, rtol=1e-5, atol=1e-6)


def test_sums_of_clients_add_up_to_those_of_the_pooled_windows(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, {"P1": 3, "P2": 5, "P3": 2}, missing=0.2, hop=5, extra_frames=3)
    parts = [[part.numpy() for part in staged.training_windows(client)] for client in staged.clients]
    features, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
    x, y = pooled(features, labels, "frame")
    first, *others = gram_sums(staged, staged.clients)
    total = sum(others, first)
    ones = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    np.testing.assert_allclose(total.products, ones.T @ np.concatenate([ones, y], axis=1), rtol=1e-9, atol=1e-9)
    kernel, bias = solve(total, 0.01)
    expected_kernel, expected_bias = by_scikit_learn(x, y, 0.01)
    np.testing.assert_allclose(kernel, expected_kernel, atol=1e-6)
    np.testing.assert_allclose(bias, expected_bias, atol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
def test_federated_ridge_is_centralised_ridge(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, {"P1": 3, "P2": 5, "P3": 2}, missing=0.2)
    train = ["P1", "P3"]
    first, second = gram_sums(staged, train)
    found = federated_gram_sums(staged, train)
    np.testing.assert_allclose(found.products, (first + second).products, rtol=1e-12, atol=1e-12)
    for federated, centralised in zip(solve(found, 0.1), solve(first + second, 0.1), strict=True):
        np.testing.assert_allclose(federated, centralised, atol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
def test_sums_of_an_absent_client_are_zero_and_it_is_missed(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, {"P1": 3, "P2": 5}, target="window")
    with pytest.raises(RunError, match="expected the sums of 3 clients, found those of 2"):
        federated_gram_sums(staged, ["P1", ABSENT, "P2"])
    (absent,) = gram_sums(staged, [ABSENT])
    np.testing.assert_array_equal(absent.products, np.zeros_like(gram_sums(staged, ["P1"])[0].products))


def test_weights_fit_the_model(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, {"P1": 4})
    model = build_model(ModelConfig("ridge"), SHAPE)
    model.set_weights(solve(gram_sums(staged, ["P1"])[0], 1e-3))
    features, labels = staged.training_windows("P1")
    residual = labels.numpy() - model(features).numpy()
    assert (residual**2).mean() < 0.9 * labels.numpy().var(axis=(0, 1)).mean()


def test_regressors_without_variance_get_no_weight() -> None:
    features, labels = windows(0, "frame")
    features[..., 2] = 1234.5
    labels[:] = np.nan_to_num(labels)
    kernel, bias = solve(GramSums(window_sums(tf.constant(features), tf.constant(labels), "frame").numpy()), 1e-5)
    np.testing.assert_array_equal(kernel[[2, 5, 8]], np.zeros((3, 2)))
    assert np.abs(np.delete(kernel, [2, 5, 8], axis=0)).min() > 0
    assert np.isfinite(bias).all()


def test_the_best_development_score_chooses_the_penalty() -> None:
    features, labels = windows(0, "window")
    sums = GramSums(window_sums(tf.constant(features), tf.constant(labels), "window").numpy())
    scores = dict(zip(PENALTIES, [0.1, 0.5, 0.2, 0.5, 0.4, 0, 0, -1], strict=True))
    given_back = iter(scores.values())
    choice = choose_penalty(sums, lambda weights: next(given_back))
    assert choice.penalty == PENALTIES[1]
    assert choice.scores == scores
    np.testing.assert_array_equal(choice.weights[0], solve(sums, PENALTIES[1])[0])


def test_a_penalty_shrinks_coefficients_and_never_the_intercept() -> None:
    features, labels = windows(0, "window")
    labels += 5
    _, y = pooled(features, labels, "window")
    sums = GramSums(window_sums(tf.constant(features), tf.constant(labels), "window").numpy())
    kernel, bias = solve(sums, 1e9)
    np.testing.assert_allclose(kernel, 0, atol=1e-6)
    np.testing.assert_allclose(bias, y.mean(axis=0), rtol=1e-6)


def test_no_rows_and_no_penalty_are_refused() -> None:
    empty = GramSums(window_sums(tf.fill([1, 4, 2], np.nan), tf.fill([1, 4, 1], np.nan), "frame").numpy())
    with pytest.raises(RunError, match="no valid row"):
        solve(empty, 0.1)
    with pytest.raises(ValueError, match="above 0, found 0"):
        solve(empty, 0.0)
