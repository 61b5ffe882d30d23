"""The game: each loss against one written out, who learns when and with what, and that gaits are learned."""

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
from tff_affect.gait.mirrored import mirrored, mirrored_joints
from tff_affect.gait.partners import Partners
from tff_affect.gait.training import _Game, _Leak, train
from tff_affect.gait_set import GaitSet
from tff_affect.streams import stream

GAITS = draw_walkers(
    SyntheticWalkersConfig(people=6, takes=1, cycles=2, strength=(0.8, 1.1)), CycleOptions(samples=16, size=False)
)
TRAIN, DEVELOPMENT = GAITS.of(GAITS.people[:4]), GAITS.of(GAITS.people[4:])
QUICK = GaitConfig(steps=4, batch=6, emotion_code=3, biometric_code=5, emotion_noise=0.3, mirrored=True)
PLAIN = replace(QUICK, emotion_noise=0.0, mirrored=False)
"""What is drawn can be told beforehand."""
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


def test_gaits_are_learned_and_told_apart(trained: Disentangler) -> None:
    history = trained.history
    assert [each["step"] for each in history] == list(range(3, 61, 3))
    assert [history[at]["leak_share"] for at in (0, -1)] == [0, 1]
    assert all(0 <= history[-1][f"{leak}_leak_accuracy"] <= 1 for leak in ("identity", "emotion"))
    mean = TRAIN.motions.mean(axis=0)

    def missed(gaits: GaitSet, seed: int) -> float:
        drawn = trained.reconstruct(gaits, seed).motions
        return float(np.mean((drawn - gaits.motions) ** 2) / np.mean((mean - gaits.motions) ** 2))

    # Checks are made with the noise of seed 0.
    assert history[-1]["reconstruction"] == pytest.approx(missed(DEVELOPMENT, 0), rel=1e-3)
    assert missed(TRAIN, 1) < 0.7
    drawn = trained.reconstruct(TRAIN, 1).durations
    assert np.mean((drawn - TRAIN.durations) ** 2) < 0.7 * TRAIN.durations.var()
    read = trained.emotion(DEVELOPMENT, 0)
    wanted = DEVELOPMENT.emotion(trained.classes)
    assert history[-1]["emotion_accuracy"] == pytest.approx((read.argmax(axis=1) == wanted).mean())
    surprise = -np.log(read[np.arange(len(wanted)), wanted].astype(np.float64)).mean()
    assert history[-1]["emotion_loss"] == pytest.approx(surprise, rel=1e-3)
    assert trained.people == TRAIN.people


def drawn_batch(config: GaitConfig, seed: int = 0) -> tuple[np.ndarray, ...]:
    """The first batch of a game, drawn again: cycles, their two partners, who has one, and whose are in a mirror."""
    rng = stream(seed, "batches and partners")
    drawn = Partners(TRAIN.person, TRAIN.emotion(TRAIN.classes)).draw(config.batch, rng)
    return (*drawn, rng.random(config.batch) < 0.5)


def test_somebody_in_a_mirror_is_another_person_and_so_are_the_partners() -> None:
    game = _Game(TRAIN, QUICK, 0)
    rows, other_person, other_emotion, paired, turned = drawn_batch(QUICK)
    series, (emotion, person), found_paired = next(game._batches)
    assert 0 < turned.sum() < len(turned)
    thrice = [*turned.tolist()] * 3
    for number, (row, in_mirror) in enumerate(zip([*rows, *other_person, *other_emotion], thrice, strict=True)):
        own = TRAIN.series[row : row + 1]
        expected = mirrored(own, mirrored_joints(TRAIN.joints)) if in_mirror else own
        np.testing.assert_array_equal(series[number], expected[0])
        assert int(person[number]) == TRAIN.people.index(TRAIN.subjects[row]) + (4 if in_mirror else 0)
        assert TRAIN.classes[int(emotion[number])] == TRAIN.emotions[row]
    np.testing.assert_array_equal(found_paired, paired)
    assert [head.output_shape[1] for head in game.heads] == [4, 8]
    assert [(leak.name, leak.classes, leak.adversary.output_shape[1]) for leak in game.leaks] == [
        ("identity_leak", 8, 8), ("emotion_leak", 4, 4)
    ]  # fmt: skip


