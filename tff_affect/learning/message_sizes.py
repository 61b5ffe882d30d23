"""How many bytes a client gets and sends in a round: of bare numbers, without compression, encryption or headers.

Down go the weights, float32. Up goes what `tff_affect.learning.algorithms` has a client send: sums are float64, so that
it does not matter who adds up whom. The key that names a client's data order, and a clipping norm, are left out: they
are shorter than any header.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tff_affect.errors import InputError

_FLOAT32, _FLOAT64, _INT64, _INT32 = 4, 8, 8, 4
_STATISTICS = 6
_MECHANISMS = ("fixed", "adaptive", "tree", "local", "distributed")


@dataclass(frozen=True)
class MessageSizes:
    """Bytes for one client.

    Attributes:
        down: From the server.
        up: To the server.
    """

    down: int
    up: int


def training_messages(parameters: int, level: str = "", mechanism: str = "fixed") -> MessageSizes:
    """Of one training round.

    Args:
        parameters: Trainable weights of the network.
        level: What is protected: nothing (empty), ``user`` or ``window``.
        mechanism: Of `tff_affect.privacy_config.PrivacyConfig`, where subjects are protected.

    Raises:
        InputError: For a level or mechanism that does not exist.
    """
    down, update = _FLOAT32 * parameters, _FLOAT64 * parameters
    if level == "":
        # Weight and loss, and the counts of windows and clients.
        return MessageSizes(down, update + 2 * _FLOAT64 + 2 * _INT64)
    if level == "window":
        return MessageSizes(down, update + _FLOAT64)
    if level != "user" or mechanism not in _MECHANISMS:
        raise InputError(f"privacy: expected a known level and mechanism, found {level!r} and {mechanism!r}")
    if mechanism == "distributed":
        # Whole numbers on a grid, of a rotation that takes an even number of coordinates.
        return MessageSizes(down, _INT32 * 2 * math.ceil(parameters / 2))
    return MessageSizes(down, update + (_FLOAT64 if mechanism == "adaptive" else 0))


def scoring_messages(parameters: int, dimensions: int) -> MessageSizes:
    """Of scoring one client: it sends the statistics of each label dimension, from which all measures follow."""
    return MessageSizes(_FLOAT32 * parameters, _FLOAT64 * _STATISTICS * dimensions)
