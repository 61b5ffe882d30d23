"""What is left of emotion in transformed faces: a fresh network learns it from some people and reads it in others.

Every transformation gets a reader of the same size and budget, stopped where it reads development people best.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tff_affect.anonymizer.small_network import Scale, Training, classifier, outputs
from tff_affect.errors import InputError
from tff_affect.face_set import FaceSet
from tff_affect.models.classifying import cross_entropy
from tff_affect.privacy.audit.intervals import subject_bootstrap

EPOCHS, PATIENCE = 20, 5
Interval = tuple[float, float]


@dataclass(frozen=True)
class EmotionScores:
    """How well emotions are told apart in people whom the reader never saw.

    Attributes:
        accuracy: Share of images read right.
        uar: Unweighted average recall: the mean over the classes that are shown at all.
        recall: Class -> share of its images read right; only classes that are shown.
        classes: All that the reader may name.
        confusion: Images by true class (row) and class that was read (column), in the order of ``classes``.
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
    def images(self) -> int:
        """How many were read."""
        return sum(map(sum, self.confusion))

    @property
    def chance(self) -> float:
        """UAR by guessing, or by always naming one class."""
        return 1.0 / len(self.recall)


def score_emotions(named: np.ndarray, faces: FaceSet, classes: tuple[str, ...], seed: int) -> EmotionScores:
    """Puts what a reader named next to what people show.

    Args:
        named: ``[image]`` number of the class that was read, or ``[image, class]`` larger for the likelier class.
        faces: The images that were read.
        classes: All, sorted; those of the faces among them.
        seed: Of the intervals.

    Raises:
        InputError: If there is no image, or one shows none of the classes.
    """
    _check(faces, classes)
    if named.ndim == 2:
        named = named.argmax(axis=1)
    tables = np.zeros((len(faces.people), len(classes), len(classes)), int)
    np.add.at(tables, (faces.person, faces.emotion(classes), named), 1)
    table = tables.sum(axis=0)
    recall = {name: float(right) for name, right in zip(classes, _recall(table), strict=True) if np.isfinite(right)}

    def interval(of: Callable[[np.ndarray], float]) -> Interval | None:
        return subject_bootstrap(lambda drawn: of(tables[drawn].sum(axis=0)), len(tables), seed)

    return EmotionScores(
        accuracy=_accuracy(table),
        uar=_uar(table),
        recall=recall,
        classes=classes,
        confusion=tuple(tuple(int(count) for count in row) for row in table),
        people=len(tables),
        accuracy_interval=interval(_accuracy),
        uar_interval=interval(_uar),
    )


def read_emotions(
    train: FaceSet, development: FaceSet, test: FaceSet, seed: int, epochs: int = EPOCHS, patience: int = PATIENCE
) -> EmotionScores:
    """Trains a reader and lets it read test people.

    Args:
        train: Transformed images of the people whom it learns from; their emotions are the classes.
        development: Of those by whom it is stopped.
        test: Of those whom it reads.
        seed: Of the network, of the order of images and of the intervals; the same seed gives the same scores.
        epochs: At most.
        patience: Epochs without progress on development people after which it stops.

    Raises:
        InputError: With a single emotion, or an emotion that nobody shows whom the reader learns from.
    """
    classes = train.classes
    if len(classes) < 2:
        raise InputError(f"emotions: expected two or more among the people learned from, found {len(classes)}")
    for faces in (development, test):
        _check(faces, classes)
    scale = Scale.of(train.images)
    network = classifier(train.images.shape[1:], len(classes), seed)
    training = Training(network, cross_entropy(), scale(train.images), train.emotion(classes), seed, vary=True)
    x, shown = scale(development.images), development.emotion(classes)

    def judge() -> float:
        return _uar(_confusion(shown, outputs(network, x).argmax(axis=1), len(classes)))

    training.best_epoch(judge, epochs, patience)
    return score_emotions(outputs(network, scale(test.images)), test, classes, seed)


def _check(faces: FaceSet, classes: tuple[str, ...]) -> None:
    if not len(faces):
        raise InputError("emotions: expected images to read, found none")
    unknown = sorted(set(faces.classes) - set(classes))
    if unknown:
        raise InputError(
            f"emotions: expected one of {', '.join(classes)}, found {unknown[0]!r}, which nobody shows whom a reader "
            "learns from; leave its images out or divide people in another way"
        )


def _confusion(shown: np.ndarray, named: np.ndarray, classes: int) -> np.ndarray:
    return np.bincount(classes * shown + named, minlength=classes**2).reshape(classes, classes)


def _recall(confusion: np.ndarray) -> np.ndarray:
    """``[class]``, NaN where nobody shows it."""
    shown = confusion.sum(axis=1)
    return np.divide(np.diag(confusion), shown, out=np.full(len(shown), np.nan), where=shown > 0)


def _accuracy(confusion: np.ndarray) -> float:
    return float(np.trace(confusion) / confusion.sum())


def _uar(confusion: np.ndarray) -> float:
    return float(np.nanmean(_recall(confusion)))
