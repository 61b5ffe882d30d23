"""How private a mechanism is at most, from what its canaries moved: confidence bounds and the epsilon that follows.

A Gaussian mechanism is known by mu: the most that one record moves what is released, over the deviation of the noise
(Dong, Roth and Su 2022, "Gaussian Differential Privacy"). Where a statistic of releases is Student's t, its
noncentrality is a known multiple of mu, and its confidence bound is exact. The noise multiplier ``1 / mu`` goes to the
accountant that made the claim. So a bound of epsilon is what that accountant would have to state of the mechanism that
really ran, and its claim is refuted with the confidence of the bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from tff_affect.errors import InputError
from tff_affect.privacy.audit.finding import Finding

LEVEL = 0.99
"""Confidence of the gate."""
TOLERANCE = 1e-3
"""Relative: what accountants may differ by for the steps in which they count."""
LARGEST_MU = 30.0
"""A larger mu is taken for this one, which keeps its bound a lower one: nothing is left to protect there."""
_LARGEST_STATISTIC = 2000.0  # beyond it scipy's noncentral t loses digits


def noncentrality_bound(statistic: float, freedom: int, level: float) -> float:
    """Lower confidence bound of the noncentrality of Student's t; exact, and 0 where it would be negative.

    Args:
        statistic: What was observed; ``inf`` where no noise was seen.
        freedom: Degrees of freedom.
        level: Confidence, between 0 and 1.
    """
    # A smaller statistic has a smaller bound.
    statistic = min(statistic, _LARGEST_STATISTIC)
    if statistic <= stats.t.ppf(level, freedom):
        return 0.0
    largest = statistic * math.sqrt(stats.chi2.isf(1e-12, freedom) / freedom) + 10

    def excess(noncentrality: float) -> float:
        return float(stats.nct.sf(statistic, freedom, noncentrality)) - (1 - level)

    return float(brentq(excess, 0.0, largest, xtol=1e-9))


def mean_shift_bound(with_canary: np.ndarray, without: np.ndarray, level: float = LEVEL) -> float:
    """Lower confidence bound of how far a canary moves a release, in deviations of its noise.

    The statistic is Student's for the difference of two means: for releases that are independent and normal its
    noncentrality is ``mu / sqrt(1 / n + 1 / m)``. A claim of mu, or of a noise multiplier ``1 / mu``, is refuted where
    the bound is above it.

    Args:
        with_canary: ``[n]`` components of releases along the canary's direction.
        without: ``[m]`` such components without the canary.
        level: Confidence.
    """
    n, m = len(with_canary), len(without)
    if min(n, m) < 2:
        raise InputError(f"canaries: expected at least 2 releases of each kind, found {n} and {m}")
    freedom, spread = n + m - 2, math.sqrt(1 / n + 1 / m)
    pooled = math.sqrt(((n - 1) * with_canary.var(ddof=1) + (m - 1) * without.var(ddof=1)) / freedom)
    shift = float(with_canary.mean() - without.mean())
    return noncentrality_bound(ratio(shift, pooled * spread), freedom, level) * spread


def ratio(value: float, deviation: float) -> float:
    """Value over deviation; ``inf`` where something is moved and nothing varies."""
    if deviation:
        return value / deviation
    return math.inf if value > 0 else 0.0


def share_bound(hits: int, draws: int, level: float) -> float:
    """Lower confidence bound of a probability (Clopper and Pearson 1934)."""
    if not 0 <= hits <= draws or not draws:
        raise InputError(f"draws: expected from 0 to {draws} hits in at least one draw, found {hits}")
    return float(stats.beta.ppf(1 - level, hits, draws - hits + 1)) if hits else 0.0


@dataclass(frozen=True)
class Evidence:
    """What canaries show of a mechanism.

    Attributes:
        mu: Lower bound of what one record moves, of norm at most the clipping norm, over the noise. Where a record is
            replaced by its opposite, it moves twice as much; the accountant knows.
        share: Lower bound of the probability with which a record comes into a round or step; 1 where all do.
        epsilon: What the accountant says of the two, and of the rounds that ran.
        group: Canaries of a round.
        rounds: Rounds of the audit.
        draws: Draws of who takes part; 0 where it does not matter.
        strongest: What told most: a tensor, or all of them.
        one_run: Lower bound of the audit with one run, at the same level; None where it was not made.
    """

    mu: float
    share: float
    epsilon: float
    group: int
    rounds: int
    draws: int = 0
    strongest: str = ""
    one_run: float | None = None

    @property
    def details(self) -> dict[str, Any]:
        """Of JSON's types."""
        return {
            "mu": self.mu, "sampling_share": self.share, "canaries": self.group, "audit_rounds": self.rounds,
            "draws": self.draws, "strongest_direction": self.strongest, "one_run_epsilon": self.one_run,
        }  # fmt: skip


@dataclass(frozen=True)
class Stated:
    """What a run claims, and what its own records amount to.

    Attributes:
        epsilon: As claimed.
        delta: As claimed.
        unit: ``subject`` or ``window``.
        accounted: Epsilon from the configuration and from the rounds that were spent, at that delta.
        rounds: Rounds that were spent and count.
        contradictions: Where the records say otherwise, each in words.
        level: Confidence of the bound.
    """

    epsilon: float
    delta: float
    unit: str
    accounted: float
    rounds: int
    contradictions: Sequence[str] = field(default_factory=tuple)
    level: float = LEVEL

    def exceeded_by(self, epsilon: float) -> bool:
        """Whether an epsilon is above the claim by more than accountants differ."""
        return epsilon > self.epsilon * (1 + TOLERANCE)


def epsilon_finding(stated: Stated, evidence: Evidence, method: str, observer: str) -> Finding:
    """The finding of the gate.

    Args:
        stated: The claim.
        evidence: What contradicts it, or does not.
        method: Row of the results table.
        observer: Key of `tff_affect.privacy.audit.finding.OBSERVERS`.
    """
    reasons = _reasons(stated, evidence)
    shown = f"canaries show at least {evidence.epsilon:.3g} ({100 * stated.level:.4g} % confidence)"
    claim = f"claimed epsilon {stated.epsilon:.3g} at delta {stated.delta:.3g} for one {stated.unit}; {shown}"
    sentence = f"REFUTED: {claim}: {'; '.join(reasons)}" if reasons else f"{claim}: not refuted"
    details = {
        "claimed": stated.epsilon, "delta": stated.delta, "accounted": stated.accounted, "rounds": stated.rounds,
        "reasons": reasons, **evidence.details,
    }  # fmt: skip
    return Finding(
        "epsilon", "privacy mechanism", method, observer, f"canaries in {evidence.strongest}",
        "lower bound of epsilon", evidence.epsilon, 0.0, sentence, best=math.inf, level=stated.level,
        refuted=bool(reasons), details=details,
    )  # fmt: skip


def _reasons(stated: Stated, evidence: Evidence) -> list[str]:
    found = list(stated.contradictions)
    if stated.exceeded_by(stated.accounted):
        found.append(f"its own records amount to {stated.accounted:.3g}")
    if stated.exceeded_by(evidence.epsilon):
        found.append("the mechanism protects less than claimed")
    return found
