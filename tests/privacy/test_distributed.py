"""The distributed mechanism as TensorFlow Federated's worker runs it, without cryptography."""

import math

import numpy as np
import pytest
import tensorflow as tf
from privacy.canary import HOSTILE, SHAPES, filled, flat, honest, hostile, privacy_of, update_type

from tff_affect.errors import InputError
from tff_affect.privacy.audit.epsilon_bound import mean_shift_bound
from tff_affect.privacy.distributed import DistributedMean, build_distributed_mean

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("runtime")]

NORM = 0.5
WIDE = [(150, 200), (30_000,)]


def mean_of(clients: float, shapes: list = SHAPES, **changes: object) -> DistributedMean:
    return build_distributed_mean(privacy_of("distributed", **changes), clients, update_type(shapes))


@pytest.mark.parametrize("others", [1, 27, 1000])
def test_no_client_moves_the_sum_by_more_than_the_clipping_norm(others: int) -> None:
    """Rounding is at random, so that the movement is seen beside clients of zeros, which round to zeros."""
    distributed = mean_of(others + 1, noise_multiplier=0.0)
    state, moves = distributed.initialize(), []
    for name in HOSTILE:
        state, mean = distributed.next(state, [*[filled(0)] * others, hostile(name)])
        moves.append(np.linalg.norm(flat(mean)) * (others + 1))
    assert np.isfinite(moves).all()
    assert max(moves) <= NORM
    assert max(moves) > (0.97 if others == 1000 else 0.999) * NORM


@pytest.mark.parametrize(("clients", "size", "z"), [(2, 17, 0.0), (1000, 17, 0.1), (300, 90_000, 2.0)])
def test_rounded_records_and_noise_keep_the_ratio_that_is_claimed(clients: int, size: int, z: float) -> None:
    """By TensorFlow Federated's own figures, in steps of its grid and in units of the clipping norm."""
    state, _ = mean_of(clients, [(size,)], noise_multiplier=z).initialize()
    steps = float(state["inner_agg"]["scale_factor"])
    query = state["inner_agg"]["inner_agg_process"]["query_state"]
    assert float(query["l2_norm_bound"]) / steps <= 1 + 1e-6
    assert float(query["local_stddev"]) * math.sqrt(clients) / steps == pytest.approx(z, rel=1e-5)


def test_without_noise_it_is_the_sum_over_a_fixed_denominator_to_the_grid() -> None:
    updates = [[part / 100 for part in update] for update in honest(5)]
    distributed = mean_of(5.5, noise_multiplier=0.0, clipping_norm=1.0)
    _, mean = distributed.next(distributed.initialize(), updates)
    assert [part.dtype for part in mean] == [np.float32, np.float32]
    np.testing.assert_allclose(flat(mean), np.sum([flat(u) for u in updates], axis=0) / 5.5, atol=2e-5)


def test_noise_has_the_nominal_deviation_and_never_repeats() -> None:
    z, clients, samples = 1.5, 20, []
    for _ in range(2):
        tf.keras.utils.set_random_seed(1)
        distributed = mean_of(clients, WIDE, noise_multiplier=z)
        state = distributed.initialize()
        for _ in range(2):
            state, mean = distributed.next(state, [filled(0, WIDE)] * clients)
            samples += [part.ravel() for part in mean]
    for sample in samples:
        assert sample.std() == pytest.approx(z * NORM / clients, rel=0.02)
        assert abs(sample.mean()) < 6 * z * NORM / clients / math.sqrt(sample.size)
    assert np.abs(np.corrcoef(samples) - np.eye(8)).max() < 0.04


def test_a_canary_refutes_two_fifths_too_little_noise() -> None:
    """80 releases with and without the canary, at 99.99 %."""
    claimed, releases, canary = 0.1, 80, filled(0)
    canary[1][2] = 1e6

    def first_elements(distributed: DistributedMean, last: list[np.ndarray]) -> np.ndarray:
        state, found = distributed.initialize(), []
        for _ in range(releases):
            state, mean = distributed.next(state, [filled(0), last])
            found.append(mean[1][2])
        return np.array(found, np.float64)

    for share, expected in ((1.0, False), (0.6, True)):
        distributed = mean_of(2, noise_multiplier=share * claimed)
        pair = first_elements(distributed, canary), first_elements(distributed, filled(0))
        assert (mean_shift_bound(*pair, level=0.9999) > 1 / claimed) == expected


def test_too_few_shares_of_noise_are_refused() -> None:
    distributed = mean_of(3.7)
    assert distributed.shares == 3
    assert "no cryptography" in distributed.label
    with pytest.raises(InputError, match="at least 3"):
        distributed.next(distributed.initialize(), honest(2))


@pytest.mark.parametrize(
    ("changes", "clients", "found"),
    [
        ({"clipping_norm": math.inf, "noise_multiplier": 0.0}, 5, "finite"),
        ({"noise_multiplier": None}, 5, "expected mechanism"),
        ({}, 0.5, "at least one client"),
        ({}, 2_000_000, "22 bits"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict, clients: float, found: str) -> None:
    with pytest.raises(InputError, match=found):
        mean_of(clients, **changes)
