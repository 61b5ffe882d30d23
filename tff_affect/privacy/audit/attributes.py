"""Can it be told what group a person belongs to, such as gender or age, of people whom the attacker never saw?

People are divided into folds with all their samples, and each group's people evenly among the folds. An attacker learns
from the others and decides by its mean score over a person's samples.

p is from permutations of the attribute between people, with everything fitted again for each, folds included (Golland
et al., "Permutation tests for classification", 2005). Permuting against fixed decisions would be quicker and wrong: two
people who resemble each other are both right if they share the attribute and both wrong if they do not, so that right
decisions come in clusters, and chance reaches further than such a test thinks.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.class_weight import compute_sample_weight

from tff_affect.privacy.audit.exposed import Exposed
from tff_affect.privacy.audit.finding import SIGNIFICANT, Finding, Shown
from tff_affect.privacy.audit.intervals import subject_bootstrap
from tff_affect.privacy.audit.samples import Samples

LEAST_OF_A_GROUP = 4
MOST_VALUES = 5
"""A numeric attribute with more distinct values, or with rare ones, is cut at its median."""
CONFIDENCE = 0.95
FOLDS = 3
PERMUTATIONS = 99
_EXCEEDANCES = 5
_STRETCHES = 3
_MISSING = frozenset({"", "na", "nan", "none", "unknown"})
Interval = tuple[float, float]

Classifier = Callable[[int, int], Any]
"""From the width of vectors and a seed to an estimator."""
# Settings are tried as attackers of their own: to choose them inside each fold of each permutation takes far longer.
ATTACKERS: Mapping[str, Classifier] = {
    "logistic regression, C 0.01": lambda width, seed: LogisticRegression(C=0.01, max_iter=100, tol=1e-3),
    "logistic regression, C 1": lambda width, seed: LogisticRegression(C=1.0, max_iter=100, tol=1e-3),
    "support vectors, C 1": lambda width, seed: SVC(C=1.0, gamma=1 / width),
    "support vectors, C 10": lambda width, seed: SVC(C=10.0, gamma=0.25 / width),
    "random forest": lambda width, seed: RandomForestClassifier(15, random_state=seed, n_jobs=1),
    "gradient boosting": lambda width, seed: GradientBoostingClassifier(
        n_estimators=12, max_depth=2, learning_rate=0.3, max_features="sqrt", random_state=seed
    ),
}


@dataclass(frozen=True)
class Unanswered:
    """Why an attribute was not attacked."""

    reason: str


@dataclass(frozen=True)
class Grouping:
    """People by what they have in common.

    Attributes:
        groups: In words.
        member: ``[people]`` number of the person's group; -1 where it is not known.
    """

    groups: tuple[str, ...]
    member: np.ndarray


@dataclass(frozen=True)
class Inference:
    """What attackers found.

    Attributes:
        attackers: Name -> balanced accuracy: the share of people put into the right group, averaged over groups.
        strongest: Name of the one with the highest; of equals the first.
        p: How often the strongest of all attackers does as well by chance; rough where it is above 0.05.
        interval: Of the strongest, by bootstrap over people, at 95 % for all attackers together; None with too few.
        groups: Group -> people.
        session: Of the samples.
    """

    attackers: Mapping[str, float]
    strongest: str
    p: float
    interval: Interval | None
    groups: Mapping[str, int]

    @property
    def chance(self) -> float:
        """Balanced accuracy by guessing."""
        return 1 / len(self.groups)


def group_people(values: Sequence[str | None], attribute: str) -> Grouping | Unanswered:
    """Groups of people by an attribute.

    Numbers with more than five distinct values, or with one that fewer than four people have, are cut at the median
    into two groups.

    Args:
        values: Of each person; None or a word for missing where it is not known.
        attribute: Its name.
    """
    known = [None if value is None or value.strip().lower() in _MISSING else value.strip() for value in values]
    distinct = sorted({value for value in known if value is not None})
    numbers = [_number(value) for value in distinct]
    finite = [number for number in numbers if number is not None]
    rare = any(known.count(value) < LEAST_OF_A_GROUP for value in distinct)
    if len(finite) == len(distinct) > 2 and (rare or len(distinct) > MOST_VALUES):
        return _checked(*_halved([None if value is None else float(value) for value in known]), attribute)
    member = np.array([-1 if value is None else distinct.index(value) for value in known], int)
    return _checked(distinct, member, attribute)


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _halved(values: list[float | None]) -> tuple[list[str], np.ndarray]:
    """Below and above the median; where many have just that, on the side of it that divides people more evenly."""
    known = np.array([value for value in values if value is not None])
    middle = float(np.median(known))
    lower = known[known < middle]
    if len(lower) and abs((known <= middle).mean() - 0.5) > abs((known < middle).mean() - 0.5):
        middle = float(lower.max())
    member = np.array([-1 if value is None else int(value > middle) for value in values], int)
    return [f"up to {middle:g}", f"above {middle:g}"], member


def _checked(groups: list[str], member: np.ndarray, attribute: str) -> Grouping | Unanswered:
    sizes = Counter(member[member >= 0].tolist())
    if len(sizes) < 2:
        return Unanswered(f"{attribute}: all whose value is known are of one group")
    smallest = min(sizes, key=lambda group: sizes[group])
    if sizes[smallest] < LEAST_OF_A_GROUP:
        return Unanswered(
            f"{attribute}: {sizes[smallest]} people in {groups[smallest]}; it takes {LEAST_OF_A_GROUP} in each group"
        )
    return Grouping(tuple(groups), member)


def infer_attribute(
    exposed: Exposed, values: Mapping[str, str], seed: int, attribute: str = "attribute"
) -> Inference | Unanswered:
    """Lets every attacker put people into groups whom it never saw.

    Args:
        exposed: What is seen of people; enrolment and probe are both of people who are seen.
        values: Person -> value of the attribute.
        seed: Of folds, attackers, permutations and intervals; the same seed gives the same numbers.
        attribute: Its name, for reasons.

    Returns:
        What was found, or why nothing was tried: a group of fewer than four people, or a single one.
    """
    grouping = group_people([values.get(person) for person in exposed.people], attribute)
    if isinstance(grouping, Unanswered):
        return grouping
    people = np.flatnonzero(grouping.member >= 0)
    vectors = _condensed([Samples.joined([exposed.enrolment[p], exposed.probe[p]]) for p in people])
    member = grouping.member[people]
    right = _right(vectors, member, seed)
    accuracies = [_balanced(one, member) for one in right]
    best = int(np.argmax(accuracies))
    return Inference(
        attackers=dict(zip(ATTACKERS, accuracies, strict=True)),
        strongest=list(ATTACKERS)[best],
        p=_p(vectors, member, accuracies[best], seed),
        interval=_interval(right[best], member, seed),
        groups={group: int(np.count_nonzero(member == number)) for number, group in enumerate(grouping.groups)},
    )


def _condensed(people: Sequence[Samples]) -> np.ndarray:
    """``[people, stretches, statistics]``: means over a person's stretches of samples, which hold less noise.

    Vectors wider than there are samples are standardised and turned to the directions in which they vary at all. That
    looks at nobody's attribute, and the turn moves nobody closer to anybody.
    """
    stretches = min(_STRETCHES, min(len(samples) for samples in people))
    means = [[part.mean(axis=0) for part in np.array_split(samples.vectors, stretches)] for samples in people]
    flat = np.concatenate([np.array(person) for person in means])
    if flat.shape[1] >= len(flat):
        flat = PCA(len(flat) - 1, svd_solver="full").fit_transform(StandardScaler().fit_transform(flat))
        flat /= max(flat.std(), 1e-12)
    return flat.reshape(len(people), stretches, -1)


def _right(vectors: np.ndarray, member: np.ndarray, seed: int) -> np.ndarray:
    """``[attackers, people]`` bool: who is put into the right group by attackers that never saw them."""
    right = np.zeros((len(ATTACKERS), len(member)), bool)
    turned = vectors.shape[-1] == vectors.shape[0] * vectors.shape[1] - 1
    folds = StratifiedKFold(min(FOLDS, np.bincount(member).min()), shuffle=True, random_state=seed)
    for known, unknown in folds.split(member, member):
        # Directions that hardly vary are noise, which components of their own would make as loud as the others.
        scaler = StandardScaler(with_std=not turned).fit(vectors[known].reshape(-1, vectors.shape[-1]))
        x, y = (scaler.transform(vectors[of].reshape(-1, vectors.shape[-1])) for of in (known, unknown))
        owner = np.repeat(member[known], vectors.shape[1])
        weight = compute_sample_weight("balanced", owner)
        for number, make in enumerate(ATTACKERS.values()):
            scores = _scores(make(x.shape[1], seed), x, owner, weight, y)
            of_person = scores.reshape(len(unknown), vectors.shape[1], -1).mean(axis=1)
            right[number, unknown] = of_person.argmax(axis=1) == member[unknown]
    return right


def _scores(model: Any, x: np.ndarray, owner: np.ndarray, weight: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``[samples, groups]``."""
    with warnings.catch_warnings():
        # An attacker stopped early is still an attacker.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, owner, sample_weight=weight)
    scores = np.asarray(model.decision_function(y) if isinstance(model, SVC) else model.predict_proba(y))
    return np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores


