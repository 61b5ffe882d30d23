"""What an observer sees of a client's update: as it is, clipped, with noise of its own, or only the mean of a round."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tff_affect.errors import InputError


@dataclass(frozen=True)
class Protection:
    """What is done to updates before they are seen: (sum of clipped updates + noise) / clients.

    Attributes:
        clipping_norm: L2 norm C that a client's whole update is clipped to; ``inf`` does not clip.
        noise_multiplier: z: the sum's noise has the standard deviation z C in every number.
        clients: How many are summed. One is noise that a client adds by itself; more is a round's mean.
    """

    clipping_norm: float = math.inf
    noise_multiplier: float = 0.0
    clients: int = 1

    def __post_init__(self) -> None:
        if not self.clipping_norm > 0 or not 0 <= self.noise_multiplier < math.inf or self.clients < 1:
            raise InputError(
                "protection: expected a clipping norm above 0, a noise multiplier of at least 0 and a client at least, "
                f"found {self.clipping_norm:g}, {self.noise_multiplier:g} and {self.clients}; change them"
            )
        if self.noise_multiplier and math.isinf(self.clipping_norm):
            raise InputError("protection: expected a finite clipping norm beside noise, found inf; name a norm")

    @property
    def deviation(self) -> float:
        """Standard deviation of the noise in what is seen."""
        return self.noise_multiplier * self.clipping_norm / self.clients if self.noise_multiplier else 0.0


def observe(
    updates: Sequence[np.ndarray], protection: Protection, seed: int, others: Sequence[np.ndarray] | None = None
) -> list[np.ndarray]:
    """What is seen of each victim's update.

    Args:
        updates: Of several victims, each ``[victims, *shape of the weight]``.
        protection: What is done to them.
        seed: Of the noise; that of each victim is independent of the others'.
        others: Updates of the other clients of the round, ``[others, *shape of the weight]`` each; the first
            ``protection.clients - 1`` are summed with each victim's.

    Returns:
        As ``updates``, in float64.

    Raises:
        InputError: If there are too few others.
    """
    there = 0 if others is None else len(others[0])
    if there < protection.clients - 1:
        raise InputError(
            f"protection: expected updates of {protection.clients - 1} other clients, found {there}; give more others"
        )
    total = _clipped(updates, protection.clipping_norm)
    if others is not None and protection.clients > 1:
        rest = _clipped([o[: protection.clients - 1] for o in others], protection.clipping_norm)
        total = [t + r.sum(axis=0) for t, r in zip(total, rest, strict=True)]
    return [t / protection.clients + noise for t, noise in zip(total, _noise(total, protection, seed), strict=True)]


def _clipped(updates: Sequence[np.ndarray], norm: float) -> list[np.ndarray]:
    import tensorflow as tf

    from tff_affect.privacy.clipping import clip_record

    if math.isinf(norm):
        return [np.asarray(u, np.float64) for u in updates]
    records = [clip_record([tf.constant(part) for part in record], norm)[0] for record in zip(*updates, strict=True)]
    return [np.stack([part.numpy() for part in parts]) for parts in zip(*records, strict=True)]


def _noise(like: Sequence[np.ndarray], protection: Protection, seed: int) -> list[np.ndarray]:
    """Of each victim from a stream of its own, so that it does not depend on who else is attacked."""
    streams = [np.random.default_rng([seed, victim]) for victim in range(len(like[0]))]
    drawn = [[protection.deviation * stream.normal(size=part.shape[1:]) for part in like] for stream in streams]
    return [np.stack(parts) for parts in zip(*drawn, strict=True)]
