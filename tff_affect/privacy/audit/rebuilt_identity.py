"""Whose window was rebuilt? Attackers who learned from real windows try to name the owners of reconstructions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tff_affect.privacy.audit.attackers import families, likeliest
from tff_affect.privacy.audit.exposed import Exposed
from tff_affect.privacy.audit.samples import Samples


@dataclass(frozen=True)
class RebuiltIdentity:
    """What the attacker found that named most reconstructions.

    Attributes:
        attacker: Its name.
        rebuilt: Share of reconstructions given to the right person.
        truth: Share of the true windows given to the right person by the attacker that names most of these.
        people: How many there are to choose from.
        victims: How many reconstructions.
    """

    attacker: str
    rebuilt: float
    truth: float
    people: int
    victims: int


def name_rebuilt(
    known: Mapping[str, Samples], truth: Mapping[str, Samples], rebuilt: Mapping[str, Samples], seed: int
) -> RebuiltIdentity:
    """Lets every attacker name reconstructions, and the windows that they stand for.

    Args:
        known: Person -> windows known to be theirs; at least two for each.
        truth: Victim -> one true window, none of those that are known.
        rebuilt: Victim -> its reconstruction.
        seed: Of the attackers.
    """
    people, victims = tuple(known), [person for person in known if person in rebuilt]
    stand_in = {person: samples.part(slice(0, 1)) for person, samples in known.items()}
    shares: dict[str, tuple[float, float]] = {}
    exposed = [
        Exposed(people, tuple(known.values()), tuple(shown.get(person, stand_in[person]) for person in people))
        for shown in (rebuilt, truth)
    ]
    rows = np.array([people.index(victim) for victim in victims])
    for family in families(exposed[0]):
        named = [likeliest(family.scores(each, seed))[rows, 0] for each in exposed]
        shares[family.name] = (float((named[0] == rows).mean()), float((named[1] == rows).mean()))
    best = max(shares, key=lambda name: shares[name][0])
    most = max(share for _, share in shares.values())
    return RebuiltIdentity(best, shares[best][0], most, len(people), len(victims))
