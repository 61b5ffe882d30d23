import itertools
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from data_prep.synthetic_faces import SyntheticFacesConfig, draw_faces
from tff_affect.anonymizer.config import AnonymizerConfig
from tff_affect.anonymizer.game import _Game, train, undecided
from tff_affect.anonymizer.networks import build_identity_head, build_transformation
from tff_affect.errors import DivergedError, InputError

FACES = draw_faces(SyntheticFacesConfig(people=8, images=3, size=16))
TRAIN, DEVELOPMENT = FACES.of(FACES.people[:6]), FACES.of(FACES.people[6:])
QUICK = AnonymizerConfig(steps=12, batch=16, privacy_weight=1.0, head_start=0.25, ramp=0.25)


def values(variables: list[tf.Variable]) -> list[np.ndarray]:
    return [variable.numpy() for variable in variables]


def differ(before: list[np.ndarray], after: list[np.ndarray]) -> bool:
    return any((a != b).any() for a, b in zip(before, after, strict=True))


def test_lambda_rises_after_the_head_start_and_stays() -> None:
    config = AnonymizerConfig(steps=100, privacy_weight=2.0, head_start=0.2, ramp=0.4)
    rising = [config.weight_at(step) for step in range(100)]
    assert rising[:21] == [0.0] * 21
    assert rising[40] == pytest.approx(1.0)
    assert rising[60:] == pytest.approx([2.0] * 40)
    assert all(a <= b for a, b in itertools.pairwise(rising))
    at_once = replace(config, ramp=0.0)
    assert (at_once.weight_at(19), at_once.weight_at(20)) == (0.0, 2.0)
    assert [config.has_started(step) for step in (13, 14)] == [False, True]


@pytest.mark.parametrize(
    "wrong",
    [
        {"objective": "none"}, {"privacy_weight": -1.0}, {"steps": 0}, {"learning_rate": 0.0},
        {"head_start": 0.8, "ramp": 0.3}, {"code_noise": float("nan")},
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="anonymizer"):
        AnonymizerConfig(**wrong)  # type: ignore[arg-type]


def test_each_part_of_a_step_changes_its_own_networks_alone() -> None:
    game = _Game(TRAIN, QUICK, 0)
    batch, weight = next(game._batches), tf.constant(1.0)
    head = game._identity_head.trainable_variables
    before = values(game._learned), values(head)
    game._name_people(*batch[:2])
    assert not differ(before[0], values(game._learned))
    assert differ(before[1], values(head))
    before = values(game._learned), values(game._identity_head.variables)
    game._learn(*batch, weight)
    assert not differ(before[1], values(game._identity_head.variables))
    assert differ(before[0], values(game._learned))


def test_with_lambda_zero_the_game_is_the_network_for_emotion_only() -> None:
    """Training on the emotion loss alone, written out, gives the same weights."""
    config = replace(QUICK, privacy_weight=0.0, code_noise=0.0, steps=3)
    game, written = _Game(TRAIN, config, 3), _Game(TRAIN, config, 3)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def emotion_only(images: tf.Tensor, emotion: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            transformed = written.transformation([images, tf.zeros((config.batch, *written._code))])
            value = loss(emotion, written.emotion_head(transformed, training=True))
        gradients = tape.gradient(value, written._learned)
        written._optimizer.apply_gradients(zip(gradients, written._learned, strict=True))

    before = values(written._learned)
    for step in range(3):
        game.step(step)
        images, _, emotion = next(written._batches)
        emotion_only(images, emotion)
    assert differ(before, values(written._learned))
    for found, expected in zip(values(game._learned), values(written._learned), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert "adversary_accuracy" not in game.check(2, DEVELOPMENT)


def test_reversal_turns_the_identity_gradient_around_for_the_transformation_alone() -> None:
    config = replace(QUICK, objective="reversal", code_noise=0.0)
    game = _Game(TRAIN, config, 0)
    images, person, emotion = next(game._batches)
    with tf.GradientTape(persistent=True) as tape:
        transformed = game.transformation([images, tf.zeros((config.batch, *game._code))])
        named = game._identity_head(transformed, training=True)
        identity = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(person, named))
        privacy = game._privacy_loss(named, person)
    ours = tape.gradient(privacy, game.transformation.trainable_variables)
    theirs = tape.gradient(identity, game.transformation.trainable_variables)
    worst = float(np.log(len(TRAIN.people)))
    sign = -1.0 if float(identity) < worst else 0.0
    for found, opposite in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(found if found is not None else 0.0 * opposite, sign * opposite, atol=1e-6)
    before = values(game._learned), values(game._identity_head.trainable_variables)
    game._learn(images, person, emotion, tf.constant(1.0))
    assert differ(before[0], values(game._learned))
    assert differ(before[1], values(game._identity_head.trainable_variables))


def test_nothing_is_gained_by_an_identity_head_that_is_wrong_on_purpose() -> None:
    game = _Game(TRAIN, QUICK, 0)
    person = tf.constant([0, 1])
    chance, wrong = tf.zeros((2, 6)), tf.constant([[-9.0, 0, 0, 0, 0, 0], [0, -9.0, 0, 0, 0, 0]])
    assert float(game._privacy_loss(wrong, person)) == pytest.approx(float(game._privacy_loss(chance, person)))
    assert float(game._privacy_loss(-wrong, person)) > -0.1


def test_undecided_is_the_divergence_from_the_uniform_distribution() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 4))
    said = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = np.mean(np.sum(0.25 * np.log(0.25 / said), axis=1))
    assert float(undecided(tf.constant(logits))) == pytest.approx(expected)
    assert float(undecided(tf.zeros((3, 4)))) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("objective", ["adversary", "reversal", "entropy", "identity"])
