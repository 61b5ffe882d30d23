import numpy as np
import pytest

from tff_affect.errors import InputError
from tff_affect.face_set import FaceSet

IMAGES = np.linspace(0, 1, 4 * 6, dtype=np.float32).reshape(4, 2, 3)


def faces(images: np.ndarray = IMAGES) -> FaceSet:
    return FaceSet("four", images, ("b", "a", "b", "c"), ("sad", "happy", "happy", "sad"), ("1", "2", "3", "4"), True)


def test_people_and_classes_are_sorted_and_numbered() -> None:
    found = faces()
    assert (found.people, found.classes) == (("a", "b", "c"), ("happy", "sad"))
    assert found.person.tolist() == [1, 0, 1, 2]
    assert found.emotion(("angry", "happy", "sad")).tolist() == [2, 1, 1, 2]
    with pytest.raises(InputError, match="expected angry, happy alone, found sad"):
        found.emotion(("angry", "happy"))


def test_a_part_keeps_what_belongs_together() -> None:
    of_b = faces().of(["b"])
    assert (of_b.subjects, of_b.emotions, of_b.files) == (("b", "b"), ("sad", "happy"), ("1", "3"))
    np.testing.assert_array_equal(of_b.images, IMAGES[[0, 2]])
    assert of_b.synthetic
    assert faces().part(np.array([3, 1])).files == ("4", "2")
    assert faces().part(np.array([False, True, False, False])).subjects == ("a",)


@pytest.mark.parametrize("images", [IMAGES[:3], IMAGES[0], IMAGES + 0.1, IMAGES * np.nan])
def test_images_that_do_not_fit_are_refused(images: np.ndarray) -> None:
    with pytest.raises(InputError, match="faces: expected"):
        faces(images)
