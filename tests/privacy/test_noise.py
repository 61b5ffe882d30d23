import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tff_affect.privacy import noise

SEED = 3


def drawn(seed: tf.Tensor, size: int = 40_000, deviation: float = 1.0) -> np.ndarray:
    return noise.add_gaussian([tf.zeros([size], tf.float64)], tf.constant(deviation, tf.float64), seed)[0].numpy()


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def test_noise_is_standard_gaussian() -> None:
    sample = drawn(noise.seed_of(SEED), 200_000)
    assert stats.kstest(sample, "norm").pvalue > 0.01
    assert stats.kurtosis(sample) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("deviation", [1e-6, 0.7, 1e6])
@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_deviation_is_the_one_asked_for(deviation: float, dtype: tf.DType) -> None:
    values = [tf.fill([100, 400], tf.constant(2.0, dtype))]
    (noised,) = noise.add_gaussian(values, tf.constant(deviation, tf.float64), noise.fresh_seed())
    assert noised.dtype == dtype
    sample = noised.numpy().astype(np.float64) - 2
    assert sample.std() == pytest.approx(deviation, rel=0.05 if deviation == 1e-6 else 0.02)
    assert abs(sample.mean()) < 6 * deviation / 200


def test_tensors_get_streams_of_their_own() -> None:
    tensors = noise.add_gaussian([tf.zeros([20_000])] * 3, 1.0, noise.fresh_seed())
    for place, other in ((0, 1), (0, 2), (1, 2)):
        assert abs(correlation(tensors[place], tensors[other])) < 0.05


@pytest.mark.parametrize("seeded", ["tf", "keras", "graph"])
def test_no_global_seed_reaches_fresh_noise(seeded: str) -> None:
    samples = []
    for _ in range(2):
        if seeded == "keras":
            tf.keras.utils.set_random_seed(SEED)
        else:
            tf.random.set_seed(SEED)
        draw = (lambda: drawn(noise.fresh_seed())) if seeded != "graph" else _drawn_in_a_seeded_graph
        samples.append(draw())
    assert abs(correlation(*samples)) < 0.05


def _drawn_in_a_seeded_graph() -> np.ndarray:
    with tf.Graph().as_default():
        tf.compat.v1.set_random_seed(SEED)
        (out,) = noise.add_gaussian([tf.zeros([40_000])], 1.0, noise.fresh_seed())
        with tf.compat.v1.Session() as session:
            return session.run(out)


def test_one_function_draws_anew_at_each_call() -> None:
    @tf.function
    def draw() -> tf.Tensor:
        return noise.add_gaussian([tf.zeros([20_000])], 1.0, noise.fresh_seed())[0]

    tf.random.set_seed(SEED)
    first, second = draw().numpy(), draw().numpy()
    assert abs(correlation(first, second)) < 0.05


def test_two_functions_differ_even_where_tensorflow_draws_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow's generator has 32 bits of entropy per process, and two processes may agree."""
    monkeypatch.setattr(tf.raw_ops, "NonDeterministicInts", lambda shape, dtype: tf.constant([1, 2], dtype))
    assert noise.fresh_seed().numpy().tolist() != noise.fresh_seed().numpy().tolist()


def test_given_seeds_repeat_and_differ_by_each_part() -> None:
    parts = [(0,), (1,), (0, 0), (0, 1), (1, 0), (1, 1), (0, 0, 0), (-1,), (2**62, 5)]
    seeds = [tuple(noise.seed_of(*part).numpy()) for part in parts]
    assert len(set(seeds)) == len(parts)
    assert seeds == [tuple(noise.seed_of(*part).numpy()) for part in parts]
    np.testing.assert_array_equal(drawn(noise.seed_of(1, 2)), drawn(noise.seed_of(1, 2)))
    assert abs(correlation(drawn(noise.seed_of(1, 2)), drawn(noise.seed_of(1, 3)))) < 0.05


@pytest.mark.slow
def test_runs_of_python_differ() -> None:
    program = (
        "import tensorflow as tf; from tff_affect.privacy import noise; tf.keras.utils.set_random_seed(1); "
        "print(noise.add_gaussian([tf.zeros([3])], 1.0, noise.fresh_seed())[0].numpy().tolist())"
    )
    runs = [subprocess.run([sys.executable, "-c", program], capture_output=True, text=True) for _ in range(2)]
    assert all(run.returncode == 0 for run in runs)
    assert runs[0].stdout.startswith("[")
    assert runs[0].stdout != runs[1].stdout
