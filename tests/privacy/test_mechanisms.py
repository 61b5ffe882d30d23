"""The mechanisms as TensorFlow Federated's worker runs them."""

import math
import subprocess
import sys

import dp_accounting
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff
import tensorflow_privacy as tfp
from privacy.canary import HOSTILE, filled, flat, honest, hostile, privacy_of, update_type

from tff_affect.errors import InputError
from tff_affect.privacy.mechanisms import build_aggregation
from tff_affect.privacy.queries import (
    AdaptiveClipSumQuery,
    ClippedGaussianSumQuery,
    ClippedTreeSumQuery,
    LocalGaussianSumQuery,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("runtime")]

CENTRAL = ("fixed", "adaptive", "tree", "local")
NORM = 0.5
WIDE = [(150, 200), (30_000,)]


def process_of(
    mechanism: str, clients: float, shapes: list | None = None, seed: int | None = None, **changes: object
) -> tff.templates.AggregationProcess:
    privacy = privacy_of(mechanism, reproducible_noise=seed is not None, **changes)
    return build_aggregation(privacy, clients, seed).create(update_type(shapes) if shapes else update_type())


def rounds_of(process: tff.templates.AggregationProcess, updates: list, rounds: int) -> list[list[np.ndarray]]:
    state, results = process.initialize(), []
    for _ in range(rounds):
        output = process.next(state, updates)
        state = output.state
        results.append(output.result)
    return results


def noiseless_sum(mechanism: str) -> tff.templates.AggregationProcess:
    """The sum as the noise would be added to it: in float64 and not divided."""
    specs = [tf.TensorSpec(part.shape, part.dtype) for part in update_type()]
    query = {
        "fixed": lambda: ClippedGaussianSumQuery(NORM, 0.0),
        "adaptive": lambda: AdaptiveClipSumQuery(NORM, 0.0, 0.0, 1.0, 0.5, 0.2),
        "tree": lambda: tfp.RestartQuery(
            ClippedTreeSumQuery(NORM, 0.0, specs), tfp.restart_query.PeriodicRoundRestartIndicator(8)
        ),
        "local": lambda: LocalGaussianSumQuery(NORM, 0.0),
    }[mechanism]()
    return tff.aggregators.DifferentiallyPrivateFactory(query).create(update_type())


@pytest.mark.parametrize("others", [1, 200])
@pytest.mark.parametrize("mechanism", CENTRAL)
def test_no_client_moves_the_sum_by_more_than_the_clipping_norm(mechanism: str, others: int) -> None:
    process, updates = noiseless_sum(mechanism), honest(others)
    state = process.initialize()
    clipping_norm = NORM
    if mechanism == "adaptive":
        # With one client as the denominator, the norm leaves its first value at once.
        output = process.next(state, honest(2, seed=1))
        state, clipping_norm = output.state, float(output.measurements["dp_query_metrics"]["clipping_norm"])
        assert clipping_norm != NORM
    without = process.next(state, updates)
    moves = []
    for name in HOSTILE:
        output = process.next(state, [*updates, hostile(name)])
        moves.append(np.linalg.norm(flat(output.result) - flat(without.result)))
        if mechanism == "adaptive":
            norms = [o.measurements["dp_query_metrics"]["clipping_norm"] for o in (output, without)]
            assert abs(math.log(norms[0] / norms[1])) <= 0.2 * 0.5 + 1e-12
    assert np.isfinite(moves).all()
    assert max(moves) <= clipping_norm
    assert max(moves) > 0.99999 * clipping_norm


@pytest.mark.parametrize("mechanism", CENTRAL)
def test_without_noise_and_clipping_it_is_the_plain_mean(mechanism: str) -> None:
    updates = honest(5)
    norm = 1e6 if mechanism == "adaptive" else math.inf
    process = process_of(mechanism, 5, noise_multiplier=0.0, clipping_norm=norm)
    for result in rounds_of(process, updates, 3):
        assert [part.dtype for part in result] == [np.float32, np.float32]
        np.testing.assert_allclose(flat(result), np.mean([flat(u) for u in updates], axis=0), atol=1e-6)


@pytest.mark.parametrize("mechanism", CENTRAL)
def test_the_denominator_is_fixed_and_clients_of_zeros_change_nothing(mechanism: str) -> None:
    updates, padding = honest(3), [filled(0)] * 4
    process = process_of(mechanism, 5.5, noise_multiplier=0.0, clipping_norm=100.0)
    with_padding, without = (rounds_of(process, u, 3) for u in (updates + padding, updates))
    nothing = rounds_of(process, [], 1)[0]
    for padded, plain in zip(with_padding, without, strict=True):
        np.testing.assert_array_equal(flat(padded), flat(plain))
    np.testing.assert_allclose(flat(without[0]), np.sum([flat(u) for u in updates], axis=0) / 5.5, rtol=2e-6)
    np.testing.assert_array_equal(flat(nothing), 0)


@pytest.mark.parametrize("mechanism", CENTRAL)
def test_noise_has_the_nominal_deviation_and_never_repeats(mechanism: str) -> None:
    z, clients = 0.25, 4.0
    samples = []
    for _ in range(2):
        tf.keras.utils.set_random_seed(1)
        process = process_of(
            mechanism, clients, WIDE, noise_multiplier=z, restart_every=1 if mechanism == "tree" else 0
        )
        tf.random.set_seed(1)
        # The server's noise is the same however many clients come, and that of clients adds up.
        for tensors in rounds_of(process, [filled(0, WIDE)] * (3 if mechanism == "local" else 1), 2):
            samples += [part.ravel() for part in tensors]
    nominal = z * NORM / clients
    if mechanism == "local":
        nominal *= math.sqrt(3)
    if mechanism == "adaptive":
        nominal *= (z**-2 - (2 * 0.05 * clients) ** -2) ** -0.5 / z
    first_round = samples[:2] + samples[4:6]
    for sample in first_round if mechanism == "adaptive" else samples:
        assert sample.size == 30_000
        assert sample.std() == pytest.approx(nominal, rel=0.02)
        assert abs(sample.mean()) < 6 * nominal / math.sqrt(sample.size)
    assert np.abs(np.corrcoef(samples) - np.eye(8)).max() < 0.04


