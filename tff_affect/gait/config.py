"""Settings of encoders and decoder, and of the game in which they are trained. All are this project's choice."""

from __future__ import annotations

from dataclasses import dataclass

from tff_affect.config_checks import above_zero, at_least
from tff_affect.errors import InputError
from tff_affect.game_schedule import is_past, risen

LOSSES = (
    "reconstruction", "same_emotion_swap", "same_person_swap", "emotion", "person", "identity_leak", "emotion_leak",
)  # fmt: skip
"""Weights of losses; each can be 0, and the loss is then left out, with whatever serves it alone."""
FACTOR = 4
"""A cycle has a multiple of so many samples."""


@dataclass(frozen=True)
class GaitConfig:
    """How gaits are taken apart.

    Errors of motions are squared distances as a part of what drawing the training people's mean gait would cost: 1 is
    as bad as that. That of the duration is likewise, and counts a tenth. Losses of classes are cross-entropies in nats.

    Attributes:
        reconstruction: Weight of the error of a cycle that is drawn from its own two codes.
        same_emotion_swap: Weight of the error of a cycle that is drawn from its own biometric code and another
            person's emotion code, of the same emotion; 0 leaves the emotion code free to be personal.
        same_person_swap: Weight of the error of a cycle that is drawn from its own emotion code and the biometric code
            of the same person with another emotion; 0 leaves the biometric code free to hold emotion.
        emotion: Weight of telling emotions from emotion codes.
        person: Weight of telling training people from biometric codes.
        identity_leak: Weight, in the end, of an adversary that tells training people from emotion codes.
        emotion_leak: Likewise, of one that tells emotions from biometric codes.
        emotion_code: Numbers of an emotion code.
        biometric_code: Numbers of a biometric code.
        steps: Of the encoders and the decoder. There is no other stop rule.
        emotion_noise: Standard deviation of the Gaussian noise that is added to emotion codes, whose numbers are within
            -1 and 1, anew for each, in training and in use. What is fainter is hard to see in one cycle; over
            many cycles noise averages out.
        mirrored: Whether half of the cycles of a step are as in a mirror, where somebody is another person; needs
            cycles of one heading.
        batch: Cycles of a step; each brings its two partners for the swaps.
        learning_rate: Of encoders, decoder and heads (Adam, gradients of norm 1 at most: at a higher rate without that,
            the emotion code went to its bounds in one training of three and stayed there); falls to a tenth along a
            cosine.
        adversary_learning_rate: Of the adversaries (Adam).
        adversary_steps: Of the adversaries, each on a fresh batch, before each step of the rest.
        head_start: Share of steps before adversaries count; they start to learn two thirds into it.
        ramp: Share of steps in which their weights rise evenly to the full ones.
    """

    reconstruction: float = 1.0
    same_emotion_swap: float = 1.0
    same_person_swap: float = 2.0
    emotion: float = 1.0
    person: float = 0.05
    identity_leak: float = 0.1
    emotion_leak: float = 0.1
    emotion_code: int = 8
    biometric_code: int = 64
    emotion_noise: float = 0.3
    mirrored: bool = True
    steps: int = 500
    batch: int = 32
    learning_rate: float = 2e-3
    adversary_learning_rate: float = 1e-3
    adversary_steps: int = 1
    head_start: float = 0.25
    ramp: float = 0.3

    def __post_init__(self) -> None:
        for name in (*LOSSES, "emotion_noise", "head_start", "ramp"):
            at_least(f"gait.{name}", getattr(self, name), 0)
        for name in ("emotion_code", "biometric_code", "steps", "batch", "adversary_steps"):
            at_least(f"gait.{name}", getattr(self, name), 1)
        for name in ("learning_rate", "adversary_learning_rate"):
            above_zero(f"gait.{name}", getattr(self, name))
        if self.head_start + self.ramp > 1:
            raise InputError(
                f"gait.head_start and ramp: expected shares of the steps, at most 1 together, found "
                f"{self.head_start:g} and {self.ramp:g}"
            )
        if not any(getattr(self, name) for name in LOSSES):
            raise InputError("gait: expected a weight above 0 among those of the losses, found none")

    def leak_share(self, step: int) -> float:
        """Share of the adversaries' full weights at a step, from 0."""
        return risen(step, self.steps, self.head_start, self.ramp)

    def adversaries_learn(self, step: int) -> bool:
        """Whether adversaries learn at a step, from 0."""
        return is_past(step, self.steps, 2 / 3 * self.head_start)
