"""The identities that federated averaging must keep."""

from pathlib import Path

import numpy as np
import numpy_lstm
import pytest
import tensorflow as tf
import tensorflow_federated as tff
from staged_clients import FEATURES, LABELS, SHAPE, WINDOW, staged_clients

from tff_affect.client_data import ABSENT, StagedCohort, training_key
from tff_affect.config import ModelConfig, OptimizerConfig, TrainingConfig
from tff_affect.learning import algorithms
from tff_affect.learning.algorithms import build_federated_averaging, build_optimizer
from tff_affect.learning.baselines import Budget, Trainer
from tff_affect.learning.proximal import ProximalOptimizer
from tff_affect.losses import build_loss
from tff_affect.models.masking import MissingFrames
from tff_affect.models.registry import initial_weights

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("runtime")]

RATE = 0.1
MODEL = ModelConfig("lstm", units=5)
SGD = OptimizerConfig("sgd", RATE)
WINDOWS = {"P1": 1, "P2": 3, "P3": 6}


def training(**changes: object) -> TrainingConfig:
    return TrainingConfig(**{"batch_size": 8, "loss": "mse", "client_optimizer": SGD, **changes})


def weights() -> list[np.ndarray]:
    return initial_weights(MODEL, SHAPE, seed=3)


def after(process: tff.learning.templates.LearningProcess, start: list, clients: list[str], rounds: int = 1) -> list:
    state = process.set_model_weights(process.initialize(), tff.learning.models.ModelWeights(start, []))
    for number in range(rounds):
        state = process.next(state, [training_key(client, number) for client in clients]).state
    return list(process.get_model_weights(state).trainable)


def difference(a: list, b: list) -> float:
    return max(float(np.abs(x - y).max()) for x, y in zip(a, b, strict=True))


@pytest.fixture
def staged(tmp_path: Path) -> StagedCohort:
    return staged_clients(tmp_path, WINDOWS)


@pytest.mark.parametrize(
    ("model", "loss", "target"),
    [("lstm", "mse", "frame"), ("gru", "ccc", "frame"), ("bilstm", "ccc", "window"), ("cnn_bigru", "mse", "window")],
)
def test_one_client_and_one_batch_is_a_centralised_step(tmp_path: Path, model: str, loss: str, target: str) -> None:
    staged = staged_clients(tmp_path, {"P1": 5}, missing=0.1, target=target)
    # Without dropout: its seeds are those of a round here, and of a pass there.
    config, model_config = training(loss=loss), ModelConfig(model, units=5, dropout=0.0)
    process = build_federated_averaging(staged, model_config, config)
    start = initial_weights(model_config, staged.shape, seed=3)
    federated = after(process, start, ["P1"])
    central = Trainer(staged, model_config, config).fit(start, ["P1"], 0, Budget(1, 1, 0), lambda w: 0.0)
    assert difference(federated, central) < 1e-6
    assert difference(federated, start) > 1e-4


@pytest.mark.parametrize("epochs", [1, 3])
def test_aggregate_is_the_weighted_mean_of_client_updates(staged: StagedCohort, epochs: int) -> None:
    process = build_federated_averaging(staged, MODEL, training(local_epochs=epochs))
    start = weights()
    federated = after(process, start, list(WINDOWS))
    updated = []
    for client in WINDOWS:
        features, labels = (part.numpy().astype(np.float64) for part in staged.training_windows(client))
        updated.append(numpy_lstm.sgd(start, features, labels, RATE, epochs))
    expected = [np.average(tensors, axis=0, weights=list(WINDOWS.values())) for tensors in zip(*updated, strict=True)]
    assert difference(federated, expected) < 1e-6
    uniform = [np.mean(tensors, axis=0) for tensors in zip(*updated, strict=True)]
    assert difference(federated, uniform) > 1e-4


def test_uniform_weighting_counts_every_client_once(staged: StagedCohort) -> None:
    federated = after(build_federated_averaging(staged, MODEL, training(weighting="uniform")), weights(), list(WINDOWS))
    cut = {c: [p.numpy().astype(np.float64) for p in staged.training_windows(c)] for c in WINDOWS}
    updated = [numpy_lstm.sgd(weights(), *cut[client], RATE, 1) for client in WINDOWS]
    assert difference(federated, [np.mean(tensors, axis=0) for tensors in zip(*updated, strict=True)]) < 1e-6


