"""Membership inference: was a subject among those that a model was trained on?

Shadow models, trained like the audited one on other halves of the subjects, tell the attacker how a model treats its
own (`tff_affect.privacy.audit.likelihood_ratio` has the attacks). A decision is one subject under one target model. The
targets are the shadow models themselves, each attacked with what the others tell, or models of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy import stats
from sklearn.metrics import roc_curve

from tff_affect.errors import InputError
from tff_affect.privacy.audit.finding import SIGNIFICANT, Finding
from tff_affect.privacy.audit.intervals import LEAST_SUBJECTS, RESAMPLES, subject_bootstrap
from tff_affect.privacy.audit.likelihood_ratio import (
    ATTACKS,
    attack_scores,
    counterparts,
    leave_one_out,
    of_all,
)

FALSE_POSITIVE_RATES = (0.01, 0.1)
"""At which the share of members found is told."""
PERMUTATIONS = 999
_LEVEL = 0.95
_LEAST_MODELS = 2
_NUMBERS_AT_ONCE = 4_000_000
_ATTACKER = {
    "model": "an attacker who has the model",
    "outputs": "an attacker who sees what the model says of both",
    "server": "a server that keeps what clients send",
    "data": "an attacker who has the features",
}


@dataclass(frozen=True)
class Targets:
    """Models to attack that are no shadow models.

    Attributes:
        signals: ``[targets, subjects, signals]``, as of the shadow models.
        members: ``[targets, subjects]``: whether a subject was trained on.
    """

    signals: np.ndarray
    members: np.ndarray


@dataclass(frozen=True)
class Attack:
    """What one attack found.

    Attributes:
        name: One of ``ATTACKS``.
        scores: ``[targets, subjects]``, higher for what looks like a member.
        auc: Area under the ROC over all decisions: how often a member scores above an outsider.
        rates: Of ``FALSE_POSITIVE_RATES`` each -> share of members found with at most so many false accusations.
    """

    name: str
    scores: np.ndarray
    auc: float
    rates: Mapping[float, float]

    @classmethod
    def of(cls, name: str, scores: np.ndarray, members: np.ndarray) -> Attack:
        """From scores and the truth, ``[targets, subjects]`` each."""
        rates = {limit: true_positive_rate(scores, members, limit) for limit in FALSE_POSITIVE_RATES}
        return cls(name, scores, float(area_under_roc(scores.ravel(), members.ravel())), rates)


@dataclass(frozen=True)
class MembershipResult:
    """What all attacks found.

    Attributes:
        attacks: In the order of ``ATTACKS``.
        members: ``[targets, subjects]``, the truth.
        p: How often the strongest of as many attacks reaches its AUC where signals have nothing to do with membership.
        interval: Of the strongest attack's AUC, over subjects; wide enough for all attacks at once, so that the choice
            of one does not spoil it. None with too few subjects.
        rate_intervals: Likewise, of its ``rates``.
        shadows: Shadow models.
        level: Confidence of the intervals.
    """

    attacks: tuple[Attack, ...]
    members: np.ndarray
    p: float
    interval: tuple[float, float] | None
    rate_intervals: Mapping[float, tuple[float, float] | None]
    shadows: int
    level: float = _LEVEL

    @property
    def strongest(self) -> Attack:
        """The attack with the largest AUC."""
        return max(self.attacks, key=lambda attack: attack.auc)

    @property
    def outsiders(self) -> int:
        """Decisions on subjects that were not trained on; a false positive rate is a multiple of one of so many."""
        return int((~self.members).sum())

    def roc(self) -> np.ndarray:
        """``[points, 2]``: false and true positive rates of the strongest attack, rising; corners alone."""
        false, true, _ = roc_curve(self.members.ravel(), self.strongest.scores.ravel())
        return np.stack([false, true], axis=1)


def infer_membership(
    signals: np.ndarray,
    members: np.ndarray,
    targets: Targets | None = None,
    seed: int = 0,
    permutations: int = PERMUTATIONS,
    resamples: int = RESAMPLES,
) -> MembershipResult:
    """Attacks models with all of ``ATTACKS``.

    Args:
        signals: Of the shadow models, ``[models, subjects, signals]``; lower where a model fits a subject better, the
            training loss first, and of about the same spread for all subjects (logarithms of errors, say).
        members: ``[models, subjects]``: whether a subject was trained on.
        targets: Models to attack; the shadow models themselves by default, each without itself and its counterpart.
        seed: Of permutations and intervals.
        permutations: Draws for ``p``. Whole rows of ``members`` change places, and all scores are computed again: no
            model then has anything to do with its row, while what subjects of one model share and how each row was
            drawn stay. Of targets of their own, whose scores do not depend on their own members, the subjects change
            places, which asks for a split at random.
        resamples: Draws for intervals.

    Raises:
        InputError: If shapes do not fit, a signal is not finite, or a subject is in or out of too few models.
    """
    signals, members = np.asarray(signals, np.float64), np.asarray(members, bool)
    _check(signals, members, targets)
    rng = np.random.default_rng(seed)
    if targets is None:
        truth, scores = members, _shadow_scores(signals, members[np.newaxis])[:, 0]
        null = _rows_exchanged(signals, members, permutations, rng)
    else:
        truth = np.asarray(targets.members, bool)
        scores = attack_scores(np.asarray(targets.signals, np.float64), of_all(signals, members))[:, 0]
        null = _subjects_exchanged(scores, truth, permutations, rng)
    attacks = tuple(Attack.of(name, part, truth) for name, part in zip(ATTACKS, scores, strict=True))
    best = max(attacks, key=lambda attack: attack.auc)
    # As good as: rounding differs between one assignment and many.
    p = (1 + np.count_nonzero(null >= best.auc - 1e-9)) / (1 + permutations)
    interval = partial(_interval, best.scores, truth, seed=seed, resamples=resamples)
    rates = {limit: interval(partial(true_positive_rate, limit=limit)) for limit in FALSE_POSITIVE_RATES}
    return MembershipResult(attacks, truth, p, interval(area_under_roc), rates, len(signals))


def _check(signals: np.ndarray, members: np.ndarray, targets: Targets | None) -> None:
    if signals.ndim != 3 or members.shape != signals.shape[:2]:
        raise InputError(
            "membership: expected signals [models, subjects, signals] and members [models, subjects], found "
            f"{list(signals.shape)} and {list(members.shape)}"
        )
    own = 0 if targets is not None else 1
    fewest = int(np.minimum(members.sum(axis=0), (~members).sum(axis=0)).min()) - own
    if fewest < _LEAST_MODELS:
        raise InputError(
            f"membership: expected each subject in {_LEAST_MODELS + own} shadow models and out of as many, found one "
            f"with {fewest + own}; train more shadow models"
        )
    for values in (signals,) if targets is None else (signals, np.asarray(targets.signals)):
        if values.shape[1:] != signals.shape[1:] or not np.isfinite(values).all():
            raise InputError(
                "membership: expected finite signals of the same subjects for all models; leave out others"
            )
    if targets is not None and (targets.members.all() or not targets.members.any()):
        raise InputError("membership: expected members and others among the targets' subjects, found one kind alone")


def _shadow_scores(signals: np.ndarray, members: np.ndarray) -> np.ndarray:
    """``[attacks, assignments, models, subjects]`` of shadow models as targets; ``members`` has assignments first."""
    partners = np.stack([counterparts(each) for each in members])
    return attack_scores(signals, leave_one_out(signals, members, partners))


def _rows_exchanged(
    signals: np.ndarray, members: np.ndarray, permutations: int, rng: np.random.Generator
) -> np.ndarray:
    """``[permutations]``: largest AUC of all attacks with the rows of ``members`` in another order."""
    at_once = max(1, _NUMBERS_AT_ONCE // (signals.size * signals.shape[-1]))
    found = []
    for first in range(0, permutations, at_once):
        orders = [rng.permutation(len(members)) for _ in range(min(at_once, permutations - first))]
        assigned = members[np.array(orders)]
        scores = _shadow_scores(signals, assigned)
        found.append(area_under_roc(_flat(scores), _flat(assigned)).max(axis=0))
    return np.concatenate(found)


def _subjects_exchanged(
    scores: np.ndarray, members: np.ndarray, permutations: int, rng: np.random.Generator
) -> np.ndarray:
    """``[permutations]``: largest AUC of all attacks with the subjects' memberships exchanged."""
    orders = np.array([rng.permutation(members.shape[1]) for _ in range(permutations)])
    assigned = np.moveaxis(members[:, orders], 1, 0)
    return area_under_roc(_flat(scores)[:, np.newaxis], _flat(assigned)).max(axis=0)


