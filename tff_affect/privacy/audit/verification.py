"""Are two samples of one person? Open-set linking: attackers never saw the people whom they are tested on.

People are divided into folds. Attackers learn from the others, choose their settings on some of these, and then compare
probe samples of a fold's people with what these are enrolled with. Scores of all folds are judged by one threshold,
after each fold's are standardised by impostors among its background people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from tff_affect.privacy.audit import chance
from tff_affect.privacy.audit.exposed import Exposed
from tff_affect.privacy.audit.finding import SIGNIFICANT, Finding, Shown
from tff_affect.privacy.audit.intervals import subject_bootstrap
from tff_affect.privacy.audit.pairs import Group, Likeness, PairFamily, pair_families
from tff_affect.privacy.audit.trials import Trials

LEAST_PEOPLE = 9
FOLDS = 3
CONFIDENCE = 0.95
_RESAMPLES = 1000
Interval = tuple[float, float]


@dataclass(frozen=True)
class VerificationFigures:
    """How one attacker did; every person's probe samples count alike.

    Attributes:
        auc: How often a genuine pair scores above an impostor pair.
        p: How often the strongest of all attackers does as well by chance, from permutations of owners in each fold.
        auc_interval: Bootstrap interval over people, each with all pairs; None with too few.
        eer: Equal error rate: where as many genuine pairs are refused as impostors are accepted.
        eer_interval: Likewise.
    """

    auc: float
    p: float
    auc_interval: Interval | None
    eer: float
    eer_interval: Interval | None


@dataclass(frozen=True)
class OpenSet:
    """What attackers found who never saw the people.

    Attributes:
        attackers: Name -> figures; intervals are at 95 % for all attackers together (Bonferroni).
        people: How many.
        chance_interval: Where the highest AUC lies in 99 % of cases if nobody can be told apart.
        session: ``same session`` or ``another session``.
    """

    attackers: Mapping[str, VerificationFigures]
    people: int
    chance_interval: Interval
    session: str

    @property
    def strongest(self) -> str:
        """Name of the attacker with the highest AUC; of equals the first."""
        return max(self.attackers, key=lambda name: self.attackers[name].auc)

    @property
    def is_chance(self) -> bool:
        """Whether the strongest is no better than the luckiest of as many who guess, at 99 %."""
        return self.attackers[self.strongest].auc <= self.chance_interval[1]


def verify(exposed: Exposed, seed: int, others: Exposed | None = None) -> OpenSet | None:
    """Lets every attacker compare people whom it never saw.

    The permutation test holds the fitted attackers fast: what they know comes from the other folds.

    Args:
        exposed: What is seen of people.
        seed: Of folds, attackers, permutations and intervals; the same seed gives the same numbers.
        others: Further people, from whom attackers learn in every fold and by whom they are never judged.

    Returns:
        What was found; None with fewer than nine people, of whom too few are left to learn from.
    """
    people = len(exposed.people)
    if people < LEAST_PEOPLE:
        return None
    folds = np.array_split(np.random.default_rng(seed).permutation(people), FOLDS)
    attackers = pair_families()
    # On so few samples, threads wait for each other longer than they work.
    with threadpool_limits(1, user_api="openmp"):
        trials = [Trials.of(_scores(family, exposed, folds, seed, others), exposed.unknown) for family in attackers]
    test = chance.max_test(np.stack([one.table() for one in trials]), seed, folds)
    confidence = 1 - (1 - CONFIDENCE) / len(attackers)
    figures = [_figures(one, p, seed, confidence) for one, p in zip(trials, test.p, strict=True)]
    named = {family.name: found for family, found in zip(attackers, figures, strict=True)}
    return OpenSet(named, people, test.interval, exposed.session)


def _scores(
    family: PairFamily, exposed: Exposed, folds: Sequence[np.ndarray], seed: int, others: Exposed | None
) -> np.ndarray:
    """``[probe samples, people]``, NaN for people of another fold."""
    owner = exposed.unknown.owner
    scores = np.full((len(owner), len(exposed.people)), np.nan)
    for fold in folds:
        # Groups keep the order of people, and so do their samples.
        held_out = np.sort(fold)
        background = np.setdiff1d(np.arange(len(exposed.people)), held_out)
        shuffled = np.random.default_rng(seed).permutation(background)
        likeness, mean, deviation = _fitted(family, exposed, shuffled, seed, others)
        rows = np.flatnonzero(np.isin(owner, held_out))
        scores[np.ix_(rows, held_out)] = (likeness(_group(exposed, held_out)) - mean) / deviation
    return scores


def _group(exposed: Exposed, people: np.ndarray, others: Exposed | None = None) -> Group:
    parts = [exposed.of(people), *([] if others is None else [others])]
    return Group(
        [samples for part in parts for samples in part.enrolment], [samples for part in parts for samples in part.probe]
    )


def _fitted(
    family: PairFamily, exposed: Exposed, background: np.ndarray, seed: int, others: Exposed | None
) -> tuple[Likeness, float, float]:
    """The best candidate, fitted on all background people, and its impostors' mean and deviation.

    Candidates are fitted on two thirds of the background people, and whoever comes beside these, and judged on the
    last third.
    """
    third = len(background) // 3
    learners, judges = _group(exposed, background[third:], others), _group(exposed, background[:third])
    scores = [learn(learners, seed)(judges) for learn in family.candidates]
    best = int(np.argmax([Trials.of(one, judges.probes).curve()[0] for one in scores]))
    impostors = scores[best][np.arange(third) != judges.probes.owner[:, np.newaxis]]
    deviation = float(impostors.std())
    likeness = family.candidates[best](_group(exposed, background, others), seed)
    return likeness, float(impostors.mean()), deviation if deviation > 1e-12 else 1.0


def _figures(trials: Trials, p: float, seed: int, confidence: float) -> VerificationFigures:
    auc, eer = trials.curve()

    def interval(at: int) -> Interval | None:
        return subject_bootstrap(lambda drawn: trials.curve(drawn)[at], trials.people, seed, confidence, _RESAMPLES)

    return VerificationFigures(auc, p, interval(0), eer, interval(1))


def verification_finding(result: OpenSet, shown: Shown) -> Finding:
    """The finding of an open-set attack.

    Args:
        result: What was found.
        shown: What was attacked.
    """
    strongest = result.attackers[result.strongest]
    return Finding(
        attack="verification",
        target=shown.target,
        method=shown.method,
        observer=shown.observer,
        attacker=result.strongest,
        measure="AUC",
        value=strongest.auc,
        chance=0.5,
        sentence=_sentence(result, strongest, shown.sees),
        interval=strongest.auc_interval,
        level=CONFIDENCE,
        p=strongest.p,
        details={
            "eer": strongest.eer,
            "eer interval": None if strongest.eer_interval is None else list(strongest.eer_interval),
            "people": result.people,
            "session": result.session,
            "chance interval": list(result.chance_interval),
            "attackers": {name: asdict(figures) for name, figures in result.attackers.items()},
        },
    )


def _sentence(result: OpenSet, strongest: VerificationFigures, sees: str) -> str:
    if strongest.p <= SIGNIFICANT:
        return (
            f"an attacker who never saw these {result.people} people tells from {sees} whether two samples are of one "
            f"person: a threshold that wrongs both sides alike errs in {100 * strongest.eer:.1f} % of cases (guessing: "
            f"50 %; {result.session})"
        )
    return (
        f"none of {len(result.attackers)} attackers tells from {sees} whether two samples are of one person if it "
        f"never saw them: at best AUC {strongest.auc:.2f}, which chance explains and which proves nothing about others"
    )
