"""Maps from other skeletons to the 15 joints."""

import numpy as np
import pytest
import yaml

from data_prep.bvh_file import read_bvh
from data_prep.point_motion import PointMotion
from data_prep.skeleton import BONES, JOINTS, PACKAGED, JointMap, fitting_map, load_joint_map, packaged_maps
from tff_affect.errors import InputError

SAME = {joint: (joint,) for joint in JOINTS}


def motion(names, metres=None, frames=2):
    positions = np.arange(frames * len(names) * 3, dtype=float).reshape(frames, len(names), 3)
    return PointMotion(tuple(names), positions, 60.0, metres)


def test_bones_make_one_tree_of_all_joints():
    assert len(BONES) == len(JOINTS) - 1
    reached = {JOINTS.index("Pelvis")}
    for _ in JOINTS:
        reached |= {joint for bone in BONES if reached & set(bone) for joint in bone}
    assert reached == set(range(15))


def test_every_packaged_map_fits_its_own_points_alone():
    assert packaged_maps() == ("bandai_namco", "common", "motionbuilder", "plug_in_gait")
    for name in packaged_maps():
        own = load_joint_map(name)
        names = [*sorted(own.points), "Toe", "Finger"]
        assert fitting_map(motion(names), "f") == own
        assert own.apply(motion(names)).shape == (2, 15, 3)


@pytest.mark.parametrize(("up", "expected"), [("x", [1, 2, 0]), ("y", [2, 0, 1]), ("z", [0, 1, 2])])
def test_the_axis_that_points_up_becomes_z_without_mirroring(up, expected):
    axes = PointMotion(JOINTS, np.tile(np.eye(3)[:, np.newaxis], (1, 15, 1)), 60.0)
    made = JointMap("m", up, 1.0, SAME).apply(axes)[:, 0]
    assert np.argmax(made, axis=1).tolist() == np.argsort(expected).tolist()
    assert made["xyz".index(up)].tolist() == [0, 0, 1]
    assert np.linalg.det(made) == pytest.approx(1.0)


def test_the_files_own_unit_holds_and_several_points_are_averaged():
    several = JointMap("m", "z", 0.01, SAME | {"Neck": ("Neck", "Head")})
    points = motion(JOINTS)
    np.testing.assert_allclose(several.apply(points)[:, 1], 0.01 * points.positions[:, :2].mean(axis=1))
    inches = motion(JOINTS, metres=0.0254)
    np.testing.assert_allclose(several.apply(inches)[:, 2], 0.0254 * inches.positions[:, 2])
    points.positions[0, 0] = np.nan
    assert np.isnan(several.apply(points)).any(axis=2)[:, :3].tolist() == [[True, True, False], [False] * 3]


def test_a_map_of_ones_own_is_read_and_its_lack_is_named(tmp_path):
    content = yaml.safe_load((PACKAGED / "common.yaml").read_text())
    content["joints"]["Head"] = ["Nose", "Crown"]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    mine = load_joint_map(tmp_path / "mine.yaml")
    assert mine.joints["Head"] == ("Nose", "Crown")
    with pytest.raises(InputError, match="needs 'Crown', 'Nose'; found Head, Neck"):
        fitting_map(motion(JOINTS), "f", mine)
    with pytest.raises(InputError, match=r"none of bandai_namco, .* fits the points a, b; give a joint map"):
        fitting_map(motion(["a", "b"]), "f")
    both = sorted(load_joint_map("common").points | load_joint_map("motionbuilder").points)
    with pytest.raises(InputError, match="the 15 joints by name and MotionBuilder's names, centimetres fit"):
        fitting_map(motion(both), "f")


def changed(**changes):
    return lambda content: content | changes


WRONG = {
    "an unknown key": (changed(scale=1), "expected the keys name, up"),
    "a unit of words": (changed(metres_per_unit="cm"), "metres_per_unit above 0, found 'cm'"),
    "a unit of nothing": (changed(metres_per_unit=0), "metres_per_unit above 0, found 0"),
    "a yes as unit": (changed(metres_per_unit=True), "found True"),
    "no axis": (changed(up="w"), "up to be x, y or z, found 'w'"),
    "a joint missing": (lambda c: c | {"joints": {k: v for k, v in c["joints"].items() if k != "Neck"}}, "see 'Neck'"),
    "a joint too many": (lambda c: c | {"joints": c["joints"] | {"Toe": "Toe"}}, "see 'Toe'"),
    "no points": (lambda c: c | {"joints": c["joints"] | {"Neck": []}}, "Neck: expected a point or a list"),
    "a number as point": (lambda c: c | {"joints": c["joints"] | {"Neck": 7}}, "Neck: expected a point"),
    "a list": (lambda c: [c], "expected the keys"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_maps_are_refused(case, tmp_path):
    change, words = WRONG[case]
    file = tmp_path / "m.yaml"
    file.write_text(yaml.safe_dump(change(yaml.safe_load((PACKAGED / "common.yaml").read_text()))))
    with pytest.raises(InputError, match=words):
        load_joint_map(file)


def test_what_is_no_map_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("name: [")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe")
    (tmp_path / "c.yaml").write_text("!!python/object/apply:os.system ['true']")
    (tmp_path / "d.yaml").write_text("joints: 2001-99-99")
    for name in ("a.yaml", "b.yaml", "c.yaml", "d.yaml"):
        with pytest.raises(InputError, match="not a readable YAML file"):
            load_joint_map(tmp_path / name)
    with pytest.raises(InputError, match=r"no such joint map; .* one of bandai_namco"):
        load_joint_map("cmu")


def test_a_real_skeleton_has_human_proportions(shared_data):
    file = shared_data / "bvh" / "dataset-1_walk_normal_001.bvh"
    recorded = read_bvh(file)
    joints = fitting_map(recorded, file).apply(recorded)
    length = {(JOINTS[a], JOINTS[b]): np.linalg.norm(joints[:, a] - joints[:, b], axis=1).mean() for a, b in BONES}
    assert 0.3 < length["LHip", "LKnee"] < 0.5
    assert 0.3 < length["RKnee", "RAnkle"] < 0.5
    assert 0.2 < length["LElbow", "LWrist"] < 0.3
    assert length["LShoulder", "LElbow"] == pytest.approx(length["RShoulder", "RElbow"], abs=0.01)
    assert 1.3 < joints[:, 0, 2].mean() < 1.6
