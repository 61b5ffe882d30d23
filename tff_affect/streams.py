"""Streams of random numbers, each for one purpose, so that no two purposes draw the same numbers."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, purpose: str, *which: int) -> np.random.Generator:
    """Random numbers that nothing else shares, unless it has the same seed and purpose.

    Args:
        seed: At least 0.
        purpose: What they are for, in words.
        which: Of several of one purpose, such as a round and a client; at least 0 each.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(zlib.crc32(purpose.encode()), *which)))


def stream_of(seed: int, purpose: str, samples: np.ndarray) -> np.random.Generator:
    """Random numbers for just these samples together: the same come out the same, any others get other numbers."""
    return stream(seed, purpose, zlib.crc32(np.ascontiguousarray(samples).tobytes()))


def keras_seed(seed: int, purpose: str) -> int:
    """A seed for what takes no generator, such as TensorFlow."""
    return int(stream(seed, purpose).integers(2**31))
