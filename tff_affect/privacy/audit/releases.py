"""A run's own mechanisms, built by the code that the run built them by, one round or step at a time.

Each is a `tff_affect.privacy.audit.canaries.Release`, and counts in clipping norms. Where the mechanism can, its noise
follows from the seed of the audit, so that an audit can be repeated: it is the path of reproducible noise that is
measured then, which differs from the other one in where the seed comes from alone. The clients of ``local`` and
``distributed`` draw anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_affect.privacy.audit.canaries import Design, Movement, Release, Update, group_size, measure, movement
from tff_affect.privacy.audit.epsilon_bound import LARGEST_MU, mean_shift_bound
from tff_affect.privacy.distributed import build_distributed_mean
from tff_affect.privacy.dpsgd import poisson_batch, private_gradient, sampling_rate
from tff_affect.privacy.mechanisms import build_aggregation
from tff_affect.privacy.noise import seed_of
from tff_affect.privacy_config import PrivacyConfig

SEEDED = ("fixed", "adaptive", "tree")
_LOCAL_GROUP = 32
_COUNT_PART = 0.2  # of what the level leaves
Shapes = Sequence[tuple[int, ...]]


def user_release(
    privacy: PrivacyConfig, shapes: Shapes, expected_clients: int, seed: int, rounds_per_pass: int = 1
) -> Release:
    """The mechanism that protects subjects; TensorFlow Federated's runtime has to be there.

    Of ``tree`` each round is a tree of its own: what is measured is the noise of a node.

    Args:
        privacy: As the run was configured.
        shapes: Of the update's tensors.
        expected_clients: As of the run.
        seed: Of the noise, where that can be repeated.
        rounds_per_pass: As of the run.
    """
    update = tff.to_type([(np.float32, shape) for shape in shapes])
    if privacy.mechanism == "distributed":
        return _DistributedRelease(privacy, shapes, expected_clients)
    seeded, alone = privacy.mechanism in SEEDED, privacy.mechanism == "tree"
    audited = replace(privacy, reproducible_noise=seeded, restart_every=1 if alone else privacy.restart_every)
    process = build_aggregation(audited, expected_clients, seed if seeded else None, rounds_per_pass).create(update)
    if privacy.mechanism == "adaptive":
        return AdaptiveRelease(audited, process, expected_clients)
    return _UserRelease(audited, process, expected_clients)


class _UserRelease:
    def __init__(self, privacy: PrivacyConfig, process: tff.templates.AggregationProcess, expected: int) -> None:
        self._privacy, self._process, self._expected = privacy, process, expected
        self._state = process.initialize()

    def __call__(self, updates: Sequence[Update]) -> Update:
        output = self._process.next(self._state, _scaled(updates, self._privacy.clipping_norm))
        self._state = self._next_state(output)
        factor = self._expected / self._privacy.clipping_norm
        return [factor * np.asarray(part, np.float64) for part in output.result]

    def _next_state(self, output: Any) -> Any:
        return output.state


class AdaptiveRelease(_UserRelease):
    """Adaptive clipping, put back to its first norm after each round.

    Attributes:
        counts: Of each round so far, the noised count of updates within the norm less half of the clients expected:
            it follows from the next norm, which is released. A client moves it by half.
    """

    def __init__(self, privacy: PrivacyConfig, process: tff.templates.AggregationProcess, expected: int) -> None:
        super().__init__(privacy, process, expected)
        self.counts: list[float] = []

    def _next_state(self, output: Any) -> Any:
        privacy, query = self._privacy, output.state.query_state
        steps = np.log(float(query.numerator_state.clipping_norm) / privacy.clipping_norm) / privacy.clip_learning_rate
        self.counts.append(self._expected * (privacy.target_quantile - 0.5 - steps))
        first = query.numerator_state._replace(clipping_norm=privacy.clipping_norm)
        return output.state._replace(query_state=query._replace(numerator_state=first))


class _DistributedRelease:
    """Clients of zeros fill a round up, since each adds a share of the noise."""

    def __init__(self, privacy: PrivacyConfig, shapes: Shapes, expected: int) -> None:
        update = tff.to_type([(np.float32, shape) for shape in shapes])
        self._mean = build_distributed_mean(privacy, expected, update)
        self._state, self._norm, self._expected = self._mean.initialize(), privacy.clipping_norm, expected
        self._nothing = [np.zeros(shape, np.float32) for shape in shapes]

    def __call__(self, updates: Sequence[Update]) -> Update:
        others = [self._nothing] * max(0, self._mean.shares - len(updates))
        self._state, mean = self._mean.next(self._state, [*_scaled(updates, self._norm), *others])
        return [self._expected / self._norm * np.asarray(part, np.float64) for part in mean]


def _scaled(updates: Sequence[Update], factor: float) -> list[Update]:
    """Updates times a factor; one that is there several times is computed once."""
    known: dict[int, Update] = {}
    for update in updates:
        if id(update) not in known:
            known[id(update)] = [np.float32(factor) * part for part in update]
    return [known[id(update)] for update in updates]


def window_release(privacy: PrivacyConfig, shapes: Shapes, expected_batch: float, seed: int) -> Release:
    """A step of DP-SGD; the updates are gradients of windows that are all in the batch.

    Args:
        privacy: As the run was configured.
        shapes: Of the gradient's tensors.
        expected_batch: Windows that the step expected.
        seed: Of the noise.
    """

    signature = [[tf.TensorSpec([None, *shape], tf.float32) for shape in shapes], tf.TensorSpec([], tf.int64)]
    # Stands in where no window joined, as in training.
    nothing = [np.zeros(shape, np.float32) for shape in shapes]

    @tf.function(input_signature=signature, autograph=False)
    def step(gradients: list[tf.Tensor], number: tf.Tensor) -> list[tf.Tensor]:
        present = tf.ones(tf.shape(gradients[0])[:1], tf.bool)
        multiplier, noise = privacy.noise_multiplier or 0.0, seed_of(seed, number)
        return private_gradient(gradients, present, privacy.clipping_norm, multiplier, expected_batch, noise)

    steps = 0

    def release(updates: Sequence[Update]) -> Update:
        nonlocal steps
        steps += 1
        scaled = _scaled(updates or [nothing], privacy.clipping_norm)
        gradients = [tf.constant(np.stack(parts)) for parts in zip(*scaled, strict=True)]
        found = step(gradients, tf.constant(steps, tf.int64))
        return [expected_batch / privacy.clipping_norm * np.asarray(part, np.float64) for part in found]

    return release


def client_hits(cohort: Callable[[int], Sequence[str]], client: str, draws: int) -> int:
    """How often a client is in the cohort of a round, over as many rounds."""
    return sum(client in cohort(number) for number in range(1, draws + 1))


def window_hits(windows: int, batch_size: int, draws: int, seed: int) -> int:
    """How often the last of a client's windows is in a batch, over as many draws."""

    @tf.function(autograph=False)
    def hits() -> tf.Tensor:
        count = tf.constant(windows)

        def one(number: tf.Tensor) -> tf.Tensor:
            batch = poisson_batch(count, sampling_rate(count, batch_size), seed_of(seed, number))
            return tf.reduce_any((batch.index == windows - 1) & batch.present)

        joined = tf.map_fn(one, tf.range(draws, dtype=tf.int64), fn_output_signature=tf.bool)
        return tf.reduce_sum(tf.cast(joined, tf.int32))

    return int(hits())


