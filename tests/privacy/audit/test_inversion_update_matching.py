"""Rebuilding windows from updates: of the demonstration's training, on generated people."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from data_prep.synthetic import synthetic_subjects
from data_prep.synthetic_model import SyntheticConfig
from tff_affect.client_data import WindowShape
from tff_affect.config import ModelConfig, OptimizerConfig
from tff_affect.errors import InputError
from tff_affect.learning.algorithms import build_optimizer
from tff_affect.learning.local_training import LocalTraining
from tff_affect.models.network import Network
from tff_affect.models.registry import initial_weights
from tff_affect.privacy.audit.inversion import score_inversion
from tff_affect.privacy.audit.observed_update import Protection, observe
from tff_affect.privacy.audit.update_matching import (
    LocalWork,
    MatchingConfig,
    matching_distance,
    rebuild_windows,
    update_of,
)

SGD = OptimizerConfig("sgd", 0.5)
VICTIMS = 2
UNITS = 17


@cache
def cohort(frames: int, windows: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Windows of 20 SYNTHETIC people at 2.5 frames a second, scaled by subject: features and labels, float32."""
    config = SyntheticConfig(subjects=20, seconds=180.0, frame_rate=2.5, missing_fraction=0.0, bad_trackers=())
    features, labels = [], []
    for _, table in synthetic_subjects(config):
        scaled = (table.features - table.features.mean(axis=0)) / table.features.std(axis=0)
        cut = slice(windows * frames)
        features.append(scaled[cut].reshape(windows, frames, UNITS))
        labels.append(table.labels[cut].reshape(windows, frames, 2))
    return np.stack(features).astype(np.float32), np.stack(labels).astype(np.float32)


def work(frames: int = 25, **arguments: Any) -> LocalWork:
    settings: dict[str, Any] = {"optimizer": SGD, "loss": "ccc", "model": ModelConfig("lstm", units=24)} | arguments
    return LocalWork(shape=WindowShape(frames, UNITS, 2), **settings)


def sent(done: LocalWork, people: int = VICTIMS) -> list[np.ndarray]:
    """The updates that the project's own training makes of the first people's windows."""
    features, labels = cohort(done.shape.window, done.windows)
    local = LocalTraining(Network(done.model, done.shape), done.loss, build_optimizer(done.optimizer))
    order = tf.tile(tf.range(done.windows)[tf.newaxis], [done.epochs, 1])

    @tf.function(autograph=False)
    def train(weights: list[tf.Tensor], x: tf.Tensor, y: tf.Tensor) -> list[tf.Tensor]:
        begin, seed = local.initial_optimizer(), tf.constant(0, tf.int64)
        trained = local.passes(weights, begin, (x, y), order, done.batch_size, seed)
        return [before - after for before, after in zip(weights, trained.weights, strict=True)]

    start = [tf.constant(w) for w in weights_of(done)]
    changes = [train(start, tf.constant(features[p]), tf.constant(labels[p])) for p in range(people)]
    return [np.stack(parts) for parts in zip(*changes, strict=True)]


def weights_of(done: LocalWork) -> list[np.ndarray]:
    return initial_weights(done.model, done.shape, 0)


QUICK = MatchingConfig(restarts=4, iterations=300)


@pytest.mark.parametrize(("model", "momentum"), [("simple_rnn", 0.0), ("lstm", 0.5), ("bigru", 0.0)])
def test_an_update_is_the_one_that_training_makes(model: str, momentum: float) -> None:
    optimizer = OptimizerConfig("sgd", 0.5, momentum)
    done = work(8, model=ModelConfig(model, units=5), windows=3, epochs=2, batch_size=2, optimizer=optimizer)
    assert len(done.batches) == 4
    assert done.repeatable
    features, labels = (tf.constant(part[:VICTIMS], tf.float64) for part in cohort(8, 3))
    start = [tf.constant(np.stack([w] * VICTIMS), tf.float64) for w in weights_of(done)]
    for found, expected in zip(update_of(start, features, labels, done), sent(done), strict=True):
        np.testing.assert_allclose(found, expected, atol=3e-6)


