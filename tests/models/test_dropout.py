import threading

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig
from tff_affect.errors import InputError
from tff_affect.models.dropout import SeededDropout, dropout_seed
from tff_affect.models.registry import build_model

ONES = tf.ones([50, 40, 10])


def dropped(seed: int, name: str = "drop", rate: float = 0.4, inputs: tf.Tensor = ONES) -> np.ndarray:
    with dropout_seed(seed):
        return SeededDropout(rate, name=name)(inputs, training=True).numpy()


@settings(max_examples=15, deadline=None)
@given(rate=st.floats(0.05, 0.9), seed=st.integers(0, 2**62))
def test_expectation_is_kept_and_the_share_dropped_is_the_rate(rate: float, seed: int) -> None:
    found = dropped(seed, rate=rate)
    kept = found != 0
    np.testing.assert_allclose(found[kept], 1 / (1 - rate), rtol=1e-5)
    # Six standard deviations of a share of 20,000 independent draws.
    assert abs(kept.mean() - (1 - rate)) < 6 * np.sqrt(rate * (1 - rate) / kept.size)


def test_masks_follow_seed_and_name_alone() -> None:
    np.testing.assert_array_equal(dropped(1), dropped(1))
    dropped(7, name="another layer, in between")
    np.testing.assert_array_equal(dropped(1), dropped(1))
    for other in (dropped(2), dropped(1, name="other")):
        agreement = ((dropped(1) != 0) == (other != 0)).mean()
        assert abs(agreement - (0.6**2 + 0.4**2)) < 0.03


def test_the_mask_is_pinned() -> None:
    # A change here would change every run with dropout.
    kept = dropped(3, "pinned", 0.5, tf.ones([2, 8])) != 0
    assert kept.astype(int).tolist() == [[1, 0, 1, 0, 0, 1, 1, 1], [1, 1, 0, 1, 0, 0, 0, 1]]


def test_a_seed_of_a_graph_serves_a_model_that_is_traced() -> None:
    model = build_model(ModelConfig("cnn_bigru", units=4, dropout=0.5), WindowShape(9, 3, 2))
    features = tf.random.stateless_normal([4, 9, 3], [0, 1])

    @tf.function
    def train(seed: tf.Tensor) -> tf.Tensor:
        with dropout_seed(seed):
            return model(features, training=True)

    first, again, other = (train(tf.constant(seed, tf.int64)).numpy() for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3
    with dropout_seed(1):
        np.testing.assert_allclose(first, model(features, training=True).numpy(), atol=1e-6)


def test_without_training_it_is_identity_and_needs_no_seed() -> None:
    layer = SeededDropout(0.5, name="drop")
    np.testing.assert_array_equal(layer(ONES), ONES)
    np.testing.assert_array_equal(layer(ONES, training=False), ONES)
    np.testing.assert_array_equal(SeededDropout(0.0, name="none")(ONES, training=True), ONES)


def test_training_without_a_seed_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"'drop' was called with training=True and no seed.*with dropout_seed"):
        SeededDropout(0.5, name="drop")(ONES, training=True)


def test_a_seed_ends_with_its_block_nests_and_stays_in_its_thread() -> None:
    layer = SeededDropout(0.4, name="drop")
    with dropout_seed(1):
        with dropout_seed(2):
            inner = layer(ONES, training=True).numpy()
        outer = layer(ONES, training=True).numpy()
        errors: list[ValueError] = []

        def elsewhere() -> None:
            try:
                layer(ONES, training=True)
            except ValueError as error:
                errors.append(error)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    np.testing.assert_array_equal(inner, dropped(2))
    np.testing.assert_array_equal(outer, dropped(1))
    assert len(errors) == 1
    with pytest.raises(ValueError, match="no seed"):
        layer(ONES, training=True)


def test_a_mask_passes_through() -> None:
    mask = tf.constant([[True, False]])
    np.testing.assert_array_equal(SeededDropout(0.5, name="drop").compute_mask(tf.ones([1, 2, 3]), mask), mask)


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(InputError, match="dropout: expected a rate"):
        SeededDropout(rate, name="drop")
