"""What is taken out of a walk and what stays; gaps that are filled and gaps that are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_walks import walk

from data_prep.gait_normalise import (
    STANDARD_SIZE,
    body_size,
    check_body,
    facing,
    fill_gaps,
    is_static,
    normalise,
    turned,
    walks_backwards,
)
from data_prep.skeleton import BONES, JOINTS
from tff_affect.errors import InputError

WALK = walk()
PELVIS, WRIST = JOINTS.index("Pelvis"), JOINTS.index("RWrist")


def rotated(joints, angle):
    """Turned about z by complex numbers."""
    flat = (joints[..., 0] + 1j * joints[..., 1]) * np.exp(1j * angle)
    return np.stack([flat.real, flat.imag, joints[..., 2]], axis=-1)


@given(angle=st.floats(-3.1, 3.1), x=st.floats(-50, 50), y=st.floats(-50, 50), up=st.floats(-1, 3))
def test_place_and_heading_in_the_room_leave_nothing(angle, x, y, up):
    cycle = WALK[60:125]
    np.testing.assert_allclose(turned(cycle, angle), rotated(cycle, angle), atol=1e-9)
    moved = rotated(cycle, angle) + np.array([x, y, up])
    assert np.exp(1j * facing(moved)) == pytest.approx(np.exp(1j * (facing(cycle) + angle)), abs=1e-9)
    np.testing.assert_allclose(normalise(moved), normalise(cycle), atol=1e-9)
    np.testing.assert_allclose(normalise(moved)[:, PELVIS], 0, atol=1e-12)


@given(st.floats(0.5, 1.6))
def test_size_is_that_of_the_bones_and_can_be_taken_out(scale):
    assert body_size(WALK * scale) == pytest.approx(scale * body_size(WALK))
    made = normalise(WALK * scale, size=body_size(WALK * scale))
    np.testing.assert_allclose(made, normalise(WALK, size=body_size(WALK)), atol=1e-9)
    assert body_size(made) == pytest.approx(STANDARD_SIZE)


def test_each_switch_leaves_in_what_it_names():
    moved = rotated(WALK, 1.0) + np.array([3, 4, 0])
    np.testing.assert_array_equal(normalise(moved, root=False, heading=False), moved)
    np.testing.assert_allclose(facing(normalise(moved, heading=False)), facing(moved))
    np.testing.assert_allclose(facing(normalise(moved, root=False)), 0, atol=1e-9)
    assert np.abs(normalise(moved, root=False)[:, PELVIS]).max() > 1
    assert body_size(normalise(moved)) == pytest.approx(body_size(WALK))
    bones = np.array(BONES)

    def lengths(of):
        return np.linalg.norm(of[:, bones[:, 0]] - of[:, bones[:, 1]], axis=2)

    np.testing.assert_allclose(lengths(normalise(moved)), lengths(WALK), atol=1e-9)


def test_left_is_y_and_forward_is_x():
    made = normalise(rotated(WALK, 2.0))
    assert (made[:, JOINTS.index("LShoulder"), 1] > 0.05).all()
    assert (made[:, JOINTS.index("RShoulder"), 1] < -0.05).all()
    for knee, ankle in (("LKnee", "LAnkle"), ("RKnee", "RAnkle")):
        # A knee bends backwards.
        bent = np.argmin(made[:, JOINTS.index(knee), 2] - made[:, JOINTS.index(ankle), 2])
        assert made[bent, JOINTS.index(ankle), 0] < made[bent, JOINTS.index(knee), 0]


def test_short_gaps_are_filled_close_to_the_truth():
    holed = WALK.copy()
    holed[30:35, WRIST] = np.nan
    holed[50:53, [0, 4, 9]] = np.nan
    holed[90, WRIST, 1] = np.nan
    filled, first = fill_gaps(holed, 60.0, 0.1)
    assert first == 0
    np.testing.assert_allclose(filled, WALK, atol=0.01)
    seen = ~np.isnan(holed).any(axis=2)
    np.testing.assert_array_equal(filled[seen], WALK[seen])
    assert np.isnan(holed[30]).any()


def test_incomplete_ends_are_cut_off_however_long():
    holed = WALK.copy()
    holed[:25, 3] = np.nan
    holed[-40:, 8] = np.nan
    filled, first = fill_gaps(holed, 60.0, 0.1)
    assert first == 25
    np.testing.assert_array_equal(filled, WALK[25:-40])


@pytest.mark.parametrize(("length", "fits"), [(6, True), (7, False)])
def test_longer_gaps_are_refused_by_name(length, fits):
    holed = WALK.copy()
    holed[20:22, WRIST] = np.nan
    holed[40 : 40 + length, WRIST] = np.nan
    if fits:
        assert not np.isnan(fill_gaps(holed, 60.0, 0.1)[0]).any()
    else:
        with pytest.raises(InputError, match=r"RWrist is missing for 0\.12 s from frame 40; at most 0\.1 s are filled"):
            fill_gaps(holed, 60.0, 0.1)


def test_a_joint_never_seen_is_named():
    holed = WALK.copy()
    holed[:, [1, 7]] = np.nan
    with pytest.raises(InputError, match="found 0: Neck, RWrist never seen"):
        fill_gaps(holed, 60.0, 0.1)
    holed = np.where(np.arange(len(WALK))[:, np.newaxis, np.newaxis] % 2, WALK, np.nan)
    holed[1::4, 0] = np.nan
    holed[3::4, 5] = np.nan
    with pytest.raises(InputError, match="some joint is missing in every frame"):
        fill_gaps(holed, 60.0, 0.1)


def test_a_pose_is_static_and_a_treadmill_is_not():
    pose = np.repeat(WALK[:1], 100, axis=0) + 0.01 * np.random.default_rng(0).normal(size=(100, 15, 3))
    assert is_static(pose)
    assert not is_static(WALK)
    assert not is_static(WALK - WALK[:, PELVIS : PELVIS + 1])


def test_the_wrong_unit_and_the_wrong_axis_are_found():
    check_body(WALK)
    with pytest.raises(InputError, match=r"0\.5 to 2\.3 m from ankle to head, found 1\d\d m; see metres_per_unit"):
        check_body(WALK * 100)
    with pytest.raises(InputError, match=r"found 0\.\d+ m"):
        check_body(WALK * 0.0254)
    for axes in ([2, 0, 1], [1, 2, 0]):
        with pytest.raises(InputError, match="head above its ankles, found none; see up"):
            check_body(WALK[:, :, axes])
    with pytest.raises(InputError, match="see up"):
        check_body(WALK * [1, -1, -1])


def test_a_joint_that_flies_off_is_named():
    flying = WALK.copy()
    flying[77, WRIST, 0] += 4
    with pytest.raises(InputError, match=r"found RWrist [34]\.\d* m from the pelvis in frame 77; mark it as missing"):
        check_body(flying)


def test_who_walks_with_left_and_right_exchanged_goes_backwards():
    exchanged = [
        JOINTS.index({"L": "R", "R": "L"}[name[0]] + name[1:] if name[1].isupper() else name) for name in JOINTS
    ]
    assert not walks_backwards(WALK)
    assert walks_backwards(WALK[:, exchanged])
    assert not walks_backwards(rotated(WALK, 2.5))
    assert not walks_backwards((WALK - WALK[:, PELVIS : PELVIS + 1])[:, exchanged])
