"""Whose sample is it? Attackers of several families name the owners of later samples among people they know.

The strongest is what counts: a weak attacker that fails shows nothing. Having chosen it among several is corrected for:
p compares with the strongest of all under permutations of owners, and intervals hold for all attackers together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from tff_affect.errors import InputError
from tff_affect.privacy.audit import chance
from tff_affect.privacy.audit.attackers import Family, families, likeliest, top_share
from tff_affect.privacy.audit.exposed import Exposed
from tff_affect.privacy.audit.finding import SIGNIFICANT, Finding, Shown
from tff_affect.privacy.audit.intervals import subject_bootstrap
from tff_affect.privacy.audit.samples import Owned

LEAST_SUBJECTS_FOR_TOP5 = 20
CONFIDENCE = 0.95
Interval = tuple[float, float]


@dataclass(frozen=True)
class Figures:
    """How one attacker did. Shares are of a person's probe samples, averaged over people, so that chance is exact.

    Attributes:
        top1: Share of samples given to the right person.
        p: How often the strongest of all attackers does as well by chance, from permutations of owners.
        top1_interval: Bootstrap interval over people; None with too few.
        top5: Share with the right person among the five likeliest; None with fewer than 20 people.
        top5_interval: Likewise.
        together: Share of people who are named right by all their probe samples taken together, which are known to be
            of one person: what several samples under one pseudonym give away; None where it was not found out.
    """

    top1: float
    p: float
    top1_interval: Interval | None
    top5: float | None
    top5_interval: Interval | None
    together: float | None = None


@dataclass(frozen=True)
class ClosedSet:
    """What attackers found who know everybody they may meet.

    Attributes:
        attackers: Name -> figures; intervals are at 95 % for all attackers together (Bonferroni).
        people: How many.
        probes: Samples to be named.
        chance_interval: Where the strongest attacker's top 1 lies in 99 % of cases if nobody can be told apart.
        session: ``same session`` or ``another session``.
        left_out: Person -> why.
    """

    attackers: Mapping[str, Figures]
    people: int
    probes: int
    chance_interval: Interval
    session: str
    left_out: Mapping[str, str]

    @property
    def strongest(self) -> str:
        """Name of the attacker with the highest top 1; of equals the first."""
        return max(self.attackers, key=lambda name: self.attackers[name].top1)

    @property
    def chance(self) -> float:
        """Top 1 by guessing."""
        return 1.0 / self.people

    @property
    def is_chance(self) -> bool:
        """Whether the strongest is no better than the luckiest of as many who guess, at 99 %."""
        return self.attackers[self.strongest].top1 <= self.chance_interval[1]


def reidentify(exposed: Exposed, seed: int, attackers: Sequence[Family] | None = None) -> ClosedSet:
    """Lets every attacker name the probe samples.

    Args:
        exposed: What is seen of people.
        seed: Of attackers, permutations and intervals; the same seed gives the same numbers.
        attackers: All of `families` by default.

    Raises:
        InputError: With fewer than two people.
    """
    if len(exposed.people) < 2:
        named = "; ".join(f"{person}: {why}" for person, why in list(exposed.left_out.items())[:3])
        raise InputError(
            f"re-identification: expected at least two people with enough windows, found {len(exposed.people)}; "
            "shorten the window or give longer recordings" + (f" ({named})" if named else "")
        )
    chosen = families(exposed) if attackers is None else attackers
    scores = [family.scores(exposed, seed) for family in chosen]
    figures, interval = compare(scores, exposed.unknown, seed, 1 - (1 - CONFIDENCE) / len(scores))
    return ClosedSet(
        attackers={family.name: found for family, found in zip(chosen, figures, strict=True)},
        people=len(exposed.people),
        probes=len(exposed.unknown.owner),
        chance_interval=interval,
        session=exposed.session,
        left_out=exposed.left_out,
    )


def compare(
    scores: Sequence[np.ndarray], probe: Owned, seed: int, confidence: float = CONFIDENCE
) -> tuple[list[Figures], Interval]:
    """Puts attackers' scores next to the truth, and next to chance.

    Args:
        scores: Of each attacker, ``[samples, people]``.
        probe: The samples with their true owners.
        seed: Of permutations and intervals.
        confidence: Of each attacker's own intervals.

    Returns:
        Each attacker's figures, and where the highest top 1 of all lies in 99 % of cases by chance.
    """
    test = chance.max_test(np.stack([named(one, probe) for one in scores]), seed)
    return [_figures(one, probe, p, seed, confidence) for one, p in zip(scores, test.p, strict=True)], test.interval


def named(scores: np.ndarray, probe: Owned) -> np.ndarray:
    """``[true person, named person]`` share of each person's samples; rows sum to 1."""
    counts = np.zeros((scores.shape[1],) * 2)
    np.add.at(counts, (probe.owner, likeliest(scores)[:, 0]), 1)
    return counts / counts.sum(axis=1, keepdims=True)


