"""Folders of walks, damaged as they come, to a set of gait cycles and a report of every file."""

import json
import shutil

import numpy as np
import pytest
from sample_walks import glasgow, walk, write_ptd, write_table

from data_prep.mocap import GaitOptions, read_walks
from data_prep.skeleton import BONES, JOINTS
from data_prep.synthetic_walkers import FRAME_RATE
from data_prep.walk_file import CycleOptions, cut_cycles, read_joints
from tff_affect.errors import InputError

WRIST = JOINTS.index("LWrist")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    return glasgow(tmp_path_factory.mktemp("bml"))


@pytest.fixture
def library(pristine, tmp_path):
    """The Glasgow library as it comes, of made-up people: NaN runs, a static clip, a wrong count, other actions."""
    folder = shutil.copytree(pristine, tmp_path / "bml")
    write_ptd(folder / "chr_pt" / "chr_walk_nu_1_fin.ptd", np.repeat(walk(2)[:1], 300, axis=0))
    short, long = walk(0, "angry", 0).copy(), walk(0, "angry", 1).copy()
    short[40:45, WRIST] = np.nan
    short[:7] = np.nan
    long[100:124, WRIST] = np.nan
    write_ptd(folder / "ale_pt" / "ale_walk_an_1_fin.ptd", short)
    write_ptd(folder / "ale_pt" / "ale_walk_an_2_fin.ptd", long)
    write_ptd(folder / "ale_pt" / "ale_walk_ha_1_fin.ptd", walk(0, "happy", 0), count=999)
    write_ptd(folder / "ale_pt" / "ale_walk_ha_2_fin.ptd", walk(0, "happy", 1)[:50])
    write_ptd(folder / "bob_pt" / "bob_walk_sa_1_fin.ptd", walk(1, "sad", 0) * 100)
    (folder / "bob_pt" / "bob_walk_sa_2_fin.ptd").write_text("1\n" + "x " * 45)
    write_ptd(folder / "bob_pt" / "bob_lift_sa_2_fin.ptd", walk(1, "sad", 1))
    return folder


def test_the_glasgow_library_as_it_comes(library):
    said = []
    gaits, report = read_walks(library, progress=lambda name, total: said.append((name, total)))
    assert gaits.name == report.name == "Glasgow Body Movement Library"
    assert (gaits.people, gaits.classes) == (("ale", "bob"), ("angry", "happy", "neutral", "sad"))
    assert gaits.motions.shape[1:] == (64, 15, 3)
    assert (gaits.motions.dtype, gaits.joints, gaits.bones, gaits.synthetic) == (np.float32, JOINTS, BONES, False)
    reasons = {kind: {row.name[7:]: row.reason for row in rows} for kind, rows in report.dropped_kinds.items()}
    assert reasons["a static pose"] == {"chr_walk_nu_1_fin.ptd": "the feet do not move in 5.0 s"}
    assert reasons["a gap too long"].keys() == {"ale_walk_an_2_fin.ptd"}
    assert "LWrist is missing for 0.40 s from frame 100" in reasons["a gap too long"]["ale_walk_an_2_fin.ptd"]
    assert reasons["unreadable"].keys() == {"ale_walk_ha_1_fin.ptd", "bob_walk_sa_2_fin.ptd"}
    assert "expected 999 frames of 45 values" in reasons["unreadable"]["ale_walk_ha_1_fin.ptd"]
    assert reasons["unreadable"]["bob_walk_sa_2_fin.ptd"] == "line 2: expected numbers or NaN, found 'x'"
    assert reasons["no gait cycle"].keys() == {"ale_walk_ha_2_fin.ptd"}
    assert reasons["no walking body"].keys() == {"bob_walk_sa_1_fin.ptd"}
    assert reasons["another action"] == {"bob_lift_sa_2_fin.ptd": "lift"}
    assert len(report.takes) + len(report.dropped) == len(list(library.rglob("*.ptd")))
    assert len(said) == len(report.takes) + len(report.dropped) - 1
    assert len(gaits) == report.cycles == sum(report.emotions.values())
    assert list(gaits.takes) == sorted(gaits.takes)
    row = gaits.takes.index("ale_pt/ale_walk_an_1_fin.ptd")
    assert gaits.spans[row, 0] > 7 / 60


