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
    ("wrong", "said"),
    [
        ({"person": -0.1}, r"gait\.person: expected at least 0, found -0\.1"),
        ({"emotion_leak": float("nan")}, r"gait\.emotion_leak: expected at least 0, found nan"),
        ({"emotion_noise": -0.3}, r"gait\.emotion_noise: expected at least 0, found -0\.3"),
        ({"emotion_noise": float("nan")}, r"gait\.emotion_noise: expected at least 0, found nan"),
        ({"emotion_noise": float("inf")}, r"gait\.emotion_noise: expected at least 0 and finite, found inf"),
        ({"steps": 0}, r"gait\.steps: expected at least 1, found 0"),
        ({"emotion_code": 0}, r"gait\.emotion_code: expected at least 1, found 0"),
        ({"biometric_code": 0}, r"gait\.biometric_code: expected at least 1, found 0"),
        ({"learning_rate": 0.0}, r"gait\.learning_rate: expected a number above 0, found 0"),
        ({"head_start": 0.8, "ramp": 0.3}, r"gait\.head_start and ramp: .* at most 1 together, found 0\.8 and 0\.3"),
        (dict.fromkeys(LOSSES, 0.0), "expected a weight above 0 among those of the losses, found none"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        replace(GaitConfig(), **wrong)


def test_noise_and_mirror_can_be_left_out() -> None:
    config = GaitConfig(emotion_noise=0.0, mirrored=False)
    assert (config.emotion_noise, config.mirrored) == (0, False)