def _figures(scores: np.ndarray, probe: Owned, p: float, seed: int, confidence: float) -> Figures:
    top1 = top_share(scores, probe)
    top5 = top_share(scores, probe, 5) if len(top1) >= LEAST_SUBJECTS_FOR_TOP5 else None
    return Figures(
        top1=float(top1.mean()),
        p=p,
        top1_interval=_interval(top1, seed, confidence),
        top5=None if top5 is None else float(top5.mean()),
        top5_interval=None if top5 is None else _interval(top5, seed, confidence),
        together=named_together(scores, probe),
    )


def named_together(scores: np.ndarray, probe: Owned) -> float:
    """Share of people with the highest sum of scores over all their samples, each sample's scores standardised first.

    Args:
        scores: ``[samples, people]``.
        probe: The samples with their true owners.
    """
    spread = scores.std(axis=1, keepdims=True)
    standard = (scores - scores.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1.0)
    summed = np.zeros((scores.shape[1],) * 2)
    np.add.at(summed, probe.owner, standard)
    return float((likeliest(summed)[:, 0] == np.arange(len(summed))).mean())


def _interval(shares: np.ndarray, seed: int, confidence: float) -> Interval | None:
    return subject_bootstrap(lambda drawn: float(shares[drawn].mean()), len(shares), seed, confidence)


def reidentification_finding(result: ClosedSet, shown: Shown) -> Finding:
    """The finding of a closed-set attack.

    Args:
        result: What was found.
        shown: What was attacked.
    """
    strongest = result.attackers[result.strongest]
    return Finding(
        attack="re-identification",
        target=shown.target,
        method=shown.method,
        observer=shown.observer,
        attacker=result.strongest,
        measure="top-1",
        value=strongest.top1,
        chance=result.chance,
        sentence=_sentence(result, strongest, shown.sees),
        interval=strongest.top1_interval,
        level=CONFIDENCE,
        p=strongest.p,
        details={
            "top-5": strongest.top5,
            "people": result.people,
            "samples": result.probes,
            "session": result.session,
            "chance interval": list(result.chance_interval),
            "left out": dict(result.left_out),
            "attackers": {name: asdict(figures) for name, figures in result.attackers.items()},
        },
    )


def _sentence(result: ClosedSet, strongest: Figures, sees: str) -> str:
    share, guess = f"{100 * strongest.top1:.3g} %", f"{100 * result.chance:.3g} %"
    if strongest.p <= SIGNIFICANT:
        return (
            f"a classifier that sees {sees} picks the right person out of {result.people} in {share} of cases "
            f"(chance {guess}; {result.session})"
        )
    return (
        f"none of {len(result.attackers)} classifiers that see {sees} picks the right person out of {result.people} "
        f"more often than chance explains: the strongest in {share} of cases (chance {guess}; {result.session}), which "
        "proves nothing about others"
    )
