"""Centralised training with DP-SGD beside plain centralised training."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from staged_clients import SHAPE, staged_clients

from tff_affect.client_data import StagedCohort
from tff_affect.config import ModelConfig, OptimizerConfig, TrainingConfig
from tff_affect.errors import InputError
from tff_affect.learning.baselines import Budget, Trainer
from tff_affect.learning.private_baseline import PrivateTrainer
from tff_affect.models.registry import initial_weights
from tff_affect.privacy_config import PrivacyConfig

pytestmark = pytest.mark.slow
MODEL = ModelConfig("gru", units=4)
TRAINING = TrainingConfig(batch_size=8, loss="mse", client_optimizer=OptimizerConfig("sgd", 0.1))
CLIENTS = ["P1", "P2"]


def start(model: ModelConfig = MODEL) -> list[np.ndarray]:
    return initial_weights(model, SHAPE, seed=1)


def window_level(**changes: object) -> PrivacyConfig:
    return PrivacyConfig(**{"noise_multiplier": 1.0, "level": "window", **changes})


def fitted(trainer: Trainer, passes: int = 4, seed: int = 0) -> list[np.ndarray]:
    return list(trainer.fit(start(), CLIENTS, seed, Budget(passes, passes, 0), lambda weights: 0.0))


def difference(a: list, b: list) -> float:
    return max(float(np.abs(x - y).max()) for x, y in zip(a, b, strict=True))


@pytest.fixture
def staged(tmp_path: Path) -> StagedCohort:
    return staged_clients(tmp_path, {"P1": 3, "P2": 4})


@pytest.mark.parametrize(
    "optimizer",
    [OptimizerConfig("sgd", 0.1, momentum=0.9), OptimizerConfig("adam", 0.01), OptimizerConfig("adagrad", 0.1)],
    ids=lambda optimizer: optimizer.name,
)
def test_without_noise_and_clipping_full_batches_are_plain_training(
    staged: StagedCohort, optimizer: OptimizerConfig
) -> None:
    training = replace(TRAINING, baseline_optimizer=optimizer)
    plain = Trainer(staged, MODEL, training)
    private = PrivateTrainer(staged, MODEL, training, window_level(noise_multiplier=0.0, clipping_norm=np.inf))
    found = fitted(private)
    assert difference(found, fitted(plain)) < 1e-6
    assert difference(found, start()) > 1e-2
    for a, b in zip(private.predictions(found, CLIENTS), plain.predictions(found, CLIENTS), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_schedule_is_what_is_done(staged: StagedCohort) -> None:
    trainer = PrivateTrainer(staged, MODEL, replace(TRAINING, batch_size=3), window_level())
    assert trainer.schedule(CLIENTS) == (7, pytest.approx(3 / 7), 3)
    assert trainer.schedule(["P1"]) == (3, 1.0, 1)


def test_every_step_adds_its_noise_over_the_expected_batch(tmp_path: Path) -> None:
    staged = staged_clients(tmp_path, {"P1": 3, "P2": 4})
    training = replace(TRAINING, batch_size=1, client_optimizer=OptimizerConfig("sgd", 1.0))
    # Gradients are below the clipping norm of 1e-4, so that nearly all that moves the weights is noise.
    model = ModelConfig("gru", units=90)
    trainer = PrivateTrainer(staged, model, training, window_level(noise_multiplier=20.0, clipping_norm=1e-4))
    trained = trainer.fit(start(model), CLIENTS, 0, Budget(3, 3, 0), lambda weights: 0.0)
    samples = np.concatenate([(w - s).ravel() for w, s in zip(trained, start(model), strict=True)])
    assert len(samples) > 2e4
    assert samples.std() == pytest.approx(np.sqrt(3 * 7) * 20.0 * 1e-4, rel=0.02)


def test_batches_and_noise_are_drawn_afresh_unless_asked_otherwise(staged: StagedCohort) -> None:
    training = replace(TRAINING, batch_size=2)

    def twice(privacy: PrivacyConfig) -> float:
        found = []
        for _ in range(2):
            tf.random.set_seed(0)
            found.append(fitted(PrivateTrainer(staged, MODEL, training, privacy)))
        return difference(*found)

    for multiplier in (0.0, 1.0):
        assert twice(window_level(noise_multiplier=multiplier)) > 1e-4
        assert twice(window_level(noise_multiplier=multiplier, reproducible_noise=True)) == 0


def test_what_it_cannot_train_is_refused(staged: StagedCohort) -> None:
    with pytest.raises(InputError, match=r"tcn has layers .* expected one of simple_rnn"):
        PrivateTrainer(staged, ModelConfig("tcn"), TRAINING, window_level())
    with pytest.raises(InputError, match="has sgd, adam and adagrad, found 'yogi'"):
        PrivateTrainer(
            staged, MODEL, replace(TRAINING, baseline_optimizer=OptimizerConfig("yogi", 0.01)), window_level()
        )
