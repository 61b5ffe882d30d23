"""Tables of points: times, rows that are missing, and what is wrong with its line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_walks import walk, write_table

from data_prep.joint_table import read_joint_table
from data_prep.skeleton import JOINTS
from tff_affect.errors import InputError


def table(tmp_path, *lines):
    file = tmp_path / "t.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_a_walk_goes_through(tmp_path):
    joints = walk()[:50].copy()
    joints[10:13, 4] = np.nan
    motion = read_joint_table(write_table(tmp_path / "w.csv", joints, 60.0))
    assert motion.names == JOINTS
    assert motion.frame_rate == pytest.approx(60.0, rel=1e-3)
    np.testing.assert_allclose(motion.positions, joints, atol=6e-6)


@given(kept=st.sets(st.integers(1, 98), min_size=70), rate=st.sampled_from([12.5, 29.97, 60, 120]))
def test_missing_rows_are_missing_frames(kept, rate, tmp_path):
    frames = np.array([0, *sorted(kept), 99])
    rows = [f"{3 + frame / rate:.4f},{frame},{-frame},1" for frame in frames]
    motion = read_joint_table(table(tmp_path, "time,a_x,a_y,a_z", *rows))
    np.testing.assert_array_equal(np.flatnonzero(~np.isnan(motion.positions[:, 0, 0])), frames)
    np.testing.assert_array_equal(motion.positions[frames, 0, 1], -frames)
    assert motion.frame_rate == pytest.approx(rate, rel=1e-3)


HEAD = "time,a_x,a_y,a_z"
WRONG = {
    "no time": (["a_x,a_y,a_z", "1,2,3", "1,2,3"], "line 1: column 'time' is missing"),
    "no axis": (["time,a_x,a_y", "0,1,2", "1,1,2"], "line 1: .*'a_z' is missing"),
    "an unknown column": ([HEAD + ",age", "0,1,2,3,4", ".1,1,2,3,4"], "line 1: .*found 'age' too"),
    "no points": (["time", "0", "1"], "line 1: .*found none"),
    "a word": ([HEAD, "0,1,2,3", ".1,1,x,3"], "line 3: column 'a_y': expected a number, found 'x'"),
    "no order": ([HEAD, "0,1,2,3", ".2,1,2,3", ".1,1,2,3"], "line 4: expected a time later than the row before"),
    "no time in a row": ([HEAD, "0,1,2,3", ",1,2,3", ".1,1,2,3"], "line 3: expected a time later"),
    "between frames": (
        [HEAD, *(f"{t},1,2,3" for t in (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.645, 0.7, 0.8))],
        r"line 9: expected times 0\.0\d+ s apart, found a step of 0.045 s",
    ),
    "a long pause": ([HEAD, "0,1,2,3", ".1,1,2,3", "1000,1,2,3"], "line 4: expected rows for most frames"),
    "one row": ([HEAD, "0,1,2,3"], "at least two rows"),
    "too slow": ([HEAD, "0,1,2,3", "1,1,2,3", "2,1,2,3"], "5 to 1000 frames a second, found 1"),
    "a short row": ([HEAD, "0,1,2,3", ".1,1,2"], "line 3: expected 4 cells"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_tables_are_refused(case, tmp_path):
    lines, words = WRONG[case]
    with pytest.raises(InputError, match=words) as error:
        read_joint_table(table(tmp_path, *lines))
    assert "\n" not in str(error.value)
