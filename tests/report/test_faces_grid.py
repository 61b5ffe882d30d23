"""The picture grid: the right image in the right place, and SYNTHETIC where faces are drawn."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from data_prep.synthetic_faces import EXPRESSIONS, SyntheticFacesConfig, draw_faces
from tff_affect.errors import InputError
from tff_affect.report import face_grid as module
from tff_affect.report.face_grid import face_grid, rows_to_show

FACES = draw_faces(SyntheticFacesConfig(people=4, images=2, size=16))


def test_rows_are_the_first_people_with_emotions_far_apart() -> None:
    rows = rows_to_show(FACES, people=3, emotions=2)
    found = [(FACES.subjects[row], FACES.emotions[row]) for row in rows]
    ends = min(EXPRESSIONS), max(EXPRESSIONS)
    assert found == [(person, emotion) for person in ("S000", "S001", "S002") for emotion in ends]


def test_a_person_who_does_not_show_an_emotion_has_a_row_less() -> None:
    part = FACES.part(
        np.array([e != "surprised" or s != "S000" for s, e in zip(FACES.subjects, FACES.emotions, strict=True)])
    )
    rows = rows_to_show(part, people=2, emotions=2)
    assert [part.subjects[row] for row in rows] == ["S000", "S001", "S001"]


def test_each_image_is_in_its_row_and_column(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures: list[np.ndarray] = []
    monkeypatch.setattr(module, "_drawn", lambda picture, *_: pictures.append(picture) or b"")
    images = np.random.default_rng(0).random((3, 8, 8), np.float32)
    face_grid({"original": images, "reversed": images[::-1]}, ["a", "b", "c"], "Faces", False)
    (picture,) = pictures
    assert picture.shape == (3 * 8 + 2 * 3, 2 * 8 + 3)
    np.testing.assert_array_equal(picture[11:19, :8], images[1])
    np.testing.assert_array_equal(picture[22:30, 11:], images[0])
    assert (picture[8:11] == 1).all()


def test_the_picture_is_the_same_each_time_and_says_synthetic(monkeypatch: pytest.MonkeyPatch) -> None:
    images = FACES.images[:2]
    png = face_grid({"original": images, "blur": images}, ["S000", "S001"], "Faces", True)
    assert png == face_grid({"original": images, "blur": images}, ["S000", "S001"], "Faces", True)
    picture = Image.open(io.BytesIO(png))
    assert picture.format == "PNG"
    assert picture.width > 200
    titles: list[str] = []
    monkeypatch.setattr(module, "_drawn", lambda picture, columns, rows, title: titles.append(title) or b"")
    for synthetic in (True, False):
        face_grid({"original": images}, ["S000", "S001"], "Faces", synthetic)
    assert titles == ["SYNTHETIC data\nFaces", "Faces"]


def test_columns_of_other_shapes_are_refused() -> None:
    images = FACES.images[:2]
    with pytest.raises(InputError, match="of one size in each column"):
        face_grid({"original": images, "blur": images[:1]}, ["a", "b"], "Faces", True)
    with pytest.raises(InputError, match="expected 3 images"):
        face_grid({"original": images}, ["a", "b", "c"], "Faces", True)
