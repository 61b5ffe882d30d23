from dataclasses import replace

import numpy as np
import pytest

from data_prep.synthetic_faces import EXPRESSIONS, SyntheticFacesConfig, draw_faces
from tff_affect.errors import InputError

CONFIG = SyntheticFacesConfig(people=6, images=3, size=32)
PLAIN = replace(CONFIG, circumstances=0.0, blend=0.0, strength=(1.0, 1.0))


def test_every_person_shows_every_emotion_equally_often() -> None:
    faces = draw_faces(CONFIG)
    assert (faces.synthetic, "SYNTHETIC" in faces.name) == (True, True)
    assert faces.images.shape == (6 * 3 * len(EXPRESSIONS), 32, 32)
    assert faces.classes == tuple(EXPRESSIONS)
    counts = np.zeros((6, len(EXPRESSIONS)))
    np.add.at(counts, (faces.person, faces.emotion(faces.classes)), 1)
    assert (counts == 3).all()


def test_equal_settings_draw_equal_faces_and_a_person_is_drawn_alike_in_a_larger_set() -> None:
    faces = draw_faces(CONFIG)
    np.testing.assert_array_equal(faces.images, draw_faces(CONFIG).images)
    larger = draw_faces(replace(CONFIG, people=8))
    np.testing.assert_array_equal(larger.of(faces.people).images, faces.images)
    assert (draw_faces(replace(CONFIG, seed=1)).images != faces.images).any(axis=(1, 2)).all()


def test_identity_emotion_and_circumstances_are_what_changes_an_image() -> None:
    plain = draw_faces(PLAIN)
    by_person = plain.images.reshape(6, 3, len(EXPRESSIONS), 32, 32)
    np.testing.assert_array_equal(by_person[:, 0], by_person[:, 1])
    for first in range(len(EXPRESSIONS)):
        for second in range(first):
            assert (by_person[:, 0, first] != by_person[:, 0, second]).any(axis=(1, 2)).all()
    assert (by_person[:-1] != by_person[1:]).any(axis=(-2, -1)).all()
    lit = draw_faces(replace(PLAIN, circumstances=1.0)).images.reshape(by_person.shape)
    assert (lit[:, 0] != lit[:, 1]).any(axis=(-2, -1)).all()


@pytest.mark.parametrize("wrong", [{"people": 0}, {"images": 0}, {"size": 15}, {"seed": -1}])
def test_settings_that_draw_nothing_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        replace(CONFIG, **wrong)
