"""Places of joints against homogeneous matrices written out by hand, and against real files' own channels."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_walks import TWO_BONES

from data_prep.bvh_file import parse_bvh, read_bvh
from data_prep.forward_kinematics import forward_kinematics


def matrix(name, value):
    """One channel as a 4 x 4 matrix."""
    made = np.eye(4)
    axis = "XYZ".index(name[0])
    if name.endswith("position"):
        made[axis, 3] = value
        return made
    one, other = (axis + 1) % 3, (axis + 2) % 3
    cos, sin = math.cos(math.radians(value)), math.sin(math.radians(value))
    made[one, one] = made[other, other] = cos
    made[one, other], made[other, one] = -sin, sin
    return made


def by_matrices(parents, offsets, channels, row):
    """Every joint's place in one frame: from the root down, one matrix after the other."""
    values = iter(row)
    worlds = []
    for parent, offset, names in zip(parents, offsets, channels, strict=True):
        given_here = [(name, next(values)) for name in names]
        replaced = {"XYZ".index(name[0]) for name, _ in given_here if name.endswith("position")}
        local = np.eye(4)
        local[:3, 3] = [0 if axis in replaced else offset[axis] for axis in range(3)]
        for name, value in [pair for pair in given_here if pair[0].endswith("position")]:
            local = local @ matrix(name, value)
        for name, value in [pair for pair in given_here if pair[0].endswith("rotation")]:
            local = local @ matrix(name, value)
        worlds.append(local if parent < 0 else worlds[parent] @ local)
    return np.array([world[:3, 3] for world in worlds])


@st.composite
def hierarchies(draw):
    count = draw(st.integers(1, 6))
    parents = [-1, *(draw(st.integers(0, joint - 1)) for joint in range(1, count))]
    axes = [f"{axis}{kind}" for kind in ("position", "rotation") for axis in "XYZ"]
    channels = [draw(st.lists(st.sampled_from(axes), unique=True, max_size=6)) for _ in range(count)]
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    width = sum(map(len, channels))
    return parents, rng.normal(size=(count, 3)) * 30, channels, rng.uniform(-200, 200, (3, width))


@given(hierarchies())
def test_any_hierarchy_agrees_with_matrices(hierarchy):
    parents, offsets, channels, values = hierarchy
    found = forward_kinematics(parents, offsets, channels, values)
    for frame, row in zip(found, values, strict=True):
        np.testing.assert_allclose(frame, by_matrices(parents, offsets, channels, row), atol=1e-9)


def test_a_leg_bends_as_it_should(tmp_path):
    file = tmp_path / "leg.bvh"
    file.write_text(TWO_BONES)
    motion = read_bvh(file)
    assert motion.names == ("Hips", "Knee", "Knee_end")
    assert motion.frame_rate == 50
    assert motion.metres is None
    expected = [
        [[0, 90, 0], [0, 50, 0], [0, 10, 0]],
        [[1, 91, 2], [41, 91, 2], [81, 91, 2]],
        [[0, 90, 0], [0, 50, 0], [40, 50, 0]],
    ]
    np.testing.assert_allclose(motion.positions, expected, atol=1e-12)


def test_below_a_missing_angle_all_is_missing():
    values = np.array([[0.0, np.nan, 0.0], [0.0, 10.0, 0.0]])
    found = forward_kinematics([-1, 0, 1], np.ones((3, 3)), [["Zrotation"], ["Zrotation"], ["Zrotation"]], values)
    assert np.isnan(found).any(axis=2).tolist() == [[False, False, True], [False, False, False]]


@pytest.mark.parametrize("name", ["walk_angry_001", "walk_happy_002", "walk_sad_001"])
def test_real_walks_agree_with_matrices_and_with_their_own_position_channels(name, shared_data):
    """Bandai-Namco-Research-Motiondataset-1: centimetres, positions on every joint; to be right to 1 mm."""
    file = shared_data / "bvh" / f"dataset-1_{name}.bvh"
    parsed = parse_bvh(file)
    parents = [joint.parent for joint in parsed.joints]
    offsets = [joint.offset for joint in parsed.joints]
    channels = [joint.channels or () for joint in parsed.joints]
    found = parsed.motion().positions
    for frame in range(0, len(found), 29):
        expected = by_matrices(parents, offsets, channels, parsed.values[frame])
        np.testing.assert_allclose(found[frame], expected, atol=1e-9)
    first = 0
    for joint, (parent, names) in enumerate(zip(parents, channels, strict=True)):
        own = parsed.values[:, first : first + len(names)][:, :3]
        first += len(names)
        if parent >= 0 and names:
            length = np.linalg.norm(found[:, joint] - found[:, parent], axis=1)
            np.testing.assert_allclose(length, np.linalg.norm(own, axis=1), atol=0.1)
