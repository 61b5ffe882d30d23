"""How well emotions are read in people: figures with intervals over people, for whatever was read, and by whomever."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tff_affect.errors import InputError
from tff_affect.labelled_set import LabelledSet
from tff_affect.privacy.audit.intervals import subject_bootstrap

Interval = tuple[float, float]


@dataclass(frozen=True)
class EmotionScores:
    """How well emotions are told apart in people whom the reader never saw.

    Attributes:
        accuracy: Share of samples read right.
        uar: Unweighted average recall: the mean over the classes that are shown at all.
        recall: Class -> share of its samples read right; only classes that are shown.
        classes: All that the reader may name.
        confusion: Samples by true class (row) and class that was read (column), in the order of ``classes``.
        people: How many.
        accuracy_interval: Bootstrap interval over people at 95 %; None with fewer than eight.
        uar_interval: Likewise.
    """

    accuracy: float
    uar: float
    recall: Mapping[str, float]
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    people: int
    accuracy_interval: Interval | None
    uar_interval: Interval | None

    @property
    def samples(self) -> int:
        """How many were read."""
        return sum(map(sum, self.confusion))

    @property
    def chance(self) -> float:
        """UAR by guessing, or by always naming one class."""
        return 1.0 / len(self.recall)


def score_emotions(named: np.ndarray, shown: LabelledSet, classes: tuple[str, ...], seed: int) -> EmotionScores:
    """Puts what a reader named next to what people show.

    Args:
        named: ``[sample]`` number of the class that was read, or ``[sample, class]`` larger for the likelier class.
        shown: The samples that were read.
        classes: All, sorted; those that are shown among them.
        seed: Of the intervals.

    Raises:
        InputError: If there is no sample, or one shows none of the classes.
    """
    check_emotions(shown, classes)
    if named.ndim == 2:
        named = named.argmax(axis=1)
    tables = np.zeros((len(shown.people), len(classes), len(classes)), int)
    np.add.at(tables, (shown.person, shown.emotion(classes), named), 1)
    table = tables.sum(axis=0)
    recall = {name: float(right) for name, right in zip(classes, _recall(table), strict=True) if np.isfinite(right)}

    def interval(of: Callable[[np.ndarray], float]) -> Interval | None:
        return subject_bootstrap(lambda drawn: of(tables[drawn].sum(axis=0)), len(tables), seed)

    return EmotionScores(
        accuracy=_accuracy(table),
        uar=average_recall(table),
        recall=recall,
        classes=classes,
        confusion=tuple(tuple(int(count) for count in row) for row in table),
        people=len(tables),
        accuracy_interval=interval(_accuracy),
        uar_interval=interval(average_recall),
    )


def check_emotions(shown: LabelledSet, classes: tuple[str, ...]) -> None:
    """Checks that there is something to read, and nothing but what a reader was taught.

    Raises:
        InputError: If there is no sample, or one shows none of the classes.
    """
    if not len(shown):
        raise InputError("emotions: expected samples to read, found none")
    unknown = sorted(set(shown.classes) - set(classes))
    if unknown:
        raise InputError(
            f"emotions: expected one of {', '.join(classes)}, found {unknown[0]!r}, which nobody shows whom a reader "
            "learns from; leave its samples out or divide people in another way"
        )


def confusion(shown: np.ndarray, named: np.ndarray, classes: int) -> np.ndarray:
    """``[true class, named class]`` counts from ``[sample]`` numbers of classes."""
    return np.bincount(classes * shown + named, minlength=classes**2).reshape(classes, classes)


def average_recall(table: np.ndarray) -> float:
    """Unweighted average recall: the mean over the classes that are shown, from ``[true class, named class]``."""
    return float(np.nanmean(_recall(table)))


def _recall(table: np.ndarray) -> np.ndarray:
    """``[class]``, NaN where nobody shows it."""
    shown = table.sum(axis=1)
    return np.divide(np.diag(table), shown, out=np.full(len(shown), np.nan), where=shown > 0)


def _accuracy(table: np.ndarray) -> float:
    return float(np.trace(table) / table.sum())