def test_client_order_does_not_matter(staged: StagedCohort) -> None:
    process = build_federated_averaging(staged, MODEL, training(batch_size=2, local_epochs=2))
    forwards, backwards = (after(process, weights(), clients, 2) for clients in (list(WINDOWS), list(WINDOWS)[::-1]))
    assert difference(forwards, backwards) < 1e-7


def test_fedprox_without_proximal_term_is_fedavg(staged: StagedCohort, monkeypatch: pytest.MonkeyPatch) -> None:
    config = training(batch_size=2, local_epochs=2)
    plain = build_federated_averaging(staged, MODEL, config)
    optimizer = ProximalOptimizer(build_optimizer(config.client_optimizer), 0.0)
    monkeypatch.setattr(algorithms, "build_client_optimizer", lambda _: optimizer)
    proximal = build_federated_averaging(staged, MODEL, config)
    clients = list(WINDOWS)
    assert difference(after(proximal, weights(), clients, 2), after(plain, weights(), clients, 2)) < 1e-7


def stock_model(name: str) -> tf.keras.Model:
    """The zoo's network out of Keras's own layers."""
    layer = {"simple_rnn": tf.keras.layers.SimpleRNN, "gru": tf.keras.layers.GRU}.get(name, tf.keras.layers.LSTM)
    recurrent = layer(5, return_sequences=True)
    inputs = tf.keras.Input((WINDOW, FEATURES))
    hidden = MissingFrames()(inputs)
    hidden = (tf.keras.layers.Bidirectional(recurrent) if name.startswith("bi") else recurrent)(hidden)
    return tf.keras.Model(inputs, tf.keras.layers.Dense(len(LABELS))(hidden))


@pytest.mark.parametrize("name", ["simple_rnn", "gru", "bilstm"])
def test_three_rounds_equal_those_of_tff_with_keras_layers(tmp_path: Path, name: str) -> None:
    staged = staged_clients(tmp_path, WINDOWS, missing=0.2)
    config, model = training(batch_size=2, shuffle=False), ModelConfig(name, units=5)
    start = initial_weights(model, SHAPE, seed=3)

    def model_fn() -> tff.learning.models.VariableModel:
        loss = build_loss(config.loss)
        return tff.learning.models.from_keras_model(stock_model(name), loss=loss, input_spec=staged.window_spec)

    stock = tff.learning.algorithms.build_weighted_fed_avg(
        model_fn,
        client_optimizer_fn=build_optimizer(config.client_optimizer),
        server_optimizer_fn=build_optimizer(config.server_optimizer),
        loop_implementation=tff.learning.LoopImplementation.DATASET_ITERATOR,
    )
    state = stock.set_model_weights(stock.initialize(), tff.learning.models.ModelWeights(start, []))
    datasets = [staged.client_data().create_tf_dataset_for_client(client).batch(2) for client in WINDOWS]
    for _ in range(3):
        state = stock.next(state, datasets).state
    expected = list(stock.get_model_weights(state).trainable)
    found = after(build_federated_averaging(staged, model, config), start, list(WINDOWS), 3)
    assert difference(found, expected) < 1e-5
    assert difference(found, start) > 1e-2


