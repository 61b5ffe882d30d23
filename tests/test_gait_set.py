"""Sets of gait cycles in memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_series_are_places_and_durations_at_every_sample() -> None:
    series = gaits().series
    assert (series.shape, series.dtype) == ((4, 5, 10), np.float32)
    for cycle, duration in enumerate([1.0, 0.75, 1.0, 1.0]):
        for at in range(5):
            assert series[cycle, at].tolist() == [*MOTIONS[cycle, at].ravel().tolist(), duration]
    assert gaits().part(np.zeros(4, bool)).series.shape == (0, 5, 10)


def test_other_series_have_the_same_people_and_begin_where_they_began() -> None:
    series = gaits().series[:, ::-1].copy()
    series[:, :, -1] *= 2
    other = gaits().with_series(series)
    assert (other.subjects, other.emotions, other.takes) == (gaits().subjects, gaits().emotions, gaits().takes)
    assert other.synthetic
    np.testing.assert_array_equal(other.motions[:, 0], MOTIONS[:, 4])
    np.testing.assert_array_equal(other.spans, [[0.5, 2.5], [1.5, 3.0], [0.0, 2.0], [3.0, 5.0]])
    nobody = gaits().part(np.zeros(4, bool))
    assert nobody.with_series(nobody.series).motions.shape == (0, 5, 3, 3)


@given(st.lists(st.tuples(st.floats(0, 3600), st.floats(0.1, 10)), min_size=4, max_size=4))
def test_a_set_with_its_own_series_is_the_same_set(found: list[tuple[float, float]]) -> None:
    own = gaits(spans=np.array([[start, start + duration] for start, duration in found]))
    same = own.with_series(own.series)
    np.testing.assert_array_equal(same.motions, own.motions)
    np.testing.assert_array_equal(same.series, own.series)
    np.testing.assert_allclose(same.spans, own.spans, atol=1e-6)
    assert (same.subjects, same.emotions, same.takes) == (own.subjects, own.emotions, own.takes)


def test_series_that_cannot_be_walked_are_refused() -> None:
    for number in (0.0, -1.0, np.nan, np.inf):
        series = gaits().series.copy()
        series[2, :, -1] = number
        with pytest.raises(InputError, match="a beginning before an end, in seconds"):
            gaits().with_series(series)


@pytest.mark.parametrize(
    "motions", [MOTIONS[:3], MOTIONS[0], MOTIONS[:, :, :2], MOTIONS[..., :2], MOTIONS * np.nan, MOTIONS + np.inf],
    ids=["too few", "three axes", "a joint less", "flat", "NaN", "infinity"],
)  # fmt: skip
def test_motions_that_do_not_fit_are_refused(motions: np.ndarray) -> None:
    with pytest.raises(InputError, match="gait: expected"):
        gaits(motions)


def test_spans_and_bones_that_do_not_fit_are_refused() -> None:
    for spans in (SPANS[:3], SPANS[:, ::-1], SPANS * np.nan, SPANS * [1, np.inf], SPANS - [np.inf, 0]):
        with pytest.raises(InputError, match="a beginning before an end"):
            gaits(spans=spans)
    with pytest.raises(InputError, match="bones between joints 0 to 2"):
        gaits(bones=((0, 3),))
