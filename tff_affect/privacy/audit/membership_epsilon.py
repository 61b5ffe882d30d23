"""What the decisions of membership attacks tell of epsilon; reported beside a claim, which it does not judge."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from tff_affect.privacy.audit.membership import MembershipResult

_ACCUSED, _CLEARED = (0.5, 0.75, 0.9), (0.5, 0.25, 0.1)
"""Quantiles of the scores above which members are accused, and below which outsiders are cleared."""


@dataclass(frozen=True)
class AttackEpsilon:
    """The least epsilon that the decisions of attacks are compatible with.

    Indicative: it takes decisions on one model for independent, which they are not, and it holds for the models
    attacked, trained as shadow runs are.

    Attributes:
        value: Lower bound of epsilon; 0 where the decisions tell nothing.
        delta: That it goes with.
        confidence: With which it holds, all attacks, thresholds and directions together.
        attack: Whose decisions gave it; empty where they tell nothing.
        largest: What a perfect attack on as many decisions would give.
    """

    value: float
    delta: float
    confidence: float
    attack: str
    largest: float


def attack_epsilon(result: MembershipResult, delta: float, confidence: float = 0.95) -> AttackEpsilon:
    """A lower bound of epsilon from what the attacks found (Jagielski et al. 2020; Nasr et al. 2021).

    Under (epsilon, delta) an attack accuses members at most exp(epsilon) times as often as outsiders, plus delta, and
    the same holds of clearing outsiders. Both rates have intervals of Clopper and Pearson (1934). Thresholds are
    quantiles of all scores, fixed in advance, and the confidence is divided by all that is tried (Bonferroni).

    Args:
        result: Of `infer_membership`.
        delta: Of the guarantee that it is compared with.
        confidence: Of the bound.
    """
    alpha = (1 - confidence) / (2 * len(result.attacks) * (len(_ACCUSED) + len(_CLEARED)))
    inside, outside = int(result.members.sum()), result.outsiders
    tried = [(_bound(hits, of, false, among, delta, alpha), name) for name, hits, of, false, among in _counts(result)]
    value, attack = max(tried)
    largest = max(_bound(inside, inside, 0, outside, delta, alpha), _bound(outside, outside, 0, inside, delta, alpha))
    return AttackEpsilon(value, delta, confidence, attack if value > 0 else "", largest)


def _counts(result: MembershipResult) -> Iterator[tuple[str, int, int, int, int]]:
    """Attack, right decisions of how many, wrong ones of how many: accusing members, then clearing outsiders."""
    members, outsiders = result.members, ~result.members
    inside, outside = int(members.sum()), int(outsiders.sum())
    for attack in result.attacks:
        for accused in (attack.scores > np.quantile(attack.scores, level) for level in _ACCUSED):
            yield attack.name, int((accused & members).sum()), inside, int((accused & outsiders).sum()), outside
        for cleared in (attack.scores < np.quantile(attack.scores, level) for level in _CLEARED):
            yield attack.name, int((cleared & outsiders).sum()), outside, int((cleared & members).sum()), inside


def _bound(hits: int, of: int, false: int, among: int, delta: float, alpha: float) -> float:
    """From Clopper and Pearson's lower end of the right decisions' share and upper end of the wrong ones'."""
    low = float(stats.beta.ppf(alpha, hits, of - hits + 1)) if hits else 0.0
    high = float(stats.beta.ppf(1 - alpha, false + 1, among - false)) if false < among else 1.0
    return max(0.0, math.log((low - delta) / high)) if low > delta else 0.0
