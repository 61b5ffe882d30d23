"""DP-SGD beside numpy in float64, and beside what it promises."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tff_affect.privacy.dpsgd import clip_windows, poisson_batch, private_gradient, sampling_rate
from tff_affect.privacy.noise import fresh_seed, seed_of

SEED = seed_of(5)
HOSTILE = [1e-45, 1e-30, 1.0, 1e6, 1e20, 3e38, -3e38, np.inf, -np.inf, np.nan]


def norms(gradients: list) -> np.ndarray:
    """``[batch]``, in float64, over all tensors."""
    return np.sqrt(sum(np.square(np.asarray(g, np.float64)).reshape(len(g), -1).sum(axis=1) for g in gradients))


def window_gradients(seed: int, batch: int = 4, scale: float = 1.0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(scale=scale, size=(batch, *shape)).astype(np.float32) for shape in ((3, 8), (8,), (2, 4))]


def everybody(batch: int) -> tf.Tensor:
    return tf.ones([batch], tf.bool)


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("clipping_norm", [0.5, 1e-3, 1e4])
def test_no_gradient_moves_the_sum_by_more_than_the_norm(value: float, clipping_norm: float) -> None:
    honest = window_gradients(0)
    hostile = [g.copy() for g in honest]
    hostile[0][1, 0, 0] = value
    hostile[2][1] = value
    clipped = clip_windows([tf.constant(g) for g in hostile], everybody(4), clipping_norm)
    assert norms(clipped)[1] <= clipping_norm
    present = np.array([True, False, True, True])
    # Both as they are released: rounded to float32, without noise.
    one, none = (
        private_gradient([tf.constant(g) for g in hostile], tf.constant(there), clipping_norm, 0.0, 1.0, SEED)
        for there in (np.ones(4, bool), present)
    )
    moved = norms([(a.numpy().astype(np.float64) - b.numpy())[np.newaxis] for a, b in zip(one, none, strict=True)])[0]
    assert moved <= clipping_norm
    if not np.isfinite(value):
        assert moved == 0


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6), st.floats(1e-3, 1e3))
def test_long_gradients_are_scaled_to_the_norm_and_short_ones_left(seed: int, scale: float, norm: float) -> None:
    gradients = window_gradients(seed, scale=scale)
    lengths = norms(gradients)
    found = clip_windows([tf.constant(g) for g in gradients], everybody(4), norm)
    assert (norms(found) <= norm).all()
    np.testing.assert_allclose(norms(found), np.minimum(lengths, norm), rtol=2e-6)
    for clipped, gradient in zip(found, gradients, strict=True):
        shape = [-1] + [1] * (gradient.ndim - 1)
        np.testing.assert_allclose(clipped, gradient * np.minimum(1, norm / lengths).reshape(shape), rtol=2e-6)


def test_without_clipping_and_noise_it_is_the_sum_over_the_expected_batch() -> None:
    gradients = window_gradients(1, scale=1e8)
    found = private_gradient([tf.constant(g) for g in gradients], everybody(4), np.inf, 0.0, 2.5, SEED)
    for value, gradient in zip(found, gradients, strict=True):
        assert value.dtype == tf.float32
        np.testing.assert_allclose(value, gradient.astype(np.float64).sum(axis=0) / 2.5, rtol=1e-6)


def test_zeros_stay_zeros() -> None:
    found = private_gradient([tf.zeros([3, 4])], everybody(3), 1.0, 0.0, 3.0, SEED)
    np.testing.assert_array_equal(found[0], np.zeros(4))


def test_the_divisor_is_not_the_number_of_windows_that_joined() -> None:
    gradients = [tf.constant(g) for g in window_gradients(2)]
    full = private_gradient(gradients, everybody(4), 1.0, 0.0, 8.0, SEED)
    one = private_gradient(gradients, tf.constant([False, True, False, False]), 1.0, 0.0, 8.0, SEED)
    assert norms([np.stack([o]) for o in one])[0] == pytest.approx(1 / 8, rel=1e-5)
    assert norms([np.stack([f]) for f in full])[0] > 1.2 / 8


@pytest.mark.parametrize("joined", [0, 3])
def test_noise_has_its_deviation_whoever_joined(joined: int) -> None:
    gradients = [tf.zeros([3, 150, 200]), tf.zeros([3, 50])]
    present = tf.range(3) < joined
    found = private_gradient(gradients, present, 0.25, 6.0, 3.0, fresh_seed())
    samples = np.concatenate([f.numpy().ravel() for f in found])
    assert samples.std() == pytest.approx(6.0 * 0.25 / 3.0, rel=0.02)
    assert stats.kstest(samples / 0.5, "norm").pvalue > 1e-4
    first, second = found[0].numpy().ravel()[:50], found[1].numpy()
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.6


def test_noise_follows_from_its_seed_alone() -> None:
    gradients = [tf.zeros([2, 5])]

    def noise(seed: tf.Tensor) -> np.ndarray:
        tf.random.set_seed(1)
        return private_gradient(gradients, everybody(2), 1.0, 1.0, 2.0, seed)[0].numpy()

    np.testing.assert_array_equal(noise(SEED), noise(SEED))
    assert not np.array_equal(noise(SEED), noise(seed_of(6)))
    assert not np.array_equal(noise(fresh_seed()), noise(fresh_seed()))


@pytest.mark.parametrize(("windows", "batch", "rate"), [(40, 10, 0.25), (10, 10, 1.0), (3, 10, 1.0), (0, 10, 1.0)])
def test_the_sampling_rate_is_batch_over_windows_at_most_one(windows: int, batch: int, rate: float) -> None:
    assert float(sampling_rate(tf.constant(windows), batch)) == rate


def test_windows_join_by_themselves_at_their_rate() -> None:
    windows, rate, draws = 40, 0.15, 4000
    draw = tf.function(
        lambda number: poisson_batch(tf.constant(windows), tf.constant(rate, tf.float64), seed_of(number))
    )
    joined = np.zeros((draws, windows), bool)
    for number in range(draws):
        batch = draw(tf.constant(number))
        joined[number, batch.index.numpy()[batch.present.numpy()]] = True
    sizes = joined.sum(axis=1)
    expected = stats.binom(windows, rate)
    assert sizes.mean() == pytest.approx(expected.mean(), abs=4 * expected.std() / np.sqrt(draws))
    assert sizes.var() == pytest.approx(expected.var(), rel=0.1)
    assert np.abs(joined.mean(axis=0) - rate).max() < 4.5 * np.sqrt(rate * (1 - rate) / draws)
    # Windows that joined together as often as those that join by themselves.
    pairs = np.corrcoef(joined.T.astype(float))[np.triu_indices(windows, 1)]
    assert np.abs(pairs).max() < 5.5 / np.sqrt(draws)
    assert (sizes == 0).mean() == pytest.approx((1 - rate) ** windows, abs=4e-3)


def test_nobody_or_everybody_joins() -> None:
    nobody = poisson_batch(tf.constant(6), tf.constant(0.0, tf.float64), SEED)
    assert nobody.index.numpy().tolist() == [0]
    assert nobody.present.numpy().tolist() == [False]
    all_of_them = poisson_batch(tf.constant(6), tf.constant(1.0, tf.float64), SEED)
    assert all_of_them.index.numpy().tolist() == list(range(6))
    assert all_of_them.present.numpy().all()
