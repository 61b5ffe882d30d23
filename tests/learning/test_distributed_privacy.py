"""Averaging under a simulated secure sum, on the worker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff
from staged_clients import SHAPE, staged_clients

from tff_affect.client_data import ABSENT, StagedCohort, training_key
from tff_affect.config import ModelConfig, OptimizerConfig, TrainingConfig
from tff_affect.errors import InputError
from tff_affect.learning.algorithms import bare_client_update, build_federated_averaging
from tff_affect.learning.checkpoints import Checkpoints
from tff_affect.learning.distributed_privacy import DistributedAveraging, DistributedState
from tff_affect.models.registry import initial_weights
from tff_affect.privacy.distributed import build_distributed_mean
from tff_affect.privacy_config import PrivacyConfig

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("runtime")]

MODEL = ModelConfig("lstm", units=5)
WINDOWS = {"P1": 1, "P2": 3, "P3": 6}
NORM = 1.0
GRID = 1e-5 * NORM


def training(server: OptimizerConfig | None = None) -> TrainingConfig:
    return TrainingConfig(
        batch_size=8, loss="mse", client_optimizer=OptimizerConfig("sgd", 0.1), weighting="uniform",
        server_optimizer=server or OptimizerConfig("sgd", 1.0),
    )  # fmt: skip


def distributed(
    staged: StagedCohort, noise: float, clients: int = 3, server: OptimizerConfig | None = None, norm: float = NORM
) -> DistributedAveraging:
    update = bare_client_update(staged, MODEL, training(server))
    privacy = PrivacyConfig(noise_multiplier=noise, clipping_norm=norm, mechanism="distributed")
    mean = build_distributed_mean(privacy, clients, update.type_signature.result)
    return DistributedAveraging(update, mean, training(server))


def weights() -> list[np.ndarray]:
    return initial_weights(MODEL, SHAPE, seed=3)


def started(process: DistributedAveraging) -> DistributedState:
    return process.set_model_weights(process.initialize(), tff.learning.models.ModelWeights(weights(), []))


def rounds(
    process: DistributedAveraging, state: DistributedState, clients: Sequence[str], numbers: Sequence[int]
) -> DistributedState:
    for number in numbers:
        state = process.next(state, [training_key(client, number) for client in clients]).state
    return state


def after(process: DistributedAveraging, clients: Sequence[str], count: int = 1) -> list[np.ndarray]:
    state = rounds(process, started(process), clients, range(count))
    return [np.asarray(part) for part in process.get_model_weights(state).trainable]


def difference(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float:
    return max(float(np.abs(x - y).max()) for x, y in zip(a, b, strict=True))


@pytest.fixture
def staged(tmp_path: Path) -> StagedCohort:
    (tmp_path / "staged").mkdir()
    return staged_clients(tmp_path / "staged", WINDOWS)


@pytest.mark.parametrize("server", [OptimizerConfig("sgd", 1.0), OptimizerConfig("sgd", 0.5, momentum=0.9)])
def test_without_noise_it_is_averaging_with_uniform_weights_to_its_grid(
    staged: StagedCohort, server: OptimizerConfig
) -> None:
    found = after(distributed(staged, 0.0, server=server), list(WINDOWS), 3)
    plain = build_federated_averaging(staged, MODEL, training(server))
    state = plain.set_model_weights(plain.initialize(), tff.learning.models.ModelWeights(weights(), []))
    for number in range(3):
        state = plain.next(state, [training_key(client, number) for client in WINDOWS]).state
    assert difference(found, plain.get_model_weights(state).trainable) < 5 * GRID
    assert difference(found, weights()) > 1e-3


def test_updates_are_clipped(staged: StagedCohort) -> None:
    norm = 1e-3
    moved = [a - b for a, b in zip(after(distributed(staged, 0.0, norm=norm), ["P1"] * 3), weights(), strict=True)]
    length = np.sqrt(sum(np.square(part.astype(np.float64)).sum() for part in moved))
    assert length == pytest.approx(norm, rel=1e-2)


def test_absent_clients_add_their_shares_of_noise_and_nothing_else(staged: StagedCohort) -> None:
    quiet = distributed(staged, 0.0)
    alone = after(quiet, ["P2", ABSENT, ABSENT])
    third = [w + (a - w) / 3 for w, a in zip(weights(), after(quiet, ["P2"] * 3), strict=True)]
    assert difference(alone, third) < 3 * GRID
    assert difference(alone, weights()) > 1e-3
    noisy = after(distributed(staged, 2.0), [ABSENT] * 3)
    noise = np.concatenate([(a - w).ravel() for a, w in zip(noisy, weights(), strict=True)])
    assert noise.std() == pytest.approx(2.0 * NORM / 3, rel=0.25)


def test_a_round_with_fewer_clients_than_shares_is_refused(staged: StagedCohort) -> None:
    with pytest.raises(InputError, match="at least 3"):
        after(distributed(staged, 1.0), ["P1", "P2"])


def test_a_round_tells_nothing_of_training(staged: StagedCohort) -> None:
    process = distributed(staged, 0.5)
    output = process.next(started(process), [training_key(client, 0) for client in WINDOWS])
    assert tf.nest.flatten(output.metrics) == []


def test_two_runs_differ(staged: StagedCohort) -> None:
    process = distributed(staged, 0.5)
    assert difference(after(process, list(WINDOWS)), after(process, list(WINDOWS))) > 1e-2


def test_it_goes_on_from_a_checkpoint(staged: StagedCohort, tmp_path: Path) -> None:
    process = distributed(staged, 0.0, server=OptimizerConfig("sgd", 0.5, momentum=0.9))
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    half = rounds(process, started(process), list(WINDOWS), [0])
    checkpoints.save(half, 1)
    loaded = checkpoints.load_latest(started(process))
    if loaded is None:
        pytest.fail("there is no checkpoint")
    resumed = rounds(process, loaded[0], list(WINDOWS), [1])
    straight = rounds(process, half, list(WINDOWS), [1])
    pair = [process.get_model_weights(state).trainable for state in (resumed, straight)]
    assert difference(*pair) < 3 * GRID
    momentum = rounds(process, started(process)._replace(weights=half.weights), list(WINDOWS), [1])
    assert difference(pair[0], process.get_model_weights(momentum).trainable) > 1e-3
