"""What is left of emotion in transformed faces: a fresh network learns it from some people and reads it in others.

Every transformation gets a reader of the same size and budget, stopped where it reads development people best.
"""

from __future__ import annotations

from tff_affect.anonymizer.small_network import Scale, Training, classifier, outputs
from tff_affect.emotion_scores import EmotionScores, average_recall, check_emotions, confusion, score_emotions
from tff_affect.errors import InputError
from tff_affect.face_set import FaceSet
from tff_affect.models.classifying import cross_entropy

EPOCHS, PATIENCE = 20, 5


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
        check_emotions(faces, classes)
    scale = Scale.of(train.images)
    network = classifier(train.images.shape[1:], len(classes), seed)
    training = Training(network, cross_entropy(), scale(train.images), train.emotion(classes), seed, vary=True)
    x, shown = scale(development.images), development.emotion(classes)

    def judge() -> float:
        return average_recall(confusion(shown, outputs(network, x).argmax(axis=1), len(classes)))

    training.best_epoch(judge, epochs, patience)
    return score_emotions(outputs(network, scale(test.images)), test, classes, seed)
