"""Figures of readers of emotion, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, recall_score

from tff_affect.emotion_scores import average_recall, confusion, score_emotions
from tff_affect.errors import InputError
from tff_affect.face_set import FaceSet

CLASSES = ("angry", "happy", "neutral", "sad")


def labelled(subjects: list[str], emotions: list[str]) -> FaceSet:
    images = np.zeros((len(subjects), 16, 16), np.float32)
    return FaceSet("toy", images, tuple(subjects), tuple(emotions), tuple(map(str, range(len(subjects)))))


@given(st.data())
def test_figures_agree_with_scikit_learn(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 40))
    shown = data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    named = data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    faces = labelled([f"S{row % 5}" for row in range(count)], [CLASSES[number] for number in shown])
    found = score_emotions(np.array(named), faces, CLASSES, 0)
    present = sorted(set(shown))
    assert found.accuracy == pytest.approx(accuracy_score(shown, named))
    assert found.uar == pytest.approx(recall_score(shown, named, labels=present, average="macro", zero_division=0))
    if len(set(shown)) > 1 and set(named) <= set(shown):
        assert found.uar == pytest.approx(balanced_accuracy_score(shown, named))
    np.testing.assert_array_equal(found.confusion, confusion_matrix(shown, named, labels=range(4)))
    assert list(found.recall) == [CLASSES[number] for number in present]
    assert (found.samples, found.people, found.chance) == (count, min(5, count), 1 / len(present))


def test_the_likeliest_class_is_what_was_read() -> None:
    faces = labelled(["A", "A", "B"], ["angry", "happy", "sad"])
    likely = np.array([[3.0, 1, 0, 0], [0, 1, 9, 0], [0, 0, 0, 1]])
    assert score_emotions(likely, faces, CLASSES, 0) == score_emotions(np.array([0, 2, 3]), faces, CLASSES, 0)


def test_intervals_are_over_people_and_only_with_enough() -> None:
    """Whoever is read right always or never counts once, however many images there are of them."""
    people = 10
    subjects = [f"S{number}" for number in range(people) for _ in range(40)]
    faces = labelled(subjects, [CLASSES[row % 4] for row in range(len(subjects))])
    right = faces.emotion(CLASSES)
    named = np.where(faces.person % 2 == 0, right, (right + 1) % 4)
    found = score_emotions(named, faces, CLASSES, 0)
    assert found.uar == 0.5
    assert found.uar_interval is not None
    # Ten people of whom half are read: 0.5 +- 1.96 sqrt(0.25 / 10).
    assert found.uar_interval == pytest.approx((0.2, 0.8), abs=0.11)
    assert found.accuracy_interval == found.uar_interval
    few = faces.of(faces.people[:7])
    assert score_emotions(few.emotion(CLASSES), few, CLASSES, 0).uar_interval is None


def test_what_nobody_shows_does_not_count() -> None:
    table = confusion(np.array([0, 0, 2]), np.array([0, 1, 2]), 4)
    assert table.sum() == 3
    assert average_recall(table) == 0.75


def test_nothing_to_read_and_untaught_emotions_are_refused() -> None:
    faces = labelled(["A", "B"], ["angry", "sad"])
    with pytest.raises(InputError, match="expected samples to read, found none"):
        score_emotions(np.array([], int), faces.of(["C"]), CLASSES, 0)
    with pytest.raises(InputError, match="expected one of angry, happy, found 'sad', which nobody shows"):
        score_emotions(np.array([0, 1]), faces, CLASSES[:2], 0)
