"""Canaries against mechanisms that are right, and against such as have faults planted in the code that runs."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from privacy.canary import SHAPES, privacy_of

from tff_affect.privacy import distributed, dpsgd, noise, queries
from tff_affect.privacy.audit.canaries import (
    HOSTILE,
    Design,
    Movement,
    Update,
    group_size,
    measure,
    movement,
    one_run_scores,
    probe_directions,
)
from tff_affect.privacy.audit.epsilon_bound import LARGEST_MU
from tff_affect.privacy.audit.releases import user_movement, user_release, window_hits, window_movement

WIDE = ((6, 8), (40,), (8, 2), (2,))
Z = 0.5
CLIENTS = 20
MECHANISMS = ("fixed", "adaptive", "tree", "local", "distributed")


class Simulated:
    """The sum of clipped updates and noise, in numpy.

    Attributes:
        z: Noise of each tensor, in clipping norms.
        seed: Of the noise.
        clips: From an update to what is added.
        shared: Whether a tensor has the same number all over for noise.
    """

    def __init__(self, z: Sequence[float], seed: int = 0, clips: Any = None, shared: bool = False) -> None:
        self.z, self.clips, self.shared = z, clips or whole, shared
        self.generator = np.random.default_rng(seed)

    def __call__(self, updates: Sequence[Update]) -> Update:
        clipped = [self.clips(update) for update in updates]
        sums = [np.sum(parts, axis=0) for parts in zip(*clipped, strict=True)]
        return [s + self._noise(z, s.shape) for z, s in zip(self.z, sums, strict=True)]

    def _noise(self, z: float, shape: tuple[int, ...]) -> np.ndarray:
        return z * self.generator.normal(size=[1] * len(shape) if self.shared else shape)


def whole(update: Update) -> Update:
    length = math.sqrt(sum(np.sum(np.square(part, dtype=np.float64)) for part in update))
    return [part / max(1.0, length) for part in update]


def each_tensor(update: Update) -> Update:
    return [part / max(1.0, np.linalg.norm(part)) for part in update]


def moved(release: Any, seed: int = 0, z: float = Z, level: float = 0.99, own_noise: bool = False) -> Movement:
    design, group = Design.of(WIDE, seed), group_size(z)
    return movement(design, measure(release, design, group), group, level, own_noise)


@given(elements=st.integers(1, 300), seed=st.integers(0, 99))
def test_directions_are_orthonormal_and_cancel_what_is_the_same_everywhere(elements: int, seed: int) -> None:
    directions = probe_directions(elements, np.random.default_rng(seed))
    np.testing.assert_allclose(directions @ directions.T, np.eye(len(directions)), atol=1e-12)
    assert 1 <= len(directions) <= max(1, elements // 2)
    if elements > 1:
        np.testing.assert_allclose(directions.sum(axis=1), 0, atol=1e-12)


@given(shapes=st.lists(st.sampled_from([(1,), (2,), (5,), (3, 4), (7, 3, 2)]), min_size=1, max_size=5))
def test_a_canary_has_norm_one_and_lies_in_one_tensor_or_in_all(shapes: list[tuple[int, ...]]) -> None:
    design = Design.of(shapes, 3)
    counted = dict.fromkeys(range(len(shapes) + 1), 0)
    for number in range(design.rounds):
        update = design.update(number)
        norms = [float(np.linalg.norm(part)) for part in update]
        assert math.hypot(*norms) == pytest.approx(1, abs=1e-6)
        counted[int(design.kinds[number])] += 1
        wanted = [1 / math.sqrt(len(shapes))] * len(shapes)
        if design.kinds[number] < len(shapes):
            wanted = [float(tensor == design.kinds[number]) for tensor in range(len(shapes))]
        np.testing.assert_allclose(norms, wanted, atol=1e-6)
        for found, pushes in zip(design.components(update), design.pushes, strict=True):
            np.testing.assert_allclose(found, pushes[number], atol=1e-6)
    assert min(counted.values()) >= 6 or len(shapes) == 1


def test_a_right_mechanism_is_bounded_below_its_mu_as_often_as_is_claimed() -> None:
    bounds = np.array([moved(Simulated([Z] * 4, seed), seed, level=0.9).mu for seed in range(100)])
    assert 0 < (bounds > 1 / Z).mean() < 0.15
    assert np.median(bounds) > 0.93 / Z


def test_more_noise_in_some_tensors_refutes_nothing() -> None:
    bounds = np.array([moved(Simulated([Z, 3 * Z, Z, 10 * Z], seed), seed, level=0.9).mu for seed in range(50)])
    assert (bounds > 1 / Z).mean() <= 0.1


def test_noise_of_each_client_grows_with_the_root_of_the_group() -> None:
    group = group_size(Z)
    bounds = [moved(Simulated([Z * math.sqrt(group)] * 4, seed), seed, own_noise=True).mu for seed in range(20)]
    assert 0.75 / Z < np.median(bounds) < 1 / Z


FAULTS: dict[str, Callable[[int], Simulated]] = {
    "a fifth too little": lambda seed: Simulated([0.8 * Z] * 4, seed),
    "a quarter": lambda seed: Simulated([Z / 4] * 4, seed),
    "none": lambda seed: Simulated([0.0] * 4, seed),
    "none in the largest tensor": lambda seed: Simulated([0.0, Z, Z, Z], seed),
    "none in the smallest tensor": lambda seed: Simulated([Z, Z, Z, 0.0], seed),
    "half in one tensor": lambda seed: Simulated([Z, Z / 2, Z, Z], seed),
    "one number for all of a tensor": lambda seed: Simulated([Z] * 4, seed, shared=True),
    "each tensor clipped by itself": lambda seed: Simulated([Z] * 4, seed, each_tensor),
    "not clipped": lambda seed: Simulated([Z] * 4, seed, lambda update: update),
    "clipped to too much": lambda seed: Simulated([Z] * 4, seed, lambda u: [1.25 * part for part in whole(u)]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str) -> None:
    found = [moved(FAULTS[fault](seed), seed) for seed in range(20)]
    assert sum(one.mu > 1 / Z for one in found) >= 18
    assert max(one.mu for one in found) <= LARGEST_MU
    if "none in" in fault:
        tensor = 0 if "largest" in fault else 3
        assert {one.direction for one in found} == {f"tensor {tensor} of shape {list(WIDE[tensor])}"}


def test_canaries_of_one_run_are_told_from_those_that_were_not_there() -> None:
    scores, included = one_run_scores(Simulated([0.1] * 4), WIDE, 4, 1.0, seed=5, canaries=30)
    assert len(scores) == 30
    assert 5 < included.sum() < 25
    assert scores[included].min() > scores[~included].max()
    assert scores[included].mean() == pytest.approx(4, abs=0.2)


def audited(mechanism: str, seed: int, **changes: Any) -> Movement:
    """A run's own mechanism at a tenth of a percent: clients who draw their own noise have no seed."""
    clients = 40 if mechanism == "adaptive" else CLIENTS
    privacy = privacy_of(mechanism, noise_multiplier=Z, **changes)
    return user_movement(privacy, SHAPES, clients, 1, seed, 0.999)


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_the_mechanisms_are_as_private_as_they_claim(mechanism: str) -> None:
    found = [audited(mechanism, seed) for seed in range(2)]
    assert max(one.mu for one in found) <= 1 / Z
    assert min(one.mu for one in found) > 0.6 / Z


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
def test_one_seed_gives_the_same_numbers() -> None:
    assert audited("fixed", 7) == audited("fixed", 7) != audited("fixed", 8)


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
def test_twenty_audits_of_one_mechanism_at_99_percent() -> None:
    privacy = privacy_of("fixed", noise_multiplier=Z)
    release, group = user_release(privacy, SHAPES, CLIENTS, seed=1), group_size(Z)
    for seed in range(20):
        design = Design.of(SHAPES, seed, rounds=30)
        assert movement(design, measure(release, design, group), group, 0.99).mu <= 1 / Z


