"""Glasgow's point files: inches to metres, NaN runs kept, what is wrong said with its line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sample_walks import walk, write_ptd

from data_prep.ptd_file import read_ptd
from data_prep.skeleton import JOINTS
from tff_affect.errors import InputError


def test_joints_come_in_the_published_order(tmp_path):
    file = tmp_path / "one.ptd"
    file.write_text("2\n" + " ".join(map(str, range(45))) + "\n" + " ".join(map(str, range(100, 145))) + "\n")
    motion = read_ptd(file)
    assert motion.names == JOINTS
    assert (motion.frame_rate, motion.metres) == (60.0, 0.0254)
    assert motion.positions.shape == (2, 15, 3)
    assert motion.positions[0, JOINTS.index("Head")].tolist() == [0, 1, 2]
    assert motion.positions[0, JOINTS.index("Pelvis")].tolist() == [24, 25, 26]
    assert motion.positions[1, JOINTS.index("RAnkle")].tolist() == [142, 143, 144]


def test_nan_runs_stay_and_numbers_may_break_lines_anywhere(tmp_path):
    joints = walk()[:20].copy()
    joints[4:9, 7] = np.nan
    file = write_ptd(tmp_path / "a.ptd", joints)
    np.testing.assert_allclose(read_ptd(file).positions * 0.0254, joints, atol=2e-6)
    file.write_text(file.read_text().replace("\n", "\r\n").replace(" ", "\t\n"))
    np.testing.assert_allclose(read_ptd(file).positions * 0.0254, joints, atol=2e-6)


@given(
    values=arrays.arrays(
        np.float64, (3, 15, 3), elements=st.floats(-1e4, 1e4).map(lambda x: round(x, 3)) | st.just(np.nan)
    )
)
def test_what_is_written_is_read(values, tmp_path):
    file = tmp_path / "x.ptd"
    file.write_text("3 " + " ".join(map(repr, values.ravel().tolist())))
    np.testing.assert_array_equal(read_ptd(file).positions, values)


ROW = " ".join(["1.5"] * 45)
WRONG = {
    "too few": (f"3\n{ROW}\n{ROW}\n", r"expected 3 frames of 45 values, as its first number says, found 2 frames;"),
    "too many": (f"1\n{ROW}\n{ROW}\n", r"expected 1 frames of 45 values.*found 2 frames"),
    "cut in a line": (f"2\n{ROW}\n{ROW[:40]}\n", r"found 1 frames and 10 values"),
    "no count": (f"{ROW}\n{ROW}\n", "line 1: expected the number of frames .* found '1.5'"),
    "zero": ("0\n", "line 1: expected the number of frames"),
    "endless": (f"99999999999\n{ROW}", "line 1: expected the number of frames"),
    "a word": (f"2\n{ROW}\n{ROW.replace('1.5', 'x1', 1)}\n", "line 3: expected numbers or NaN, found 'x1'"),
    "infinity": (f"2\n{ROW}\n{ROW.replace('1.5', 'inf', 1)}\n", "line 3: expected numbers or NaN, found 'inf'"),
    "a title": ("subject ale\n", "line 1: .*found 'subject'"),
    "empty": ("", "the file is empty"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files_are_refused_with_clear_words(case, tmp_path):
    file = tmp_path / "w.ptd"
    file.write_text(WRONG[case][0])
    with pytest.raises(InputError, match=WRONG[case][1]) as error:
        read_ptd(file)
    assert error.value.file == str(file)
    assert "\n" not in str(error.value)


def test_binary_and_missing_files_are_refused(tmp_path):
    (tmp_path / "b.ptd").write_bytes(bytes(range(256)))
    for name in ("b.ptd", "none.ptd"):
        with pytest.raises(InputError, match=name):
            read_ptd(tmp_path / name)
