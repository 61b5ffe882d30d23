"""The game: each loss against one written out, who learns when, and what a swap gives."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from data_prep.synthetic_walkers import SyntheticWalkersConfig, draw_walkers
from data_prep.walk_file import CycleOptions
from tff_affect.errors import DivergedError, InputError
from tff_affect.gait.config import LOSSES, GaitConfig
from tff_affect.gait.disentangler import Disentangler
from tff_affect.gait.partners import Partners
from tff_affect.gait.training import _Game, _Leak, train
from tff_affect.streams import stream

GAITS = draw_walkers(
    SyntheticWalkersConfig(people=6, takes=1, cycles=2, strength=(0.8, 1.1)), CycleOptions(samples=16, size=False)
)
TRAIN, DEVELOPMENT = GAITS.of(GAITS.people[:4]), GAITS.of(GAITS.people[4:])
QUICK = GaitConfig(steps=4, batch=6, emotion_code=3, biometric_code=5)
NONE: dict[str, Any] = dict.fromkeys(LOSSES, 0.0)


@pytest.fixture
def eagerly() -> Iterator[None]:
    """Few steps take less than tracing them."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def values(variables: list[tf.Variable]) -> list[np.ndarray]:
    return [variable.numpy() for variable in variables]


def differ(before: list[np.ndarray], after: list[np.ndarray]) -> bool:
    return any((a != b).any() for a, b in zip(before, after, strict=True))


@pytest.fixture(scope="module")
def trained() -> Disentangler:
    return train(TRAIN, DEVELOPMENT, replace(QUICK, steps=60, batch=16, learning_rate=3e-3), 0)


def test_motions_are_learned_and_told_apart(trained: Disentangler) -> None:
    history = trained.history
    assert [each["step"] for each in history] == list(range(3, 61, 3))
    assert [history[at]["leak_share"] for at in (0, -1)] == [0, 1]
    assert all(0 <= history[-1][f"{leak}_leak_accuracy"] <= 1 for leak in ("identity", "emotion"))
    drawn = trained.reconstruct(DEVELOPMENT.motions)
    assert (drawn.shape, drawn.dtype) == (DEVELOPMENT.motions.shape, np.float32)
    mean = TRAIN.motions.mean(axis=0)
    error = np.mean((drawn - DEVELOPMENT.motions) ** 2) / np.mean((mean - DEVELOPMENT.motions) ** 2)
    assert history[-1]["reconstruction"] == pytest.approx(error, rel=1e-3)
    own = np.mean((trained.reconstruct(TRAIN.motions) - TRAIN.motions) ** 2) / np.mean((mean - TRAIN.motions) ** 2)
    assert own < 0.7
    read = trained.emotion(DEVELOPMENT.motions)
    np.testing.assert_allclose(read.sum(axis=1), 1, atol=1e-5)
    right = (read.argmax(axis=1) == DEVELOPMENT.emotion(trained.classes)).mean()
    assert history[-1]["emotion_accuracy"] == pytest.approx(right)
    assert trained.people == TRAIN.people


def test_a_swap_takes_emotion_from_one_and_the_body_from_the_other(trained: Disentangler) -> None:
    one, other = DEVELOPMENT.motions[:3], DEVELOPMENT.motions[-3:]
    swapped = trained.swap(one, other)
    by_hand = trained.decoder([trained.emotion_codes(one), trained.biometric_codes(other)]).numpy()
    np.testing.assert_allclose(swapped, by_hand.reshape(swapped.shape), atol=1e-5)
    np.testing.assert_allclose(trained.swap(one, one), trained.reconstruct(one), atol=1e-6)

    def lengths(motions: np.ndarray) -> np.ndarray:
        return np.linalg.norm(trained.tree.vectors(motions), axis=3)

    np.testing.assert_allclose(lengths(swapped), np.broadcast_to(lengths(swapped)[:, :1], (3, 16, 14)), rtol=1e-3)
    np.testing.assert_allclose(lengths(swapped), lengths(trained.reconstruct(other)), rtol=1e-3)
    assert np.abs(swapped - trained.reconstruct(other)).max() > 1e-3
    assert trained.swap(one[:0], other[:0]).shape == (0, 16, 15, 3)


def test_motions_of_another_kind_are_refused(trained: Disentangler) -> None:
    motions = DEVELOPMENT.motions
    with pytest.raises(InputError, match="found 3 emotions and 2 identities"):
        trained.swap(motions[:3], motions[:2])
    with pytest.raises(InputError, match="expected cycles of 16 samples, found 8"):
        trained.swap(motions[:, ::2], motions[:, ::2])
    missing = motions.copy()
    missing[1, 3, 2, 0] = np.nan
    for reader in (trained.emotion_codes, trained.biometric_codes, trained.emotion, trained.reconstruct):
        with pytest.raises(InputError, match="found NaN or infinity"):
            reader(missing)
    with pytest.raises(InputError, match="Pelvis as the origin"):
        trained.reconstruct(motions + 1)


