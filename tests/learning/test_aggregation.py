"""Rounds with differential privacy on the worker: the identities that they keep, and what they tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy_lstm
import pytest
import tensorflow as tf
import tensorflow_federated as tff
from staged_clients import FEATURES, LABELS, SHAPE, staged_clients

from tff_affect.client_data import ABSENT, StagedCohort, training_key
from tff_affect.config import ModelConfig, OptimizerConfig, TrainingConfig
from tff_affect.learning.algorithms import (
    bare_client_update,
    build_federated_averaging,
    build_private_averaging,
    client_update,
)
from tff_affect.models.registry import initial_weights
from tff_affect.privacy.distributed import build_distributed_mean
from tff_affect.privacy.mechanisms import build_aggregation
from tff_affect.privacy_config import PrivacyConfig

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("runtime")]

RATE = 0.1
MODEL = ModelConfig("lstm", units=5)
WINDOWS = {"P1": 1, "P2": 3, "P3": 6}
ADJACENCY = {"local": "replace-one", "tree": "zero-out"}
CENTRAL = ("fixed", "adaptive", "tree", "local")
Process = tff.learning.templates.LearningProcess


def training(**changes: object) -> TrainingConfig:
    sgd = OptimizerConfig("sgd", RATE)
    usual = {"batch_size": 8, "loss": "mse", "client_optimizer": sgd, "weighting": "uniform"}
    return TrainingConfig(**(usual | changes))


def privacy_of(mechanism: str, **changes: object) -> PrivacyConfig:
    usual = {
        "noise_multiplier": 0.0, "mechanism": mechanism, "adjacency": ADJACENCY.get(mechanism, "add-remove"),
        "sampling": "passes" if mechanism == "tree" else "poisson",
        # Adaptive clipping starts from a finite norm.
        "clipping_norm": 1e6 if mechanism == "adaptive" else math.inf,
    }  # fmt: skip
    return PrivacyConfig(**(usual | changes))


def private(
    staged: StagedCohort, privacy: PrivacyConfig, clients: float = 3, seed: int | None = None, **changes: object
) -> Process:
    mechanism = build_aggregation(privacy, clients, seed) if privacy.level == "user" else None
    return build_private_averaging(staged, MODEL, training(**changes), privacy, mechanism)


def weights() -> list[np.ndarray]:
    return initial_weights(MODEL, SHAPE, seed=3)


def outputs(process: Process, clients: Sequence[str], rounds: int = 1) -> list[Any]:
    state = process.set_model_weights(process.initialize(), tff.learning.models.ModelWeights(weights(), []))
    found = []
    for number in range(rounds):
        found.append(process.next(state, [training_key(client, number) for client in clients]))
        state = found[-1].state
    return found


def after(process: Process, clients: Sequence[str], rounds: int = 1) -> list[np.ndarray]:
    return list(process.get_model_weights(outputs(process, clients, rounds)[-1].state).trainable)


def difference(a: list, b: list) -> float:
    return max(float(np.abs(x - y).max()) for x, y in zip(a, b, strict=True))


def flat(tensors: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.asarray(part, np.float64).ravel() for part in tensors])


def updates_by_hand(staged: StagedCohort, clients: Sequence[str]) -> dict[str, np.ndarray]:
    """What each client takes from the weights in a step on all its windows: numpy in float64."""
    found = {}
    for client in clients:
        features, labels = (part.numpy().astype(np.float64) for part in staged.training_windows(client))
        found[client] = flat(weights()) - flat(numpy_lstm.sgd(weights(), features, labels, RATE, 1))
    return found


def clipped(update: np.ndarray, norm: float) -> np.ndarray:
    return update * min(1, norm / np.linalg.norm(update))


@pytest.fixture
def staged(tmp_path: Path) -> StagedCohort:
    return staged_clients(tmp_path, WINDOWS)


@pytest.mark.parametrize("mechanism", CENTRAL)
def test_without_noise_and_clipping_it_is_averaging_with_uniform_weights(staged: StagedCohort, mechanism: str) -> None:
    changes = {"batch_size": 2, "local_epochs": 2}
    found = after(private(staged, privacy_of(mechanism), **changes), list(WINDOWS), 3)
    plain = after(build_federated_averaging(staged, MODEL, training(**changes)), list(WINDOWS), 3)
    by_windows = training(**changes, weighting="windows")
    weighted = after(build_federated_averaging(staged, MODEL, by_windows), list(WINDOWS), 3)
    assert difference(found, plain) < 1e-6
    assert difference(found, weighted) > 1e-4


@pytest.mark.parametrize("mechanism", CENTRAL)
def test_each_update_is_clipped_as_a_whole(staged: StagedCohort, mechanism: str) -> None:
    updates = updates_by_hand(staged, list(WINDOWS))
    norm = float(np.median([np.linalg.norm(update) for update in updates.values()]))
    found = after(private(staged, privacy_of(mechanism, clipping_norm=norm)), list(WINDOWS))
    expected = flat(weights()) - np.mean([clipped(update, norm) for update in updates.values()], axis=0)
    np.testing.assert_allclose(flat(found), expected, atol=1e-6)
    unclipped = flat(weights()) - np.mean(list(updates.values()), axis=0)
    assert np.abs(flat(found) - unclipped).max() > 1e-4


@pytest.mark.parametrize("mechanism", ["fixed", "adaptive"])
def test_absent_clients_change_nothing(staged: StagedCohort, mechanism: str) -> None:
    updates = updates_by_hand(staged, list(WINDOWS))
    privacy = privacy_of(mechanism, clipping_norm=float(np.linalg.norm(updates["P2"])))
    process = private(staged, privacy)
    alone, padded = (outputs(process, clients, 3)[-1] for clients in (list(WINDOWS), [*WINDOWS, *[ABSENT] * 4]))
    pair = [process.get_model_weights(output.state).trainable for output in (alone, padded)]
    assert difference(*pair) < 1e-7
    assert padded.metrics["aggregator"] == alone.metrics["aggregator"]
    assert difference(pair[0], weights()) > 1e-3


def test_the_denominator_is_that_of_the_clients_expected(staged: StagedCohort) -> None:
    """Four are expected and one comes; also where nobody comes there is a round."""
    process = private(staged, privacy_of("fixed"), clients=4)
    expected = flat(weights()) - updates_by_hand(staged, ["P2"])["P2"] / 4
    for absent in (0, 5):
        found = flat(after(process, ["P2", *[ABSENT] * absent]))
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert difference(after(process, [ABSENT] * 6), weights()) == 0


def test_a_round_of_absent_clients_is_noise_of_the_nominal_deviation(staged: StagedCohort) -> None:
    privacy = privacy_of("fixed", noise_multiplier=2.0, clipping_norm=0.5)
    found = [flat(after(private(staged, privacy, clients=4), [ABSENT] * 6)) - flat(weights()) for _ in range(2)]
    for noise in found:
        # Of so many weights the deviation is known to 5 %.
        assert noise.size > 190
        assert noise.std() == pytest.approx(2.0 * 0.5 / 4, rel=0.25)
    assert abs(np.corrcoef(found)[0, 1]) < 0.4


def test_each_client_adds_noise_of_its_own_where_none_trusts_the_server(staged: StagedCohort) -> None:
    privacy = privacy_of("local", noise_multiplier=2.0, clipping_norm=0.5)
    found = flat(after(private(staged, privacy), list(WINDOWS))) - flat(weights())
    assert found.std() == pytest.approx(2.0 * 0.5 * math.sqrt(3) / 3, rel=0.25)


@pytest.mark.parametrize("mechanism", ["adaptive", "tree"])
def test_noise_repeats_where_it_is_asked_to_and_nowhere_else(staged: StagedCohort, mechanism: str) -> None:
    changes = {"noise_multiplier": 0.2, "clipping_norm": 0.5}
    same = privacy_of(mechanism, **changes, reproducible_noise=True)
    fresh = privacy_of(mechanism, **changes)

    def found(privacy: PrivacyConfig, seed: int | None) -> list[np.ndarray]:
        tf.keras.utils.set_random_seed(1)
        return after(private(staged, privacy, 3, seed), list(WINDOWS), 2)

    once = found(same, 5)
    assert difference(once, found(same, 5)) == 0
    assert difference(once, found(same, 6)) > 1e-3
    assert difference(found(fresh, None), found(fresh, None)) > 1e-3


@pytest.mark.parametrize("mechanism", CENTRAL)
def test_a_private_round_tells_nothing_of_training(staged: StagedCohort, mechanism: str) -> None:
    (output,) = outputs(private(staged, privacy_of(mechanism, clipping_norm=0.5)), list(WINDOWS))
    assert tf.nest.flatten(output.metrics["client_work"]) == []
    assert tf.nest.flatten(output.metrics["distributor"]) == []
    # The clipping norm of the next round follows from what was released; adaptive clipping moves it by 10 %.
    assert tf.nest.flatten(output.metrics["aggregator"]) == [pytest.approx(0.5, rel=0.11)]


def test_a_round_that_protects_windows_tells_nothing_of_training(staged: StagedCohort) -> None:
    privacy = privacy_of("fixed", level="window", clipping_norm=0.5)
    (output,) = outputs(private(staged, privacy), list(WINDOWS))
    assert tf.nest.flatten(output.metrics["client_work"]) == []
    sent = client_update(staged, MODEL, training(), privacy).type_signature.result
    assert tff.structure.name_list(sent) == ["update", "weight"]
    plain = client_update(staged, MODEL, training()).type_signature.result
    assert tff.structure.name_list(plain) == ["update", "weight", "loss", "windows", "clients"]


def test_a_client_sends_its_update_and_nothing_else(staged: StagedCohort) -> None:
    sent = bare_client_update(staged, MODEL, training()).type_signature.result
    assert [tuple(part.shape) for part in sent] == [w.shape for w in weights()]


def test_windows_without_noise_and_clipping_in_one_batch_are_federated_averaging(staged: StagedCohort) -> None:
    changes = {"batch_size": 6, "local_epochs": 3}
    privacy = privacy_of("fixed", level="window")
    found = after(private(staged, privacy, **changes), list(WINDOWS), 3)
    plain = after(build_federated_averaging(staged, MODEL, training(**changes)), list(WINDOWS), 3)
    assert difference(found, plain) < 1e-6
    assert difference(found, weights()) > 1e-3


@pytest.mark.parametrize("absent", [ABSENT, training_key(ABSENT, 0)])
def test_an_absent_client_adds_no_noise_where_windows_are_protected(staged: StagedCohort, absent: str) -> None:
    privacy = privacy_of("fixed", level="window", clipping_norm=0.5, noise_multiplier=3.0)
    compute = client_update(staged, MODEL, training(), privacy)
    found = compute(tff.learning.models.ModelWeights(weights(), []), absent)
    assert (np.abs(flat(found["update"])).max(), found["weight"]) == (0, 0)
    there = compute(tff.learning.models.ModelWeights(weights(), []), training_key("P1", 0))
    assert np.abs(flat(there["update"])).max() > 0.01
    assert there["weight"] == 1


def test_with_one_window_and_one_step_windows_are_protected_as_subjects_are(tmp_path: Path) -> None:
    """A client's update is then its rate times the gradient of its window."""
    clients = ["P1", "P2", "P3"]
    staged = staged_clients(tmp_path, dict.fromkeys(clients, 1))
    norm = 0.5 * min(np.linalg.norm(update) for update in updates_by_hand(staged, clients).values())
    of_windows = private(staged, privacy_of("fixed", level="window", clipping_norm=norm / RATE))
    of_subjects = private(staged, privacy_of("fixed", clipping_norm=norm))
    found = after(of_windows, clients, 3)
    assert difference(found, after(of_subjects, clients, 3)) < 1e-6
    assert difference(found, after(build_federated_averaging(staged, MODEL, training()), clients, 3)) > 1e-4


