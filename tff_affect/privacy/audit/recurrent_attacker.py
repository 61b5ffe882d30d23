"""A recurrent network that names the person behind a series: order and pace, which statistics of a window do not hold.

It stops at the epoch that names each person's later enrolment samples best, and is then trained on all of them for as
many epochs.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tff_affect.models.classifying import batches_of, cross_entropy, training_step
from tff_affect.models.layers import FastGRU
from tff_affect.models.masking import MissingFrames
from tff_affect.privacy.audit.attackers import Scores, top_share
from tff_affect.privacy.audit.samples import Owned, Samples

MOST_STEPS = 50
"""Longer series are averaged over stretches: each step costs time, and a face at 25 frames a second has no news in
each."""
UNITS = 32
_MOST_CHANNELS = 64
_EPOCHS, _PATIENCE = 40, 6
_LEARNING_RATE = 1e-2


@dataclass(frozen=True)
class _Scale:
    """Standardises channels by the series learned from; the widest ones only where there are very many."""

    mean: np.ndarray
    deviation: np.ndarray
    channels: np.ndarray

    @classmethod
    def of(cls, sequences: np.ndarray) -> _Scale:
        frames = sequences.reshape(-1, sequences.shape[-1]).astype(np.float64)
        frames = frames[np.isfinite(frames).all(axis=1)]
        deviation = frames.std(axis=0)
        channels = np.sort(np.argsort(-deviation, kind="stable")[:_MOST_CHANNELS])
        return cls(frames.mean(axis=0), np.where(deviation > 1e-8, deviation, 1.0), channels)

    def __call__(self, sequences: np.ndarray) -> np.ndarray:
        scaled = (sequences - self.mean) / self.deviation
        return _stretched(scaled[..., self.channels]).astype(np.float32)


def _stretched(sequences: np.ndarray) -> np.ndarray:
    """``[samples, at most MOST_STEPS, channel]``: means over stretches; NaN where a stretch has no complete frame."""
    length = -(-sequences.shape[1] // MOST_STEPS)
    padding = -sequences.shape[1] % length
    padded = np.pad(sequences, ((0, 0), (0, padding), (0, 0)), constant_values=np.nan)
    padded = np.where(np.isfinite(padded).all(axis=-1, keepdims=True), padded, np.nan)
    stretches = padded.reshape(len(padded), -1, length, padded.shape[-1])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return np.asarray(np.nanmean(stretches, axis=2))


def fit_recurrent(known: Owned, seed: int) -> Scores:
    """Trains a GRU (Cho et al. 2014) with Adam; the same seed gives the same scores.

    Args:
        known: Samples with sequences.
        seed: Of weights and of the order of samples.
    """
    early, late = known.early_and_late()
    epochs = _best_epoch(early, late, seed)
    return _Trained(known, seed).after(epochs)


def _best_epoch(early: Owned, late: Owned, seed: int) -> int:
    network, best, epoch = _Trained(early, seed), -1.0, 0
    for number in range(1, _EPOCHS + 1):
        share = float(top_share(network.after(1)(late.samples), late).mean())
        if share > best:
            best, epoch = share, number
        if number - epoch >= _PATIENCE or best == 1.0:
            break
    return epoch


class _Trained:
    """A network and the samples that it learns from."""

    def __init__(self, known: Owned, seed: int) -> None:
        sequences = known.samples.sequences
        if sequences is None:
            raise ValueError("a recurrent attacker learns from sequences")
        self._scale = _Scale.of(sequences)
        self._x, self._owner = self._scale(sequences), known.owner
        self._rng = np.random.default_rng(seed)
        self._network = _network(self._x.shape[1:], known.people, seed)
        self._step = training_step(self._network, cross_entropy(), _LEARNING_RATE)

    def after(self, epochs: int) -> Scores:
        """The scores of the network once it has been trained for further epochs."""
        for _ in range(epochs):
            for rows in batches_of(len(self._x), self._rng):
                self._step(tf.constant(self._x[rows]), tf.constant(self._owner[rows]))
        return self._scores

    def _scores(self, samples: Samples) -> np.ndarray:
        sequences = self._scale(np.asarray(samples.sequences))
        return np.asarray(self._network(sequences, training=False)).astype(np.float64)


def _network(shape: tuple[int, ...], people: int, seed: int) -> tf.keras.Model:
    """``[batch, time, channel]`` to ``[batch, people]`` logits."""
    frames = tf.keras.Input(shape)
    initial = [tf.keras.initializers.GlorotUniform(seed=seed + number) for number in range(3)]
    hidden = FastGRU(UNITS, return_sequences=True, kernel_initializer=initial[0], recurrent_initializer=initial[1])(
        MissingFrames()(frames)
    )
    # The mean over frames that are there: who it is does not stand in the last one.
    pooled = tf.keras.layers.GlobalAveragePooling1D()(hidden)
    return tf.keras.Model(frames, tf.keras.layers.Dense(people, kernel_initializer=initial[2])(pooled))