def drawn_batch(config: GaitConfig, seed: int = 0) -> tuple[np.ndarray, ...]:
    """The first batch of a game, drawn again: cycles, their two partners, and who has one."""
    partners = Partners(TRAIN.person, TRAIN.emotion(TRAIN.classes))
    return tuple(partners.draw(config.batch, stream(seed, "batches and partners")))


@pytest.mark.parametrize("name", ["reconstruction", "same_emotion_swap", "same_person_swap"])
def test_errors_of_drawings_are_those_written_out(name: str) -> None:
    config = replace(QUICK, **{**NONE, name: 2.0})
    game = _Game(TRAIN, config, 0)
    rows, other_person, other_emotion, _ = drawn_batch(config)
    emotions = TRAIN.motions[other_person if name == "same_emotion_swap" else rows]
    identities = TRAIN.motions[other_emotion if name == "same_person_swap" else rows]
    missed = game.disentangler().swap(emotions, identities) - TRAIN.motions[rows]
    expected = 2 * np.mean(missed**2) / np.mean((TRAIN.motions - TRAIN.motions.mean(axis=0)) ** 2)
    (found,) = game._losses(*next(game._batches), tf.constant(1.0))
    assert float(found) == pytest.approx(expected, rel=1e-3)


def test_whoever_has_no_partner_does_not_count() -> None:
    config = replace(QUICK, **{**NONE, "same_person_swap": 1.0})
    game = _Game(TRAIN, config, 0)
    motions, labels, paired = next(game._batches)
    half = np.repeat([[0.0], [1.0]], 6, axis=1).astype(np.float32) * np.array([1, 0, 0, 0, 0, 0], np.float32)
    (found,) = game._losses(motions, labels, tf.constant(half), tf.constant(1.0))
    rows, _, other_emotion, _ = drawn_batch(config)
    first = game.disentangler().swap(TRAIN.motions[rows[:1]], TRAIN.motions[other_emotion[:1]])
    expected = np.mean((first - TRAIN.motions[rows[:1]]) ** 2) / game._variance
    assert float(found) == pytest.approx(expected, rel=1e-3)
    (nobody,) = game._losses(motions, labels, 0 * paired, tf.constant(1.0))
    assert float(nobody) == 0


def test_heads_are_taught_their_own_code() -> None:
    game = _Game(TRAIN, replace(QUICK, **{**NONE, "emotion": 1.0, "person": 3.0}), 0)
    rows = np.concatenate(drawn_batch(QUICK)[:3])
    networks = game.disentangler()
    motions = TRAIN.motions[rows]
    codes = networks.emotion_codes(motions), networks.biometric_codes(motions)
    wanted = TRAIN.emotion(TRAIN.classes)[rows], TRAIN.person[rows]
    expected = []
    for head, code, label in zip(game.heads, codes, wanted, strict=True):
        logits = head(code).numpy().astype(np.float64)
        expected.append(np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(label)), label]))
    found = [float(loss) for loss in game._losses(*next(game._batches), tf.constant(1.0))]
    assert found == pytest.approx([expected[0], 3 * expected[1]], rel=1e-4)


@pytest.mark.parametrize(("name", "classes"), [("identity_leak", 4), ("emotion_leak", 4)])
def test_nothing_is_gained_by_an_adversary_that_is_wrong_on_purpose(name: str, classes: int) -> None:
    game = _Game(TRAIN, replace(QUICK, **{**NONE, name: 1.0}), 0)
    (leak,) = game.leaks
    assert (leak.name, leak.classes) == (name, classes)
    batch = next(game._batches)
    truth = tf.one_hot(batch[1][leak.wanted], classes)

    def loss(sure: float, share: float = 1.0) -> float:
        game.leaks = [_Leak(name, 0.5, leak.code, leak.wanted, classes, lambda codes, training: sure * truth)]
        return float(game._losses(*batch, tf.constant(share))[0])

    assert loss(0.0) == pytest.approx(-0.5 * math.log(classes))
    assert loss(-20.0) == pytest.approx(loss(0.0))
    assert loss(20.0) == pytest.approx(0, abs=1e-6)
    assert loss(0.0, 0.5) == pytest.approx(loss(0.0) / 2)