def test_emotion_codes_alone_are_noisy_in_training_and_each_time_anew() -> None:
    loud = replace(QUICK, emotion_code=60, emotion_noise=0.5)
    game = _Game(TRAIN, loud, 0)
    series = tf.constant(TRAIN.series)
    silent = [encoder(series).numpy() for encoder in game.encoders]
    noises = []
    for _ in range(2):
        emotion, biometric = game._codes(series)
        np.testing.assert_array_equal(biometric, silent[1])
        noises.append(emotion.numpy() - silent[0])
        assert abs(noises[-1].std() - 0.5) < 4 * 0.5 / (2 * noises[-1].size) ** 0.5
    assert abs(np.corrcoef(*(noise.ravel() for noise in noises))[0, 1]) < 0.1


def missed_parts(drawn: GaitSet, wanted: GaitSet) -> float:
    """Errors of places and a tenth of those of durations, each as a part of what the training people's mean costs."""
    durations = TRAIN.durations
    places = np.mean((drawn.motions - wanted.motions) ** 2) / np.mean((TRAIN.motions - TRAIN.motions.mean(axis=0)) ** 2)
    seconds = np.mean((drawn.durations - wanted.durations) ** 2) / np.mean((durations - durations.mean()) ** 2)
    assert seconds > 0.01
    return float(places + 0.1 * seconds)


@pytest.mark.parametrize("name", ["reconstruction", "same_emotion_swap", "same_person_swap"])
def test_errors_of_drawings_are_those_written_out(name: str) -> None:
    config = replace(PLAIN, **{**NONE, name: 2.0})
    game = _Game(TRAIN, config, 0)
    rows, other_person, other_emotion, *_ = drawn_batch(config)
    emotions = TRAIN.part(other_person if name == "same_emotion_swap" else rows)
    identities = TRAIN.part(other_emotion if name == "same_person_swap" else rows)
    expected = 2 * missed_parts(game.disentangler().swap(emotions, identities), TRAIN.part(rows))
    (found,) = game._losses(*next(game._batches), tf.constant(1.0))
    assert float(found) == pytest.approx(expected, rel=1e-3)


def test_a_duration_counts_a_tenth_of_what_drawing_the_mean_duration_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    game = _Game(TRAIN, replace(PLAIN, **{**NONE, "reconstruction": 3.0}), 0)
    batch = next(game._batches)
    own = batch[0][:6].numpy()
    expected = np.mean((own[:, 0, -1] + 0.2 - own[:, 0, -1]) ** 2) / np.var(TRAIN.durations)
    late = own + 0.2 * np.eye(46, dtype=np.float32)[-1]
    monkeypatch.setattr(game, "decoder", lambda codes: tf.constant(late))
    (found,) = game._losses(*batch, tf.constant(1.0))
    assert float(found) == pytest.approx(3 * 0.1 * expected, rel=1e-3)
    rows = np.arange(len(TRAIN))
    mean = np.repeat(TRAIN.series.mean(axis=0, keepdims=True), len(rows), axis=0)
    monkeypatch.setattr(game, "decoder", lambda codes: tf.constant(mean))
    everybody = tf.constant(TRAIN.series), tf.ones(len(rows))
    assert float(game._missed((), *everybody)) == pytest.approx(1.1, rel=1e-3)


def test_whoever_has_no_partner_does_not_count() -> None:
    config = replace(PLAIN, **{**NONE, "same_person_swap": 1.0})
    game = _Game(TRAIN, config, 0)
    series, labels, paired = next(game._batches)
    half = np.repeat([[0.0], [1.0]], 6, axis=1).astype(np.float32) * np.array([1, 0, 0, 0, 0, 0], np.float32)
    (found,) = game._losses(series, labels, tf.constant(half), tf.constant(1.0))
    rows, _, other_emotion, *_ = drawn_batch(config)
    own = TRAIN.part(rows[:1])
    expected = missed_parts(game.disentangler().swap(own, TRAIN.part(other_emotion[:1])), own)
    assert float(found) == pytest.approx(expected, rel=1e-3)
    (nobody,) = game._losses(series, labels, 0 * paired, tf.constant(1.0))
    assert float(nobody) == 0


