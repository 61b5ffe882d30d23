from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy_lstm
import pytest
from staged_clients import FEATURES, SHAPE, WINDOW, staged_clients

from tff_affect.config import ModelConfig, OptimizerConfig, TrainingConfig
from tff_affect.learning.baselines import Budget, Trainer, training_mean
from tff_affect.models.registry import initial_weights

pytestmark = pytest.mark.slow
MODEL = ModelConfig("lstm", units=4)
TRAINING = TrainingConfig(batch_size=4, loss="mse", client_optimizer=OptimizerConfig("sgd", 0.1))


def start() -> list[np.ndarray]:
    return initial_weights(MODEL, SHAPE, seed=1)


def test_full_batches_equal_sgd_by_hand_also_when_padded(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, {"P1": 3})
    features, labels = (part.numpy().astype(np.float64) for part in staged.training_windows("P1"))
    expected = numpy_lstm.sgd(start(), features, labels, 0.1, 4)
    trainer = Trainer(staged, MODEL, TRAINING)
    scores = iter(range(4))
    found = trainer.fit(start(), ["P1"], 0, Budget(4, 1, 0), lambda w: next(scores))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_without_shuffling_windows_come_as_they_were_recorded(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, {"P1": 3, "P2": 2})
    cut = [staged.training_windows(client) for client in staged.clients]
    features, labels = (np.concatenate(parts).astype(np.float64) for parts in zip(*cut, strict=True))
    expected = start()
    for first in (0, 2, 4, 0, 2, 4):
        expected = numpy_lstm.sgd(expected, features[first : first + 2], labels[first : first + 2], 0.1, 1)
    trainer, shuffling = (
        Trainer(staged, MODEL, replace(TRAINING, batch_size=2, shuffle=shuffle)) for shuffle in (False, True)
    )
    found, shuffled = (t.fit(start(), ["P1", "P2"], 0, Budget(2, 2, 0), lambda w: 0.0) for t in (trainer, shuffling))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert max(np.abs(a - b).max() for a, b in zip(found, shuffled, strict=True)) > 1e-5


def test_best_weights_are_kept_and_patience_ends_training(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, {"P1": 4})
    seen: list[list[np.ndarray]] = []
    scores = iter([0.1, 0.5, 0.4, 0.3, 0.9])

    def score(weights: list[np.ndarray]) -> float:
        seen.append(weights)
        return next(scores)

    best = Trainer(staged, MODEL, TRAINING).fit(start(), ["P1"], 0, Budget(10, 1, 2), score)
    assert len(seen) == 4
    for a, b in zip(best, seen[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_predictions_average_overlapping_windows(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, {"P1": 2}, hop=5, extra_frames=2)
    found = Trainer(staged, MODEL, TRAINING).predictions(start(), ["P1"])[0]
    sequence = staged.sequence("P1").numpy()
    total, count = np.zeros((22, 2)), np.zeros((22, 1))
    for first in (0, 5, 10, 15):
        window = sequence[first : first + WINDOW, :FEATURES].astype(np.float64)
        predicted, _ = numpy_lstm.forward([w.astype(np.float64) for w in start()], window[None])
        total[first : first + WINDOW] += predicted[0]
        count[first : first + WINDOW] += 1
    np.testing.assert_allclose(found, total / count, atol=1e-6)


@pytest.mark.parametrize(
    ("per_round", "rounds", "epochs", "passes"), [(0, 10, 3, 30), (5, 10, 3, 15), (1, 10, 1, 1), (99, 10, 1, 10)]
)
def test_budget_is_the_passes_that_federated_clients_make(
    per_round: int, rounds: int, epochs: int, passes: int
) -> None:
    config = TrainingConfig(rounds=rounds, clients_per_round=per_round, local_epochs=epochs)
    assert Budget.of(config, clients=10).passes == passes


def test_mean_predictor_knows_training_clients_only(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, {"P1": 2, "P2": 3, "P3": 4}, missing=0.2)
    labels = np.concatenate([staged.gold("P1"), staged.gold("P2")]).astype(np.float64)
    np.testing.assert_allclose(training_mean(staged, ["P1", "P2"]), np.nanmean(labels, axis=0), rtol=1e-12)
