"""Several real workers compute what one does; killed, frozen or started anew they change not a bit."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import tensorflow as tf
import tensorflow_federated as tff
from staged_clients import SHAPE, staged_clients

from tff_affect.client_data import StagedCohort, training_key
from tff_affect.config import ModelConfig, OptimizerConfig, TrainingConfig
from tff_affect.errors import RunError
from tff_affect.learning import failing_clients
from tff_affect.learning.algorithms import build_federated_averaging, build_private_averaging
from tff_affect.learning.federated_evaluation import FederatedEvaluation
from tff_affect.learning.runtime import RuntimeConfig, local_runtime, several_workers
from tff_affect.learning.worker_pool import WorkerPool
from tff_affect.models.registry import initial_weights
from tff_affect.privacy.mechanisms import build_aggregation
from tff_affect.privacy_config import PrivacyConfig
from tff_affect.workers.hosts import Deadlines

MODEL = ModelConfig(name="gru", units=8)
TRAINING = TrainingConfig(
    rounds=4, weighting="uniform", client_optimizer=OptimizerConfig("sgd", 0.1), local_epochs=2, batch_size=2
)
CLIENTS = {f"c{number}": 2 + number % 3 for number in range(7)}
QUICK = Deadlines(heartbeat=0.3, silent=3.0, call=60.0, returning=30.0, give_up=60.0)


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> StagedCohort:
    return staged_clients(tmp_path_factory.mktemp("staged"), CLIENTS)


@pytest.fixture(scope="module")
def averaging(staged: StagedCohort) -> tff.learning.templates.LearningProcess:
    return build_federated_averaging(staged, MODEL, TRAINING)


@pytest.fixture(scope="module")
def undisturbed(averaging: Any) -> dict[int, list[np.ndarray]]:
    """Number of workers -> weights."""
    found = {}
    with local_runtime():
        found[1] = trained(averaging)
    for workers in (2, 3):
        with several_workers(RuntimeConfig(workers=workers)):
            found[workers] = trained(averaging)
    return found


def trained(process: Any, rounds: int = 4, before: Callable[[int], None] = lambda number: None) -> list[np.ndarray]:
    """Weights after some rounds, in which varying clients take part."""
    weights = [np.asarray(w, np.float32) for w in initial_weights(MODEL, SHAPE, 5)]
    state = process.set_model_weights(process.initialize(), tff.learning.models.ModelWeights(weights, []))
    for number in range(rounds):
        before(number)
        present = [client for client in CLIENTS if number % 2 or client != "c3"]
        state = process.next(state, [training_key(client, number) for client in present]).state
    return [np.asarray(w) for w in process.get_model_weights(state).trainable]


def difference(a: list[np.ndarray], b: list[np.ndarray]) -> float:
    return max(float(np.abs(x - y).max()) for x, y in zip(a, b, strict=True))


def pids(pool: WorkerPool) -> list[int]:
    found = [link.endpoint.pid for link in pool.links]  # type: ignore[attr-defined]
    return [pid for pid in found if pid is not None]


def are_equal(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_several_workers_train_what_one_does(undisturbed: dict[int, list[np.ndarray]]) -> None:
    start = initial_weights(MODEL, SHAPE, 5)
    assert difference(undisturbed[1], start) > 1e-2, "nothing was learned"
    assert difference(undisturbed[2], undisturbed[1]) < 1e-6
    assert difference(undisturbed[3], undisturbed[1]) < 1e-6


def test_metrics_and_containers_are_those_of_one_worker(averaging: Any) -> None:
    keys = [training_key(client, 1) for client in CLIENTS]

    def one_round() -> Any:
        return averaging.next(averaging.initialize(), keys)

    with local_runtime():
        expected = one_round()
    with several_workers(RuntimeConfig(workers=2)):
        found = one_round()
    tf.nest.assert_same_structure(expected, found)
    assert type(found) is type(expected)
    told, wanted = (output.metrics["client_work"]["train"] for output in (found, expected))
    assert (told["num_examples"], told["num_clients"]) == (wanted["num_examples"], wanted["num_clients"])
    assert told["loss"] == pytest.approx(wanted["loss"], rel=1e-6)


def test_results_at_clients_come_in_their_order(staged: StagedCohort) -> None:
    evaluation = FederatedEvaluation(staged, MODEL)
    weights, clients = initial_weights(MODEL, SHAPE, 5), list(reversed(CLIENTS))
    with local_runtime():
        expected = evaluation.statistics(weights, clients)
    with several_workers(RuntimeConfig(workers=3)):
        for subset in (clients, clients[2:], clients[:1]):
            found = evaluation.begin(weights, subset)()
            for client, statistics in zip(subset, found, strict=True):
                one = expected[clients.index(client)]
                np.testing.assert_array_equal(statistics.n, one.n)
                np.testing.assert_allclose(statistics.ccc, one.ccc, atol=1e-12)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_disturbed_training_gives_the_same_bits(
    number: signal.Signals, averaging: Any, undisturbed: dict[int, list[np.ndarray]]
) -> None:
    with several_workers(RuntimeConfig(workers=2, restarts=20, deadlines=QUICK)) as pool:
        disturbed: list[int] = []

        def disturb(round_number: int) -> None:
            if round_number in (1, 3):
                victim = pids(pool)[round_number // 2]
                delay = 0.0 if round_number == 1 else 0.01
                threading.Timer(delay, os.kill, (victim, number)).start()
                disturbed.append(victim)

        assert are_equal(trained(averaging, before=disturb), undisturbed[2])
        assert len(disturbed) == 2
    assert not any(psutil.pid_exists(victim) and is_running(victim) for victim in disturbed)


def is_running(pid: int) -> bool:
    return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_damaged_client_drops_out_of_its_round_alone(
    averaging: Any, staged: StagedCohort, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failing_clients, "_FIRST_PAUSE", 0.0)
    file = staged.folder / "c4.f32"
    keys = [training_key(client, 1) for client in CLIENTS]
    without = [key for key in keys if not key.startswith("c4")]

    def one_round(keys: Sequence[str]) -> tuple[list[np.ndarray], int]:
        output = averaging.next(averaging.initialize(), list(keys))
        weights = averaging.get_model_weights(output.state).trainable
        return [np.asarray(w) for w in weights], int(output.metrics["client_work"]["train"]["num_clients"])

    with several_workers(RuntimeConfig(workers=2)):
        expected, clients = one_round(without)
        assert clients == 6
        content = file.read_bytes()
        file.write_bytes(content[:-1])
        try:
            found, clients = one_round(keys)
        finally:
            file.write_bytes(content)
        assert clients == 6
        assert difference(found, expected) < 1e-6
        assert "client c4 is left out at worker local-0: " in caplog.text
        assert str(staged.folder) not in caplog.text
        assert one_round(keys)[1] == 7, "it is whole again"
        assert "client c4 takes part again at worker local-" in caplog.text


def test_a_server_computation_that_fails_is_said_in_one_line(tmp_path: Path) -> None:
    @tff.tensorflow.computation(np.str_)
    def size(file: tf.Tensor) -> tf.Tensor:
        return tf.strings.length(tf.io.read_file(file))

    with pytest.raises(RunError, match=r"a computation failed: .*missing"), several_workers(RuntimeConfig(workers=2)):
        size(str(tmp_path / "missing"))


PRIVATE = PrivacyConfig(noise_multiplier=0.5, clipping_norm=1e-9, reproducible_noise=False)


def test_noise_is_drawn_once_and_a_lost_client_changes_no_denominator(staged: StagedCohort) -> None:
    """With updates clipped to nothing, what a round changes is the noise over the clients that were expected."""
    mechanism = build_aggregation(PRIVATE, 100, None, 1)
    training = TrainingConfig(weighting="uniform", server_optimizer=OptimizerConfig("sgd", 1.0))
    process = build_private_averaging(staged, MODEL, training, PRIVATE, mechanism)
    expected = PRIVATE.noise_multiplier * PRIVATE.clipping_norm / 100  # type: ignore[operator]
    keys = [training_key(client, 1) for client in CLIENTS]
    with several_workers(RuntimeConfig(workers=3)):
        for present in (keys, keys[:-1]):
            state = process.initialize()
            draws = []
            for _ in range(60):
                before = process.get_model_weights(state).trainable
                state = process.next(state, present).state
                after = process.get_model_weights(state).trainable
                draws += [np.ravel(np.asarray(a) - np.asarray(b)) for a, b in zip(after, before, strict=True)]
            assert np.std(np.concatenate(draws)) == pytest.approx(expected, rel=0.02)
