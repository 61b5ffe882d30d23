"""A client of federated training of gaits: its networks, of which one is private, its batches, its losses."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_affect.emotion_scores import check_emotions
from tff_affect.gait.bone_tree import BoneTree
from tff_affect.gait.config import GaitConfig
from tff_affect.gait.federated_config import FederatedGaitConfig
from tff_affect.gait.mirrored import mirrored, mirrored_joints
from tff_affect.gait.networks import build_biometric_encoder, build_decoder, build_emotion_encoder, build_head
from tff_affect.gait.partners import Partners
from tff_affect.gait_set import GaitSet
from tff_affect.learning.algorithms import build_optimizer
from tff_affect.streams import keras_seed

MEASURES = ("reconstruction", "same_person_swap", "emotion_loss", "emotion_accuracy")
"""Of a cycle: two parts of the mean gait's error, a cross-entropy in nats, and whether the emotion is named."""


class Networks(NamedTuple):
    """All networks of a client, as of `tff_affect.gait.disentangler.Disentangler`; the second is private."""

    emotion_encoder: tf.keras.Model
    biometric_encoder: tf.keras.Model
    decoder: tf.keras.Model
    emotion_head: tf.keras.Model

    @property
    def shared(self) -> list[tf.Variable]:
        """What clients change for all."""
        networks = self.emotion_encoder, self.decoder, self.emotion_head
        return [variable for network in networks for variable in network.trainable_variables]

    @property
    def known(self) -> list[tf.Variable]:
        """What networks know of all clients together, and nobody changes."""
        return [variable for network in self for variable in network.non_trainable_variables]

    def measure(self, batch: Mapping[str, tf.Tensor], error_weights: np.ndarray) -> tf.Tensor:
        """``[cycle, 4]``: `MEASURES` of each cycle of a batch; of a swap without a partner 0.

        Inside one person either all cycles have a partner or none.

        Args:
            batch: Of `own_batches`.
            error_weights: ``[joint x 3 + 1]``, see `tff_affect.gait.federated_scale.Scale`.
        """
        own, wanted = batch["own"], batch["emotion"]
        emotion = self.emotion_encoder(own) + batch["noise"]
        missed = []
        for identity in (own, batch["other_emotion"]):
            drawn = self.decoder([emotion, self.biometric_encoder(identity)])
            missed.append(tf.reduce_mean(tf.square(drawn - own) * error_weights, axis=(1, 2)))
        logits = self.emotion_head(emotion)
        told = tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, logits)
        right = tf.cast(tf.equal(tf.argmax(logits, axis=1), wanted), tf.float32)
        return tf.stack([missed[0], batch["paired"] * missed[1], told, right], axis=1)


def first_networks(tree: BoneTree, samples: int, classes: int, config: GaitConfig, seed: int) -> Networks:
    """The same at each call, on the server and wherever a client makes its own."""
    tf.keras.utils.set_random_seed(keras_seed(seed, "first weights"))
    return Networks(
        build_emotion_encoder(tree, samples, config),
        build_biometric_encoder(tree, samples, config),
        build_decoder(tree, samples, config),
        build_head(config.emotion_code, classes, "emotion_head"),
    )


