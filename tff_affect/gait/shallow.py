"""Emotion read in gaits by shallow learners: logistic regression, support vectors and a random forest.

Each cycle is read by a learner that never saw its person. Learners are the audit's, taught emotions in place of names;
their settings are chosen by reading some of the people learned from by what the others taught, so that whoever is
read has no part in the choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits

from tff_affect.config import SplitConfig
from tff_affect.config_checks import choice
from tff_affect.emotion_scores import EmotionScores, average_recall, check_emotions, confusion, score_emotions
from tff_affect.errors import InputError
from tff_affect.gait.features import gait_features
from tff_affect.gait_set import GaitSet
from tff_affect.privacy.audit import attackers
from tff_affect.privacy.audit.attackers import Family, Learner
from tff_affect.privacy.audit.samples import Owned, Samples
from tff_affect.splits import split_subjects

SCHEMES = ("loso", "k-fold")
INNER_FOLDS = 3


def raw_joints(gaits: GaitSet) -> np.ndarray:
    """``[cycle, time x joint x 3 + 1]`` float64: all places as they are, metres, and the cycle's duration, seconds."""
    return np.column_stack([gaits.motions.reshape(len(gaits), -1), gaits.durations]).astype(np.float64)


REPRESENTATIONS: Mapping[str, Callable[[GaitSet], np.ndarray]] = {
    "raw joints": raw_joints,
    "gait features": gait_features,
}
"""What shallow learners are shown of gaits -> ``[cycle, number]``."""


def shallow_families() -> list[Family]:
    """All that are tried; the forest's settings, which hardly matter, are not chosen."""
    return [attackers.logistic(), attackers.support_vectors(), attackers.plain_forest(attackers.TREES)]


def read_shallow(
    gaits: GaitSet,
    vectors: np.ndarray,
    seed: int,
    scheme: SplitConfig | None = None,
    families: Sequence[Family] | None = None,
) -> dict[str, EmotionScores]:
    """How well each kind of learner reads emotion in people whom it never saw.

    Args:
        gaits: Of at least three people.
        vectors: ``[cycle, number]`` what learners are shown of each cycle.
        seed: Of learners and intervals; the same seed gives the same scores.
        scheme: ``loso``, which is the default, or ``k-fold``; development people are learned from too.
        families: All of `shallow_families` by default.

    Returns:
        Name of each family -> scores of all cycles.

    Raises:
        InputError: If the scheme is another, vectors do not fit, there are too few people for the folds, or somebody
            shows an emotion that nobody else does.
    """
    scheme = scheme or SplitConfig("loso")
    choice("gait readers: scheme", scheme.scheme, SCHEMES)
    samples = Samples(np.asarray(vectors, np.float64))
    if len(samples) != len(gaits):
        raise InputError(f"gait readers: expected vectors of {len(gaits)} cycles, found {len(samples)}")
    classes = gaits.classes
    if len(classes) < 2:
        raise InputError(f"gait readers: expected two emotions or more, found {len(classes)}")
    families = shallow_families() if families is None else families
    named = np.empty((len(families), len(gaits)), int)
    folds = [np.isin(gaits.subjects, split.test) for split in split_subjects(gaits.people, scheme)]
    for tested in folds:
        check_emotions(gaits.part(tested), gaits.part(~tested).classes)
    for tested in folds:
        known = _Taught(samples.part(~tested), gaits.emotion(classes)[~tested], gaits.person[~tested])
        # On so few samples, threads wait for each other longer than they work.
        with threadpool_limits(1, user_api="openmp"):
            for row, family in enumerate(families):
                named[row, tested] = known.teach(known.choose(family, seed), seed)(samples.part(tested))
    return {family.name: score_emotions(row, gaits, classes, seed) for family, row in zip(families, named, strict=True)}


def read_others(
    known: GaitSet,
    vectors: np.ndarray,
    shown: Sequence[np.ndarray],
    seed: int,
    families: Sequence[Family] | None = None,
) -> list[np.ndarray]:
    """Emotions that the best learner reads in gaits of others, or in gaits that were made.

    Args:
        known: Gaits that teach it, and within which the kind of learner and its settings are chosen.
        vectors: ``[cycle, number]`` of them.
        shown: Vectors to be read, of several sets.
        seed: Of the learner.
        families: All of `shallow_families` by default.

    Returns:
        Of each set ``[cycle]`` numbers of the known people's emotions.
    """
    taught = _Taught(Samples(np.asarray(vectors, np.float64)), known.emotion(known.classes), known.person)
    families = shallow_families() if families is None else families
    every = Family("any", tuple(candidate for family in families for candidate in family.candidates))
    # As in `read_shallow`.
    with threadpool_limits(1, user_api="openmp"):
        read = taught.teach(taught.choose(every, seed), seed)
        return [read(Samples(np.asarray(each, np.float64))) for each in shown]


class _Taught:
    """What learners are taught by: samples, with the numbers of their emotions and people."""

    def __init__(self, samples: Samples, emotion: np.ndarray, person: np.ndarray) -> None:
        self._samples, self._emotion, self._person = samples, emotion, person

    def teach(self, learner: Learner, seed: int) -> Callable[[Samples], np.ndarray]:
        """From samples to ``[sample]`` numbers of emotions that the learner, once taught, reads."""
        # Of some of the people there may be fewer emotions.
        shown, number = np.unique(self._emotion, return_inverse=True)
        if len(shown) == 1:
            return lambda samples: np.full(len(samples), shown[0])
        order = np.argsort(number, kind="stable")
        scores = learner(Owned(self._samples.part(order), number[order]), seed)
        return lambda samples: shown[scores(samples).argmax(axis=1)]

    def choose(self, family: Family, seed: int) -> Learner:
        """The candidate that reads best in people left out by turns; the first of equals."""
        if len(family.candidates) == 1:
            return family.candidates[0]
        found = [average_recall(self._read_by_turns(learner, seed)) for learner in family.candidates]
        return family.candidates[int(np.argmax(found))]

    def _read_by_turns(self, learner: Learner, seed: int) -> np.ndarray:
        folds = GroupKFold(min(INNER_FOLDS, len(set(self._person))))
        named = np.empty_like(self._emotion)
        for known, unknown in folds.split(self._emotion, groups=self._person):
            others = _Taught(self._samples.part(known), self._emotion[known], self._person[known])
            named[unknown] = others.teach(learner, seed)(self._samples.part(unknown))
        return confusion(self._emotion, named, int(self._emotion.max()) + 1)
