"""BVH files as they are written, and broken in many ways: each one sentence that says the line."""

import numpy as np
import pytest
from sample_walks import TWO_BONES

from data_prep.bvh_file import parse_bvh, read_bvh
from tff_affect.errors import InputError


def written(tmp_path, text):
    file = tmp_path / "some.bvh"
    file.write_text(text)
    return file


def test_layout_of_the_text_does_not_matter(tmp_path):
    plain = read_bvh(written(tmp_path, TWO_BONES))
    others = (
        TWO_BONES.replace("\n", "\r\n"),
        TWO_BONES.replace("\n  ", "\n\t").replace("\n\n", "\n"),
        TWO_BONES.replace("\n{", " {").replace("\n  {", " {"),
        TWO_BONES.replace("Frame Time:", "Frame  Time:\t").replace("position", "Position").replace("\n", " \n\n"),
        "\ufeff" + TWO_BONES.lower().replace("hips", "Hips").replace("knee", "Knee"),
    )
    for text in others:
        again = read_bvh(written(tmp_path, text))
        assert again.names == plain.names
        np.testing.assert_array_equal(again.positions, plain.positions)


def test_names_may_have_blanks_and_a_joint_several_ends(tmp_path):
    end = "    End Site\n    {\n      OFFSET 0 -40 0\n    }\n"
    text = TWO_BONES.replace("JOINT Knee", "JOINT left knee").replace(end, end + end.replace("-40", "-10"))
    parsed = parse_bvh(written(tmp_path, text))
    assert [joint.name for joint in parsed.joints] == ["Hips", "left knee", "left knee_end", "left knee_end2"]
    assert [joint.parent for joint in parsed.joints] == [-1, 0, 1, 1]


def test_a_missing_number_is_nan(tmp_path):
    motion = read_bvh(written(tmp_path, TWO_BONES.replace("1 91 2 90", "1 91 2 NaN")))
    assert np.isnan(motion.positions).any(axis=2).tolist() == [[False] * 3, [False, True, True], [False] * 3]