def central_mean(mechanism: str, value: tff.Type) -> Callable[[list], list]:
    process = build_aggregation(privacy_of(mechanism, clipping_norm=0.5), 3).create(value)
    return lambda updates: process.next(process.initialize(), updates).result


def distributed_mean(value: tff.Type) -> Callable[[list], list]:
    mean = build_distributed_mean(privacy_of("distributed", clipping_norm=0.5), 3, value)
    return lambda updates: mean.next(mean.initialize(), updates)[1]


@pytest.mark.parametrize("mechanism", [*CENTRAL, "distributed"])
def test_an_update_beyond_all_others_is_clipped_and_not_zeroed(mechanism: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow Federated zeroes it above a threshold that it estimates without noise, which is not private."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("adaptive zeroing")

    monkeypatch.setattr(tff.aggregators, "zeroing_factory", refuse)
    monkeypatch.setattr(tff.aggregators.PrivateQuantileEstimationProcess, "no_noise", refuse)
    value = tff.to_type([(np.float32, (4,))])
    mean = distributed_mean(value) if mechanism == "distributed" else central_mean(mechanism, value)
    found = mean([[np.zeros(4, np.float32)]] * 2 + [[np.full(4, 1e20, np.float32)]])
    assert 3 * np.linalg.norm(found[0]) == pytest.approx(0.5, rel=1e-2)
    assert not any("zero" in field.name for field in fields(PrivacyConfig))


def test_a_client_that_diverges_is_as_good_as_absent(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, {**WINDOWS, "P4": 2})
    sequence = staged.sequence("P4").numpy().copy()
    sequence[:, FEATURES : FEATURES + len(LABELS)] *= 1e38
    sequence.tofile(tmp_path / "P4.f32")
    process = private(staged, privacy_of("fixed", clipping_norm=0.5), local_epochs=4)
    assert difference(after(process, [*WINDOWS, "P4"]), after(process, list(WINDOWS))) < 1e-7
