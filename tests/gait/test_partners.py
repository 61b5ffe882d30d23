"""With whom codes are exchanged."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tff_affect.gait.partners import Partners


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=25), st.integers(0, 99))
def test_partners_are_who_they_should_be_wherever_there_are_any(cells: list[tuple[int, int]], seed: int) -> None:
    person, emotion = np.array(cells).T
    drawn = Partners(person, emotion).draw(16, np.random.default_rng(seed))
    for row, other, same, (has_other, has_same) in zip(
        drawn.rows, drawn.same_emotion, drawn.same_person, drawn.paired.T, strict=True
    ):
        assert has_other == any(cell[0] != person[row] and cell[1] == emotion[row] for cell in cells)
        assert has_same == any(cell[0] == person[row] and cell[1] != emotion[row] for cell in cells)
        expected = (emotion[row], True) if has_other else (emotion[row], False)
        assert (emotion[other], person[other] != person[row]) == expected
        expected = (person[row], True) if has_same else (person[row], False)
        assert (person[same], emotion[same] != emotion[row]) == expected


def test_all_cycles_and_all_partners_are_drawn() -> None:
    person, emotion = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 1, 0, 1])
    drawn = Partners(person, emotion).draw(300, np.random.default_rng(0))
    assert drawn.paired.all()
    assert set(drawn.rows) == set(range(6))
    assert set(drawn.same_emotion[drawn.rows == 0]) == {2, 4}
    assert set(drawn.same_person[drawn.rows == 3]) == {2}


def test_whether_there_is_any_partner() -> None:
    def found(person: list[int], emotion: list[int]) -> tuple[bool, bool]:
        partners = Partners(np.array(person), np.array(emotion))
        return partners.any_of_same_emotion, partners.any_of_same_person

    assert found([0, 0, 1], [0, 0, 1]) == (False, False)
    assert found([0, 0], [0, 1]) == (False, True)
    assert found([0, 1], [1, 1]) == (True, False)
