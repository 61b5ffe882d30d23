import pytest

from tff_affect.game_schedule import is_past, risen


def test_a_weight_rises_after_the_head_start_and_stays() -> None:
    found = [risen(step, 100, 0.2, 0.4) for step in range(100)]
    assert found[:21] == [0.0] * 21
    assert found[40] == pytest.approx(0.5)
    assert found[60:] == pytest.approx([1.0] * 40)


def test_without_a_ramp_it_is_there_at_once() -> None:
    assert [risen(step, 10, 0.5, 0.0) for step in (4, 5)] == [0.0, 1.0]
    assert risen(0, 10, 0.0, 0.0) == 1.0
    assert [is_past(step, 30, 0.1) for step in (2, 3)] == [False, True]
