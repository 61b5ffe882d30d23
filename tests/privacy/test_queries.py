"""What queries do, run without a federation."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_privacy as tfp
from privacy.canary import release_function

from tff_affect.privacy.audit.epsilon_bound import mean_shift_bound
from tff_affect.privacy.queries import (
    CLIPPING_RANGE,
    AdaptiveClipSumQuery,
    ClippedGaussianSumQuery,
    ClippedTreeSumQuery,
    LocalGaussianSumQuery,
)

NORM = 0.5
CLIENTS, RATE = 20, 0.2
SIZE = 20_000
SPECS = [tf.TensorSpec([SIZE], tf.float32)]


def adaptive(noise_multiplier: float, deviation: float = 1.0, seed: int | None = None) -> AdaptiveClipSumQuery:
    return AdaptiveClipSumQuery(NORM, noise_multiplier, deviation, CLIENTS, 0.5, RATE, seed)


def tree(noise_multiplier: float, specs: list = SPECS, seed: int | None = None, restart: int = 8) -> tfp.RestartQuery:
    query = ClippedTreeSumQuery(NORM, noise_multiplier, specs, seed)
    return tfp.RestartQuery(query, tfp.restart_query.PeriodicRoundRestartIndicator(restart))


def released(query: tfp.SumAggregationDPQuery, sums: list[np.ndarray]) -> np.ndarray:
    """``[rounds, elements]`` what a query releases of given sums of one tensor."""
    state, results = query.initial_global_state(), []
    run = tf.function(lambda total, state: query.get_noised_result(total, state)[:2])
    for total in sums:
        result, state = run([tf.constant(total, tf.float64)], state)
        results.append(result[0].numpy())
    return np.stack(results)


def tree_variance(rounds: int) -> float:
    """Of the noise in the sum of the first rounds, for nodes of variance 1 (Honaker 2015)."""
    return sum(1 / (2 - 2.0**-level) for level in range(rounds.bit_length()) if rounds >> level & 1)


@pytest.mark.slow
def test_sums_over_a_tree_have_the_variance_of_its_nodes() -> None:
    noise_multiplier, rounds = 1.3, 8
    cumulative = released(tree(noise_multiplier), [np.zeros(SIZE)] * 2 * rounds).cumsum(axis=0)
    for done in range(1, rounds + 1):
        nominal = noise_multiplier * NORM * math.sqrt(tree_variance(done))
        assert cumulative[done - 1].std() == pytest.approx(nominal, rel=0.025)
    # The second tree's noise is independent of the first's, and adds to it.
    second = cumulative[rounds:] - cumulative[rounds - 1]
    for done in range(1, rounds + 1):
        nominal = noise_multiplier * NORM * math.sqrt(tree_variance(done))
        assert second[done - 1].std() == pytest.approx(nominal, rel=0.025)
        assert abs(np.corrcoef(second[done - 1], cumulative[rounds - 1])[0, 1]) < 0.04
        assert abs(np.corrcoef(second[done - 1], cumulative[done - 1])[0, 1]) < 0.04


@pytest.mark.parametrize("restart", [1, 2, 3, 8])
def test_a_tree_without_noise_releases_each_round_once(restart: int) -> None:
    sums = [np.full(3, float(number)) for number in range(1, 8)]
    found = released(tree(0.0, [tf.TensorSpec([3], tf.float32)], restart=restart), sums)
    np.testing.assert_array_equal(found, np.stack(sums))


def test_a_tree_does_not_carry_noise_over_a_restart() -> None:
    """Releases less true sums add up, within each tree, to that tree's noise alone."""
    sums = [np.full(SIZE, 10.0 * number) for number in range(6)]
    noise = released(tree(1.0, restart=2), sums) - np.stack(sums)
    for first in (0, 2, 4):
        assert noise[first].std() == pytest.approx(NORM, rel=0.025)
        assert (noise[first] + noise[first + 1]).std() == pytest.approx(NORM * math.sqrt(1 / 1.5), rel=0.025)
    assert abs(np.corrcoef(noise[1], noise[2])[0, 1]) < 0.04


def test_tensors_of_a_tree_differ() -> None:
    query = tree(1.0, [SPECS[0], SPECS[0]])
    (first, second), _, _ = query.get_noised_result([tf.zeros([SIZE], tf.float64)] * 2, query.initial_global_state())
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.04


@pytest.mark.slow
def test_seeded_noise_repeats_and_differs_between_rounds() -> None:
    sums = [np.zeros(SIZE)] * 4
    for build in (
        lambda seed: ClippedGaussianSumQuery(NORM, 1.0, seed),
        lambda seed: tree(1.0, seed=seed, restart=1),
    ):
        first, again, other = (released(build(seed), sums) for seed in (5, 5, 6))
        np.testing.assert_array_equal(first, again)
        correlations = np.corrcoef(np.concatenate([first, other])) - np.eye(8)
        assert np.abs(correlations).max() < 0.04