@pytest.mark.parametrize(
    ("matching", "optimizer"),
    [("cosine", SGD), ("squared distance", SGD), ("cosine", OptimizerConfig("adam", 0.01))],
)
def test_the_slope_is_that_of_finite_differences(matching: str, optimizer: OptimizerConfig) -> None:
    done = work(5, model=ModelConfig("lstm", units=3), windows=2, epochs=2, optimizer=optimizer)
    rng = np.random.default_rng(0)
    start = [tf.constant(np.stack([w] * VICTIMS), tf.float64) for w in weights_of(done)]
    seen = [tf.constant(rng.normal(size=w.shape)) for w in start]
    labels = tf.constant(rng.normal(size=(VICTIMS, 2, 5, 2)))
    features, direction = rng.normal(size=(2, VICTIMS, 2, 5, UNITS))

    @tf.function(autograph=False)
    def distance(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = matching_distance(matching, update_of(start, x, labels, done), seen)
        return value, tape.gradient(value, x)

    slope = distance(tf.constant(features))[1].numpy()
    above, below = (distance(tf.constant(features + h * direction))[0].numpy() for h in (1e-5, -1e-5))
    np.testing.assert_allclose((slope * direction).sum(axis=(1, 2, 3)), (above - below) / 2e-5, rtol=1e-5)


def test_distances_are_those_of_numpy() -> None:
    rng = np.random.default_rng(0)
    a, b = ([rng.normal(size=(3, 4, 2)), rng.normal(size=(3, 5))] for _ in range(2))
    rows = [[p.reshape(3, -1) for p in parts] for parts in (a, b)]
    cosines = [
        (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1) for x, y in zip(*rows, strict=True)
    ]
    squares = sum(((x - y) ** 2).sum(1) for x, y in zip(*rows, strict=True)) / sum((y**2).sum(1) for y in rows[1])
    found, seen = [[tf.constant(p) for p in parts] for parts in (a, b)]
    np.testing.assert_allclose(matching_distance("cosine", found, seen), 1 - np.mean(cosines, axis=0))
    np.testing.assert_allclose(matching_distance("squared distance", found, seen), squares)


@pytest.mark.slow
def test_one_step_on_one_window_gives_the_window_away_until_it_is_noised() -> None:
    done, local = work(12), Protection(0.1, 0.1)
    assert local.deviation == pytest.approx(0.01)
    updates, rng = sent(done), np.random.default_rng(0)
    seen = {
        "open": updates,
        "clipped": observe(updates, Protection(0.1), 0),
        "noised": observe(updates, local, 0),
        "nothing but noise": [rng.normal(size=part.shape) for part in updates],
    }
    # Stacked, they are traced once.
    features, labels = cohort(12)
    stacked = [np.concatenate(parts) for parts in zip(*seen.values(), strict=True)]
    repeated = np.concatenate([labels[:VICTIMS]] * len(seen))
    found = rebuild_windows(weights_of(done), stacked, done, repeated, QUICK).features
    scores = {
        name: score_inversion(part, features[:VICTIMS], features[VICTIMS:])
        for name, part in zip(seen, np.split(found, len(seen)), strict=True)
    }
    for name in ("open", "clipped"):
        assert scores[name].correlation.mean() >= 0.9
        assert scores[name].centred.mean() >= 0.9
    assert scores["noised"].correlation.mean() < 0.4
    assert abs(scores["nothing but noise"].correlation.mean() - scores["nothing but noise"].chance) < 0.2


@pytest.mark.slow
def test_the_same_seed_finds_the_same() -> None:
    done = work(3, model=ModelConfig("simple_rnn", units=6))
    weights, seen, labels = weights_of(done), sent(done), cohort(3)[1][:VICTIMS]
    brief = MatchingConfig(restarts=2, iterations=20)
    first, second = (rebuild_windows(weights, seen, done, labels, brief) for _ in range(2))
    # Threads add up in no fixed order.
    np.testing.assert_allclose(first.features, second.features, rtol=0, atol=1e-9)
    other = rebuild_windows(weights, seen, done, labels, MatchingConfig(restarts=2, iterations=20, seed=1))
    assert not np.allclose(first.features, other.features)
    alone = rebuild_windows(weights, [part[:1] for part in seen], done, labels[:1], brief)
    np.testing.assert_allclose(alone.features[0], first.features[0], atol=1e-3)


@pytest.mark.slow
def test_the_nearest_restart_counts() -> None:
    done = work(3, model=ModelConfig("simple_rnn", units=6))
    arguments = weights_of(done), sent(done), done, cohort(3)[1][:VICTIMS]
    one, many = (rebuild_windows(*arguments, MatchingConfig(restarts=r, iterations=20)) for r in (1, 16))
    assert many.features.shape == (VICTIMS, 1, 3, UNITS)
    assert many.distance.shape == (VICTIMS,)
    assert many.distance.mean() < one.distance.mean()


def test_what_cannot_be_attacked_so_is_refused() -> None:
    done = work(8, model=ModelConfig("gru", units=6))
    weights, seen, labels = weights_of(done), sent(done), cohort(8)[1][:VICTIMS]
    with pytest.raises(InputError, match="stack one update of each victim"):
        rebuild_windows(weights, seen[:-1], done)
    with pytest.raises(InputError, match=r"expected labels \(2, 1, 8, 2\), found \(2, 8, 2\)"):
        rebuild_windows(weights, seen, done, labels[:, 0])
    with pytest.raises(InputError, match="expected finite updates"):
        rebuild_windows(weights, [np.full_like(part, np.nan) for part in seen], done)
    adam = work(8, model=ModelConfig("gru", units=6), optimizer=OptimizerConfig("adam", 0.01))
    assert not adam.repeatable
    with pytest.raises(InputError, match="an update is a direction"):
        rebuild_windows(weights, seen, adam, None, MatchingConfig("squared distance"))
    assert not work(8, epochs=5).repeatable
    assert not work(8, model=ModelConfig("lstm", units=24, dropout=0.2)).repeatable


@pytest.mark.parametrize(
    "wrong",
    [{"matching": "sine"}, {"restarts": 0}, {"iterations": 0}, {"step": 0}, {"smoothness": np.nan}, {"seed": -1}],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="matching: expected"):
        MatchingConfig(**wrong)
    with pytest.raises(InputError, match="local work: expected windows"):
        work(windows=0)