def test_heads_are_taught_their_own_code() -> None:
    game = _Game(TRAIN, replace(PLAIN, **{**NONE, "emotion": 1.0, "person": 3.0}), 0)
    rows = np.concatenate(drawn_batch(QUICK)[:3])
    networks, gaits = game.disentangler(), TRAIN.part(rows)
    codes = networks.emotion_codes(gaits), networks.biometric_codes(gaits)
    wanted = TRAIN.emotion(TRAIN.classes)[rows], TRAIN.person[rows]
    expected = []
    for head, code, label in zip(game.heads, codes, wanted, strict=True):
        logits = head(code).numpy().astype(np.float64)
        assert logits.shape[1] == 4
        expected.append(np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(label)), label]))
    found = [float(loss) for loss in game._losses(*next(game._batches), tf.constant(1.0))]
    assert found == pytest.approx([expected[0], 3 * expected[1]], rel=1e-4)


@pytest.mark.parametrize(("name", "classes"), [("identity_leak", 8), ("emotion_leak", 4)])
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


def test_a_step_is_no_steeper_than_one(eagerly: None) -> None:
    """After one step Adam's momentum is a tenth of the gradient; that of so great a loss was far above 1."""
    game = _Game(TRAIN, replace(PLAIN, **{**NONE, "reconstruction": 1000.0}), 0)
    game._learn(*next(game._batches), tf.constant(0.0))
    momentum = [value.numpy() for value in game._optimizer.variables if value.name.startswith("m/")]
    assert len(momentum) == len(game.learned)
    assert math.sqrt(sum(float((value**2).sum()) for value in momentum)) == pytest.approx(0.1, rel=1e-3)


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
    """And of these as they walk, not in a mirror."""
    mean, deviation = (weight.numpy() for weight in trained.biometric_encoder.non_trainable_weights)
    flat = TRAIN.series.astype(np.float64)
    np.testing.assert_allclose(mean, flat.mean(axis=0), atol=1e-5)
    expected = np.sqrt(((flat - flat.mean(axis=0)) ** 2).mean(axis=(0, 1)))
    np.testing.assert_allclose(deviation, np.maximum(expected, 1e-3), rtol=1e-3)
    pace = trained.emotion_encoder.non_trainable_weights[0].numpy()[:, -1]
    np.testing.assert_allclose(pace, np.log(TRAIN.durations).mean(), atol=1e-5)


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
    broken = replace(TRAIN, motions=TRAIN.motions.copy())
    broken.motions[0, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="found NaN"):
        train(broken, DEVELOPMENT, QUICK, 0)
    short = replace(DEVELOPMENT, motions=DEVELOPMENT.motions[:, ::2])
    with pytest.raises(InputError, match="cycles of 16 samples, found 8"):
        train(TRAIN, short, QUICK, 0)
    with pytest.raises(InputError, match="development people with the joints Head"):
        train(TRAIN, replace(DEVELOPMENT, joints=("Nose", *DEVELOPMENT.joints[1:])), QUICK, 0)
    one_sided = replace(TRAIN, joints=tuple("Knee" if joint == "LKnee" else joint for joint in TRAIN.joints))
    with pytest.raises(InputError, match=r"gait\.mirrored: expected the joint LKnee beside RKnee, .* set it to false"):
        train(one_sided, replace(DEVELOPMENT, joints=one_sided.joints), QUICK, 0)
    with pytest.raises(DivergedError, match=r"try a smaller gait\.learning_rate"):
        train(TRAIN, DEVELOPMENT, replace(QUICK, learning_rate=1e30), 0)