@pytest.mark.slow
def test_the_count_has_its_noise_and_it_is_not_that_of_the_sum() -> None:
    """With a seed, which is where they could coincide."""
    deviation, releases = 1.7, 20_000
    query = adaptive(1.0, deviation, seed=1)

    @tf.function
    def one(number: tf.Tensor) -> tf.Tensor:
        state = query.initial_global_state()._replace(round=number)
        total = query.initial_sample_state([tf.TensorSpec([], tf.float32)])
        result, state, _ = query.get_noised_result(total, state)
        return tf.stack([result[0], state.clipping_norm])

    @tf.function
    def many() -> tf.Tensor:
        return tf.map_fn(one, tf.range(releases, dtype=tf.int64), fn_output_signature=tf.float64)

    found = many().numpy()
    counts = -np.log(found[:, 1] / NORM) / RATE * CLIENTS
    assert counts.std() == pytest.approx(deviation, rel=0.025)
    assert counts.mean() == pytest.approx(0, abs=0.07)
    assert found[:, 0].std() == pytest.approx(NORM, rel=0.025)
    assert abs(np.corrcoef(counts, found[:, 0])[0, 1]) < 0.04


def test_sum_and_count_make_one_gaussian() -> None:
    query = adaptive(2.0, 3.0)
    assert query.total_noise_multiplier == pytest.approx(1 / math.sqrt(1 / 4 + 1 / 36))
    _, _, event = query.get_noised_result(query.initial_sample_state(SPECS), query.initial_global_state())
    assert float(event.noise_multiplier) == pytest.approx(query.total_noise_multiplier)


@pytest.mark.parametrize(("length", "vote"), [(0.0, 0.0), (0.4, 0.5), (0.5, 0.5), (0.51, -0.5), (3e38, -0.5)])
def test_votes(length: float, vote: float) -> None:
    query = adaptive(1.0)
    assert float(query.preprocess_record(tf.constant(NORM, tf.float64), [tf.constant([length, 0.0])]).unclipped) == vote


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_dropped_record_does_not_vote(value: float) -> None:
    record = adaptive(1.0).preprocess_record(tf.constant(NORM, tf.float64), [tf.constant([1.0, value])])
    assert float(record.unclipped) == 0


@pytest.mark.parametrize(("votes", "bound"), [(1e9, 1 / CLIPPING_RANGE), (-1e9, CLIPPING_RANGE)])
def test_the_clipping_norm_stays_bounded(votes: float, bound: float) -> None:
    query = adaptive(1.0)
    total = query.initial_sample_state(SPECS)._replace(unclipped=tf.constant(votes, tf.float64))
    _, state, _ = query.get_noised_result(total, query.initial_global_state())
    assert float(state.clipping_norm) == pytest.approx(NORM * bound)


@pytest.mark.slow
@pytest.mark.parametrize(
    "build",
    [
        lambda z: ClippedGaussianSumQuery(NORM, z),
        lambda z: adaptive(z),
        lambda z: tree(z, [tf.TensorSpec([2], tf.float32)]),
        # Two clients add a noise each, of which one alone is to protect its own record.
        lambda z: LocalGaussianSumQuery(NORM, z / math.sqrt(2)),
    ],
    ids=["fixed", "adaptive", "tree", "local"],
)
def test_a_canary_refutes_a_fifth_too_little_noise(build: Callable[[float], tfp.SumAggregationDPQuery]) -> None:
    """300 releases with and without the canary in each of 20 runs.

    At 99.99 %, which leaves a correct mechanism two refutations in 20 runs once in 500,000 times.
    """
    claimed, runs, releases = 0.25, 20, 300
    refutations = {}
    for share in (1.0, 0.8):
        release = release_function(build(share * claimed))
        # All canaries of a run are clipped to the norm, whatever they send.
        found = [(release(releases, 1e6), release(releases, 0.0)) for _ in range(runs)]
        refutations[share] = sum(mean_shift_bound(*pair, level=0.9999) > 1 / claimed for pair in found)
    assert refutations[1.0] <= 1
    assert refutations[0.8] >= 18


def test_the_canary_test_at_99_percent_has_the_level_it_claims() -> None:
    generator = np.random.default_rng(0)
    claimed, runs, releases = 0.5, 400, 300

    def share_refuted(deviation: float) -> float:
        pairs = generator.normal(0, deviation, (runs, 2, releases)) + np.array([[1.0], [0.0]])
        return np.mean([mean_shift_bound(*pair) > 1 / claimed for pair in pairs])

    assert share_refuted(claimed) == pytest.approx(0.01, abs=0.015)
    assert share_refuted(0.8 * claimed) > 0.95
    assert share_refuted(2 * claimed) == 0
