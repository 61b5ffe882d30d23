"""C3D by ezc3d: with the library itself, and with a stand-in for what it returns."""

import sys
import types

import ezc3d
import numpy as np
import pytest

from data_prep import c3d_file
from data_prep.c3d_file import read_c3d, read_c3d_here
from tff_affect.errors import InputError


def content(labels=("a", "b"), frames=5, unit=("mm",), rate=100.0):
    """What ezc3d makes of a file: points ``[4, point, time]``, residuals ``[1, point, time]``."""
    points = np.arange(4.0 * len(labels) * frames).reshape(4, len(labels), frames) + 1
    point = {"LABELS": {"value": list(labels)}, "UNITS": {"value": list(unit)}, "RATE": {"value": np.array([rate])}}
    data = {"points": points, "meta_points": {"residuals": np.zeros((1, len(labels), frames))}}
    return {"parameters": {"POINT": point}, "data": data}


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """Makes ezc3d return something of every file."""

    def make(returned):
        module = types.ModuleType("ezc3d")

        def c3d(_):
            if isinstance(returned, Exception):
                raise returned
            return returned

        module.c3d = c3d
        monkeypatch.setitem(sys.modules, "ezc3d", module)
        file = tmp_path / "x.c3d"
        file.write_bytes(b"")
        return file

    return make


def test_points_over_time_in_the_files_unit(stand_in):
    motion = read_c3d_here(stand_in(content(unit=("mm ",))))
    assert motion.names == ("a", "b")
    assert (motion.frame_rate, motion.metres) == (100.0, 0.001)
    assert motion.positions.shape == (5, 2, 3)
    assert motion.positions[0].tolist() == [[1, 11, 21], [6, 16, 26]]
    assert motion.positions[4, 1].tolist() == [10, 20, 30]


def test_unseen_points_are_nan(stand_in):
    given = content()
    given["data"]["meta_points"]["residuals"][0, 0, 1] = -1
    given["data"]["points"][:3, 1, 2] = 0
    given["data"]["points"][:3, 1, 3] = np.nan
    missing = np.isnan(read_c3d_here(stand_in(given)).positions).any(axis=2)
    assert np.argwhere(missing).tolist() == [[1, 0], [2, 1], [3, 1]]


def test_labels_go_on_and_lose_a_common_prefix(stand_in):
    given = content(labels=("Anna:LASI", "Anna:RASI", "Anna:C7"))
    given["parameters"]["POINT"]["LABELS"]["value"] = ["Anna:LASI", "Anna:RASI"]
    given["parameters"]["POINT"]["LABELS2"] = {"value": ["Anna:C7"]}
    assert read_c3d_here(stand_in(given)).names == ("LASI", "RASI", "C7")
    given["parameters"]["POINT"]["LABELS2"] = {"value": ["Ben:C7"]}
    assert read_c3d_here(stand_in(given)).names == ("Anna:LASI", "Anna:RASI", "Ben:C7")


def without(*keys):
    given = content()
    inner = given
    for key in keys[:-1]:
        inner = inner[key]
    del inner[keys[-1]]
    return given


WRONG = {
    "an unknown unit": (content(unit=("furlong",)), "expected a unit of mm, .*found 'furlong'"),
    "no unit": (content(unit=()), "expected a unit of mm, .*found ''"),
    "no rate": (content(rate=0.0), "expected 5 to 1000 frames a second, found 0"),
    "one label twice": (content(labels=("a", "a")), "point 'a' is there twice"),
    "no points": (content(labels=()), "found none; analogue channels alone"),
    "no labels": (without("parameters", "POINT", "LABELS"), "2 points have 0 labels"),
    "no parameters": (without("parameters", "POINT"), "damaged or incomplete"),
    "no residuals": (without("data", "meta_points"), "damaged or incomplete"),
    "no c3d": (OSError("File must be a valid c3d file\n: iostream error"), r"expected a C3D file.*\(File must be"),
    "no memory": (MemoryError(), r"expected a C3D file.*\(MemoryError\)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files_are_refused(case, stand_in):
    returned, words = WRONG[case]
    with pytest.raises(InputError, match=words) as error:
        read_c3d_here(stand_in(returned))
    assert "\n" not in str(error.value)


def test_without_the_library_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ezc3d", None)
    (tmp_path / "x.c3d").write_bytes(bytes(600))
    with pytest.raises(InputError, match="not installed; install it with: pip install ezc3d"):
        read_c3d_here(tmp_path / "x.c3d")
    with pytest.raises(InputError, match="it is missing, or no file"):
        read_c3d_here(tmp_path / "y.c3d")


@pytest.fixture
def real(tmp_path):
    """A file that ezc3d itself writes."""
    made = ezc3d.c3d()
    points = np.random.default_rng(0).normal(size=(4, 3, 40)) * 100
    points[:3, 1, 4:7] = np.nan
    point = made["parameters"]["POINT"]
    point["RATE"]["value"], point["LABELS"]["value"], point["UNITS"]["value"] = [120], ("a", "b", "c"), ["m"]
    made["data"]["points"] = points
    made.write(str(tmp_path / "r.c3d"))
    return tmp_path / "r.c3d", points


def test_the_library_agrees(real):
    file, points = real
    motion = read_c3d(file)
    assert (motion.names, motion.frame_rate, motion.metres) == (("a", "b", "c"), 120.0, 1.0)
    np.testing.assert_allclose(motion.positions, points[:3].transpose(2, 1, 0), rtol=1e-6)


def test_a_file_cut_short_is_refused(real):
    file, _ = real
    whole = file.read_bytes()
    for end in (10, 511, 600, len(whole) // 2, len(whole) - 600):
        file.write_bytes(whole[:end])
        with pytest.raises(InputError, match=r"expected a C3D file|expected 40 frames, as its header says, found"):
            read_c3d_here(file)
    with pytest.raises(InputError, match="expected 40 frames"):
        read_c3d(file)


def test_a_file_over_which_the_library_crashes_is_refused(real):
    """One byte of the first parameter's size; if the library learns to live with it, any refusal will do."""
    file, _ = real
    damaged = bytearray(file.read_bytes())
    damaged[525] = 255
    file.write_bytes(damaged)
    with pytest.raises(InputError, match="C3D file"):
        read_c3d(file)


def test_a_file_that_takes_for_ever_is_refused(real, monkeypatch):
    monkeypatch.setattr(c3d_file, "_MOST_SECONDS", 0.0)
    with pytest.raises(InputError, match="could not be read within 0 s"):
        read_c3d(real[0])
