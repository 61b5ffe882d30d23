"""A trained pair of encoders with its decoder: codes of gaits, and gaits with one's emotion and another's identity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tff_affect.errors import InputError
from tff_affect.gait.bone_tree import BoneTree
from tff_affect.gait.config import GaitConfig

_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Disentangler:
    """What takes gaits apart and puts them together.

    All motions are ``[cycle, time, joint, 3]`` metres with the pelvis as the origin, normalised as those of the
    training people were.

    Attributes:
        config: How it was trained.
        classes: Emotions, in the order of the head's outputs.
        tree: Joints and bones.
        emotion_encoder: ``[batch, time, joint x 3]`` to ``[batch, emotion code]``.
        biometric_encoder: ``[batch, time, joint x 3]`` to ``[batch, biometric code]``.
        decoder: Both codes to ``[batch, time, joint x 3]``.
        emotion_head: ``[batch, emotion code]`` to ``[batch, class]`` logits.
        history: At each check ``step``; ``leak_share``, see `GaitConfig.leak_share`; of development people
            ``reconstruction`` as a part of the mean gait's error, ``emotion_loss`` and ``emotion_accuracy`` of the
            head, and ``emotion_leak_accuracy`` of the adversary that reads biometric codes; of training people
            ``identity_leak_accuracy`` of the adversary that names them from emotion codes, on the cycles that it
            learned from. An adversary at chance is no evidence that there is nothing to find.
        people: On whom it was trained; not known of one that was saved.
    """

    config: GaitConfig
    classes: tuple[str, ...]
    tree: BoneTree
    emotion_encoder: tf.keras.Model
    biometric_encoder: tf.keras.Model
    decoder: tf.keras.Model
    emotion_head: tf.keras.Model
    history: tuple[dict[str, float], ...] = ()
    people: tuple[str, ...] = ()

    @property
    def samples(self) -> int:
        """Of a cycle."""
        return int(self.emotion_encoder.input_shape[1])

    def emotion_codes(self, motions: np.ndarray) -> np.ndarray:
        """``[cycle, emotion code]`` float32.

        Raises:
            InputError: If motions are of another skeleton or number of samples, off the origin, NaN or infinite.
        """
        return self._run(self.emotion_encoder, self._flat(motions))

    def biometric_codes(self, motions: np.ndarray) -> np.ndarray:
        """``[cycle, biometric code]`` float32.

        Raises:
            InputError: As of `emotion_codes`.
        """
        return self._run(self.biometric_encoder, self._flat(motions))

    def emotion(self, motions: np.ndarray) -> np.ndarray:
        """``[cycle, class]`` what its own head takes motions for, as probabilities.

        Raises:
            InputError: As of `emotion_codes`.
        """
        return np.asarray(tf.nn.softmax(self._run(self.emotion_head, self.emotion_codes(motions))))

    def reconstruct(self, motions: np.ndarray) -> np.ndarray:
        """Motions drawn from their own codes.

        Raises:
            InputError: As of `emotion_codes`.
        """
        return self.swap(motions, motions)

    def swap(self, emotions: np.ndarray, identities: np.ndarray) -> np.ndarray:
        """Motions with the emotion of one and the identity of the other.

        Args:
            emotions: Motions whose emotion it is.
            identities: As many motions of those who shall show it.

        Returns:
            ``[cycle, time, joint, 3]`` float32 metres.

        Raises:
            InputError: As of `emotion_codes`, or if there are more of one than of the other.
        """
        if len(emotions) != len(identities):
            raise InputError(
                f"gait: expected a motion for each identity, found {len(emotions)} emotions and {len(identities)} "
                "identities"
            )
        return self.draw(self.emotion_codes(emotions), self.biometric_codes(identities))

    def draw(self, emotion_codes: np.ndarray, biometric_codes: np.ndarray) -> np.ndarray:
        """``[cycle, time, joint, 3]`` float32 metres from as many codes of each kind."""
        parts = [np.empty((0, *self.decoder.output_shape[1:]), np.float32)]
        for first in range(0, len(emotion_codes), _AT_ONCE):
            both = [codes[first : first + _AT_ONCE] for codes in (emotion_codes, biometric_codes)]
            parts.append(self.decoder(both, training=False).numpy())
        return np.concatenate(parts).reshape(-1, self.samples, len(self.tree.joints), 3)

    def check(self, motions: np.ndarray) -> None:
        """Checks that motions are such as it was trained on.

        Raises:
            InputError: As of `emotion_codes`.
        """
        self.tree.check(motions)
        if motions.shape[1] != self.samples:
            raise InputError(f"gait: expected cycles of {self.samples} samples, found {motions.shape[1]}")

    def _flat(self, motions: np.ndarray) -> np.ndarray:
        self.check(motions)
        return motions.reshape(len(motions), self.samples, 3 * len(self.tree.joints)).astype(np.float32)

    @staticmethod
    def _run(network: tf.keras.Model, inputs: np.ndarray) -> np.ndarray:
        parts = [np.empty((0, *network.output_shape[1:]), np.float32)]
        for first in range(0, len(inputs), _AT_ONCE):
            parts.append(network(inputs[first : first + _AT_ONCE], training=False).numpy())
        return np.concatenate(parts)
