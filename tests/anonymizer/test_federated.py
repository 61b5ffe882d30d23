import itertools
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from data_prep.synthetic_faces import SyntheticFacesConfig, draw_faces
from tff_affect.anonymizer.config import AnonymizerConfig, FederatedConfig
from tff_affect.anonymizer.federated import _Server, train_federated
from tff_affect.anonymizer.networks import build_emotion_head, build_transformation
from tff_affect.config import OptimizerConfig
from tff_affect.errors import InputError
from tff_affect.learning.runtime import RuntimeConfig, local_runtime

FACES = draw_faces(SyntheticFacesConfig(people=5, images=1, size=16))
CLIENTS, PUBLIC = FACES.of(FACES.people[:3]), FACES.of(FACES.people[3:])
GAME = AnonymizerConfig("federated", 1.0, batch=64, head_start=0.0, ramp=0.0, code_noise=0.0)


def test_an_objective_that_needs_identity_inside_one_person_is_refused() -> None:
    for objective in ("adversary", "reversal", "entropy", "identity"):
        with pytest.raises(InputError, match="inside one person"):
            train_federated(CLIENTS, PUBLIC, replace(GAME, objective=objective), FederatedConfig(), 0)
    for wrong in ({"clients": 0}, {"rounds": 0}, {"public": 1.0}):
        with pytest.raises(InputError, match=rf"federated\.{next(iter(wrong))}"):
            FederatedConfig(**wrong)  # type: ignore[arg-type]


def test_public_people_are_two_or_more_and_no_clients() -> None:
    with pytest.raises(InputError, match=f"none of whom is a client, found {FACES.people[2]}"):
        train_federated(CLIENTS, FACES.of(FACES.people[2:]), GAME, FederatedConfig(), 0)
    with pytest.raises(InputError, match="found 1 public"):
        train_federated(CLIENTS, FACES.of(FACES.people[4:]), GAME, FederatedConfig(), 0)


@pytest.mark.slow
def test_with_lambda_zero_one_client_and_one_batch_a_round_is_a_step_in_one_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tff.learning.models.ModelWeights] = []
    weights = _Server.weights

    def noted(server: _Server) -> tff.learning.models.ModelWeights:
        sent.append(weights(server))
        return sent[-1]

    monkeypatch.setattr(_Server, "weights", noted)
    emotion_only = replace(GAME, privacy_weight=0.0)
    config = FederatedConfig(rounds=1, clients=1, client_optimizer=OptimizerConfig("sgd", 0.1))
    alone = CLIENTS.of(CLIENTS.people[:1])
    with local_runtime(RuntimeConfig()):
        found = train_federated(alone, PUBLIC, emotion_only, config, 0)

    networks = build_transformation((16, 16), emotion_only), build_emotion_head((16, 16), len(alone.classes))
    cut = len(networks[0].weights)
    for network, own in zip(networks, (sent[0].trainable[:cut], sent[0].trainable[cut:]), strict=True):
        network.set_weights(own)
    learned = networks[0].trainable_variables + networks[1].trainable_variables
    noise = tf.zeros((len(alone), *networks[0].input_shape[1][1:]))
    with tf.GradientTape() as tape:
        logits = networks[1](networks[0]([tf.constant(alone.images[..., np.newaxis]), noise]))
        emotion = tf.constant(alone.emotion(alone.classes))
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(emotion, logits))
    for variable, gradient in zip(learned, tape.gradient(loss, learned), strict=True):
        variable.assign_sub(0.1 * gradient)
    assert found.history[0]["loss"] == pytest.approx(float(loss), rel=1e-4)
    trained = found.transformation.trainable_variables + found.emotion_head.trainable_variables
    for ours, theirs, before in zip(trained, learned, sent[0].trainable, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-3, atol=1e-6)
        assert (ours.numpy() != before).any()


@pytest.mark.slow
def test_the_adversary_learns_on_the_server_between_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tff.learning.models.ModelWeights] = []
    weights = _Server.weights
    monkeypatch.setattr(_Server, "weights", lambda server: sent.append(weights(server)) or sent[-1])
    told: list[int] = []
    config = FederatedConfig(rounds=2, clients=2, adversary_steps=3)
    with local_runtime(RuntimeConfig()):
        found = train_federated(CLIENTS, PUBLIC, GAME, config, 1, lambda note, total, steps=1: told.append(total))
    assert told == [2, 2]
    assert [each["privacy_weight"] for each in found.history] == [1.0, 1.0]
    assert all(0 <= each["adversary_accuracy"] <= 1 for each in found.history)
    assert (found.people, found.adversary_people) == (CLIENTS.people, len(PUBLIC.people))
    for before, after in itertools.pairwise(each.non_trainable for each in sent):
        assert any((a != b).any() for a, b in zip(before, after, strict=True))
    images = found.transform(CLIENTS.images)
    assert ((images >= 0) & (images <= 1)).all()
    assert found.emotion(images).shape == (len(CLIENTS), len(CLIENTS.classes))
