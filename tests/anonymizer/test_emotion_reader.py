"""Readers of emotion: figures against scikit-learn, and what they can and cannot read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, recall_score

from data_prep.synthetic_faces import SyntheticFacesConfig, draw_faces
from tff_affect.anonymizer.baselines import Constant
from tff_affect.anonymizer.emotion_reader import EmotionScores, read_emotions, score_emotions
from tff_affect.errors import InputError
from tff_affect.face_set import FaceSet

EPOCHS = 8
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
    assert (found.images, found.people, found.chance) == (count, min(5, count), 1 / len(present))


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


@pytest.fixture(scope="module")
def drawn() -> tuple[FaceSet, FaceSet, FaceSet]:
    """Three emotions of seven."""
    faces = draw_faces(SyntheticFacesConfig(people=26, images=4, size=32, strength=(0.9, 1.1)))
    faces = faces.part(np.isin(faces.emotions, ("angry", "happy", "surprised")))
    return faces.of(faces.people[:16]), faces.of(faces.people[16:19]), faces.of(faces.people[19:])


@pytest.fixture(scope="module")
def read(drawn: tuple[FaceSet, FaceSet, FaceSet]) -> EmotionScores:
    return read_emotions(*drawn, seed=3, epochs=EPOCHS)


def test_drawn_emotions_are_read_in_other_people(read: EmotionScores) -> None:
    assert read.uar > 0.7
    assert (read.people, read.images, read.chance) == (7, 7 * 12, 1 / 3)


def test_a_seed_fixes_what_is_read(drawn: tuple[FaceSet, FaceSet, FaceSet]) -> None:
    first, again, other = (read_emotions(*drawn, seed=seed, epochs=1) for seed in (4, 4, 5))
    assert first == again
    assert first.confusion != other.confusion


def test_faint_images_are_read_like_strong_ones(drawn: tuple[FaceSet, FaceSet, FaceSet], read: EmotionScores) -> None:
    faint = [part.with_images(np.float32(0.5) + part.images / 1000) for part in drawn]
    assert read_emotions(*faint, seed=3, epochs=EPOCHS).uar > read.uar - 0.1


def test_emotions_of_test_people_are_not_learned_from(drawn: tuple[FaceSet, FaceSet, FaceSet]) -> None:
    train, development, test = drawn
    order = np.random.default_rng(0).permutation(len(test))
    mixed = FaceSet(test.name, test.images, test.subjects, tuple(np.array(test.emotions)[order].tolist()), test.files)
    assert read_emotions(train, development, mixed, seed=3, epochs=2).uar < 0.55


def test_nothing_is_read_in_grey(drawn: tuple[FaceSet, FaceSet, FaceSet]) -> None:
    grey = [part.with_images(Constant()(part.images)) for part in drawn]
    found = read_emotions(*grey, seed=0, epochs=1)
    assert found.uar == pytest.approx(1 / 3)


def test_emotions_that_nobody_taught_are_refused(drawn: tuple[FaceSet, FaceSet, FaceSet]) -> None:
    train, development, test = drawn
    without = train.part(np.array(train.emotions) != "happy")
    with pytest.raises(InputError, match=r"expected one of angry, surprised.*found 'happy', which nobody shows"):
        read_emotions(without, development, test, seed=0)
    with pytest.raises(InputError, match="two or more among the people learned from, found 1"):
        read_emotions(train.part(np.array(train.emotions) == "happy"), development, test, seed=0)
    with pytest.raises(InputError, match="expected images to read, found none"):
        read_emotions(train, development, test.part(np.zeros(len(test), bool)), seed=0)


def test_images_too_small_for_the_network_are_refused() -> None:
    faces = labelled(["A", "B"], ["happy", "sad"])
    tiny = faces.with_images(faces.images[:, :8, :8])
    with pytest.raises(InputError, match="16 pixels a side or more, found 8"):
        read_emotions(tiny, tiny, tiny, seed=0)
