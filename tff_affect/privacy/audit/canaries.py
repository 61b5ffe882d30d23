"""Canaries: clients that send more than a mechanism allows, in directions that are known, and what comes of it.

A round has a group of canaries and nobody else. All send the same update, far above the clipping norm, along a unit
vector that changes from round to round: in one tensor, or spread over all of them (`Design`). The mechanism is linear
in the clipped updates, so that what is released along the vector is the group's size times what one client moves, and
noise. Its regression on the design gives a statistic of Student's t, whose noncentrality is bounded exactly.

By group privacy a group of K moves a Gaussian mechanism at most K times as far as one client. So a bound for the group,
divided by K, is one for a single client; where each client adds a noise of its own, K of them are K releases of which
each has its own mu, and the divisor is the root of K.

Directions have as many positive as negative elements: noise that is the same number all over a tensor does not show in
them, and counts as none. Noise that depends on the tensors' elements in other ways may pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tff_affect.privacy.audit.epsilon_bound import LARGEST_MU, noncentrality_bound, ratio

HOSTILE = 1e3
"""Norm of what a canary sends, in clipping norms."""
PROBES = 16
"""Directions at most in each tensor."""
LEAST_ROUNDS, ROUNDS_OF_A_KIND = 60, 6
LARGEST_GROUP = 128
_GROUP = 6
"""Canaries of a round, in noise multipliers: the mean is then known better than the noise."""
_TOGETHER = "all tensors"
_SPREAD = "an update over all tensors"

Update = list[np.ndarray]
Release = Callable[[Sequence[Update]], Update]
"""From the updates of a round's clients, in clipping norms, to the noised sum, in clipping norms."""


def group_size(noise_multiplier: float) -> int:
    """Canaries of a round."""
    return min(LARGEST_GROUP, max(2, math.ceil(_GROUP * noise_multiplier)))