def _flat(decisions: np.ndarray) -> np.ndarray:
    return decisions.reshape(*decisions.shape[:-2], -1)


def area_under_roc(scores: np.ndarray, members: np.ndarray) -> np.ndarray:
    """How often a member scores above an outsider, a tie being a half (Mann and Whitney 1947).

    Args:
        scores: ``[..., decisions]``.
        members: ``[..., decisions]``.

    Returns:
        ``[...]``; NaN where one kind is missing.
    """
    ranks = stats.rankdata(scores, axis=-1)
    inside, outside = members.sum(axis=-1), (~members).sum(axis=-1)
    above = np.where(members, ranks, 0).sum(axis=-1) - inside * (inside + 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(above / (inside * outside))


def true_positive_rate(scores: np.ndarray, members: np.ndarray, limit: float) -> float:
    """Share of members found at the lowest threshold with a share of false accusations of at most ``limit``.

    Args:
        scores: Any shape.
        members: The same shape.
        limit: Share of outsiders.

    Returns:
        NaN where one kind is missing.
    """
    inside, outside = scores[members], np.sort(scores[~members])
    if not len(inside) or not len(outside):
        return math.nan
    # One accusation more than is allowed begins at this outsider's score; rounded, as 0.1 of 30 is a little over 3.
    allowed = math.floor(round(limit * len(outside), 9))
    return float((inside > outside[-1 - allowed]).mean())


def _interval(
    scores: np.ndarray,
    members: np.ndarray,
    statistic: Callable[[np.ndarray, np.ndarray], Any],
    seed: int,
    resamples: int,
) -> tuple[float, float] | None:
    """Of one of as many attacks, at a confidence at which all of their intervals hold together (Bonferroni).

    None where too few subjects are members, or outsiders, of any model: drawing them again tells nothing of others.
    """
    fewest = min(members.any(axis=0).sum(), (~members).any(axis=0).sum())
    if fewest < LEAST_SUBJECTS:
        return None
    confidence = 1 - (1 - _LEVEL) / len(ATTACKS)

    def of_drawn(drawn: np.ndarray) -> float:
        return float(statistic(scores[:, drawn].ravel(), members[:, drawn].ravel()))

    return subject_bootstrap(of_drawn, scores.shape[1], seed, confidence, resamples)


def membership_finding(
    result: MembershipResult,
    method: str,
    target: str,
    observer: str = "model",
    epsilon: Mapping[str, Any] | None = None,
) -> Finding:
    """What the strongest attack found, in plain words.

    Args:
        result: Of `infer_membership`.
        method: Row of the results table that was attacked.
        target: What was attacked, in words: ``models of "federated"``.
        observer: Key of ``OBSERVERS``: who has the signals.
        epsilon: Of `attack_epsilon`, as JSON types, to be shown beside the claim.
    """
    best = result.strongest
    return Finding(
        attack="membership", target=target, method=method, observer=observer, attacker=best.name, measure="AUC",
        value=best.auc, chance=0.5, interval=result.interval, level=result.level, p=result.p,
        sentence=_sentence(result, observer), details=_details(result, epsilon),
    )  # fmt: skip


def _sentence(result: MembershipResult, observer: str) -> str:
    best, limit = result.strongest, FALSE_POSITIVE_RATES[0]
    falsely = f"{limit:.0%} of outsiders".replace("%", " %")
    if limit * result.outsiders < 1:
        falsely = f"none of {result.outsiders} outsiders"
    said = (
        f"of two people, one of them in the training data, {_ATTACKER[observer]} picks the right one in "
        f"{100 * best.auc:.0f} % of cases; chance 50 %; while accusing {falsely} falsely it finds "
        f"{100 * best.rates[limit]:.0f} % of the members"
    )
    return said if result.p <= SIGNIFICANT else f"{said}; guessing gives as much (p = {result.p:.2f})"


def _details(result: MembershipResult, epsilon: Mapping[str, Any] | None) -> dict[str, Any]:
    """Of JSON's types."""
    return {
        "attackers": {a.name: {"AUC": a.auc, "true positive rates": _keyed(a.rates)} for a in result.attacks},
        "true positive rate intervals": _keyed({k: v and list(v) for k, v in result.rate_intervals.items()}),
        "false positive rate resolution": 1 / result.outsiders,
        "decisions": result.members.size,
        "outsiders": result.outsiders,
        "subjects": result.members.shape[1],
        "models attacked": result.members.shape[0],
        "shadow models": result.shadows,
        "roc": result.roc().tolist(),
        "epsilon": epsilon,
    }


def _keyed(of_limits: Mapping[float, Any]) -> dict[str, Any]:
    return {f"{limit:g}": value for limit, value in of_limits.items()}
