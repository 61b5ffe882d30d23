"""Settings of the game for gaits."""

from dataclasses import replace

import pytest

from tff_affect.errors import InputError
from tff_affect.gait.config import LOSSES, GaitConfig


def test_adversaries_start_late_and_count_later() -> None:
    config = GaitConfig(steps=100, head_start=0.3, ramp=0.2)
    assert [config.adversaries_learn(step) for step in (19, 20)] == [False, True]
    assert [config.leak_share(step) for step in (30, 40, 50)] == pytest.approx([0, 0.5, 1])


@pytest.mark.parametrize(
    "wrong",
    [
        {"person": -0.1}, {"emotion_leak": float("nan")}, {"steps": 0}, {"emotion_code": 0}, {"learning_rate": 0.0},
        {"head_start": 0.8, "ramp": 0.3}, dict.fromkeys(LOSSES, 0.0),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="gait"):
        replace(GaitConfig(), **wrong)
