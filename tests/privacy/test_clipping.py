import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from privacy.canary import HOSTILE, filled, flat, hostile

from tff_affect.privacy.clipping import MARGIN, clip_record

ANY_FLOAT32 = st.floats(width=32, allow_nan=True, allow_infinity=True)


def clipped(record: list[np.ndarray], norm: float) -> tuple[np.ndarray, float]:
    parts, length = clip_record([tf.constant(part) for part in record], norm)
    assert all(part.dtype == tf.float64 for part in parts)
    assert [part.shape.as_list() for part in parts] == [list(part.shape) for part in record]
    return flat([part.numpy() for part in parts]), float(length)


def expected(record: list[np.ndarray], norm: float) -> tuple[np.ndarray, float]:
    values = flat(record)
    if not np.isfinite(values).all():
        return np.zeros_like(values), 0.0
    length = np.sqrt(np.sum(values**2))
    return values * min(1.0, norm * (1 - MARGIN) / length if length else 1.0), length


@given(
    st.lists(ANY_FLOAT32, min_size=1, max_size=9),
    st.lists(ANY_FLOAT32, min_size=1, max_size=3),
    st.floats(1e-3, 1e6),
)
def test_records_are_those_of_numpy_and_within_the_norm(first: list, second: list, norm: float) -> None:
    record = [np.array(first, np.float32), np.array([second], np.float32)]
    found, length = clipped(record, norm)
    wanted, wanted_length = expected(record, norm)
    # TensorFlow may take denormal numbers for zero.
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-37)
    assert length == pytest.approx(wanted_length, rel=1e-12, abs=1e-37)
    assert np.linalg.norm(found) <= norm


@pytest.mark.parametrize("name", HOSTILE)
def test_no_hostile_record_exceeds_the_norm(name: str) -> None:
    found, _ = clipped(hostile(name), 0.5)
    assert np.isfinite(found).all()
    assert np.linalg.norm(found) <= 0.5


def test_short_records_and_infinite_norms_are_left_whole() -> None:
    record = filled(0.1)
    np.testing.assert_array_equal(clipped(record, 1.0)[0], flat(record))
    np.testing.assert_array_equal(clipped(filled(3e38), np.inf)[0], flat(filled(3e38)))
    np.testing.assert_array_equal(clipped(hostile("NaN"), np.inf)[0], 0 * flat(filled(1)))


def test_a_record_of_zeros_stays() -> None:
    found, length = clipped(filled(0), 0.5)
    assert length == 0
    np.testing.assert_array_equal(found, 0)


def test_clipping_comes_after_all_tensors_not_each() -> None:
    found, length = clipped([np.array([3.0], np.float32), np.array([4.0], np.float32)], 1.0)
    assert length == 5
    np.testing.assert_allclose(found, [0.6, 0.8], rtol=2 * MARGIN)