def probe_directions(elements: int, generator: np.random.Generator, most: int = PROBES) -> np.ndarray:
    """Orthonormal directions in a tensor, each over elements of its own and of sum zero: ``[probes, elements]``.

    A single element is a direction by itself.
    """
    count = min(most, max(1, elements // 2))
    directions = np.zeros((count, elements))
    for row, places in zip(directions, np.array_split(generator.permutation(elements), count), strict=True):
        even = places[: max(1, len(places) // 2 * 2)]
        row[even] = np.where(np.arange(len(even)) % 2, -1.0, 1.0) / math.sqrt(len(even))
    return directions


@dataclass(frozen=True)
class Design:
    """What the canaries send in each round.

    Attributes:
        shapes: Of the update's tensors.
        directions: Of each tensor, ``[probes, elements]``.
        kinds: ``[rounds]``: the tensor that an update lies in; the number of tensors where it is spread over all.
        pushes: Of each tensor, ``[rounds, probes]``: the update's components, whose squares sum to 1 in a round.
    """

    shapes: tuple[tuple[int, ...], ...]
    directions: tuple[np.ndarray, ...]
    kinds: np.ndarray
    pushes: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, shapes: Sequence[tuple[int, ...]], seed: int, rounds: int = 0) -> Design:
        """A design for updates of some shapes; as many rounds as are enough, unless said."""
        generator = np.random.default_rng([seed, 1])
        tensors = len(shapes)
        kinds_there_are = tensors + 1 if tensors > 1 else 1
        rounds = rounds or max(LEAST_ROUNDS, ROUNDS_OF_A_KIND * kinds_there_are)
        kinds = np.arange(rounds) % kinds_there_are + (tensors + 1 - kinds_there_are)
        directions = tuple(probe_directions(math.prod(shape), generator) for shape in shapes)
        pushes = []
        for tensor, probes in enumerate(directions):
            signs = generator.choice([-1.0, 1.0], (rounds, len(probes))) / math.sqrt(len(probes))
            weight = np.where(kinds == tensor, 1.0, np.where(kinds == tensors, 1 / math.sqrt(tensors), 0.0))
            pushes.append(signs * weight[:, np.newaxis])
        return cls(tuple(map(tuple, shapes)), directions, kinds, tuple(pushes))

    @property
    def rounds(self) -> int:
        """Number of rounds."""
        return len(self.kinds)

    def update(self, number: int) -> Update:
        """The unit vector of a round, counted from 0, as a list of float32 tensors."""
        parts = zip(self.shapes, self.directions, self.pushes, strict=True)
        return [(pushes[number] @ probes).reshape(shape).astype(np.float32) for shape, probes, pushes in parts]

    def components(self, released: Update) -> list[np.ndarray]:
        """Of a released sum along the directions: ``[probes]`` of each tensor."""
        parts = zip(self.directions, released, strict=True)
        return [probes @ np.asarray(part, np.float64).ravel() for probes, part in parts]


class Movement(NamedTuple):
    """How far one client moves what is released, in deviations of the noise.

    Attributes:
        mu: Lower confidence bound, the largest over the directions.
        direction: Which that is, in words.
        group: Canaries of a round.
        rounds: Rounds.
    """

    mu: float
    direction: str
    group: int
    rounds: int


def measure(release: Release, design: Design, group: int) -> list[np.ndarray]:
    """Lets a group of canaries take part in each round: components ``[rounds, probes]`` of each tensor."""
    found = []
    for number in range(design.rounds):
        update = [np.float32(HOSTILE) * part for part in design.update(number)]
        found.append(design.components(release([update] * group)))
    return [np.stack(parts) for parts in zip(*found, strict=True)]


def movement(
    design: Design, components: Sequence[np.ndarray], group: int, level: float, own_noise: bool = False
) -> Movement:
    """Bounds what one client moves, from components that `measure` gave.

    Each kind of update is tested, and all of them together. Half of what the level leaves is for all together, whose
    noise is known best; the kinds share the other half. All together the noise is the mean over the tensors, which is
    never below the least.

    Args:
        design: What was sent.
        components: ``[rounds, probes]`` of each tensor, in clipping norms.
        group: Canaries of a round.
        level: Confidence of the largest bound.
        own_noise: Whether each client adds noise of its own, so that that of a group grows with its root.
    """
    fits = [_Fit.of(design, tensor, found) for tensor, found in enumerate(components)]
    projected = np.sum([np.sum(p * f, axis=1) for p, f in zip(design.pushes, components, strict=True)], axis=0)
    kinds = np.unique(design.kinds)
    together = _Fit(sum(f.squares for f in fits), sum(f.freedom for f in fits))
    tests = [(_TOGETHER, projected, together)]
    for kind in kinds:
        spread = kind == len(fits)
        name = _SPREAD if spread else f"tensor {kind} of shape {list(design.shapes[kind])}"
        tests.append((name, projected[design.kinds == kind], together if spread else fits[kind]))
    if len(kinds) == 1:
        tests = tests[:1]
    of_one = math.sqrt(group) if own_noise else group
    best = max(
        (fit.bound(values, 1 - (1 - level) * _part(place, len(tests))) / of_one, name)
        for place, (name, values, fit) in enumerate(tests)
    )
    return Movement(min(best[0], LARGEST_MU), best[1], group, design.rounds)


def _part(place: int, tests: int) -> float:
    """A test's part of what the level leaves."""
    if tests == 1:
        return 1.0
    return 0.5 if place == 0 else 0.5 / (tests - 1)


@dataclass(frozen=True)
class _Fit:
    """What is left of components once the canaries' part is taken out: noise."""

    squares: float
    freedom: int

    @classmethod
    def of(cls, design: Design, tensor: int, found: np.ndarray) -> _Fit:
        """Of a tensor; a movement of its own for updates in it, and one for those over all tensors."""
        rest, freedom = found.copy(), found.size
        for kind in {tensor, len(design.shapes)} & set(design.kinds.tolist()):
            rows, pushes = design.kinds == kind, design.pushes[tensor]
            slope = np.sum(pushes[rows] * found[rows]) / np.sum(pushes[rows] ** 2)
            rest[rows] -= slope * pushes[rows]
            freedom -= 1
        return cls(float(np.sum(rest**2)), freedom)

    def bound(self, values: np.ndarray, level: float) -> float:
        """Lower bound of the movement over the noise's deviation, from values of which each is both."""
        deviation = math.sqrt(self.squares / self.freedom)
        root = math.sqrt(len(values))
        return noncentrality_bound(ratio(float(values.mean()) * root, deviation), self.freedom, level) / root


def one_run_scores(
    release: Release, shapes: Sequence[tuple[int, ...]], rounds: int, share: float, seed: int, canaries: int = 128
) -> tuple[np.ndarray, np.ndarray]:
    """Lets many canaries take part in one run, each or not with probability 1/2.

    Each pushes along an element of its own, and is told by what is released of it over all rounds.

    Args:
        release: The mechanism.
        shapes: Of the update's tensors.
        rounds: Rounds of the run.
        share: Probability with which a client who takes part comes into a round.
        seed: Of who takes part.
        canaries: At most; there are no more than elements.

    Returns:
        Scores ``[canaries]``, and whether each took part, ``[canaries]``.
    """
    generator = np.random.default_rng([seed, 2])
    sizes = [math.prod(shape) for shape in shapes]
    places = generator.permutation(sum(sizes))[: min(canaries, sum(sizes))]
    signs = generator.choice([-1.0, 1.0], len(places))
    included = generator.random(len(places)) < 0.5
    scores = np.zeros(len(places))
    for _ in range(rounds):
        there = np.flatnonzero(included & (generator.random(len(places)) < share))
        released = release([_single(shapes, sizes, places[i], HOSTILE * signs[i]) for i in there])
        scores += signs * np.concatenate([np.ravel(part) for part in released])[places]
    return scores, included


def _single(shapes: Sequence[tuple[int, ...]], sizes: Sequence[int], place: int, value: float) -> Update:
    flat = np.zeros(sum(sizes), np.float32)
    flat[place] = value
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
