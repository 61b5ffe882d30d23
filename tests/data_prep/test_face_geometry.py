import numpy as np
import pytest
from face_points import neutral_face, rotation
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from data_prep.face_geometry import (
    KEPT,
    OUTER_EYES,
    RIGID,
    align,
    columns,
    frontal,
    head_angles,
    reference_shape,
    turn_from_usual,
)

angle = st.floats(-60, 60)


@settings(max_examples=40, deadline=None)
@given(angle, angle, angle, st.floats(0.2, 5), st.tuples(*[st.floats(-500, 500)] * 3))
def test_any_similarity_is_undone(pitch, yaw, roll, scale, shift):
    reference = frontal(neutral_face())
    turn = Rotation.from_euler("yxz", [yaw, pitch, roll], degrees=True).as_matrix().T
    moved = scale * 100 * reference @ turn + np.array(shift)
    aligned, residual, found = align(moved[None], reference)
    np.testing.assert_allclose(aligned[0], reference, atol=1e-9)
    np.testing.assert_allclose(residual, 0, atol=1e-9)
    np.testing.assert_allclose(found[0], turn.T, atol=1e-9)


def test_alignment_agrees_with_scipy_on_noisy_points():
    rng = np.random.default_rng(3)
    reference = frontal(neutral_face())
    turn = Rotation.from_euler("yxz", [20, -10, 5], degrees=True).as_matrix().T
    noisy = 80 * (reference + rng.normal(0, 0.03, reference.shape)) @ turn + 40
    _, _, found = align(noisy[None], reference)
    rigid = columns(RIGID)
    source, target = noisy[rigid], reference[rigid]
    oracle, _ = Rotation.align_vectors(target - target.mean(axis=0), source - source.mean(axis=0))
    np.testing.assert_allclose(found[0], oracle.as_matrix().T, atol=1e-6)


def test_the_face_is_never_turned_inside_out():
    reference = frontal(neutral_face())
    mirrored = reference * [1, 1, -1]
    _, residual, found = align(mirrored[None], reference)
    assert np.linalg.det(found[0]) == pytest.approx(1)
    assert residual[0] > 0.01


def test_what_moves_does_not_move_the_alignment():
    reference = frontal(neutral_face())
    moved = reference.copy()
    loose = sorted(set(range(len(KEPT))) - set(columns(RIGID)))
    moved[loose] += 0.3
    aligned, residual, _ = align(moved[None], reference)
    np.testing.assert_allclose(residual, 0, atol=1e-9)
    np.testing.assert_allclose(aligned[0][loose] - reference[loose], 0.3, atol=1e-9)


@pytest.mark.parametrize(("axis", "which", "sign"), [("x", 0, -1), ("y", 1, 1), ("z", 2, 1)])
def test_angles_name_their_axis_and_direction(axis, which, sign):
    reference = frontal(neutral_face())
    moved = np.stack([reference @ rotation(degrees, axis) for degrees in (-20, 0, 20)])
    angles = np.stack(head_angles(align(moved, reference)[2]))
    np.testing.assert_allclose(angles[which], sign * np.array([-20, 0, 20]), atol=1e-6)
    np.testing.assert_allclose(np.delete(angles, which, axis=0), 0, atol=1e-6)


def test_pitch_is_up_and_yaw_to_the_images_right():
    reference = frontal(neutral_face())
    nose = reference[columns((5,))[0]] * 0 + [0, -0.3, 1.0]
    for axis, degrees in (("x", -20), ("y", 20)):
        turned = nose @ rotation(degrees, axis)
        pitch, yaw, _ = head_angles(align((reference @ rotation(degrees, axis))[None], reference)[2])
        if axis == "x":
            assert pitch[0] > 0
            assert turned[1] > nose[1]
        else:
            assert yaw[0] > 0
            assert turned[0] > nose[0]


def test_the_reference_is_frontal_of_unit_size_and_ignores_outliers():
    face = neutral_face()
    frames = np.stack([face @ rotation(degrees, "z") for degrees in range(-15, 16)])
    frames[3] += np.random.default_rng(0).normal(0, 200, face.shape)
    reference = reference_shape(frames)
    right, left = reference[columns(OUTER_EYES)]
    np.testing.assert_allclose(left - right, [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(reference, frontal(face), atol=0.02)


def test_turn_is_the_angle_from_the_usual_pose():
    turns = np.stack([rotation(degrees, "y").T for degrees in (0, 0, 0, 0, 0, 0, 30)])
    found = turn_from_usual(turns)
    assert found[-1] == pytest.approx(30 - found[0], abs=1e-6)
    assert found[0] < 10