def test_each_part_of_a_step_changes_its_own_networks_alone(eagerly: None) -> None:
    game = _Game(TRAIN, QUICK, 0)
    batch = next(game._batches)
    before = values(game.learned), values(game.adversarial)
    game._look_for_leaks(*batch[:2])
    assert not differ(before[0], values(game.learned))
    assert differ(before[1], values(game.adversarial))
    frozen = [variable for leak in game.leaks for variable in leak.adversary.variables]
    before = values(game.learned), values(frozen)
    known = values(game.encoders[0].non_trainable_variables + game.decoder.non_trainable_variables)
    game._learn(*batch, tf.constant(1.0))
    assert not differ(before[1], values(frozen))
    assert all((a != b).any() for a, b in zip(before[0], values(game.learned), strict=True))
    assert not differ(known, values(game.encoders[0].non_trainable_variables + game.decoder.non_trainable_variables))


def test_what_has_no_weight_is_left_out(eagerly: None) -> None:
    game = _Game(TRAIN, replace(QUICK, **{**NONE, "emotion": 1.0}), 0)
    assert not game.leaks
    idle = [*game.encoders[1].variables, *game.decoder.variables, *game.heads[1].variables]
    busy = [*game.encoders[0].trainable_variables, *game.heads[0].trainable_variables]
    before = values(idle), values(busy)
    for step in range(2):
        game.step(step)
    assert not differ(before[0], values(idle))
    assert differ(before[1], values(busy))


def test_equal_seeds_train_equal_weights_whoever_develops(eagerly: None) -> None:
    told: list[tuple[int, int]] = []
    quick = replace(QUICK, steps=1, head_start=0.0, ramp=0.0)

    def weights(development: int) -> list[np.ndarray]:
        of = DEVELOPMENT.of(DEVELOPMENT.people[development:])
        found = train(TRAIN, of, quick, 0, lambda note, total, steps=1: told.append((total, steps)))
        return values(found.decoder.variables + found.emotion_encoder.variables + found.biometric_encoder.variables)

    assert not differ(weights(0), weights(1))
    assert told == [(1, 1)] * 2


def test_seeds_differ_in_first_weights_and_in_batches() -> None:
    one, other = (_Game(TRAIN, QUICK, seed) for seed in (0, 1))
    assert differ(values(one.learned), values(other.learned))
    assert differ(values(one.adversarial), values(other.adversarial))
    assert (next(one._batches)[0] != next(other._batches)[0]).numpy().any()


def test_scales_are_of_training_people_alone(trained: Disentangler) -> None:
    mean, deviation = (weight.numpy() for weight in trained.emotion_encoder.non_trainable_weights)
    flat = TRAIN.motions.reshape(len(TRAIN), 16, 45)
    np.testing.assert_allclose(mean, flat.mean(axis=0), atol=1e-5)
    expected = np.sqrt(((flat - flat.mean(axis=0)) ** 2).mean(axis=(0, 1)))
    np.testing.assert_allclose(deviation, np.maximum(expected, 1e-3), rtol=1e-3)


def test_what_cannot_be_trained_is_refused(eagerly: None) -> None:
    emotions = np.array(TRAIN.emotions)
    with pytest.raises(InputError, match="two people and two emotions to train on, found 1 and 4"):
        train(TRAIN.of(TRAIN.people[:1]), DEVELOPMENT, QUICK, 0)
    with pytest.raises(InputError, match="found 'angry', which nobody shows"):
        train(TRAIN.part(emotions != "angry"), DEVELOPMENT, QUICK, 0)
    own = np.array([emotion == TRAIN.classes[who] for emotion, who in zip(emotions, TRAIN.person, strict=True)])
    with pytest.raises(InputError, match=r"same_emotion_swap: .* no two people show one emotion; set it to 0"):
        train(TRAIN.part(own), DEVELOPMENT, QUICK, 0)
    with pytest.raises(InputError, match=r"same_person_swap: .* nobody shows two emotions; set it to 0"):
        train(TRAIN.part(own), DEVELOPMENT, replace(QUICK, same_emotion_swap=0.0), 0)
    broken = TRAIN.with_motions(TRAIN.motions.copy())
    broken.motions[0, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="found NaN"):
        train(broken, DEVELOPMENT, QUICK, 0)
    short = DEVELOPMENT.with_motions(DEVELOPMENT.motions[:, ::2])
    with pytest.raises(InputError, match="cycles of 16 samples, found 8"):
        train(TRAIN, short, QUICK, 0)
    with pytest.raises(InputError, match="development people with the joints Head"):
        train(TRAIN, replace(DEVELOPMENT, joints=("Nose", *DEVELOPMENT.joints[1:])), QUICK, 0)
    with pytest.raises(DivergedError, match=r"try a smaller gait\.learning_rate"):
        train(TRAIN, DEVELOPMENT, replace(QUICK, learning_rate=1e30), 0)
