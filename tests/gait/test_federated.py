"""What leaves a client, what a round does against one written out, and what the sums of clients give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from data_prep.synthetic_walkers import SyntheticWalkersConfig, draw_walkers
from data_prep.walk_file import CycleOptions
from tff_affect.config import OptimizerConfig
from tff_affect.errors import DivergedError, InputError
from tff_affect.gait import federated
from tff_affect.gait.bone_tree import bones_of
from tff_affect.gait.config import GaitConfig
from tff_affect.gait.drawing_error import error_weights
from tff_affect.gait.federated import FederatedGait, train_federated
from tff_affect.gait.federated_client import MEASURES, Networks, own_batches
from tff_affect.gait.federated_config import FederatedGaitConfig
from tff_affect.gait.federated_scale import federated_scale
from tff_affect.gait.layers import adapt
from tff_affect.gait.mirrored import mirrored, mirrored_joints
from tff_affect.gait.networks import build_biometric_encoder, build_decoder, build_emotion_encoder, build_head
from tff_affect.learning.runtime import local_runtime
from tff_affect.streams import keras_seed, stream

SAMPLES, CODE = 16, 3
GAITS = draw_walkers(
    SyntheticWalkersConfig(people=4, takes=1, cycles=2, strength=(0.8, 1.1)), CycleOptions(samples=SAMPLES, size=False)
)
CLIENTS, UNSEEN = GAITS.of(GAITS.people[:3]), GAITS.of(GAITS.people[3:])
CONFIG = GaitConfig(emotion_code=CODE, biometric_code=5)
SGD = OptimizerConfig("sgd", 0.05)
QUICK = FederatedGaitConfig(
    rounds=6, clients_per_round=2, reconstruction_steps=12, training_steps=12, batch=8,
    reconstruction_optimizer=OptimizerConfig("adam", 1e-2), client_optimizer=OptimizerConfig("adam", 5e-3),
)  # fmt: skip
STEP = FederatedGaitConfig(1, 2, 1, 1, 8, reconstruction_optimizer=SGD, client_optimizer=SGD)
"""Two clients, one batch for the private encoder and one for what is shared."""


@dataclass
class Watched:
    """What a training gave, and what was seen of it on the way."""

    found: FederatedGait
    process: Any
    told: list[int]
    states: list[Any]
    sent: list[tff.Type]
    metrics: list[tff.Type]


def watched(monkeypatch: pytest.MonkeyPatch, *args: Any) -> Watched:
    """Trains, and notes types of what clients send, and the state of each round."""
    seen = Watched(None, None, [], [], [], [])  # type: ignore[arg-type]
    build = tff.learning.algorithms.build_fed_recon

    class Noting(tff.aggregators.MeanFactory):
        def create(self, value: Any, weight: Any) -> tff.templates.AggregationProcess:
            """What TFF makes of it by default."""
            seen.sent += [value, weight]
            return super().create(value, weight)

    def metrics(finalizers: Any, sent: tff.Type) -> tff.Computation:
        seen.metrics.append(sent)
        return tff.learning.metrics.sum_then_finalize(finalizers, sent)

    def noted(*args: Any, **named: Any) -> Any:
        process = build(*args, **named, model_aggregator_factory=Noting(), metrics_aggregator=metrics)
        seen.process = process

        class Process:
            initialize, set_model_weights = process.initialize, process.set_model_weights
            get_model_weights = process.get_model_weights

            @staticmethod
            def next(state: Any, batches: Any) -> Any:
                seen.states.append(state)
                done = process.next(state, batches)
                seen.states.append(done.state)
                return done

        return Process

    monkeypatch.setattr(tff.learning.algorithms, "build_fed_recon", noted)
    with local_runtime():
        seen.found = train_federated(*args, lambda note, total, steps=1: seen.told.append(total))
    return seen


@pytest.fixture(scope="module", autouse=True)
def layers_as_they_were() -> Iterator[None]:
    """Keras changes classes of layers that are made in a graph, also for older networks; one made outside undoes it."""
    yield
    networks()


def test_networks_from_before_work_after_a_training_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    older = networks()["emotion"]

    def failing(*_: Any, **__: Any) -> None:
        with tf.Graph().as_default():
            networks()
        raise RuntimeError("no process")

    monkeypatch.setattr("tff_affect.gait.federated.build_process", failing)
    with pytest.raises(RuntimeError, match="no process"):
        train_federated(CLIENTS, CONFIG, QUICK, 0)
    assert np.isfinite(older(CLIENTS.series[:2]).numpy()).all()


@pytest.fixture(scope="module")
def trained() -> Watched:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return watched(monkeypatch, CLIENTS, CONFIG, QUICK, 0)


def networks(seed: int = 0) -> dict[str, tf.keras.Model]:
    """As training begins with them."""
    tf.keras.utils.set_random_seed(keras_seed(seed, "first weights"))
    tree = bones_of(GAITS)
    made = {"emotion": build_emotion_encoder(tree, SAMPLES, CONFIG)}
    made["biometric"] = build_biometric_encoder(tree, SAMPLES, CONFIG)
    made["decoder"] = build_decoder(tree, SAMPLES, CONFIG)
    made["head"] = build_head(CODE, 4, "emotion_head")
    return made


SHARED = ("emotion", "decoder", "head")


def shapes(arrays: Any) -> Counter[tuple[int, ...]]:
    return Counter(tuple(np.shape(array)) for array in arrays)


def shapes_of(value: tff.Type) -> Counter[tuple[int, ...]]:
    if isinstance(value, tff.StructType):
        return sum((shapes_of(item) for _, item in tff.structure.to_elements(value)), Counter())
    assert isinstance(value, tff.TensorType)
    return Counter([tuple(value.shape)])


def test_only_shared_networks_and_numbers_leave_a_client(trained: Watched) -> None:
    made = networks()
    update = shapes(weight for name in SHARED for weight in made[name].trainable_variables)
    private = shapes(made["biometric"].trainable_variables)
    own = private - update
    assert own
    value, weight = trained.sent
    assert shapes_of(value) == update
    assert shapes_of(weight) == Counter([()])
    (metrics,) = trained.metrics
    assert shapes_of(metrics) == Counter({(): 2 * (len(MEASURES) + 1)})


def test_the_server_holds_shared_networks_alone(trained: Watched) -> None:
    made = networks()
    shared = shapes(weight for name in SHARED for weight in made[name].weights)
    # What it standardises by is of all clients together.
    shared += shapes(made["biometric"].non_trainable_variables)
    for state in trained.states:
        arrays = tf.nest.flatten(
            [state.global_model_weights.trainable, state.global_model_weights.non_trainable]
        ) + tf.nest.flatten([state.distributor, state.client_work, state.aggregator, state.finalizer])
        found = shapes(arrays)
        del found[()]
        assert found == shared
    assert not hasattr(trained.found, "biometric_encoder")
    assert trained.told == [QUICK.rounds] * QUICK.rounds


def test_what_is_known_of_people_is_not_trained(trained: Watched) -> None:
    made = networks()
    for name, network in (("emotion", trained.found.emotion_encoder), ("decoder", trained.found.decoder)):
        adapt(made[name], CLIENTS.series)
        for one, other in zip(network.non_trainable_variables, made[name].non_trainable_variables, strict=True):
            np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-3, atol=1e-5)


def test_sums_of_clients_give_what_all_cycles_in_one_place_do() -> None:
    uneven = CLIENTS.part(np.arange(len(CLIENTS)) % 5 > 0)
    with local_runtime():
        scale = federated_scale(uneven, bones_of(uneven))
    made = networks()
    of_client = Networks(*made.values())
    scale.show(of_client)
    found = [weight.numpy() for weight in of_client.known]
    for name in ("emotion", "biometric", "decoder"):
        adapt(made[name], uneven.series)
    for one, other in zip(found, of_client.known, strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-4, atol=1e-5)
    variance = (uneven.series.astype(np.float64) - uneven.series.mean(axis=0)).var(axis=(0, 1))
    np.testing.assert_allclose(scale.error_weights, error_weights(variance), rtol=1e-4)


def test_training_lowers_losses_and_private_encoders_are_fitted(trained: Watched) -> None:
    found = trained.found
    assert [each["step"] for each in found.history] == [1, 2, 3, 4, 5, 6]
    first, last = found.history[0], found.history[-1]
    assert last["loss"] < 0.8 * first["loss"]
    assert last["emotion_loss"] < first["emotion_loss"]
    expected = CONFIG.reconstruction * last["reconstruction"] + CONFIG.emotion * last["emotion_loss"]
    expected += CONFIG.same_person_swap * last["same_person_swap"]
    assert last["loss"] == pytest.approx(expected, rel=1e-4)
    before = [weight.copy() for weight in found.decoder.get_weights()]
    mine = found.personal(UNSEEN)
    mean = found.scale.series.mean[:, :-1].reshape(SAMPLES, -1, 3)
    fresh = found.personal(CLIENTS.of(CLIENTS.people[:1]))
    own, of_another = (
        np.mean((each.reconstruct(UNSEEN, 0).motions - UNSEEN.motions) ** 2) for each in (mine, fresh)
    )  # fmt: skip
    assert own < min(of_another, np.mean((mean - UNSEEN.motions) ** 2))
    for one, other in zip(before, found.decoder.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(mine.emotion(UNSEEN, 0), found.emotion(UNSEEN, 0), atol=1e-6)
    assert np.abs(found.emotion(UNSEEN) - found.emotion(UNSEEN)).max() > 1e-3


def loss_written_out(made: dict[str, tf.keras.Model], batch: dict[str, tf.Tensor]) -> tf.Tensor:
    emotion = made["emotion"](batch["own"]) + batch["noise"]
    logits = made["head"](emotion)
    sure = tf.reduce_sum(tf.one_hot(batch["emotion"], 4) * logits, axis=1)
    loss = CONFIG.emotion * tf.reduce_mean(tf.reduce_logsumexp(logits, axis=1) - sure)
    spread = np.mean((CLIENTS.series - CLIENTS.series.mean(axis=0)) ** 2, axis=(0, 1))
    for weight, identity in (
        (CONFIG.reconstruction, batch["own"]), (CONFIG.same_person_swap, batch["other_emotion"])
    ):  # fmt: skip
        missed = (made["decoder"]([emotion, made["biometric"](identity)]) - batch["own"]) ** 2
        loss += weight * tf.reduce_mean(missed[:, :, :-1]) / np.mean(spread[:-1])
        loss += weight * 0.1 * tf.reduce_mean(missed[:, :, -1]) / spread[-1]
    return loss


@pytest.mark.slow
def test_a_round_is_a_mean_of_steps_that_can_be_written_out() -> None:
    with local_runtime():
        found = train_federated(CLIENTS, CONFIG, STEP, 5)
    chosen = stream(5, "clients of a round", 0).permutation(CLIENTS.people)[:2]
    losses, weights = [], []
    for person in chosen:
        made = networks(5)
        for name in ("emotion", "biometric", "decoder"):
            adapt(made[name], CLIENTS.series)
        before = [weight.numpy() for name in SHARED for weight in made[name].trainable_variables]
        rng = stream(5, "a client's batches", 0, CLIENTS.people.index(person))
        first, second = own_batches(CLIENTS.of([person]), CLIENTS.classes, CONFIG, STEP.batch, 2, rng)
        for batch, learn in ((first, ("biometric",)), (second, SHARED)):
            learned = [weight for name in learn for weight in made[name].trainable_variables]
            with tf.GradientTape() as tape:
                loss = loss_written_out(made, batch)
            for variable, gradient in zip(learned, tape.gradient(loss, learned), strict=True):
                variable.assign_sub(0.05 * gradient)
        losses.append(float(loss))
        weights.append([weight.numpy() for weight in learned])
    assert found.history[0]["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    trained = [found.emotion_encoder, found.decoder, found.emotion_head]
    ours = [weight.numpy() for network in trained for weight in network.trainable_variables]
    for own, start, *theirs in zip(ours, before, *weights, strict=True):
        np.testing.assert_allclose(own, np.mean(theirs, axis=0), rtol=1e-3, atol=2e-6)
        assert (own != start).any()


def test_a_private_encoder_is_made_by_steps_that_can_be_written_out(trained: Watched) -> None:
    found = replace(trained.found, federated=STEP)
    mine = found.personal(UNSEEN)
    made = networks()
    adapt(made["biometric"], CLIENTS.series)
    others = {"emotion": found.emotion_encoder, "decoder": found.decoder, "head": found.emotion_head}
    (batch,) = own_batches(UNSEEN, found.classes, CONFIG, STEP.batch, 1, stream(0, "steps of somebody's own"))
    learned = made["biometric"].trainable_variables
    with tf.GradientTape() as tape:
        loss = loss_written_out(made | others, batch)
    for variable, gradient in zip(learned, tape.gradient(loss, learned), strict=True):
        variable.assign_sub(0.05 * gradient)
    for ours, theirs in zip(mine.biometric_encoder.trainable_variables, learned, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-3, atol=2e-6)


def test_equal_seeds_train_equal_weights(trained: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(federated, "build_process", lambda *_: trained.process)
    once = replace(QUICK, rounds=1)
    with local_runtime():
        same, other = (train_federated(CLIENTS, CONFIG, once, seed) for seed in (0, 1))
    (first,) = same.history
    assert first == trained.found.history[0]
    after = iter(trained.states[1].global_model_weights.trainable)
    differ = False
    for name in ("emotion_encoder", "decoder", "emotion_head"):
        both = (getattr(each, name).trainable_variables for each in (same, other))
        for one, another in zip(*both, strict=True):
            np.testing.assert_array_equal(one.numpy(), next(after))
            differ |= bool((one.numpy() != another.numpy()).any())
    assert differ


def test_batches_exchange_emotions_of_one_person() -> None:
    own = CLIENTS.of(CLIENTS.people[:1])
    known = np.concatenate([own.series, mirrored(own.series, mirrored_joints(own.joints))])
    emotions = np.tile(own.emotion(CLIENTS.classes), 2)
    for config, least, most in ((CONFIG, 6, 18), (replace(CONFIG, mirrored=False), 0, 0)):
        turned = 0
        for batch in own_batches(own, CLIENTS.classes, config, 8, 3, stream(0, "test")):
            assert batch["own"].shape == (8, SAMPLES, 46)
            np.testing.assert_array_equal(batch["paired"], np.ones(8))
            for cycle, other, emotion in zip(batch["own"], batch["other_emotion"], batch["emotion"], strict=True):
                (row,), (partner,) = (
                    np.flatnonzero((known == each.numpy()).all(axis=(1, 2))) for each in (cycle, other)
                )  # fmt: skip
                assert emotions[row] == emotion
                assert emotions[partner] != emotion
                assert (row < len(own)) == (partner < len(own))
                turned += row >= len(own)
        assert least <= turned <= most


def test_noise_of_batches_is_of_the_size_asked_for() -> None:
    own, config = CLIENTS.of(CLIENTS.people[:1]), replace(CONFIG, emotion_noise=0.7)
    batches = own_batches(own, CLIENTS.classes, config, 8, 40, stream(0, "test"))
    noise = np.stack([batch["noise"].numpy() for batch in batches])
    assert (noise.shape, noise.dtype) == ((40, 8, CODE), np.float32)
    assert noise.std() == pytest.approx(0.7, rel=0.1)
    assert len(np.unique(noise)) == noise.size


def test_without_another_emotion_nothing_is_exchanged() -> None:
    own = CLIENTS.of(CLIENTS.people[:1])
    alone = own.part(own.emotion(CLIENTS.classes) == 0)
    (batch,) = own_batches(alone, CLIENTS.classes, CONFIG, 8, 1, stream(0, "test"))
    np.testing.assert_array_equal(batch["paired"], np.zeros(8))
    made = networks()
    adapt(made["decoder"], CLIENTS.series)
    measured = Networks(*made.values()).measure(batch, np.ones(46, np.float32)).numpy()
    assert (measured[:, 0] > 0).all()
    np.testing.assert_array_equal(measured[:, 1], np.zeros(8))


def test_who_cannot_have_a_private_encoder_is_told_why(trained: Watched) -> None:
    found = trained.found
    with pytest.raises(InputError, match="cycles of one person, found 3 people"):
        found.personal(CLIENTS)
    with pytest.raises(InputError, match="cycles of 16 samples, found 8"):
        found.personal(replace(UNSEEN, motions=UNSEEN.motions[:, ::2]))
    with pytest.raises(InputError, match="expected the joints Head"):
        found.personal(replace(UNSEEN, joints=("Nose", *UNSEEN.joints[1:])))
    with pytest.raises(InputError, match="found 'tired'"):
        found.personal(replace(UNSEEN, emotions=("tired",) * len(UNSEEN)))
    wild = replace(found, federated=replace(QUICK, reconstruction_optimizer=OptimizerConfig("sgd", 1e30)))
    with pytest.raises(DivergedError, match="smaller reconstruction rate"):
        wild.personal(UNSEEN)


def test_what_cannot_be_trained_is_refused() -> None:
    emotions = np.array(CLIENTS.emotions)
    with pytest.raises(InputError, match="at least two emotions to train on, found 1"):
        train_federated(CLIENTS.part(emotions == "sad"), CONFIG, QUICK, 0)
    with pytest.raises(InputError, match="nothing else teaches a private encoder"):
        train_federated(CLIENTS, replace(CONFIG, reconstruction=0.0, same_person_swap=0.0), QUICK, 0)
    own = np.array([emotion == CLIENTS.classes[who] for emotion, who in zip(emotions, CLIENTS.person, strict=True)])
    with pytest.raises(InputError, match=r"same_person_swap: .* nobody shows two emotions; set it to 0"):
        train_federated(CLIENTS.part(own), CONFIG, QUICK, 0)
    broken = replace(CLIENTS, motions=CLIENTS.motions.copy())
    broken.motions[0, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="found NaN"):
        train_federated(broken, CONFIG, QUICK, 0)
    with pytest.raises(InputError, match="a multiple of 4"):
        train_federated(replace(CLIENTS, motions=CLIENTS.motions[:, :10]), CONFIG, QUICK, 0)
    for name in ("rounds", "clients_per_round", "reconstruction_steps", "training_steps", "batch"):
        with pytest.raises(InputError, match=rf"federated\.{name}"):
            FederatedGaitConfig(**{name: 0})


def test_a_loss_that_is_not_finite_ends_training() -> None:
    finite = dict.fromkeys(("loss", *MEASURES), 1.0)
    assert federated._noted(0, finite) == {"step": 1.0, **finite}
    with pytest.raises(DivergedError, match="loss is nan in round 3; try smaller learning rates"):
        federated._noted(2, {**finite, "loss": np.nan})