def test_training_gives_images_of_the_same_size_and_a_history(objective: str) -> None:
    told: list[tuple[int, int]] = []
    config = replace(QUICK, objective=objective, steps=6)
    found = train(TRAIN, DEVELOPMENT, config, 1, lambda note, total, steps=1: told.append((total, steps)))
    assert told[0] == (6, 1)
    assert sum(steps for _, steps in told) == 6
    assert [each["step"] for each in found.history] == list(range(1, 7))
    assert 0 <= found.adversary_accuracy <= 1  # type: ignore[operator]
    images = found.transform(DEVELOPMENT.images)
    assert (images.shape, images.dtype) == (DEVELOPMENT.images.shape, np.float32)
    assert ((images >= 0) & (images <= 1)).all()
    np.testing.assert_allclose(found.emotion(images).sum(axis=1), 1, atol=1e-5)
    assert found.transform(DEVELOPMENT.images[:0]).shape == (0, 16, 16)


def test_noise_is_fresh_for_each_call_unless_a_seed_is_named() -> None:
    found = train(TRAIN, DEVELOPMENT, replace(QUICK, steps=2), 0)
    one, other = (found.transform(DEVELOPMENT.images) for _ in range(2))
    assert (one != other).any(axis=(1, 2)).all()
    seeded = [found.transform(DEVELOPMENT.images, seed=5) for _ in range(2)]
    np.testing.assert_array_equal(*seeded)
    twice = found.transform(np.repeat(DEVELOPMENT.images[:1], 2, axis=0), seed=0)
    assert (twice[0] != twice[1]).any(), "each image of a call has noise of its own"


def test_equal_seeds_train_equal_weights() -> None:
    quick = replace(QUICK, steps=4)
    weights = [values(train(TRAIN, DEVELOPMENT, quick, seed).transformation.variables) for seed in (0, 0, 1)]
    assert not differ(weights[0], weights[1])
    assert differ(weights[0], weights[2])


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(InputError, match="two people and two emotions"):
        train(TRAIN.of(TRAIN.people[:1]), DEVELOPMENT, QUICK, 0)
    with pytest.raises(InputError, match="multiples of 8"):
        build_transformation((20, 16), QUICK)
    with pytest.raises(DivergedError, match="learning_rate"):
        train(TRAIN, DEVELOPMENT, replace(QUICK, learning_rate=1e30), 0)


def test_identity_that_is_too_faint_to_see_is_heard_by_the_identity_head() -> None:
    """A difference of a hundredth in one pixel, beside noise everywhere else that says nothing."""
    rng = np.random.default_rng(0)
    person = rng.integers(2, size=256)
    images = np.full((256, 16, 16, 1), 0.5, np.float32) + 0.2 * rng.normal(size=(1, 16, 16, 1)).astype(np.float32)
    images[:, 3, 7, 0] += 0.01 * person
    head = build_identity_head((16, 16), 2)
    optimizer = tf.keras.optimizers.Adam(1e-2)
    for _ in range(30):
        with tf.GradientTape() as tape:
            logits = head(tf.constant(images), training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.constant(person), logits))
        variables = head.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
    assert (np.argmax(logits, axis=1) == person).mean() > 0.99
