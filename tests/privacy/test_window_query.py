"""TF Privacy's optimizers with the query of windows: what reaches the variables."""

from collections.abc import Callable

import dp_accounting
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_privacy as tfp

from tff_affect.privacy.noise import fresh_seed, seed_of
from tff_affect.privacy.window_query import WindowSumQuery

C = 0.5


def stepped(factors: list[float], query: tfp.GaussianSumQuery, size: int = 4) -> np.ndarray:
    """What a step of SGD at rate 1 takes from a variable; the gradient of record ``i`` is ``factors[i]`` everywhere."""
    variable = tf.Variable(tf.zeros([size]))
    optimizer = tfp.GenericDPSGDOptimizer(query, learning_rate=1.0)

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            losses = tf.constant(factors, tf.float32) * tf.reduce_sum(variable)
        optimizer.minimize(losses, [variable], tape=tape)

    step()
    return -variable.numpy()


def query(multiplier: float, expected: float, seed: Callable[[], tf.Tensor] = fresh_seed) -> WindowSumQuery:
    return WindowSumQuery(C, multiplier, expected, seed)


@pytest.mark.parametrize("factor", [1e6, 1e20, 3e38, -3e38, np.inf, np.nan])
def test_no_record_moves_the_variables_by_more_than_the_norm(factor: float) -> None:
    with_it, without = stepped([0.1, factor], query(0.0, 1.0)), stepped([0.1], query(0.0, 1.0))
    assert np.linalg.norm(with_it.astype(np.float64) - without) <= C
    if np.isfinite(factor):
        assert np.linalg.norm(with_it.astype(np.float64) - without) == pytest.approx(C, rel=1e-5)


def test_tf_privacys_own_query_lets_a_record_through() -> None:
    """Why there is a query of ours: this must be looked at again with another version of TF Privacy."""
    assert np.isnan(stepped([0.1, 1e30], tfp.GaussianSumQuery(C, 0.0))).all()
    noise = []
    for _ in range(2):
        tf.random.set_seed(1)
        noise.append(stepped([0.0], tfp.GaussianSumQuery(C, C)))
    np.testing.assert_array_equal(*noise)


def test_the_divisor_is_the_expected_batch() -> None:
    for count in (1, 3):
        np.testing.assert_allclose(stepped([0.1] * count, query(0.0, 8.0)), count * 0.1 / 8, rtol=1e-6)


def test_noise_has_its_deviation_and_its_own_seed() -> None:
    samples = stepped([0.0, 0.0, 0.0], query(4.0, 5.0), size=30_000)
    assert samples.std() == pytest.approx(4.0 * C / 5.0, rel=0.02)
    noise = []
    for _ in range(2):
        tf.random.set_seed(1)
        noise.append(stepped([0.0], query(1.0, 1.0)))
    assert not np.array_equal(*noise)
    np.testing.assert_array_equal(
        stepped([0.0], query(1.0, 1.0, lambda: seed_of(3))), stepped([0.0], query(1.0, 1.0, lambda: seed_of(3)))
    )


def test_the_event_is_that_of_the_gaussian_mechanism() -> None:
    mine = query(1.7, 5.0)
    event = mine.get_noised_result(mine.initial_sample_state([tf.zeros([2])]), mine.initial_global_state())[2]
    assert event == dp_accounting.GaussianDpEvent(1.7)
