"""What gaits, features or codes of them give away of who walks, as the audit's attackers see it.

People are known by some recordings and to be found in others: cycles of one recording are alike for reasons that are
not the person. Recordings of one collection share its room and its markers all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tff_affect.errors import InputError
from tff_affect.gait_set import GaitSet
from tff_affect.privacy.audit import attackers
from tff_affect.privacy.audit.attackers import Family
from tff_affect.privacy.audit.exposed import SAME_SESSION, Exposed, gather
from tff_affect.privacy.audit.mixed_order import mixed_order
from tff_affect.privacy.audit.reidentification import ClosedSet, reidentify
from tff_affect.privacy.audit.samples import Samples
from tff_affect.privacy.audit.verification import OpenSet, verify
from tff_affect.streams import stream

ENROLLED = 0.6
LEAST_TAKES = 2


@dataclass(frozen=True)
class IdentityScores:
    """Whom attackers recognise.

    Attributes:
        known: Among people whom they know by other recordings.
        unknown: Among people whom they never saw; None with fewer than nine.
    """

    known: ClosedSet
    unknown: OpenSet | None


def identity_families() -> list[Family]:
    """All that name people: the audit's but for gradient boosting, which costs most."""
    return [
        attackers.logistic(), attackers.support_vectors(), attackers.plain_forest(attackers.TREES),
        attackers.discriminant(), attackers.nearest_mean(),
    ]  # fmt: skip


def attack_identity(
    gaits: GaitSet,
    vectors: np.ndarray,
    seed: int,
    families: Sequence[Family] | None = None,
    draws: np.ndarray | None = None,
) -> IdentityScores:
    """Lets attackers name people, and compare people whom they never saw.

    Args:
        gaits: Of people with two recordings or more.
        vectors: ``[cycle, number]`` what is seen of each cycle.
        seed: Of the division, attackers, permutations and intervals; the same seed gives the same figures.
        families: Who names people; all of `identity_families` by default.
        draws: As of `exposed_gaits`.

    Raises:
        InputError: If vectors do not fit, or fewer than two people have enough recordings.
    """
    exposed = exposed_gaits(gaits, vectors, seed, draws=draws)
    return IdentityScores(
        reidentify(exposed, seed, identity_families() if families is None else families), verify(exposed, seed)
    )


def exposed_gaits(
    gaits: GaitSet, vectors: np.ndarray, seed: int, sequences: bool = False, draws: np.ndarray | None = None
) -> Exposed:
    """What is seen of people in the recordings by which they are known, and in those in which they are to be found.

    60 % of a person's recordings at random are the enrolment, with about as much of each emotion.

    Args:
        gaits: Of all people.
        vectors: ``[cycle, number]`` what is seen of each cycle.
        seed: The same seed divides the same recordings in the same way, whatever is seen of them.
        sequences: Whether attackers see the places of all joints over time as well.
        draws: ``[draw, cycle, number]`` by which cycles of the enrolment are known, where vectors hold noise that
            whoever has the encoder and somebody's walks can draw as often as they like; the vectors by default.

    Raises:
        InputError: If vectors do not fit.
    """
    series = gaits.motions.reshape(*gaits.motions.shape[:2], -1) if sequences else None
    samples = Samples(np.asarray(vectors, np.float64), series)
    if len(samples) != len(gaits):
        raise InputError(f"identity in gaits: expected vectors of {len(gaits)} cycles, found {len(samples)}")
    if draws is not None and draws.shape[1:] != samples.vectors.shape:
        raise InputError(f"identity in gaits: expected draws of {len(gaits)} vectors, found {list(draws.shape)}")
    parts, left_out = {}, {}
    for number, person in enumerate(gaits.people):
        own = np.flatnonzero(gaits.person == number)
        takes, first = np.unique(gaits.take[own], return_index=True)
        if len(takes) < LEAST_TAKES:
            left_out[person] = f"{len(takes)} recording, expected at least {LEAST_TAKES}"
            continue
        rng = stream(seed, "known and unknown recordings", number)
        order = takes[mixed_order(np.array(gaits.emotions)[own[first]], rng)]
        enrolled = min(len(takes) - 1, max(1, round(ENROLLED * len(takes))))
        known, unknown = _rows(gaits, order[:enrolled]), _rows(gaits, order[enrolled:])
        parts[person] = samples.part(known) if draws is None else _drawn(draws[:, known]), samples.part(unknown)
    return gather(parts, SAME_SESSION, left_out)


def _rows(gaits: GaitSet, takes: np.ndarray) -> np.ndarray:
    return np.concatenate([np.flatnonzero(gaits.take == take) for take in takes])


def _drawn(draws: np.ndarray) -> Samples:
    """All draws of a cycle side by side: whoever tunes on later samples must not know them by an earlier draw."""
    return Samples(np.asarray(draws, np.float64).swapaxes(0, 1).reshape(-1, draws.shape[2]))
