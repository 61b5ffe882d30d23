import numpy as np
import pytest
from sample_au_tables import (
    LIBREFACE_UNITS,
    OPENFACE_UNITS,
    PY_FEAT_UNITS,
    libreface,
    openface,
    py_feat,
    py_feat_columns,
)

from data_prep.au_tables import DIALECTS, detect_dialect
from data_prep.source import POSE
from tff_affect.errors import InputError

STILL = ("face", "confidence", "gaze_0_x", "AU01_r", "AU12_r")


def features(units):
    return [f"AU{unit:02d}" for unit in units]


@pytest.mark.parametrize(
    ("columns", "name", "units"),
    [
        (openface().columns, "OpenFace 2.x", OPENFACE_UNITS),
        (openface(everything=True).columns, "OpenFace 2.x", OPENFACE_UNITS),
        (openface(face_id=False).columns, "OpenFace 1.0 or earlier", OPENFACE_UNITS),
        (py_feat_columns(173), "py-feat 0.6 or earlier", PY_FEAT_UNITS),
        (py_feat_columns(695), "py-feat 0.7 or later", PY_FEAT_UNITS),
        (py_feat_columns(2183), "py-feat 0.7 or later", PY_FEAT_UNITS),
        (libreface().columns, "LibreFace", LIBREFACE_UNITS),
    ],
)
def test_each_tool_is_known_and_its_units_named_alike(columns, name, units):
    dialect = detect_dialect(columns)
    assert dialect.name == name
    assert list(dialect.select(tuple(columns), False, "P1.csv")) == features(units)
    assert list(dialect.select(tuple(columns), True, "P1.csv")) == [*features(units), *POSE]


@pytest.mark.parametrize("width", [173, 695, 2183])
def test_py_feat_widths(width):
    columns = py_feat_columns(width)
    assert len(columns) == len(set(columns)) == width
    assert list(py_feat(3, width).columns) == columns


@pytest.mark.parametrize("table", [openface(everything=True), py_feat(width=2183), libreface()])
def test_nothing_but_intensities_and_pose_is_ever_selected(table):
    dialect = detect_dialect(table.columns)
    chosen = dialect.select(tuple(table.columns), True, "P1.csv").values()
    for word in (
        "_c",
        "gaze",
        "Identity",
        "mesh",
        "blendshape",
        "x_",
        "y_",
        "p_",
        "lm_",
        "input",
        "valence",
        "arousal",
    ):
        assert not [column for column in chosen if column.startswith(word) or column.endswith(word)]
    assert not set(chosen) & {"happiness", "facial_expression", "FaceScore", "confidence", "success", "au_1", "X"}
    assert len(chosen) == len(dialect.units(table.columns)) + 3


@pytest.mark.parametrize(
    "columns",
    [
        (),
        ("subject", "AU01", "AU12", "valence"),
        ("time", "value"),
        ("face", "confidence"),
        ("timestamp", "AU01_r"),
        ("frame", "FaceRectX", "AU01"),
        ("private_id", "stimulus", "AU01", "AU01_c"),
    ],
)
def test_foreign_headers_are_left_to_others(columns):
    assert detect_dialect(columns) is None


def test_still_images_are_recognised_and_refused():
    dialect = detect_dialect(STILL)
    assert dialect.kind == "openface"
    with pytest.raises(InputError, match=r"P1.csv, line 1: .*still-image.*FeatureExtraction"):
        dialect.select(STILL, False, "P1.csv")


def test_what_is_missing_is_named():
    columns = tuple(openface().columns)
    dialect = detect_dialect(columns)
    with pytest.raises(InputError, match="no column of action-unit intensities"):
        dialect.select(("frame", "face_id", "timestamp", "confidence", "success", "AU01_c"), False, "P1.csv")
    with pytest.raises(InputError, match="'AU12', which the first recording has, is missing"):
        dialect.select(tuple(name for name in columns if name != "AU12_r"), False, "P1.csv", ("AU01", "AU12"))
    with pytest.raises(InputError, match=r"head pose \(pose_Rx, pose_Ry, pose_Rz\) is missing"):
        dialect.select(tuple(name for name in columns if name != "pose_Ry"), True, "P1.csv")
    more = (*columns, "AU99_r")
    assert list(dialect.select(more, False, "P1.csv", ("AU12", "AU01"))) == ["AU12", "AU01"]


def test_pose_is_in_degrees():
    radians = {"OpenFace 2.x", "OpenFace 1.0 or earlier", "py-feat 0.7 or later"}
    for dialect in DIALECTS:
        expected = 180.0 if dialect.name in radians else np.pi
        assert dialect.to_degrees(np.array([np.pi])) == pytest.approx(expected)
