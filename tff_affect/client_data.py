"""From a cohort to TensorFlow Federated clients.

`stage_cohort` writes each subject's scaled sequence, delayed labels beside it, as raw float32 into a private folder. A
client's dataset is then a graph that reads its own file and cuts it into windows, so that only client ids enter a
federated process and the data are produced where the client is. NaN marks what is missing, and pads the last window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

import tff_affect.tff_context  # noqa: F401
from tff_affect.cohort import Cohort, CohortManifest
from tff_affect.config import DataConfig
from tff_affect.errors import InputError
from tff_affect.scaling import Scaling

ABSENT = ""
"""Stands for a client that takes no part: it contributes nothing."""
_KEY_SEPARATOR = "#"
_TOO_FEW = "shorten data.window, lower data.minimum_valid or leave the subject out"


@dataclass(frozen=True)
class WindowShape:
    """What one window holds, and so what goes into a model and comes out.

    Attributes:
        window: Frames per window.
        features: Features per frame.
        labels: Label dimensions.
        target: ``frame`` (a target for every frame) or ``window`` (one, the mean of the window's valid frames).
    """

    window: int
    features: int
    labels: int
    target: str = "frame"

    @property
    def targets(self) -> int:
        """Targets along time: the window's frames, or one."""
        return 1 if self.target == "window" else self.window


class TrainingBatches(NamedTuple):
    """What a client trains on in a round.

    Attributes:
        windows: Features ``[windows, time, feature]`` and labels ``[windows, targets, dimension]``.
        order: The windows' order in each epoch, ``[epochs, windows]``.
        seed: The round's seed for this client, int64.
    """

    windows: tuple[tf.Tensor, tf.Tensor]
    order: tf.Tensor
    seed: tf.Tensor


@dataclass(frozen=True)
class StagedCohort:
    """Sequences ready for clients.

    Attributes:
        folder: Private folder with one ``<client>.f32`` per client, ``[frames, features + labels]``.
        clients: Client ids: the cohort's subject identifiers.
        features: Number of features.
        labels: Names of the label dimensions.
        delay: Frames by which the staged labels were moved towards the features.
        data: Window settings.
        scaling: The one that all features were scaled by; None where each subject's own is, or none.
    """

    folder: Path
    clients: tuple[str, ...]
    features: int
    labels: tuple[str, ...]
    delay: int
    data: DataConfig
    scaling: Scaling | None = field(default=None, compare=False)

    @property
    def shape(self) -> WindowShape:
        """Shape of one window."""
        return WindowShape(self.data.window, self.features, len(self.labels), self.data.target)

    @property
    def window_spec(self) -> tuple[tf.TensorSpec, tf.TensorSpec]:
        """Type of one batch of windows: ``[batch, time, feature]`` and ``[batch, targets, dimension]``."""
        shape = self.shape
        return (
            tf.TensorSpec([None, shape.window, shape.features], tf.float32),
            tf.TensorSpec([None, shape.targets, shape.labels], tf.float32),
        )

    def sequence(self, client: tf.Tensor | str) -> tf.Tensor:
        """A client's whole sequence, ``[frames, features + labels]``, of no frame for `ABSENT`; usable in a graph."""
        columns = self.features + len(self.labels)
        found = tf.cond(tf.equal(client, ABSENT), lambda: tf.zeros([0, columns]), lambda: self.stored(client))
        return tf.ensure_shape(found, [None, columns])

    def stored(self, client: tf.Tensor | str) -> tf.Tensor:
        """`sequence` of a client that is there, as it is read."""
        values = tf.io.decode_raw(tf.io.read_file(self.file_of(client)), tf.float32)
        return tf.reshape(values, [-1, self.features + len(self.labels)])

    def file_of(self, client: tf.Tensor | str) -> tf.Tensor:
        """Where a client's sequence is stored."""
        return tf.strings.join([str(self.folder), "/", client, ".f32"])

    def gold(self, client: str) -> np.ndarray:
        """A client's gold standard as it is scored: delayed, NaN where masked.

        Returns:
            ``[frames, dimension]``, or ``[windows, dimension]`` where a window has one target.
        """
        return self.gold_in_graph(client).numpy()

    def gold_in_graph(self, client: tf.Tensor | str) -> tf.Tensor:
        """`gold`, usable in a graph."""
        if self.data.target == "window":
            return self.windows(client)[1][:, 0]
        return self.sequence(client)[:, self.features :]

    def windows(self, client: tf.Tensor | str) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """A client's windows.

        Returns:
            Features ``[windows, time, feature]``, labels ``[windows, targets, dimension]``, first frames ``[windows]``.
        """
        sequence, starts = self._padded(client)
        return *self._cut(sequence, starts), starts

    def training_windows(self, client: tf.Tensor | str) -> tuple[tf.Tensor, tf.Tensor]:
        """The windows with enough valid frames to learn from; features and labels as of `windows`."""
        sequence, starts = self._padded(client)
        valid = tf.cast(tf.reduce_all(tf.math.is_finite(sequence), axis=-1), tf.float32)
        count = tf.reduce_sum(tf.gather(valid, self._frames_of(starts)), axis=-1)
        return self._cut(sequence, tf.boolean_mask(starts, self._enough(count)))

    def count_windows(self, clients: Sequence[str]) -> dict[str, int]:
        """How many windows each client has to learn from."""
        return {client: len(self.training_windows(client)[0]) for client in clients}

    def _padded(self, client: tf.Tensor | str) -> tuple[tf.Tensor, tf.Tensor]:
        """A client's sequence, to the end of its last window, and the windows' first frames."""
        sequence = self.sequence(client)
        window, hop = self.data.window, self.data.hop
        frames = tf.shape(sequence)[0]
        if self.data.target == "window":
            return sequence, tf.range(tf.maximum(0, 1 + (frames - window) // hop)) * hop
        count = 1 + tf.maximum(0, -((window - frames) // hop))
        padding = tf.maximum(0, (count - 1) * hop + window - frames)
        return tf.pad(sequence, [[0, padding], [0, 0]], constant_values=float("nan")), tf.range(count) * hop

    def _frames_of(self, starts: tf.Tensor) -> tf.Tensor:
        return starts[:, tf.newaxis] + tf.range(self.data.window)[tf.newaxis, :]

    def _cut(self, sequence: tf.Tensor, starts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        cut = tf.gather(sequence, self._frames_of(starts))
        cut = tf.ensure_shape(cut, [None, self.data.window, self.features + len(self.labels)])
        features, labels = cut[:, :, : self.features], cut[:, :, self.features :]
        return features, self._window_means(labels) if self.data.target == "window" else labels

    def _enough(self, count: tf.Tensor) -> tf.Tensor:
        """Whether a window with so many valid frames, float32, is one to learn from."""
        return count >= float(self.data.least_valid)

    def _window_means(self, labels: tf.Tensor) -> tf.Tensor:
        """``[windows, 1, dimension]``: means over valid frames; NaN with fewer than ``minimum_valid`` of them."""
        there = tf.math.is_finite(labels)
        count = tf.reduce_sum(tf.cast(there, tf.float32), axis=1, keepdims=True)
        mean = tf.reduce_sum(tf.where(there, labels, tf.zeros_like(labels)), axis=1, keepdims=True) / count
        return tf.where(self._enough(count), mean, tf.fill(tf.shape(mean), float("nan")))

    def to_frames(self, predictions: tf.Tensor, starts: tf.Tensor, frames: tf.Tensor | int) -> tf.Tensor:
        """Predictions of windows ``[windows, targets, dimension]`` in the order of `gold`; overlaps are averaged."""
        if self.data.target == "window":
            return predictions[:, 0]
        return average_windows(predictions, starts, frames)

    def client_data(self) -> tff.simulation.datasets.ClientData:
        """The cohort as TFF ``ClientData``: per client a dataset of single, unshuffled training windows."""

        def dataset(client: tf.Tensor) -> tf.data.Dataset:
            return tf.data.Dataset.from_tensor_slices(self.training_windows(client))

        return tff.simulation.datasets.ClientData.from_clients_and_tf_fn(list(self.clients), dataset)

    def training_batches(self, key: tf.Tensor, epochs: int, shuffle: bool) -> TrainingBatches:
        """What a client trains on in a round, from a `training_key`; usable in a graph."""
        client, number = parts_of_key(key)
        return training_batches(self.training_windows(client), epochs, shuffle, tf.strings.to_number(number, tf.int64))


def training_batches(
    windows: tuple[tf.Tensor, tf.Tensor], epochs: int, shuffle: bool, seed: tf.Tensor
) -> TrainingBatches:
    """Windows, features and labels, in the order in which they are trained on; usable in a graph."""
    count = tf.shape(windows[0])[0]
    order = shuffled_order(count, epochs, seed) if shuffle else tf.tile(tf.range(count)[tf.newaxis], [epochs, 1])
    return TrainingBatches(windows, order, seed)


def shuffled_order(count: tf.Tensor | int, epochs: int, seed: tf.Tensor) -> tf.Tensor:
    """Window order of each epoch, ``[epochs, count]``; a pure function of its arguments."""

    def epoch_order(epoch: tf.Tensor) -> tf.Tensor:
        return tf.random.experimental.stateless_shuffle(
            tf.range(count), seed=tf.stack([seed, tf.cast(epoch, tf.int64)])
        )

    return tf.stack([epoch_order(tf.constant(epoch)) for epoch in range(epochs)])


def average_windows(predictions: tf.Tensor, starts: tf.Tensor, frames: tf.Tensor | int) -> tf.Tensor:
    """Averages overlapping windows back to frames.

    Args:
        predictions: ``[windows, time, dimension]``.
        starts: First frame of each window, ``[windows]``.
        frames: Frames of the sequence; predictions for padding beyond it are dropped.

    Returns:
        ``[frames, dimension]``.
    """
    window, dimensions = predictions.shape[1], predictions.shape[2]
    frame = tf.reshape(starts[:, tf.newaxis] + tf.range(window)[tf.newaxis, :], [-1])
    flat = tf.reshape(predictions, [-1, dimensions])
    return tf.math.unsorted_segment_mean(flat, frame, tf.reduce_max(frame) + 1)[:frames]


def training_key(client: str, seed: int) -> str:
    """What enters a training round for a client: its id, or `ABSENT`, and the seed of its window order."""
    return f"{client}{_KEY_SEPARATOR}{seed}"


def parts_of_key(key: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Client and seed of a `training_key`, as strings; `ABSENT` alone is one, too. Usable in a graph."""
    whole = tf.where(tf.equal(key, ABSENT), training_key(ABSENT, 0), key)
    parts = tf.strings.split([whole], _KEY_SEPARATOR).to_tensor()[0]
    return parts[0], parts[1]


def check_windows(staged: StagedCohort, clients: Sequence[str]) -> None:
    """Raises `InputError` for a training client without a single usable window."""
    for client, count in staged.count_windows(clients).items():
        if not count:
            raise InputError(
                f"no window of {staged.data.window} frames has {staged.data.minimum_valid:.0%} valid frames; "
                f"{_TOO_FEW}",
                subject=client,
            )


def stage_cohort(cohort: Cohort, folder: Path, data: DataConfig, scaling: Scaling | None = None) -> StagedCohort:
    """Writes every subject's sequence into ``folder`` for clients to read.

    Args:
        cohort: The cohort.
        folder: An existing private folder.
        data: Scaling, delay and window settings.
        scaling: One for everybody; by default each subject's own where ``data.scaling`` is ``subject``, else none.

    Raises:
        InputError: If the delay leaves a subject without labels or, where a window has one target, if none of a
            subject's windows has one.
    """
    delay = delay_in_frames(cohort.manifest, data)
    for subject in cohort.subjects:
        table = cohort.load(subject)
        seen = table.trusted[:, np.newaxis]
        features = np.where(seen, table.features, np.nan)
        labelled = np.isfinite(table.labels).all(axis=1)[:, np.newaxis]
        labels = np.where(seen, _delayed(np.where(labelled, table.labels, np.nan), delay), np.nan)
        check_length(subject, table.frames, data, delay)
        if not np.isfinite(labels).any():
            raise _no_label(subject, data)
        if scaling is not None:
            features = scaling.apply(features)
        elif data.scaling == "subject":
            features = Scaling.of_subject(features).apply(features)
        np.concatenate([features, labels], axis=1).astype("<f4").tofile(folder / f"{subject}.f32")
    manifest = cohort.manifest
    staged = StagedCohort(folder, cohort.subjects, len(manifest.features), manifest.labels, delay, data, scaling)
    if data.target == "window":
        _check_targets(staged)
    return staged


def delay_in_frames(manifest: CohortManifest, data: DataConfig) -> int:
    """Frames by which labels are moved towards the features."""
    return round(data.target_delay * manifest.frame_rate)


def check_length(subject: str, frames: int, data: DataConfig, delay: int) -> None:
    """Raises `InputError` for a subject with too few frames for a window that has one target, or for the delay."""
    if data.target == "window" and frames < data.window:
        reason = f"expected at least one window of {data.window} frames, found {frames}; shorten data.window"
        raise InputError(reason, subject=subject)
    if frames <= delay:
        raise _no_label(subject, data)


def _no_label(subject: str, data: DataConfig) -> InputError:
    return InputError(f"a target delay of {data.target_delay:g} leaves no label", subject=subject)


def _check_targets(staged: StagedCohort) -> None:
    """Raises `InputError` for a client that could not be scored: none of its windows has a target."""
    for client in staged.clients:
        if not np.isfinite(staged.gold(client)).any():
            raise InputError(
                f"no whole window of {staged.data.window} frames has {staged.data.minimum_valid:.0%} labelled frames; "
                f"{_TOO_FEW}",
                subject=client,
            )


def _delayed(labels: np.ndarray, frames: int) -> np.ndarray:
    """``[frames, dimension]`` moved ``frames`` earlier; NaN where nothing is left."""
    kept = max(0, len(labels) - frames)
    moved = np.full_like(labels, np.nan)
    moved[:kept] = labels[frames : frames + kept]
    return moved