def scaled_noise(factor: float, tensor: int | None = None) -> Callable:
    """Noise times a factor, of one tensor or of all."""
    right = noise.add_gaussian

    def faulty(values: Sequence[tf.Tensor], deviation: tf.Tensor, seed: tf.Tensor) -> list[tf.Tensor]:
        factors = [factor if tensor in (None, place) else 1.0 for place in range(len(values))]
        noised = right(values, deviation, seed)
        return [value + f * (n - value) for value, n, f in zip(values, noised, factors, strict=True)]

    return faulty


NOISE_FAULTS = {"none": (0.0, None), "a quarter": (0.25, None), "none in one tensor": (0.0, 1)}


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize(
    ("mechanism", "fault"),
    [
        *(("fixed", fault) for fault in NOISE_FAULTS),
        ("adaptive", "a quarter"),
        ("tree", "none in one tensor"),
        ("local", "none in one tensor"),
    ],
)
def test_too_little_noise_is_found_in_the_real_code(
    mechanism: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noise, "add_gaussian", scaled_noise(*NOISE_FAULTS[fault]))
    assert audited(mechanism, 2).mu > 1 / Z


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
def test_a_fifth_too_little_noise_is_found_in_the_real_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "add_gaussian", scaled_noise(0.8))
    assert audited("fixed", 2).mu > 1 / Z


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("mechanism", ["fixed", "adaptive", "tree", "local"])
def test_clipping_that_is_off_is_found_in_the_real_code(mechanism: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = queries.clip_record
    monkeypatch.setattr(queries, "clip_record", lambda record, norm: right(record, norm * HOSTILE))
    assert audited(mechanism, 2).mu > 1 / Z


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
def test_too_little_noise_on_the_count_is_found_in_the_real_code(monkeypatch: pytest.MonkeyPatch) -> None:
    right = noise.add_gaussian

    def faulty(values: Sequence[tf.Tensor], deviation: tf.Tensor, seed: tf.Tensor) -> list[tf.Tensor]:
        return right(values, 0.02 * deviation if values[0].shape.rank == 0 else deviation, seed)

    monkeypatch.setattr(noise, "add_gaussian", faulty)
    found = audited("adaptive", 2)
    assert found.mu > 1 / Z
    assert found.direction == "the count of clipped updates"


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
def test_too_little_distributed_noise_is_found_in_the_real_code(monkeypatch: pytest.MonkeyPatch) -> None:
    right = distributed.distributed_dp.DistributedDpSumFactory

    def faulty(noise_multiplier: float, **rest: Any) -> Any:
        return right(noise_multiplier=0.5 * noise_multiplier, **rest)

    monkeypatch.setattr(distributed.distributed_dp, "DistributedDpSumFactory", faulty)
    assert audited("distributed", 2).mu > 1 / Z


def windows(seed: int) -> Movement:
    return window_movement(privacy_of("fixed", level="window", noise_multiplier=Z), SHAPES, 10.0, seed, 0.99)


def test_twenty_audits_of_window_steps() -> None:
    found = [windows(seed).mu for seed in range(20)]
    assert max(found) <= 1 / Z
    assert min(found) > 0.75 / Z
    assert windows(3) == windows(3)


@pytest.mark.parametrize("fault", NOISE_FAULTS)
def test_too_little_noise_of_window_steps_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dpsgd, "add_gaussian", scaled_noise(*NOISE_FAULTS[fault]))
    assert windows(1).mu > 1 / Z


def test_window_gradients_that_are_not_clipped_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = dpsgd.clip_windows
    monkeypatch.setattr(dpsgd, "clip_windows", lambda gradients, present, norm: right(gradients, present, norm * 2))
    assert windows(1).mu > 1 / Z


def test_windows_are_drawn_as_often_as_their_rate_says() -> None:
    assert window_hits(5, 10, 50, seed=1) == 50
    hits = window_hits(40, 10, 2000, seed=1)
    assert abs(hits - 500) < 4 * math.sqrt(2000 * 0.25 * 0.75)
    assert hits == window_hits(40, 10, 2000, seed=1) != window_hits(40, 10, 2000, seed=2)