def test_a_file_gives_what_the_walk_gave(pristine):
    gaits, _ = read_walks(pristine)
    whole = cut_cycles(walk(1, "happy", 1), FRAME_RATE, CycleOptions())
    rows = [row for row, take in enumerate(gaits.takes) if take == "bob_pt/bob_walk_ha_2_fin.ptd"]
    np.testing.assert_allclose(gaits.motions[rows], whole.motions, atol=1e-3)
    np.testing.assert_allclose(gaits.spans[rows], whole.spans, atol=0.02)


def test_nothing_of_one_recording_reaches_another(pristine, tmp_path):
    gaits, _ = read_walks(pristine)
    folder = shutil.copytree(pristine, tmp_path / "bml")
    for file in folder.glob("ale_pt/*"):
        joints, _ = read_joints(file)
        write_ptd(file, joints * 1.1 + [5, 6, 0])
    again, _ = read_walks(folder)
    np.testing.assert_array_equal(again.of(["bob"]).motions, gaits.of(["bob"]).motions)
    np.testing.assert_allclose(again.of(["ale"]).motions, gaits.of(["ale"]).motions, atol=1e-3)


def test_formats_and_layouts_give_the_same_cycles(pristine, tmp_path):
    gaits, _ = read_walks(pristine)
    gaits = gaits.part(np.array(["_an_1" in take or "_sa_1" in take for take in gaits.takes]))
    rows = ["file,subject,emotion"]
    for person, name in enumerate(gaits.people):
        for emotion in gaits.classes:
            write_table(tmp_path / "f" / name / emotion / "0.csv", walk(person, emotion, 0))
            rows.append(f"{name}/{emotion}/0.csv,{name},{emotion}")
    tables, report = read_walks(tmp_path / "f")
    assert (report.layout, tables.name) == ("folders", "f")
    np.testing.assert_allclose(tables.motions, gaits.motions, atol=1e-3)
    (tmp_path / "f" / "walks.csv").write_text("\n".join(rows) + "\n")
    listed, report = read_walks(tmp_path / "f")
    assert report.layout == "manifest"
    np.testing.assert_array_equal(listed.motions, tables.motions)
    assert (listed.subjects, listed.emotions, listed.takes) == (tables.subjects, tables.emotions, tables.takes)


def test_switches_are_kept_and_said(pristine):
    gaits, report = read_walks(pristine, GaitOptions(root=False, size=False, samples=40))
    assert gaits.motions.shape[1] == 40
    assert np.ptp(gaits.motions[0, :, JOINTS.index("Pelvis"), 0]) > 0.5
    assert "40 samples a cycle, root and size as recorded" in report.text()
    assert report.options == {
        "samples": 40, "root": False, "heading": True, "size": False, "longest_gap": 0.1, "joint_map": None,
        "least_people": 2, "least_emotions": 2,
    }  # fmt: skip


def test_the_report_is_a_short_table_and_json(library, tmp_path):
    (library / "SYNTHETIC.txt").write_text("SYNTHETIC\n")
    gaits, report = read_walks(library)
    assert gaits.synthetic
    assert gaits.name == "SYNTHETIC Glasgow Body Movement Library"
    lines = report.text().splitlines()
    assert lines[0].startswith(
        f"{gaits.name}: {len(gaits)} gait cycles in 11 recordings of 2 people (layout glasgow, 64"
    )
    assert lines[2].split() == ["people", "angry", "happy", "neutral", "sad"]
    assert any(line.startswith("seconds a cycle: angry ") for line in lines)
    assert any(line.startswith("dropped, a static pose: 1: chr_pt/chr_walk_nu_1_fin.ptd (the feet") for line in lines)
    content = json.loads(json.dumps(report.to_json()))
    assert (content["cycles"], content["people"], len(content["takes"])) == (len(gaits), 2, 11)
    assert str(tmp_path) not in json.dumps(content) + report.text()


