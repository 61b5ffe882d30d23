"""Features of gaits: against angles that walkers were made of, and what must not change them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.skeleton import BONES, JOINTS
from data_prep.synthetic_walkers import SyntheticWalkersConfig, draw_walkers
from data_prep.walk_file import CycleOptions
from data_prep.walker_model import Body, Style, angles_at, joints_at
from tff_affect.errors import InputError
from tff_affect.gait.features import LIMBS, NAMES, UNITS, gait_features
from tff_affect.gait_set import GaitSet

STYLE = Style(0.8, 1.0, 1.0, arm_swing=20, elbow=30, shoulders=-10, twist=6, lean=5, head=12, sway=3)
SAMPLES = 128
WALKERS = draw_walkers(SyntheticWalkersConfig(people=2, takes=1, cycles=2))


def gaits(motions: np.ndarray, duration: float = 1.0) -> GaitSet:
    count = len(motions)
    spans = np.tile([2.0, 2.0 + duration], (count, 1))
    return GaitSet("made", motions, JOINTS, BONES, ("A",) * count, ("sad",) * count, ("1",) * count, spans, True)


def walker(style: Style = STYLE, asymmetry: float = 0.0, **angles: float) -> np.ndarray:
    """One cycle of a walker with the pelvis as the origin and the hips square on; some angles held."""
    phase = 2 * np.pi * np.arange(SAMPLES) / SAMPLES
    made = {**angles_at(phase, style, asymmetry), "Hips": np.zeros(SAMPLES)}
    made |= {name: np.full(SAMPLES, angle) for name, angle in angles.items()}
    places = joints_at(made, Body(), SAMPLES)
    return (places - places[:, [JOINTS.index("Pelvis")]])[np.newaxis]


def features(motions: np.ndarray, duration: float = 1.0) -> dict[str, float]:
    return dict(zip(NAMES, gait_features(gaits(motions, duration))[0].tolist(), strict=True))


def test_angles_are_those_of_which_the_walker_was_made() -> None:
    found = features(walker(Shoulders=0.0))
    expected = {
        "shoulder_range_left": 40, "shoulder_range_right": 40, "shoulder_mean_left": -2, "head_tilt": 12,
        "trunk_lean": 5, "shoulders_raised": -10, "twist": 0, "hip_mean_left": 14.7, "knee_mean_right": 21.9,
        "shoulder_range_asymmetry": 0, "arm_swing_asymmetry": 0, "step_length_asymmetry": 0,
    }  # fmt: skip
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=0.2), name
    # From the side, the lean of a trunk that sways has no more range than its own 1.5 degrees to each side.
    assert found["trunk_sway"] == pytest.approx(6, abs=0.1)


def test_twist_is_the_range_of_the_shoulders_against_the_hips() -> None:
    assert features(walker())["twist"] == pytest.approx(12, abs=0.2)


def test_a_stiff_figure_drawn_by_hand() -> None:
    """Straight legs at +-30 degrees, arms bent at a right angle to the front, everything else upright."""
    places = dict.fromkeys(JOINTS, np.zeros(3))
    places |= {"Neck": np.array([0, 0, 0.5]), "Head": np.array([0, 0, 0.7])}
    for side, sign in (("L", 1.0), ("R", -1.0)):
        places[f"{side}Hip"] = np.array([0, 0.1 * sign, 0])
        places[f"{side}Shoulder"] = np.array([0, 0.2 * sign, 0.5])
        places[f"{side}Elbow"] = places[f"{side}Shoulder"] - [0, 0, 0.3]
        places[f"{side}Wrist"] = places[f"{side}Elbow"] + [0.25, 0, 0]
    frames = []
    for angle in np.radians([30, -30]):
        for side, sign in (("L", 1.0), ("R", -1.0)):
            leg = np.array([np.sin(sign * angle), 0, -np.cos(angle)])
            places[f"{side}Knee"], places[f"{side}Ankle"] = (places[f"{side}Hip"] + part * leg for part in (0.4, 0.8))
        frames.append([places[joint] for joint in JOINTS])
    found = features(np.array([frames]), duration=1.25)
    assert found["step_length_left"] == found["step_length_right"] == pytest.approx(0.8)
    assert found["step_width"] == pytest.approx(0.2)
    assert found["speed"] == pytest.approx(1.6 / 1.25)
    assert found["cadence"] == pytest.approx(96)
    for side in ("left", "right"):
        assert found[f"hip_range_{side}"] == pytest.approx(60)
        assert found[f"elbow_mean_{side}"] == pytest.approx(90)
        assert found[f"knee_mean_{side}"] == pytest.approx(0, abs=1e-6)
        assert found[f"arm_swing_{side}"] == pytest.approx(0, abs=1e-12)
    still = ("elbow_range_left", "trunk_lean", "head_tilt", "twist", "bounce", "trunk_sway", "arm_swing_asymmetry")
    assert [found[name] for name in still] == pytest.approx([0.0] * len(still), abs=1e-6)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"arm_swing": 30.0}, "arm_swing_left"), ({"arm_swing": 30.0}, "elbow_range_right"),
        ({"stride": 1.2}, "step_length_left"), ({"stride": 1.2}, "speed"), ({"elbow": 40.0}, "elbow_mean_left"),
        ({"bounce": 1.4}, "bounce"), ({"sway": 6.0}, "trunk_sway"), ({"head": 20.0}, "head_tilt"),
    ],
)  # fmt: skip
def test_more_of_a_style_is_more_of_its_feature(change: dict[str, float], name: str) -> None:
    assert features(walker(replace(STYLE, **change)))[name] > 1.02 * features(walker())[name]


def test_asymmetry_says_which_side_swings_further() -> None:
    found = features(walker(asymmetry=0.1, Shoulders=0.0))
    assert found["shoulder_range_asymmetry"] == pytest.approx(-0.1, abs=1e-6)
    assert found["hip_range_asymmetry"] == pytest.approx(-0.1, abs=1e-6)


def mirrored(motions: np.ndarray) -> np.ndarray:
    """Left for right, where the body faces x."""
    swapped = [JOINTS.index({"L": "R", "R": "L"}.get(j[0], j[0]) + j[1:]) for j in JOINTS]
    return motions[:, :, swapped] * np.array([1, -1, 1], motions.dtype)


def test_a_mirror_swaps_left_and_right() -> None:
    own = gait_features(WALKERS)
    seen = dict(zip(NAMES, gait_features(replace(WALKERS, motions=mirrored(WALKERS.motions))).T, strict=True))
    for name, values in zip(NAMES, own.T, strict=True):
        swapped = name.replace("left", "*").replace("right", "left").replace("*", "right")
        sign = -1 if name.endswith("_asymmetry") else 1
        np.testing.assert_allclose(seen[swapped], sign * values, atol=1e-3, err_msg=name)
    assert np.ptp(own[:, [NAMES.index(f"{limb}_range_asymmetry") for limb in LIMBS]]) > 0.01


@settings(max_examples=10, deadline=None)
@given(angle=st.floats(-np.pi, np.pi), moved=st.tuples(*[st.floats(-20, 20)] * 3), first=st.integers(0, 63))
def test_neither_place_nor_heading_nor_where_the_cycle_begins_matters(
    angle: float, moved: tuple[float, float, float], first: int
) -> None:
    cos, sin = np.cos(angle), np.sin(angle)
    turned = WALKERS.motions.astype(np.float64) @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    there = replace(WALKERS, motions=np.roll(turned + moved, first, axis=1))
    np.testing.assert_allclose(gait_features(there), gait_features(WALKERS), atol=1e-6)


def test_steps_stand_in_for_the_stride_that_is_lost() -> None:
    """Of walks that go through the room, the pelvis gets about as far as both steps together."""
    walks = draw_walkers(SyntheticWalkersConfig(people=6, takes=1, cycles=2), CycleOptions(root=False, size=False))
    pelvis = walks.motions[:, :, JOINTS.index("Pelvis"), 0]
    stride = (pelvis[:, -1] - pelvis[:, 0]) * 64 / 63
    found = dict(zip(NAMES, gait_features(walks).T, strict=True))
    steps = found["step_length_left"] + found["step_length_right"]
    assert np.corrcoef(steps, stride)[0, 1] > 0.8
    np.testing.assert_allclose(steps, stride, rtol=0.25)


def test_each_feature_has_a_unit_and_a_finite_number() -> None:
    assert set(UNITS.values()) == {"steps/min", "m/s", "m", "degrees", "1"}
    assert np.isfinite(gait_features(WALKERS)).all()
    assert np.isfinite(gait_features(gaits(np.zeros((1, 8, 15, 3))))).all()
    assert gait_features(WALKERS.part(np.zeros(len(WALKERS), bool))).shape == (0, len(NAMES))


def test_a_missing_joint_is_named() -> None:
    other = replace(WALKERS, joints=tuple("Nose" if joint == "LKnee" else joint for joint in JOINTS))
    with pytest.raises(InputError, match=r"expected the joint LKnee, found Head, Neck"):
        gait_features(other)