@pytest.mark.parametrize("mechanism", ["fixed", "adaptive", "tree"])
def test_reproducible_noise_repeats_and_differs_between_rounds_and_tensors(mechanism: str) -> None:
    shapes = [(5000,), (5000,)]

    def noise(seed: int) -> np.ndarray:
        process = process_of(mechanism, 40, shapes, seed=seed)
        return np.stack([part for result in rounds_of(process, [filled(0, shapes)], 3) for part in result])

    first, other = noise(7), noise(8)
    np.testing.assert_array_equal(first, noise(7))
    # Residuals of one tree are correlated by design between rounds, but not between tensors.
    apart = np.corrcoef(first[::2], first[1::2])[:3, 3:] if mechanism == "tree" else np.corrcoef(first) - np.eye(6)
    assert np.abs(apart).max() < 0.09
    assert np.abs(np.corrcoef(first, other)[:6, 6:]).max() < 0.09


def test_runs_of_python_release_different_noise() -> None:
    program = """
import numpy as np, tensorflow as tf, tensorflow_federated as tff
from privacy.canary import SHAPES, filled, privacy_of
from tff_affect.learning.runtime import local_runtime
from tff_affect.privacy.mechanisms import build_aggregation
tf.keras.utils.set_random_seed(1)
with local_runtime():
    for mechanism in ("fixed", "adaptive", "tree", "local"):
        process = build_aggregation(privacy_of(mechanism), 40).create(tff.to_type([(np.float32, s) for s in SHAPES]))
        print(process.next(process.initialize(), [filled(0)]).result[1].tolist())
"""
    runs = []
    for _ in range(2):
        command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        runs.append(done.stdout.splitlines())
    assert [len(run) for run in runs] == [4, 4]
    assert len({*runs[0], *runs[1]}) == 8


def test_adaptive_clipping_finds_the_quantile() -> None:
    norms = np.random.default_rng(2).lognormal(0, 1, 40)
    updates = [
        [(norm * part / np.linalg.norm(flat(filled(1)))).astype(np.float32) for part in filled(1)] for norm in norms
    ]
    for target in (0.5, 0.8):
        privacy = privacy_of("adaptive", clipping_norm=0.1, target_quantile=target, reproducible_noise=True)
        process = build_aggregation(privacy, 40, seed=4).create(update_type())
        state, found = process.initialize(), []
        for _ in range(90):
            output = process.next(state, updates)
            state = output.state
            found.append(float(output.measurements["dp_query_metrics"]["clipping_norm"]))
        unclipped = [np.mean(norms <= norm) for norm in found[60:]]
        assert np.mean(unclipped) == pytest.approx(target, abs=0.05)


@pytest.mark.parametrize("mechanism", ["fixed", "adaptive", "local"])
def test_the_event_is_that_of_the_configured_noise(mechanism: str) -> None:
    process = process_of(mechanism, 40)
    state = process.next(process.initialize(), honest(2)).state
    event = dp_accounting.DpEvent.from_named_tuple(state.dp_event)
    assert type(event) is dp_accounting.GaussianDpEvent
    assert event.noise_multiplier == pytest.approx(1.5, rel=1e-12)
    accountant = dp_accounting.pld.PLDAccountant().compose(dp_accounting.PoissonSampledDpEvent(0.1, event))
    assert 0 < accountant.get_epsilon(1e-3) < 10


def test_it_works_within_a_federated_computation() -> None:
    process = process_of("tree", 2, noise_multiplier=0.0, clipping_norm=100.0)

    @tff.tensorflow.computation(update_type())
    def doubled(update: list) -> list:
        return [2 * part for part in update]

    @tff.federated_computation(process.initialize.type_signature.result, tff.FederatedType(update_type(), tff.CLIENTS))
    def step(state: object, updates: object) -> object:
        output = process.next(state, tff.federated_map(doubled, updates))
        return output.state, tff.federated_map(doubled, output.result)

    updates = honest(2)
    _, result = step(process.initialize(), updates)
    np.testing.assert_allclose(flat(result), 2 * np.sum([flat(u) for u in updates], axis=0), rtol=1e-6)


@pytest.mark.parametrize(
    ("privacy", "clients", "seed", "found"),
    [
        (privacy_of("fixed", noise_multiplier=None), 5, None, "without it"),
        (privacy_of("fixed", level="window"), 5, None, "'window'"),
        (privacy_of("distributed"), 5, None, "build_distributed_mean"),
        (privacy_of("fixed"), 0, None, "above 0"),
        (privacy_of("fixed"), 5, 1, "reproducible_noise"),
        (privacy_of("fixed", reproducible_noise=True), 5, None, "seed"),
        (privacy_of("adaptive"), 5, None, "fixed"),
        (privacy_of("adaptive", noise_multiplier=0.0, clipping_norm=math.inf), 5, None, "finite"),
    ],
)
def test_what_does_not_go_together_is_refused(privacy: object, clients: float, seed: int | None, found: str) -> None:
    with pytest.raises(InputError, match=found):
        build_aggregation(privacy, clients, seed)
