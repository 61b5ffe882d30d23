"""The made-up figure: rigid, upright, on the floor, and it goes where it faces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.skeleton import BONES, JOINTS
from data_prep.walker_model import ANGLES, Body, Style, angles_at, joints_at, style_of

USUAL = Style(1.0, 1.0, 1.0, arm_swing=15, elbow=20, shoulders=-12, twist=5, lean=4, head=10, sway=2)
ANKLES = [JOINTS.index("LAnkle"), JOINTS.index("RAnkle")]


def steady(style=USUAL, body=None, asymmetry=0.0):
    phase = 2 * np.pi * np.arange(240) / 60
    return joints_at(angles_at(phase, style, asymmetry), body or Body(), 60.0)


def place(joints, name):
    return joints[:, JOINTS.index(name)]


@given(st.lists(st.floats(-1, 1), min_size=10, max_size=10), st.floats(-0.2, 0.2), st.floats(0.7, 1.3))
def test_every_bone_keeps_the_length_that_the_body_has(change, asymmetry, scale):
    sizes = [0.1, 0.2, 0.3, 10, 15, 8, 5, 8, 15, 3]
    style = style_of(USUAL.vector() + np.array(change) * sizes)
    body = Body(**{name: scale * getattr(Body(), name) for name in Body.__dataclass_fields__})
    joints = steady(style, body, asymmetry)
    expected = {
        ("Head", "Neck"): body.neck, ("Neck", "LShoulder"): body.shoulders / 2, ("LShoulder", "LElbow"): body.upper_arm,
        ("LElbow", "LWrist"): body.forearm, ("Neck", "Pelvis"): body.trunk, ("Pelvis", "LHip"): body.hips / 2,
        ("LHip", "LKnee"): body.thigh, ("LKnee", "LAnkle"): body.shank,
    }  # fmt: skip
    for one, other in BONES:
        name = JOINTS[one].replace("R", "L", 1), JOINTS[other].replace("R", "L", 1)
        length = np.linalg.norm(joints[:, one] - joints[:, other], axis=1)
        np.testing.assert_allclose(length, expected[name], rtol=1e-9)


def test_all_angles_are_made():
    assert set(angles_at(np.zeros(3), USUAL)) == set(ANGLES)
    assert style_of(USUAL.vector()) == USUAL


def test_a_foot_stands_while_the_body_goes_on():
    joints = steady()
    speed = np.linalg.norm(np.gradient(joints[:, ANKLES, :2], 1 / 60, axis=0), axis=2)
    assert np.median(speed.min(axis=1)) < 0.1
    assert 0.9 < np.gradient(place(joints, "Pelvis")[:, 0], 1 / 60).mean() < 1.6
    np.testing.assert_allclose(joints[:, ANKLES, 2].min(axis=1), 0.08, atol=0.012)
    assert np.ptp(place(joints, "Pelvis")[:, 2]) < 0.09


def test_left_and_right_do_the_same_half_a_cycle_apart():
    joints = steady(style_of(USUAL.vector())) - place(steady(), "Pelvis")[:, np.newaxis]
    for name in ("Knee", "Ankle", "Wrist", "Shoulder"):
        left, right = place(joints, f"L{name}"), place(joints, f"R{name}") * [1, -1, 1]
        np.testing.assert_allclose(left[30:90], right[:60], atol=1e-9)
    uneven = steady(asymmetry=0.2)
    wrists = [np.ptp(place(uneven, f"{side}Wrist") - place(uneven, f"{side}Shoulder"), axis=0)[0] for side in "RL"]
    assert wrists[0] > 1.2 * wrists[1]


@pytest.mark.parametrize(
    ("part", "by", "joint", "axis", "sign"),
    [
        ("lean", 10, "Neck", 0, 1), ("head", 20, "Head", 2, -1), ("elbow", 40, "RWrist", 2, 1),
        ("shoulders", 10, "LShoulder", 2, 1),
    ],
)  # fmt: skip
def test_a_posture_moves_what_it_names(part, by, joint, axis, sign):
    number = list(Style.__dataclass_fields__).index(part)
    changed = USUAL.vector()
    changed[number] += by
    before, after = (place(of, joint) - place(of, "Pelvis") for of in (steady(), steady(style_of(changed))))
    assert sign * (after - before)[:, axis].mean() > 0.01
    legs = [place(of, "RAnkle") - place(of, "Pelvis") for of in (steady(), steady(style_of(changed)))]
    np.testing.assert_allclose(legs[0], legs[1], atol=1e-12)
