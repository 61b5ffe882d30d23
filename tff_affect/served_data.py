"""Sequences that stay with workers: what the graphs that run there read, and what the driver asks of them.

A worker's store (`tff_affect.workers.store`) serves any study: its graphs scale the features and delay the labels as
they read, with the numbers that `tff_affect.client_data.stage_cohort` would write. Nothing of a sequence is read on the
driver's machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_affect.client_data import ABSENT, StagedCohort, check_length, delay_in_frames
from tff_affect.cohort_catalog import CATALOG
from tff_affect.config import DataConfig
from tff_affect.errors import InputError, RunError
from tff_affect.remote_cohort import RemoteCohort
from tff_affect.scaling import Scaling

# The working directory of the worker.
_STORE = Path(".")
_STAYS = "the sequences stay with the workers; leave out what pools, reads or scores them here"
_NOT_READ = -1
_MISSING = float("nan")


@dataclass(frozen=True, eq=False)
class ServedSequences(StagedCohort):
    """Sequences that are read from a worker's store, in graphs that run there.

    Attributes:
        scaling: One for everybody; by default each subject's own where ``data.scaling`` is ``subject``, else none.
    """

    scaling: Scaling | None = None

    def stored(self, client: tf.Tensor | str) -> tf.Tensor:
        """A client's sequence, ``[frames, features + labels]``.

        Raises:
            InputError: Outside a graph: what is read there is not at the worker.
        """
        if tf.executing_eagerly():
            raise InputError(f"expected data on this machine, found none: {_STAYS}")
        moments, values, seen = self._parts(checked_words(self.file_of(client), client, *self._sizes))
        features = tf.where(seen, self._scaled(values[:, : self.features], moments), _MISSING)
        labels = _delayed_in_graph(values[:, self.features : -1], self.delay)
        return tf.concat([features, tf.where(seen, labels, _MISSING)], axis=1)

    @property
    def _sizes(self) -> tuple[int, int]:
        """Words of the moments, and of a frame."""
        return 4 * self.features, self.features + len(self.labels) + 1

    def _parts(self, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Moments ``[2, features]``, values ``[frames, features + labels + 1]`` and trust ``[frames, 1]``."""
        size, columns = self._sizes
        moments = tf.bitcast(tf.reshape(words[1 : 1 + size], [2, self.features, 2]), tf.float64)
        values = tf.reshape(tf.bitcast(words[1 + size : -1], tf.float32), [-1, columns])
        return moments, values, values[:, -1:] > 0

    def _scaled(self, features: tf.Tensor, moments: tf.Tensor) -> tf.Tensor:
        """In float64, and rounded once, as NumPy does it."""
        if self.scaling is not None:
            given = tf.constant(np.stack([self.scaling.mean, self.scaling.deviation]), tf.float64)
            # Never false, which TensorFlow cannot know: where it sees a constant it multiplies by the inverse, which is
            # not the same number.
            moments = tf.where(tf.shape(features)[0] >= 0, given, moments)
        elif self.data.scaling != "subject":
            return features
        return tf.cast((tf.cast(features, tf.float64) - moments[0]) / moments[1], tf.float32)

    def count_windows(self, clients: Sequence[str]) -> dict[str, int]:
        """`count_windows` at the workers."""
        return count_windows(self, clients)

    def client_data(self) -> NoReturn:
        """Refuses: the datasets of ``ClientData`` are made in this process.

        Raises:
            InputError: Always.
        """
        raise InputError(f"expected data on this machine, found none: {_STAYS}")