def _balanced(right: np.ndarray, member: np.ndarray) -> float:
    """NaN where a group has nobody."""
    counts = np.bincount(member, minlength=int(member.max()) + 1)
    if not counts.all():
        return float("nan")
    return float((np.bincount(member, weights=right) / counts).mean())


def _p(vectors: np.ndarray, member: np.ndarray, found: float, seed: int) -> float:
    """Stops once five permutations do as well (Besag and Clifford 1991), which of so many makes p larger than 0.05."""
    rng = np.random.default_rng(seed)
    reached = 0
    for drawn in range(1, PERMUTATIONS + 1):
        other = rng.permutation(member)
        reached += max(_balanced(one, other) for one in _right(vectors, other, seed)) >= found - 1e-9
        if reached == _EXCEEDANCES:
            return reached / drawn
    return (reached + 1) / (PERMUTATIONS + 1)


def _interval(right: np.ndarray, member: np.ndarray, seed: int) -> Interval | None:
    groups = member.max() + 1

    def accuracy(drawn: np.ndarray) -> float:
        whole = len(np.unique(member[drawn])) == groups
        return _balanced(right[drawn], member[drawn]) if whole else float("nan")

    return subject_bootstrap(accuracy, len(member), seed, 1 - (1 - CONFIDENCE) / len(ATTACKERS))


