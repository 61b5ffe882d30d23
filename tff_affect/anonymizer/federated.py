"""The game where faces stay with their people: federated averaging of transformation and emotion head.

A client is one person, and inside one person the identity label is constant: an identity head that learns there
learns to say one name, whatever the image. So clients never train one. The adversary is trained on the server, on
public people who gave their faces for that, and sent along frozen; clients make it undecided of their own images (the
objective ``entropy``, which needs no label), while they keep emotion. Whether an adversary of other people's faces is
one of theirs is a question for fresh attackers.

Rounds are TensorFlow Federated's own weighted federated averaging (McMahan et al. 2017); with lambda 0, one client, one
batch and plain SGD a round is a step of training in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_affect.anonymizer.config import FEDERATED, AnonymizerConfig, FederatedConfig
from tff_affect.anonymizer.game import HELD_OUT, Anonymizer, undecided
from tff_affect.anonymizer.networks import build_emotion_head, build_identity_head, build_transformation, code_shape
from tff_affect.errors import DivergedError, InputError
from tff_affect.face_set import FaceSet
from tff_affect.learning.algorithms import build_optimizer
from tff_affect.models.classifying import cross_entropy
from tff_affect.progress import StepDone
from tff_affect.streams import keras_seed, stream

_CROSS_ENTROPY = cross_entropy()


def train_federated(
    faces: FaceSet,
    public: FaceSet,
    anonymizer: AnonymizerConfig,
    config: FederatedConfig,
    seed: int,
    step_done: StepDone | None = None,
) -> Anonymizer:
    """Trains a transformation by federated averaging over people, in TensorFlow Federated's installed context.

    Args:
        faces: Of the clients; each keeps their own.
        public: Of other people, on the server: the adversary learns to name them.
        anonymizer: What is trained, with the objective ``federated``; of its steps and rates only shares of the head
            start and ramp count.
        config: How.
        seed: Of weights, cohorts, orders and noise.
        step_done: Is told of each round.

    Raises:
        InputError: If somebody is both, there are fewer than two public people, or the objective is another one.
        DivergedError: If a loss is no longer finite.
    """
    if anonymizer.objective != FEDERATED:
        raise InputError(
            f"anonymizer.objective: expected federated, found {anonymizer.objective!r}: inside one person there is no "
            "identity to learn"
        )
    both = set(faces.people) & set(public.people)
    if both or len(public.people) < 2:
        found = f"{min(both)} among both" if both else f"{len(public.people)} public"
        raise InputError(f"faces: expected two or more public people, none of whom is a client, found {found}")
    tf.keras.utils.set_random_seed(keras_seed(seed, "first weights"))
    anonymizer = replace(anonymizer, steps=config.rounds)
    server = _Server(faces, public, anonymizer, config, seed)
    process = server.process
    state, history = process.initialize(), []
    for number in range(config.rounds):
        accuracy = server.train_adversary() if anonymizer.privacy_weight else None
        state = process.set_model_weights(state, server.weights())
        people = stream(seed, "clients of a round", number).permutation(faces.people)[: config.clients]
        done = process.next(state, [server.dataset(person, number) for person in sorted(people)])
        state = done.state
        server.take(process.get_model_weights(state).trainable)
        history.append(_noted(number, anonymizer, done.metrics["client_work"]["train"], accuracy))
        if step_done is not None:
            step_done(f"loss {history[-1]['loss']:.2f}", config.rounds)
    return Anonymizer(
        anonymizer, faces.classes, server.transformation, server.emotion_head, tuple(history), faces.people,
        len(public.people),
    )  # fmt: skip


def _noted(
    number: int, anonymizer: AnonymizerConfig, train: dict[str, float], accuracy: float | None
) -> dict[str, float]:
    loss = float(train["loss"])
    if not np.isfinite(loss):
        raise DivergedError(f"anonymizer: the clients' loss is {loss:g} in round {number + 1}; try a smaller rate")
    found = {"step": number + 1.0, "privacy_weight": anonymizer.weight_at(number), "loss": loss}
    return found if accuracy is None else found | {"adversary_accuracy": accuracy}


class _Server:
    """What the server has: the networks, the public people, and how datasets of clients are made."""

    def __init__(
        self, faces: FaceSet, public: FaceSet, anonymizer: AnonymizerConfig, config: FederatedConfig, seed: int
    ) -> None:
        shape = (faces.images.shape[1], faces.images.shape[2])
        self._faces, self._seed = faces, seed
        held_out = stream(seed, "held out for the history").permutation(len(public)) % HELD_OUT == 0
        self._public, self._held_out, self._everybody = public.part(~held_out), public.part(held_out), public.people
        self._anonymizer, self._config = anonymizer, config
        self._code, self._shape = code_shape(shape, anonymizer), shape
        # Before the networks of this process: Keras changes the classes of all models once it builds one in a graph, as
        # TensorFlow Federated does, and back once it builds one outside.
        self.process = tff.learning.algorithms.build_weighted_fed_avg(
            self._model, build_optimizer(config.client_optimizer), build_optimizer(config.server_optimizer)
        )
        self.transformation = build_transformation(shape, anonymizer)
        self.emotion_head = build_emotion_head(shape, len(faces.classes))
        self._identity_head = build_identity_head(shape, len(public.people))
        self._optimizer = tf.keras.optimizers.Adam(anonymizer.adversary_learning_rate)
        self._optimizer.build(self._identity_head.trainable_variables)
        self._rng = stream(seed, "the adversary's batches and noise")
        self._name_people = tf.function(self._adversary_step)

    def weights(self) -> tff.learning.models.ModelWeights:
        """All weights: those that clients train, and the adversary's, which they do not."""
        trained = [*self.transformation.get_weights(), *self.emotion_head.get_weights()]
        return tff.learning.models.ModelWeights(trained, self._identity_head.get_weights())

    def take(self, trained: Sequence[np.ndarray]) -> None:
        """Takes over what clients trained."""
        cut = len(self.transformation.weights)
        self.transformation.set_weights(list(trained[:cut]))
        self.emotion_head.set_weights(list(trained[cut:]))

    def train_adversary(self) -> float:
        """Lets the identity head learn to name public people.

        Returns:
            The share that it names rightly of public images that it never learns from.
        """
        for _ in range(self._config.adversary_steps):
            rows = self._rng.integers(len(self._public), size=self._anonymizer.batch)
            self._name_people(*self._shown(self._public.part(rows)))
        images, noise, person = self._shown(self._held_out)
        named = tf.argmax(self._identity_head(self.transformation([images, noise]), training=False), axis=1)
        return float(tf.reduce_mean(tf.cast(named == person, tf.float32)))

    def _shown(self, faces: FaceSet) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Images, noise and numbers of public people."""
        noise = self._rng.standard_normal((len(faces), *self._code), np.float32)
        person = np.searchsorted(self._everybody, faces.subjects)
        return tf.constant(faces.images[..., np.newaxis]), tf.constant(noise), tf.constant(person)

    def _adversary_step(self, images: tf.Tensor, noise: tf.Tensor, person: tf.Tensor) -> None:
        learned = self._identity_head.trainable_variables
        with tf.GradientTape() as tape:
            named = self._identity_head(self.transformation([images, noise]), training=True)
            loss = _CROSS_ENTROPY(person, named)
        self._optimizer.apply_gradients(zip(tape.gradient(loss, learned), learned, strict=True))

    def dataset(self, person: str, number: int) -> tf.data.Dataset:
        """A client's batches of a round: image, noise, lambda and emotion, in an order of that round."""
        own = self._faces.of([person])
        place = self._faces.people.index(person)
        rng = stream(self._seed, "a client's batches and noise", number, place)
        order = np.concatenate([rng.permutation(len(own)) for _ in range(self._config.local_epochs)])
        inputs = (
            own.images[order, ..., np.newaxis],
            rng.standard_normal((len(order), *self._code), np.float32),
            np.full((len(order), 1), self._anonymizer.weight_at(number), np.float32),
        )
        emotion = own.emotion(self._faces.classes)[order].astype(np.int64)
        return tf.data.Dataset.from_tensor_slices((inputs, emotion)).batch(self._anonymizer.batch)

    def _model(self) -> tff.learning.models.VariableModel:
        """What a client trains: the networks once more, with the adversary frozen."""
        transformation = build_transformation(self._shape, self._anonymizer)
        emotion_head = build_emotion_head(self._shape, len(self._faces.classes))
        identity_head = build_identity_head(self._shape, len(self._everybody))
        identity_head.trainable = False
        weight = tf.keras.Input((1,))
        transformed = transformation(transformation.inputs)
        undecided_by = identity_head(transformed, training=False)
        outputs = tf.keras.layers.Concatenate()([emotion_head(transformed), undecided_by, weight])
        network = tf.keras.Model([*transformation.inputs, weight], outputs)
        spec = self.dataset(self._faces.people[0], 0).element_spec
        return tff.learning.models.from_keras_model(network, _ClientLoss(len(self._faces.classes)), spec)


class _ClientLoss(tf.keras.losses.Loss):
    """``L_emotion + lambda L_privacy`` of logits of emotions, logits of public people, and lambda, side by side."""

    def __init__(self, classes: int) -> None:
        super().__init__(reduction=tf.keras.losses.Reduction.NONE)
        self._classes = classes

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Mean over a batch."""
        kept = _CROSS_ENTROPY(y_true, y_pred[:, : self._classes])
        return kept + y_pred[0, -1] * undecided(y_pred[:, self._classes : -1])
