"""A trained pair of encoders with its decoder: codes of gaits, and gaits with one's emotion and another's identity."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from tff_affect.errors import InputError
from tff_affect.gait.bone_tree import BoneTree
from tff_affect.gait.config import GaitConfig
from tff_affect.gait_set import GaitSet
from tff_affect.streams import stream_of

_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Disentangler:
    """What takes gaits apart and puts them together.

    All gaits have the pelvis as the origin and are normalised as those of the training people were. The noise of
    emotion codes is drawn anew at each call; nobody knows it unless a seed is given, and then it is no protection.

    Attributes:
        config: How it was trained.
        classes: Emotions, in the order of the head's outputs.
        tree: Joints and bones.
        emotion_encoder: ``[batch, time, joint x 3 + 1]`` as `GaitSet.series` to ``[batch, emotion code]``.
        biometric_encoder: Likewise to ``[batch, biometric code]``.
        decoder: Both codes to ``[batch, time, joint x 3 + 1]``.
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

    def emotion_codes(self, gaits: GaitSet, seed: int | None = None) -> np.ndarray:
        """``[cycle, emotion code]`` float32, with noise.

        Args:
            gaits: Cycles.
            seed: Of the noise, which is then that of just these cycles together; for studies.

        Raises:
            InputError: If gaits are of another skeleton or number of samples, off the origin, NaN or infinite.
        """
        self.check(gaits)
        codes = self._run(self.emotion_encoder, gaits.series)
        rng = np.random.default_rng() if seed is None else stream_of(seed, "noise of emotion codes", gaits.motions)
        return codes + np.float32(self.config.emotion_noise) * rng.standard_normal(codes.shape, np.float32)

    def biometric_codes(self, gaits: GaitSet) -> np.ndarray:
        """``[cycle, biometric code]`` float32.

        Raises:
            InputError: As of `emotion_codes`.
        """
        self.check(gaits)
        return self._run(self.biometric_encoder, gaits.series)

    def emotion(self, gaits: GaitSet, seed: int | None = None) -> np.ndarray:
        """``[cycle, class]`` what its own head takes gaits for, as probabilities.

        Raises:
            InputError: As of `emotion_codes`.
        """
        return self.read_codes(self.emotion_codes(gaits, seed))

    def read_codes(self, emotion_codes: np.ndarray) -> np.ndarray:
        """``[cycle, class]`` what its own head takes emotion codes for, as probabilities."""
        return np.asarray(tf.nn.softmax(self._run(self.emotion_head, emotion_codes)))

    def reconstruct(self, gaits: GaitSet, seed: int | None = None) -> GaitSet:
        """Gaits drawn from their own codes.

        Raises:
            InputError: As of `emotion_codes`.
        """
        return self.swap(gaits, gaits, seed)

    def swap(self, emotions: GaitSet, identities: GaitSet, seed: int | None = None) -> GaitSet:
        """Gaits with the emotion of one and the identity of the other.

        Args:
            emotions: Cycles whose emotion it is.
            identities: As many cycles of those who shall show it.
            seed: As of `emotion_codes`.

        Returns:
            As many cycles with the emotions of the one, and people, takes and beginnings of the other.

        Raises:
            InputError: As of `emotion_codes`, or if there are more of one than of the other.
        """
        if len(emotions) != len(identities):
            raise InputError(
                f"gait: expected a cycle for each identity, found {len(emotions)} emotions and {len(identities)} "
                "identities"
            )
        drawn = self.draw(self.emotion_codes(emotions, seed), self.biometric_codes(identities))
        made_up = emotions.synthetic or identities.synthetic
        return replace(identities.with_series(drawn), emotions=emotions.emotions, synthetic=made_up)

    def draw(self, emotion_codes: np.ndarray, biometric_codes: np.ndarray) -> np.ndarray:
        """``[cycle, time, joint x 3 + 1]`` float32 as `GaitSet.series` from as many codes of each kind."""
        parts = [np.empty((0, *self.decoder.output_shape[1:]), np.float32)]
        for first in range(0, len(emotion_codes), _AT_ONCE):
            both = [codes[first : first + _AT_ONCE] for codes in (emotion_codes, biometric_codes)]
            parts.append(self.decoder(both, training=False).numpy())
        return np.concatenate(parts)

    def check(self, gaits: GaitSet) -> None:
        """Checks that gaits are such as it was trained on.

        Raises:
            InputError: As of `emotion_codes`.
        """
        if gaits.joints != self.tree.joints:
            raise InputError(
                f"gait: expected the joints {', '.join(self.tree.joints)}, found {', '.join(gaits.joints)}"
            )
        self.tree.check(gaits.motions)
        if gaits.motions.shape[1] != self.samples:
            raise InputError(f"gait: expected cycles of {self.samples} samples, found {gaits.motions.shape[1]}")

    @staticmethod
    def _run(network: tf.keras.Model, inputs: np.ndarray) -> np.ndarray:
        parts = [np.empty((0, *network.output_shape[1:]), np.float32)]
        for first in range(0, len(inputs), _AT_ONCE):
            parts.append(network(inputs[first : first + _AT_ONCE], training=False).numpy())
        return np.concatenate(parts)
