"""Gaits taken apart where they stay with their people: what reads emotion and draws is shared, the rest is private.

Partially local federated learning (Singhal et al. 2021, Federated Reconstruction, arXiv 2102.03448), by TensorFlow
Federated's own algorithm. A client is one person. The emotion encoder, the decoder and the emotion head are global: the
server sends them and averages their changes. The biometric encoder is local: in each round a client makes it anew from
own cycles, beginning with the first weights that all have in common, then changes the global networks beside it, and
forgets it. It is kept nowhere and sent nowhere; whoever wants one afterwards makes it in the same way
(`FederatedGait.personal`).

Of the losses of training in one place those remain that one person's cycles can give: reconstruction, the exchange of
codes between emotions of one person, and emotion. Two are missing. Nobody exchanges emotion codes with another person
(``same_emotion_swap``), for that takes two people's cycles in one place; and there are no adversaries, for inside one
person the identity label is constant. So beside their noise, and that the emotion encoder sees no lengths of bones,
nothing here takes identity out of emotion codes: what they give away has to be measured. The person head has nothing
to learn either.

What encoders standardise by, the private ones too, and the mean gait that others are drawn from are federated means and
variances: each client sends sums over own cycles, and the server sees their total. Alone, the sums of one person are
that person's mean gait, as updates of weights also tell of whom they are from; against a server that looks at single
clients there is no protection here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_affect.errors import DivergedError, InputError
from tff_affect.gait.bone_tree import BoneTree, bones_of
from tff_affect.gait.config import GaitConfig
from tff_affect.gait.disentangler import Disentangler
from tff_affect.gait.federated_client import (
    MEASURES,
    Client,
    MeasuredLoss,
    Networks,
    build_process,
    first_networks,
    own_batches,
)
from tff_affect.gait.federated_config import FederatedGaitConfig
from tff_affect.gait.federated_scale import Scale, federated_scale
from tff_affect.gait.networks import build_biometric_encoder
from tff_affect.gait.partners import Partners
from tff_affect.gait_set import GaitSet
from tff_affect.learning.algorithms import build_optimizer
from tff_affect.progress import StepDone
from tff_affect.streams import stream


@dataclass(frozen=True, eq=False)
class FederatedGait:
    """What the server has after training; no biometric encoder is among it.

    Attributes:
        config: The networks, and the weights of losses.
        federated: How they were trained.
        seed: Of the steps in which somebody makes a private encoder.
        classes: Emotions, in the order of the head's outputs.
        tree: Joints and bones.
        scale: Of the clients together.
        first_weights: Those that each private encoder begins with: drawn at random, but for the scale.
        emotion_encoder: ``[batch, time, joint x 3 + 1]`` as `GaitSet.series` to ``[batch, emotion code]``.
        decoder: Both codes to ``[batch, time, joint x 3 + 1]``.
        emotion_head: ``[batch, emotion code]`` to ``[batch, class]`` logits.
        history: Of each round ``step``, ``loss`` and `MEASURES`, means over the clients' steps, each before it was
            taken: parts of the mean gait's error, cross-entropy in nats, and a share.
        people: On whom it was trained.
    """

    config: GaitConfig
    federated: FederatedGaitConfig
    seed: int
    classes: tuple[str, ...]
    tree: BoneTree
    scale: Scale
    first_weights: tuple[np.ndarray, ...]
    emotion_encoder: tf.keras.Model
    decoder: tf.keras.Model
    emotion_head: tf.keras.Model
    history: tuple[dict[str, float], ...] = ()
    people: tuple[str, ...] = ()

    def emotion_codes(self, gaits: GaitSet, seed: int | None = None) -> np.ndarray:
        """``[cycle, emotion code]`` float32 with noise, as of `Disentangler.emotion_codes`.

        Raises:
            InputError: If gaits are of another skeleton or number of samples, off the origin, NaN or infinite.
        """
        return self._with(self._first_encoder()).emotion_codes(gaits, seed)

    def emotion(self, gaits: GaitSet, seed: int | None = None) -> np.ndarray:
        """``[cycle, class]`` what the head takes gaits for, as probabilities, as of `Disentangler.emotion`.

        Raises:
            InputError: If gaits are of another skeleton or number of samples, off the origin, NaN or infinite.
        """
        return self._with(self._first_encoder()).emotion(gaits, seed)

    def personal(self, gaits: GaitSet) -> Disentangler:
        """Makes somebody's private encoder of own cycles, as clients make theirs in a round.

        It is as personal as the cycles are, and belongs where these are. The shared networks stay as they are.

        Args:
            gaits: Of one person, of the training or not.

        Returns:
            The shared networks with it; it shares them with all others.

        Raises:
            InputError: If there is not just one person, emotions are none of the training's, or the skeleton or number
                of samples does not fit.
            DivergedError: If a weight is no longer finite.
        """
        if len(gaits.people) != 1:
            raise InputError(f"gait: expected the cycles of one person, found {len(gaits.people)} people")
        if gaits.joints != self.tree.joints:
            raise InputError(f"gait: expected the joints {', '.join(self.tree.joints)}, found others")
        encoder = self._first_encoder()
        found = self._with(encoder)
        found.check(gaits)
        size, steps = self.federated.batch, self.federated.reconstruction_steps
        rng = stream(self.seed, "steps of somebody's own")
        self._fit(encoder, own_batches(gaits, self.classes, self.config, size, steps, rng))
        if not all(np.isfinite(each).all() for each in encoder.get_weights()):
            raise DivergedError("gait: a private encoder is no longer finite; try a smaller reconstruction rate")
        return found

    def _fit(self, encoder: tf.keras.Model, batches: tf.data.Dataset) -> None:
        networks = Networks(self.emotion_encoder, encoder, self.decoder, self.emotion_head)
        loss, learned = MeasuredLoss(self.config), tuple(encoder.trainable_variables)
        error_weights = self.scale.error_weights
        optimizer = build_optimizer(self.federated.reconstruction_optimizer)

        @tf.function(autograph=False)
        def step(state: Any, batch: Mapping[str, tf.Tensor]) -> Any:
            with tf.GradientTape() as tape:
                value = loss(batch["emotion"], networks.measure(batch, error_weights))
            state, weights = optimizer.next(state, learned, tuple(tape.gradient(value, learned)))
            for variable, weight in zip(learned, weights, strict=True):
                variable.assign(weight)
            return state

        state = optimizer.initialize(tuple(tf.TensorSpec(each.shape, each.dtype) for each in learned))
        state = tf.nest.map_structure(tf.convert_to_tensor, state)
        for batch in batches:
            state = step(state, batch)

    def _first_encoder(self) -> tf.keras.Model:
        encoder = build_biometric_encoder(self.tree, len(self.scale.series.mean), self.config)
        encoder.set_weights(self.first_weights)
        return encoder

    def _with(self, encoder: tf.keras.Model) -> Disentangler:
        return Disentangler(
            self.config, self.classes, self.tree, self.emotion_encoder, encoder, self.decoder, self.emotion_head
        )


def train_federated(
    gaits: GaitSet, config: GaitConfig, federated: FederatedGaitConfig, seed: int, step_done: StepDone | None = None
) -> FederatedGait:
    """Trains what is shared over people, in TensorFlow Federated's installed context.

    Args:
        gaits: Of the clients; each keeps their own.
        config: Sizes of codes, and weights of the losses that remain; steps and rates are ``federated``'s.
        federated: How.
        seed: Of weights, clients of a round, and batches.
        step_done: Is told of each round.

    Raises:
        InputError: If there are fewer than two emotions, nothing would teach the private encoders, nobody shows two
            emotions to exchange codes between, or the skeleton or number of samples is none that networks are made of.
        DivergedError: If a loss is no longer finite.
    """
    tree = bones_of(gaits)
    _check(gaits, config)
    scale = federated_scale(gaits, tree)
    shape = tree, gaits.motions.shape[1], len(gaits.classes), config, seed

    def dataset(person: str, number: int) -> tf.data.Dataset:
        rng = stream(seed, "a client's batches", number, gaits.people.index(person))
        steps = federated.reconstruction_steps + federated.training_steps
        return own_batches(gaits.of([person]), gaits.classes, config, federated.batch, steps, rng)

    spec = dataset(gaits.people[0], 0).element_spec
    try:
        process = build_process(lambda: Client(first_networks(*shape), scale.error_weights, spec), config, federated)
    finally:
        # Keras changes the classes of all models, older ones too, once it builds one in a graph, as TensorFlow
        # Federated does, and back once it builds one outside.
        networks = first_networks(*shape)
    scale.show(networks)
    state = process.set_model_weights(
        process.initialize(),
        tff.learning.models.ModelWeights(
            [each.numpy() for each in networks.shared], [each.numpy() for each in networks.known]
        ),
    )
    history = []
    for number in range(federated.rounds):
        people = stream(seed, "clients of a round", number).permutation(gaits.people)[: federated.clients_per_round]
        done = process.next(state, [dataset(person, number) for person in sorted(people)])
        state = done.state
        history.append(_noted(number, done.metrics["client_work"]["train"]))
        if step_done is not None:
            step_done(f"reconstruction {history[-1]['reconstruction']:.2f}", federated.rounds)
    trained = process.get_model_weights(state).trainable
    for variable, weight in zip(networks.shared, trained, strict=True):
        variable.assign(weight)
    return FederatedGait(
        config, federated, seed, gaits.classes, tree, scale, tuple(networks.biometric_encoder.get_weights()),
        networks.emotion_encoder, networks.decoder, networks.emotion_head, tuple(history), gaits.people,
    )  # fmt: skip


def _check(gaits: GaitSet, config: GaitConfig) -> None:
    if len(gaits.classes) < 2:
        raise InputError(f"gait: expected at least two emotions to train on, found {len(gaits.classes)}")
    if not (config.reconstruction or config.same_person_swap):
        raise InputError(
            "gait.reconstruction and same_person_swap: expected a weight above 0 for one of them, found 0 for both: "
            "nothing else teaches a private encoder"
        )
    partners = Partners(gaits.person, gaits.emotion(gaits.classes))
    if config.same_person_swap and not partners.any_of_same_person:
        raise InputError(
            "gait.same_person_swap: expected cycles to exchange codes between, but nobody shows two emotions; set it "
            "to 0"
        )


def _noted(number: int, train: Mapping[str, float]) -> dict[str, float]:
    found = {"step": number + 1.0, **{name: float(train[name]) for name in ("loss", *MEASURES)}}
    if not all(math.isfinite(value) for value in found.values()):
        raise DivergedError(
            f"gait: the clients' loss is {found['loss']:g} in round {number + 1}; try smaller learning rates"
        )
    return found