@pytest.mark.parametrize(
    ("name", "dropout", "target"), [("gru", 0.0, "frame"), ("bilstm", 0.3, "window"), ("cnn_bilstm", 0.3, "window")]
)
def test_two_runs_are_identical_with_dropout_too(tmp_path: Path, name: str, dropout: float, target: str) -> None:
    staged = staged_clients(tmp_path, WINDOWS, missing=0.2, target=target)
    config, model = training(batch_size=2, local_epochs=2), ModelConfig(name, units=3, dropout=dropout)
    start = initial_weights(model, staged.shape, seed=3)
    first, again = (after(build_federated_averaging(staged, model, config), start, list(WINDOWS), 2) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert difference(first, start) > 1e-3


@pytest.mark.parametrize("weighting", ["windows", "uniform"])
def test_a_client_without_windows_or_with_diverged_weights_counts_nothing(tmp_path: Path, weighting: str) -> None:
    staged = staged_clients(tmp_path, {**WINDOWS, "P4": 2, "P5": 2})
    np.full((20, FEATURES + len(LABELS)), np.nan, "<f4").tofile(tmp_path / "P4.f32")
    sequence = staged.sequence("P5").numpy().copy()
    sequence[:, FEATURES:] *= 1e38
    sequence.tofile(tmp_path / "P5.f32")
    process = build_federated_averaging(staged, MODEL, training(weighting=weighting, local_epochs=4))
    alone = after(process, weights(), ["P5"])
    assert difference(alone, weights()) == 0
    assert difference(after(process, weights(), ["P4"]), weights()) == 0
    assert (
        difference(after(process, weights(), [*WINDOWS, "P4", "P5"]), after(process, weights(), list(WINDOWS))) < 1e-7
    )
    state = process.set_model_weights(process.initialize(), tff.learning.models.ModelWeights(weights(), []))
    train = {
        client: process.next(state, [training_key(client, 0)]).metrics["client_work"]["train"]
        for client in ("P4", "P5")
    }
    assert (train["P4"]["num_examples"], train["P4"]["loss"]) == (0, 0)
    assert train["P5"]["num_examples"] == 8
    assert (train["P4"]["num_clients"], train["P5"]["num_clients"]) == (1, 0)
    assert not np.isfinite(train["P5"]["loss"])


@pytest.mark.parametrize("weighting", ["windows", "uniform"])
@pytest.mark.parametrize("target", ["frame", "window"])
def test_absent_clients_change_nothing_and_are_not_counted(tmp_path: Path, weighting: str, target: str) -> None:
    staged = staged_clients(tmp_path, WINDOWS, missing=0.1, target=target)
    process = build_federated_averaging(staged, MODEL, training(weighting=weighting, local_epochs=2, batch_size=2))
    start = initial_weights(MODEL, staged.shape, seed=3)
    state = process.set_model_weights(process.initialize(), tff.learning.models.ModelWeights(start, []))
    keys = [training_key(client, 1) for client in WINDOWS]
    alone = process.next(state, keys)
    padded = process.next(state, [ABSENT, *keys[:2], training_key(ABSENT, 0), *keys[2:], ABSENT])
    pair = [list(process.get_model_weights(output.state).trainable) for output in (alone, padded)]
    assert difference(*pair) < 1e-7
    assert difference(pair[0], start) > 1e-3
    told = [output.metrics["client_work"]["train"] for output in (alone, padded)]
    assert [t["num_clients"] for t in told] == [3, 3]
    assert told[0]["num_examples"] == told[1]["num_examples"] == 2 * sum(WINDOWS.values())
    assert told[1]["loss"] == pytest.approx(told[0]["loss"], rel=1e-6)
    nobody = process.next(state, [ABSENT, training_key(ABSENT, 0)])
    assert difference(list(process.get_model_weights(nobody.state).trainable), start) == 0
    assert dict(nobody.metrics["client_work"]["train"]) == {"num_clients": 0, "num_examples": 0, "loss": 0}


def test_fedprox_pulls_clients_towards_the_server(staged: StagedCohort) -> None:
    config = training(local_epochs=4, proximal_strength=3.0)
    found = after(build_federated_averaging(staged, MODEL, config), weights(), list(WINDOWS))
    updated = []
    for client in WINDOWS:
        features, labels = (part.numpy().astype(np.float64) for part in staged.training_windows(client))
        updated.append(numpy_lstm.sgd(weights(), features, labels, RATE, 4, proximal_strength=3.0))
    expected = [np.average(tensors, axis=0, weights=list(WINDOWS.values())) for tensors in zip(*updated, strict=True)]
    assert difference(found, expected) < 1e-6
    free = after(build_federated_averaging(staged, MODEL, training(local_epochs=4)), weights(), list(WINDOWS))
    assert difference(found, weights()) < 0.8 * difference(free, weights())


@pytest.mark.parametrize(
    "server",
    [
        OptimizerConfig("sgd", 1.0, momentum=0.9),
        OptimizerConfig("adam", 0.01),
        OptimizerConfig("yogi", 0.01),
        OptimizerConfig("adagrad", 0.01),
    ],
)
def test_server_optimizers_move_the_model(staged: StagedCohort, server: OptimizerConfig) -> None:
    process = build_federated_averaging(staged, MODEL, training(server_optimizer=server))
    found = after(process, weights(), list(WINDOWS), 2)
    assert all(np.isfinite(w).all() for w in found)
    assert difference(found, weights()) > 1e-4
