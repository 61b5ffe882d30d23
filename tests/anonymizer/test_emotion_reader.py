"""Readers of emotion: what they can and cannot read."""

from __future__ import annotations

import numpy as np
import pytest

from data_prep.synthetic_faces import SyntheticFacesConfig, draw_faces
from tff_affect.anonymizer.baselines import Constant
from tff_affect.anonymizer.emotion_reader import read_emotions
from tff_affect.emotion_scores import EmotionScores
from tff_affect.errors import InputError
from tff_affect.face_set import FaceSet

EPOCHS = 8


def labelled(subjects: list[str], emotions: list[str]) -> FaceSet:
    images = np.zeros((len(subjects), 16, 16), np.float32)
    return FaceSet("toy", images, tuple(subjects), tuple(emotions), tuple(map(str, range(len(subjects)))))


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
    assert (read.people, read.samples, read.chance) == (7, 7 * 12, 1 / 3)


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
    with pytest.raises(InputError, match="expected samples to read, found none"):
        read_emotions(train, development, test.part(np.zeros(len(test), bool)), seed=0)


def test_images_too_small_for_the_network_are_refused() -> None:
    faces = labelled(["A", "B"], ["happy", "sad"])
    tiny = faces.with_images(faces.images[:, :8, :8])
    with pytest.raises(InputError, match="16 pixels a side or more, found 8"):
        read_emotions(tiny, tiny, tiny, seed=0)