def user_movement(
    privacy: PrivacyConfig, shapes: Shapes, expected_clients: int, rounds_per_pass: int, seed: int, level: float
) -> Movement:
    """How far one client moves what the run's mechanism releases in a round.

    With ``adaptive`` the count of updates within the norm is released too: a canary is above the norm and takes half
    from it, and rounds with canaries are compared with empty ones. The squares of the two bounds add up.
    """
    own_noise, design = privacy.mechanism == "local", Design.of(shapes, seed)
    group = _LOCAL_GROUP if own_noise else group_size(privacy.noise_multiplier or 0.0)
    if privacy.mechanism == "distributed":
        group = min(group, expected_clients)
    release = user_release(privacy, shapes, expected_clients, seed, rounds_per_pass)
    components = measure(release, design, group)
    if not isinstance(release, AdaptiveRelease):
        return movement(design, components, group, level, own_noise)
    shift = _count_shift(release, design.rounds, group, 1 - _COUNT_PART * (1 - level))
    found = movement(design, components, group, 1 - (1 - _COUNT_PART) * (1 - level))
    name = "the count of clipped updates" if shift > found.mu else found.direction
    return found._replace(mu=min(LARGEST_MU, math.hypot(found.mu, shift)), direction=name)


def _count_shift(release: AdaptiveRelease, rounds: int, group: int, level: float) -> float:
    """Of the count, from the rounds so far, all of which had the group, and from as many without anybody."""
    for _ in range(rounds):
        release([])
    counts = np.array(release.counts)
    return mean_shift_bound(counts[rounds:], counts[:rounds], level) / group


def window_movement(privacy: PrivacyConfig, shapes: Shapes, expected_batch: float, seed: int, level: float) -> Movement:
    """How far one window moves what a step of DP-SGD releases."""
    design, group = Design.of(shapes, seed), group_size(privacy.noise_multiplier or 0.0)
    release = window_release(privacy, shapes, expected_batch, seed)
    return movement(design, measure(release, design, group), group, level)