def attribute_finding(result: Inference, attribute: str, shown: Shown) -> Finding:
    """The finding of an attack on an attribute.

    Args:
        result: What was found.
        attribute: Its name: ``gender``.
        shown: What was attacked.
    """
    return Finding(
        attack="attribute",
        target=f"{attribute} from {shown.target}",
        method=shown.method,
        observer=shown.observer,
        attacker=result.strongest,
        measure="balanced accuracy",
        value=result.attackers[result.strongest],
        chance=result.chance,
        sentence=_sentence(result, attribute, shown.sees),
        interval=result.interval,
        level=CONFIDENCE,
        p=result.p,
        details={"attribute": attribute, "groups": dict(result.groups), "attackers": dict(result.attackers)},
    )


def _sentence(result: Inference, attribute: str, sees: str) -> str:
    people, guess = sum(result.groups.values()), f"{100 * result.chance:.3g} %"
    share = f"{100 * result.attackers[result.strongest]:.3g} %"
    if result.p <= SIGNIFICANT:
        return (
            f"an attacker who never saw them tells {attribute} ({', '.join(result.groups)}) of {people} people from "
            f"samples such as {sees}, right for {share} of each group on average (guessing: {guess})"
        )
    return (
        f"none of {len(result.attackers)} attackers tells {attribute} of {people} people from samples such as {sees}: "
        f"the strongest is right for {share} of each group on average, which chance explains (guessing: {guess})"
    )