ROW = "0 90 0 0 0 0 90 0 0\n"
BROKEN = {
    "no hierarchy": (lambda text: text.replace("HIERARCHY\n", ""), "line 1: expected HIERARCHY"),
    "no root": (lambda text: text.replace("ROOT Hips", "JOINT Hips"), "line 2: expected ROOT and a name"),
    "root without a name": (lambda text: text.replace("ROOT Hips", "ROOT"), "line 2: expected ROOT and a name"),
    "no opening brace": (lambda text: text.replace("\n{", "", 1), "line 3: expected an opening brace, found 'OFFSET"),
    "no closing brace": (lambda text: text.replace("\n}", ""), "line 15: expected OFFSET, .* a brace, found 'MOTION'"),
    "a brace too many": (lambda text: text.replace("\n}\n", "\n}\n}\n"), "line 16: expected MOTION .* found '}'"),
    "two people": (lambda text: text.replace("MOTION", "ROOT Other\nMOTION"), "line 16: .*one person in a file"),
    "offset of two": (
        lambda text: text.replace("0 -40 0", "0 -40", 1),
        "line 8: expected OFFSET with 3 numbers, found 2",
    ),
    "offset of words": (lambda text: text.replace("0 -40 0", "0 low 0", 1), "line 8: .* found 'low'"),
    "offset twice": (
        lambda text: text.replace("OFFSET 0 0 0", "OFFSET 0 0 0\nOFFSET 1 1 1"),
        "line 5: expected one OFFSET",
    ),
    "no offset": (lambda text: text.replace("OFFSET 0 0 0", ""), "'Hips': expected OFFSET before its closing brace"),
    "no channels": (
        lambda text: text.replace("CHANNELS 3 Zrotation Xrotation Yrotation", ""),
        "'Knee': expected CHANNELS before its closing brace",
    ),
    "an unknown channel": (lambda text: text.replace("Zrotation", "Wrotation", 1), "line 5: expected channels of"),
    "a channel twice": (lambda text: text.replace("Yrotation", "Xrotation", 1), "line 5: .*each once"),
    "a wrong number of channels": (
        lambda text: text.replace("CHANNELS 3", "CHANNELS 4"),
        "line 9: .*number of channels, 3",
    ),
    "an unknown word": (lambda text: text.replace("JOINT", "LIMB"), "line 6: expected OFFSET, CHANNELS, JOINT"),
    "below an end": (
        lambda text: text.replace("OFFSET 0 -40 0\n    }", "OFFSET 0 -40 0\n JOINT A\n {\n OFFSET 0 0 0\n }\n    }"),
        "line 13: expected nothing below an End Site",
    ),
    "one name twice": (lambda text: text.replace("Knee", "Hips"), "joint 'Hips' is there twice"),
    "no motion": (
        lambda text: text[: text.index("MOTION")],
        "expected MOTION, found the end of the file; it is cut short",
    ),
    "cut in the hierarchy": (
        lambda text: text[: text.index("End")],
        "closing brace, found the end of the file; it is cut",
    ),
    "no frames": (lambda text: text.replace("Frames: 3\n", ""), "line 17: expected Frames: and a number"),
    "half a frame": (
        lambda text: text.replace("Frames: 3", "Frames: 2.5"),
        "line 17: expected 1 to .* frames, found '2.5'",
    ),
    "no time": (lambda text: text.replace("0.02", "nan"), "line 18: expected Frame Time: and a number"),
    "no time passes": (lambda text: text.replace("0.02", "0"), "line 18: expected 5 to 1000 frames a second, found 0"),
    "milliseconds": (
        lambda text: text.replace("0.02", "20"),
        "line 18: expected 5 to 1000 frames a second, found 0.05",
    ),
    "a short row": (lambda text: text.replace(ROW, "0 90 0 0\n"), "line 21: expected 9 numbers, .* found 4"),
    "a long row": (lambda text: text.replace(ROW, "0 " + ROW), "line 21: expected 9 numbers, .* found 10"),
    "a word in a row": (lambda text: text.replace(ROW, ROW.replace("90 0 0\n", "90 0 x\n")), "line 21: .*found 'x'"),
    "infinity": (lambda text: text.replace(ROW, "inf" + ROW[1:]), "line 21: .*found 'inf'"),
    "a frame too few": (lambda text: text.replace(ROW, ""), "expected 3 frames, as it says, found 2"),
    "a frame too many": (lambda text: text + ROW, "expected 3 frames, as it says, found 4"),
    "empty": (lambda text: "", "the file is empty"),
    "another format": (lambda text: "<html>", "line 1: expected HIERARCHY, .* found '<html>'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_refused_with_their_line(case, tmp_path):
    change, words = BROKEN[case]
    broken = change(TWO_BONES)
    assert broken != TWO_BONES
    file = written(tmp_path, broken)
    with pytest.raises(InputError, match=words) as error:
        read_bvh(file)
    assert error.value.file == str(file)
    assert "\n" not in str(error.value)


def test_no_cut_is_a_traceback(tmp_path):
    for end in range(0, len(TWO_BONES) - len(ROW), 7):
        with pytest.raises(InputError):
            read_bvh(written(tmp_path, TWO_BONES[:end]))


def test_a_deep_hierarchy_is_refused_and_does_not_exhaust_the_stack(tmp_path):
    joint = "JOINT J{}\n{{\nOFFSET 0 1 0\nCHANNELS 1 Zrotation\n"
    text = "HIERARCHY\nROOT R\n{\nOFFSET 0 0 0\nCHANNELS 1 Zrotation\n" + "".join(joint.format(k) for k in range(3000))
    with pytest.raises(InputError, match="at most 1000 joints"):
        read_bvh(written(tmp_path, text))