def checked_words(file: tf.Tensor, client: tf.Tensor | str, moments: int, columns: int) -> tf.Tensor:
    """The words of a stored sequence, int32, found whole; for graphs.

    Args:
        file: As `tff_affect.workers.store` writes it.
        client: Names it in the error.
        moments: Words of the moments.
        columns: Words of a frame.

    Raises:
        tf.errors.InvalidArgumentError: When run: if the file was cut short or altered.
    """
    said = [tf.strings.join(["the stored sequence of client ", client, " is damaged; build the store again"])]
    content = tf.io.read_file(file)
    length = tf.strings.length(content)
    whole = tf.logical_and(tf.equal(length % 4, 0), length >= 4 * (moments + 2))
    with tf.control_dependencies([tf.debugging.Assert(whole, said)]):
        words = tf.io.decode_raw(content, tf.int32)
    expected = tf.cast(words[0], tf.int64) * columns + moments + 2
    sound = tf.logical_and(tf.equal(tf.size(words, tf.int64), expected), tf.equal(_check(words[:-1]), words[-1]))
    with tf.control_dependencies([tf.debugging.Assert(sound, said)]):
        return tf.identity(words)


def _check(words: tf.Tensor) -> tf.Tensor:
    """`tff_affect.workers.store.check_of`; unsigned numbers wrap around as it is defined, signed ones need not."""
    odd = tf.cast(tf.range(tf.size(words)), tf.uint32) * 2 + 1
    return tf.bitcast(tf.reduce_sum(tf.bitcast(words, tf.uint32) * odd), tf.int32)


def _delayed_in_graph(labels: tf.Tensor, frames: int) -> tf.Tensor:
    """Complete labels moved ``frames`` earlier, ``[frames, dimension]``; NaN where nothing is left."""
    complete = tf.reduce_all(tf.math.is_finite(labels), axis=1, keepdims=True)
    labels = tf.where(complete, labels, _MISSING)
    lost = tf.minimum(frames, tf.shape(labels)[0])
    return tf.pad(labels[frames:], [[0, lost], [0, 0]], constant_values=_MISSING)


def serve_cohort(cohort: RemoteCohort, data: DataConfig, scaling: Scaling | None = None) -> ServedSequences:
    """What `stage_cohort` is for a cohort of this machine; nothing is read.

    Args:
        cohort: The cohort.
        data: Scaling, delay and window settings.
        scaling: As of `ServedSequences`.

    Raises:
        InputError: If a subject is too short for the delay or, where a window has one target, for a window.
    """
    delay = delay_in_frames(cohort.manifest, data)
    for entry in cohort.manifest.subjects:
        check_length(entry.subject, entry.frames, data, delay)
    manifest = cohort.manifest
    return ServedSequences(_STORE, cohort.subjects, len(manifest.features), manifest.labels, delay, data, scaling)


def read_catalog() -> tff.Computation:
    """What a worker tells of its store, ``( -> str)``: a catalogue (`tff_affect.cohort_catalog`)."""

    @tff.tensorflow.computation
    def read() -> tf.Tensor:
        return tf.io.read_file(f"./{CATALOG}")

    return read


def count_windows(staged: StagedCohort, clients: Sequence[str]) -> dict[str, int]:
    """How many windows each client has to learn from, counted where its sequence is.

    Type: ``({str}@CLIENTS -> {int64}@CLIENTS)``.

    Raises:
        RunError: If the sequence of a client could not be read.
    """

    @tff.tensorflow.computation(np.str_)
    @tf.function(autograph=False)
    def count(client: tf.Tensor) -> tf.Tensor:
        windows = tf.shape(staged.training_windows(client)[0], tf.int64)[0]
        return tf.where(tf.equal(client, ABSENT), tf.constant(_NOT_READ, tf.int64), windows)

    @tff.federated_computation(tff.FederatedType(np.str_, tff.CLIENTS))
    def counts(ids: tff.Value) -> tff.Value:
        return tff.federated_map(count, ids)

    found = dict(zip(clients, map(int, counts(list(clients))), strict=True)) if clients else {}
    require_read([client for client, windows in found.items() if windows == _NOT_READ])
    return found


def require_read(lost: Sequence[str]) -> None:
    """Raises `RunError` that names clients whose sequences were read nowhere, if there are any."""
    if lost:
        raise RunError(
            f"no worker could read {', '.join(lost)}; look at the workers' logs, mend what they name and resume"
        )
