"""Whatever damage does to a recording, it is read or refused in one sentence; nothing is ever a traceback."""

import os
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_walks import TWO_BONES, walk, write_ptd, write_table

from data_prep.bvh_file import read_bvh
from data_prep.joint_table import read_joint_table
from data_prep.ptd_file import read_ptd
from data_prep.walk_file import CycleOptions, cut_cycles, read_joints
from tff_affect.errors import InputError

PIECES = (
    b"",
    b"\0",
    b"\xff",
    b"nan",
    b"inf",
    b"-",
    b"1e400",
    b"{",
    b"}",
    b"\n",
    b",",
    b";",
    b'"',
    b"99999999",
    b"0",
    b"JOINT x\n",
)
READERS = {"bvh": read_bvh, "ptd": read_ptd, "csv": read_joint_table}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    write_ptd(folder / "w.ptd", walk()[:4])
    write_table(folder / "w.csv", walk()[:4])
    (folder / "w.bvh").write_text(TWO_BONES)
    return {kind: (folder / f"w.{kind}").read_bytes() for kind in READERS}


@settings(max_examples=150)
@given(
    kind=st.sampled_from(sorted(READERS)),
    changes=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 30), st.sampled_from(PIECES)), min_size=1, max_size=4
    ),
)  # fmt: skip
def test_any_damage_is_read_or_refused(kind, changes, whole, tmp_path):
    content = whole[kind]
    for place, length, piece in changes:
        start = int(place * len(content))
        content = content[:start] + piece + content[start + length :]
    file = tmp_path / f"d.{kind}"
    file.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            motion = READERS[kind](file)
        except InputError as error:
            said: str | None = str(error)
        else:
            said = None
            assert motion.positions.shape[1:] == (len(motion.names), 3)
            assert not np.isinf(motion.positions).any()
    assert said is None or (said.startswith(str(file)) and "\n" not in said)


@settings(max_examples=60)
@given(
    data=st.lists(
        st.tuples(
            st.integers(0, 320), st.integers(1, 200), st.integers(0, 14), st.sampled_from([np.nan, 0.0, 1e6, -3.0])
        ),
        min_size=1, max_size=3,
    )
)  # fmt: skip
def test_any_hole_or_jump_gives_cycles_without_nan_or_is_refused(data):
    joints = walk().copy()
    for start, length, joint, value in data:
        joints[start : start + length, joint] = value
    try:
        found = cut_cycles(joints, 60.0, CycleOptions())
    except InputError:
        return
    assert np.abs(found.motions).max() < 3
    assert (np.diff(found.spans, axis=1) > 0).all()


def test_a_pipe_is_not_waited_for(tmp_path):
    for kind in READERS:
        os.mkfifo(tmp_path / f"p.{kind}")
        with pytest.raises(InputError, match="a pipe or a device"):
            read_joints(tmp_path / f"p.{kind}")