def own_batches(
    gaits: GaitSet, classes: tuple[str, ...], config: GaitConfig, size: int, steps: int, rng: np.random.Generator
) -> tf.data.Dataset:
    """A person's batches, one for each step: cycles, a cycle of another emotion for each, what is felt, and noise.

    Args:
        gaits: Of one person.
        classes: All emotions.
        config: Says of noise, and whether half of the cycles are shown in a mirror.
        size: Cycles of a batch.
        steps: How many.
        rng: Draws all that is drawn.

    Raises:
        InputError: If an emotion is none of the classes, or there is no mirror for a joint.
    """
    check_emotions(gaits, classes)
    emotion, count = gaits.emotion(classes), len(gaits)
    drawn = Partners(np.zeros(count, int), emotion).draw(steps * size, rng)
    noise = config.emotion_noise * rng.standard_normal((steps, size, config.emotion_code), np.float32)
    series, turned = gaits.series, np.zeros(steps * size, int)
    if config.mirrored:
        series = np.concatenate([series, mirrored(series, mirrored_joints(gaits.joints))])
        turned = count * (rng.random(steps * size) < 0.5)
    shown = tf.constant(series)

    def batch(rows: tf.Tensor, others: tf.Tensor, rest: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
        return OrderedDict(own=tf.gather(shown, rows), other_emotion=tf.gather(shown, others), **rest)

    rows, others = ((each + turned).reshape(steps, size) for each in (drawn.rows, drawn.same_person))
    rest = OrderedDict(
        paired=drawn.paired[1].reshape(steps, size).astype(np.float32),
        emotion=emotion[drawn.rows].reshape(steps, size).astype(np.int64),
        noise=noise,
    )
    return tf.data.Dataset.from_tensor_slices((rows, others, rest)).map(batch)


class _Output(NamedTuple):
    """What `tff.learning.algorithms.build_fed_recon` expects of a forward pass."""

    predictions: tf.Tensor
    labels: tf.Tensor
    num_examples: tf.Tensor


class Client(tff.learning.models.ReconstructionModel):
    """The networks at a client; what the private one learns begins with its first weights in each round.

    What it standardises by is no secret: that is of all clients together, and the server sends it with the rest.

    Args:
        networks: Just made.
        error_weights: As of `Networks.measure`.
        spec: Of a batch.
    """

    def __init__(self, networks: Networks, error_weights: np.ndarray, spec: Any) -> None:
        self._networks, self._error_weights, self._spec = networks, error_weights, spec

    @property
    def global_trainable_variables(self) -> list[tf.Variable]:
        """What the server sends, and clients change."""
        return self._networks.shared

    @property
    def global_non_trainable_variables(self) -> list[tf.Variable]:
        """What the server sends of all clients together."""
        return self._networks.known

    @property
    def local_trainable_variables(self) -> list[tf.Variable]:
        """Of the private encoder; never sent."""
        return list(self._networks.biometric_encoder.trainable_variables)

    @property
    def local_non_trainable_variables(self) -> list[tf.Variable]:
        """None."""
        return []

    @property
    def input_spec(self) -> Any:
        """Of a batch."""
        return self._spec

    @tf.autograph.experimental.do_not_convert
    def forward_pass(self, batch_input: Mapping[str, tf.Tensor], training: bool = True) -> _Output:
        """Measures of a batch, from which loss and metrics are taken."""
        measured = self._networks.measure(batch_input, self._error_weights)
        return _Output(measured, batch_input["emotion"], tf.shape(measured)[0])


class MeasuredLoss(tf.keras.losses.Loss):
    """The weighted sum of a batch's mean measures."""

    def __init__(self, config: GaitConfig) -> None:
        super().__init__()
        self._weights = [config.reconstruction, config.same_person_swap, config.emotion, 0.0]

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """``[cycle]``."""
        return tf.linalg.matvec(y_pred, tf.constant(self._weights, tf.float32))


def _measure(column: int) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    return lambda y_true, y_pred: y_pred[:, column]


def build_process(
    client: Callable[[], tff.learning.models.ReconstructionModel], config: GaitConfig, federated: FederatedGaitConfig
) -> tff.learning.templates.LearningProcess:
    """TensorFlow Federated's reconstruction process; every person counts alike.

    Type of ``next``: ``(<state@SERVER, {batches*}@CLIENTS> -> <state@SERVER, metrics@SERVER>)``; of networks the state
    holds `Networks.shared` and `Networks.known`. The first batches of a client are its private encoder's, the others
    what is shared learns from.

    Args:
        client: Makes the networks of a client, the private one among them.
        config: Weights of losses.
        federated: Optimizers and steps.
    """
    steps = federated.reconstruction_steps
    return tff.learning.algorithms.build_fed_recon(
        tf.autograph.experimental.do_not_convert(client),
        loss_fn=lambda: MeasuredLoss(config),
        metrics_fn=lambda: [
            tf.keras.metrics.MeanMetricWrapper(_measure(column), name) for column, name in enumerate(MEASURES)
        ],
        server_optimizer_fn=build_optimizer(federated.server_optimizer),
        client_optimizer_fn=build_optimizer(federated.client_optimizer),
        reconstruction_optimizer_fn=build_optimizer(federated.reconstruction_optimizer),
        dataset_split_fn=lambda batches: (batches.take(steps), batches.skip(steps)),
        client_weighting=tff.learning.ClientWeighting.UNIFORM,
    )