def test_a_walk_found_twice_is_kept_once_or_not_at_all(pristine, tmp_path):
    folder = shutil.copytree(pristine, tmp_path / "bml")

    def copy(source, target):
        shutil.copy(folder / f"{source[:3]}_pt" / source, folder / f"{target[:3]}_pt" / target)

    copy("ale_walk_an_1_fin.ptd", "ale_walk_an_7_fin.ptd")
    copy("ale_walk_ha_1_fin.ptd", "ale_walk_nu_7_fin.ptd")
    copy("ale_walk_sa_1_fin.ptd", "bob_walk_sa_7_fin.ptd")
    gaits, report = read_walks(folder)
    kinds = {kind: {row.name[7:-8]: row.reason[10:-8] for row in rows} for kind, rows in report.dropped_kinds.items()}
    assert kinds == {
        "the same walk again": {"ale_walk_an_7": "ale_walk_an_1"},
        "the same walk under two emotions": {"ale_walk_ha_1": "ale_walk_nu_7", "ale_walk_nu_7": "ale_walk_ha_1"},
        "the same walk under two people": {"ale_walk_sa_1": "bob_walk_sa_7", "bob_walk_sa_7": "ale_walk_sa_1"},
    }
    assert len({motion.tobytes() for motion in gaits.motions}) == len(gaits)


def test_a_body_that_goes_backwards_is_noted(pristine, tmp_path):
    folder = shutil.copytree(pristine, tmp_path / "bml")
    exchanged = [JOINTS.index({"L": "R", "R": "L"}[n[0]] + n[1:] if n[1].isupper() else n) for n in JOINTS]
    write_ptd(folder / "ale_pt" / "ale_walk_an_1_fin.ptd", walk(0, "angry", 0)[:, exchanged])
    _, report = read_walks(folder)
    assert report.notes == (
        "ale_pt/ale_walk_an_1_fin.ptd: the body goes backwards; left and right may be exchanged in the joint map",
    )
    assert read_walks(pristine)[1].notes == ()


def test_too_few_people_or_emotions_are_refused_with_what_was_dropped(pristine, tmp_path):
    folder = tmp_path / "one"
    shutil.copytree(pristine / "ale_pt", folder / "ale_pt")
    with pytest.raises(InputError, match="at least 2 people with 2 emotions, found 8 recordings of 1 people with 4"):
        read_walks(folder)
    assert len(read_walks(folder, GaitOptions(least_people=1))[0].people) == 1
    for file in folder.rglob("*.ptd"):
        file.write_text("none")
    with pytest.raises(InputError, match=r"found 0 recordings .*\(dropped, unreadable: 8: ale_pt/ale.* and 7 more\)"):
        read_walks(folder, GaitOptions(least_people=0, least_emotions=0))


WRONG = {
    "samples": ({"samples": 4}, "samples: expected 8 to 1000 a cycle, found 4"),
    "gap": ({"longest_gap": 3.0}, "longest_gap: expected 0 to 1 s, found 3"),
    "layout": ({"layout": "yale"}, "layout: expected one of glasgow"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_options_are_refused(name):
    with pytest.raises(InputError, match=WRONG[name][1]):
        GaitOptions(**WRONG[name][0])


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"expected a file of \.ptd, \.bvh, \.c3d, \.csv, found \.fbx"):
        read_joints(tmp_path / "a.fbx")
    with pytest.raises(InputError, match="no such joint map"):
        read_walks(tmp_path, GaitOptions(joint_map="mine"))


def test_six_real_walks(shared_data, tmp_path):
    """Bandai-Namco-Research-Motiondataset-1, which does not say who walks: one person for want of more."""
    rows = ["file,subject,emotion"]
    for file in sorted((shared_data / "bvh").glob("*.bvh")):
        shutil.copy(file, tmp_path / file.name)
        rows.append(f"{file.name},somebody,{file.stem.split('_')[2]}")
    (tmp_path / "walks.csv").write_text("\n".join(rows) + "\n")
    gaits, report = read_walks(tmp_path, GaitOptions(least_people=1))
    assert report.emotions == {"angry": 7, "happy": 8, "normal": 4, "sad": 5}
    assert report.dropped == report.notes == ()
    assert report.left_out == {}
    assert report.seconds["sad"] > 1.4 * report.seconds["happy"]
    pelvis, wrists = JOINTS.index("Pelvis"), [JOINTS.index("LWrist"), JOINTS.index("RWrist")]
    np.testing.assert_allclose(gaits.motions[:, :, pelvis], 0, atol=1e-6)
    swing = np.ptp(gaits.motions[:, :, wrists, 0], axis=1).mean(axis=1)
    means = {emotion: swing[np.array(gaits.emotions) == emotion].mean() for emotion in gaits.classes}
    assert means["sad"] < 0.5 * min(means[emotion] for emotion in ("angry", "happy", "normal"))
