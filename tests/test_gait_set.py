import numpy as np
import pytest

from tff_affect.errors import InputError
from tff_affect.gait_set import GaitSet

MOTIONS = np.linspace(0, 1, 4 * 5 * 3 * 3, dtype=np.float32).reshape(4, 5, 3, 3)
SPANS = np.array([[0.5, 1.5], [1.5, 2.25], [0.0, 1.0], [3.0, 4.0]])


def gaits(
    motions: np.ndarray = MOTIONS, spans: np.ndarray = SPANS, bones: tuple[tuple[int, int], ...] = ((0, 1),)
) -> GaitSet:
    names = ("b", "a", "b", "c"), ("sad", "happy", "happy", "sad"), ("b/1.csv", "a/9.csv", "b/2.csv", "c/1.csv")
    return GaitSet("four", motions, ("Head", "Neck", "Pelvis"), bones, *names, spans, True)


def test_people_classes_and_takes_are_sorted_and_numbered() -> None:
    found = gaits()
    assert len(found) == 4
    assert (found.people, found.classes) == (("a", "b", "c"), ("happy", "sad"))
    assert found.person.tolist() == [1, 0, 1, 2]
    assert found.take.tolist() == [1, 0, 2, 3]
    assert found.emotion(("angry", "happy", "sad")).tolist() == [2, 1, 1, 2]
    assert found.durations.tolist() == [1.0, 0.75, 1.0, 1.0]
    assert found.place(1) == "a/9.csv, 1.50 s to 2.25 s"


def test_a_part_keeps_what_belongs_together() -> None:
    of_b = gaits().of(["b"])
    assert (of_b.subjects, of_b.emotions, of_b.takes) == (("b", "b"), ("sad", "happy"), ("b/1.csv", "b/2.csv"))
    np.testing.assert_array_equal(of_b.motions, MOTIONS[[0, 2]])
    np.testing.assert_array_equal(of_b.spans, SPANS[[0, 2]])
    assert of_b.synthetic
    assert gaits().part(np.array([3, 1])).takes == ("c/1.csv", "a/9.csv")
    assert gaits().part(np.array([False, True, False, False])).subjects == ("a",)


def test_other_motions_have_the_same_people() -> None:
    other = gaits().with_motions(MOTIONS[:, ::-1])
    assert (other.subjects, other.takes, other.synthetic) == (gaits().subjects, gaits().takes, True)
    np.testing.assert_array_equal(other.motions[:, 0], MOTIONS[:, 4])


@pytest.mark.parametrize(
    "motions", [MOTIONS[:3], MOTIONS[0], MOTIONS[:, :, :2], MOTIONS[..., :2], MOTIONS * np.nan, MOTIONS + np.inf],
    ids=["too few", "three axes", "a joint less", "flat", "NaN", "infinity"],
)  # fmt: skip
def test_motions_that_do_not_fit_are_refused(motions: np.ndarray) -> None:
    with pytest.raises(InputError, match="gait: expected"):
        gaits(motions)


def test_spans_and_bones_that_do_not_fit_are_refused() -> None:
    for spans in (SPANS[:3], SPANS[:, ::-1], SPANS * np.nan):
        with pytest.raises(InputError, match="a beginning before an end"):
            gaits(spans=spans)
    with pytest.raises(InputError, match="bones between joints 0 to 2"):
        gaits(bones=((0, 3),))
