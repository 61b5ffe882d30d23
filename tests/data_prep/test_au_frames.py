import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_au_tables import BOX, OPENFACE_UNITS, PY_FEAT_UNITS, libreface, openface, py_feat

from data_prep.au_frames import link_boxes, read_frames
from data_prep.au_tables import detect_dialect
from data_prep.files.resample import to_times
from data_prep.files.wide_csv import read_header
from tff_affect.errors import InputError

OPENFACE = [f"AU{unit:02d}_r" for unit in OPENFACE_UNITS]
PY_FEAT = [f"AU{unit:02d}" for unit in PY_FEAT_UNITS]


@pytest.fixture
def read(tmp_path):
    def frames(table, pose=False, frame_rate=None):
        file = tmp_path / "P1.csv"
        table.to_csv(file, index=False)
        columns = read_header(file)
        dialect = detect_dialect(columns)
        return read_frames(file, dialect, dialect.select(columns, pose, file), frame_rate)

    return frames


def set_cell(table, rows, column, value):
    table[column] = table[column].astype(object if isinstance(value, str) else float)
    table.loc[rows, column] = value
    return table


def test_a_clean_recording_comes_through_as_it_is(read):
    table = openface()
    found = read(table, pose=True)
    np.testing.assert_array_equal(found.features[:, :17], table[OPENFACE].to_numpy())
    np.testing.assert_allclose(found.features[:, 17:], np.degrees([[0.1, 0.2, 0.3]] * 50))
    np.testing.assert_array_equal(found.time, table["timestamp"])
    assert found.frame_rate == pytest.approx(25.0, abs=1e-9)
    assert found.tracked.all()
    expected = dict.fromkeys(("failed_frames", "confidence_out_of_range", "rows_of_other_faces"), 0)
    expected |= {
        "rows": 50,
        "faces_seen": 1,
        "timestamps_repaired": 0,
        "frames_without_row": 0,
        "rows_between_steps": 0,
    }
    assert found.quality == expected


def test_failed_rows_are_missing_whether_zero_or_stale(read):
    table = set_cell(openface(), [3, 4], "success", 0)
    table.loc[3, OPENFACE] = 0.0
    table.loc[4, OPENFACE] = 77.0
    found = read(table)
    assert np.isnan(found.features[3:5]).all()
    assert np.isfinite(np.delete(found.features, [3, 4], axis=0)).all()
    assert found.quality["failed_frames"] == 2
    np.testing.assert_array_equal(np.flatnonzero(~found.tracked), [3, 4])


@pytest.mark.parametrize("value", [-0.3, 1.2])
def test_impossible_confidences_are_missing_and_counted(read, value):
    found = read(set_cell(openface(), [5, 9], "confidence", value))
    assert np.isnan(found.features[[5, 9]]).all()
    assert found.quality["confidence_out_of_range"] == 2
    assert found.quality["failed_frames"] == 2


def test_a_missing_cell_is_missing_alone(read):
    found = read(set_cell(openface(), 7, "AU12_r", np.nan))
    assert np.isnan(found.features).sum() == 1
    assert found.tracked.all()


def test_missing_rows_are_counted_and_their_times_kept(read):
    found = read(openface().drop(index=[10, 11, 30]))
    assert found.quality["frames_without_row"] == 3
    assert found.quality["rows"] == 47
    np.testing.assert_allclose(found.time, np.arange(50) / 25)
    assert list(np.flatnonzero(np.isnan(found.features).all(axis=1))) == [10, 11, 30]
    assert list(np.flatnonzero(~found.tracked)) == [10, 11, 30]


def test_a_file_of_every_nth_frame_makes_no_frames_between(read):
    found = read(py_feat(frames=1501).iloc[::25], frame_rate=25.0)
    np.testing.assert_allclose(found.time, np.arange(61))
    assert found.tracked.all()
    assert found.frame_rate == 1.0
    # At the camera's 25 Hz, the frames that nobody looked at stay missing.
    back = to_times(found.features, found.time, np.arange(1501) / 25)
    assert list(np.flatnonzero(np.isfinite(back).all(axis=1))) == list(range(0, 1501, 25))
    found = read(py_feat(frames=1501).iloc[::25].drop(index=[50, 75]), frame_rate=25.0)
    assert list(np.flatnonzero(~found.tracked)) == [2, 3]
    assert found.quality["frames_without_row"] == 2


def test_a_few_rows_between_the_steps_do_not_undo_them(read):
    table = py_feat(frames=301)
    found = read(table.iloc[[*range(0, 301, 3), 299]].sort_values("frame"), frame_rate=30.0)
    assert found.quality["rows_between_steps"] == 1
    assert found.tracked.all()
    assert found.frame_rate == 10.0


@pytest.mark.parametrize("row", [20, 49])
def test_a_clock_that_leaps_is_refused(read, row):
    table = openface()
    table.loc[row:, "timestamp"] += 1e5
    with pytest.raises(InputError, match=rf"line {row + 2}.*leap.*--frame-rate"):
        read(table)


def test_frame_numbers_of_another_recording_are_refused(read):
    table = openface()
    table.loc[30:, "frame"] += 100_000
    with pytest.raises(InputError, match=r"line 32.*frame 100031 follows frame 30, and 50 rows make 100050 frames"):
        read(table)


def two_faces(scores, frames=40):
    """Two faces of OpenFace; the rows of the second follow those of the first in each frame."""
    tables = []
    for face, score in enumerate(scores):
        table = openface(frames, seed=face)
        tables.append(table.assign(face_id=face, confidence=score))
    return pd.concat(tables).sort_values(["frame", "face_id"], kind="stable").reset_index(drop=True)


@pytest.mark.parametrize(("scores", "kept"), [((0.9, 0.8), 0), ((0.5, 0.95), 1)])
def test_the_surest_face_is_kept(read, scores, kept):
    found = read(two_faces(scores))
    np.testing.assert_array_equal(found.features, openface(40, seed=kept)[OPENFACE].to_numpy())
    assert found.quality["rows_of_other_faces"] == 40
    assert found.quality["faces_seen"] == 2


def test_a_face_that_is_there_longer_beats_a_surer_one(read):
    table = two_faces((0.6, 0.99))
    table = table[(table["face_id"] == 0) | (table["frame"] > 30)]
    found = read(table)
    np.testing.assert_array_equal(found.features, openface(40, seed=0)[OPENFACE].to_numpy())
    assert found.quality["rows_of_other_faces"] == 10


def test_boxes_are_followed_whatever_the_order_of_rows(read):
    subject, other = py_feat(40, seed=1), py_feat(40, seed=2)
    other = other.assign(FaceRectX=400, FaceScore=0.6)
    order = np.random.default_rng(0).permutation(80)
    mixed = pd.concat([subject, other]).iloc[order].sort_values("frame", kind="stable")
    found = read(mixed, frame_rate=25.0)
    np.testing.assert_array_equal(found.features, subject[PY_FEAT].to_numpy())
    assert found.quality["rows_of_other_faces"] == 40
    assert found.quality["faces_seen"] == 2


def test_py_feat_frames_without_a_face_fail_also_beside_others(read):
    table = py_feat(20)
    for column in [*BOX, "FaceScore", *PY_FEAT]:
        table[column] = table[column].astype(float)
        table.loc[[4, 5], column] = np.nan if column in PY_FEAT else 0.0
    intruder = py_feat(1).assign(frame=9, FaceRectX=500)
    found = read(pd.concat([table.iloc[:10], intruder, table.iloc[10:]]), frame_rate=10.0)
    np.testing.assert_array_equal(np.flatnonzero(~found.tracked), [4, 5])
    np.testing.assert_allclose(found.time, np.arange(20) / 10)
    assert found.quality["rows_of_other_faces"] == 1
    assert found.quality["frames_without_row"] == 0


def test_link_boxes():
    frame = np.array([0, 0, 1, 1, 2, 5, 5])
    left, right = [10, 10, 50, 50], [200, 10, 50, 50]
    boxes = np.array([left, right, [208, 10, 50, 50], [14, 10, 50, 50], [np.nan] * 4, [18, 12, 50, 50], [600, 0, 9, 9]])
    np.testing.assert_array_equal(link_boxes(frame, boxes), [0, 1, 1, 0, -1, 0, 2])


def test_a_moving_face_stays_one_and_two_faces_stay_two():
    moving = np.array([[20.0 * k, 10, 50, 50] for k in range(30)])
    np.testing.assert_array_equal(link_boxes(np.arange(30), moving), np.zeros(30))
    close = np.array([[10.0, 10, 50, 50], [12, 10, 50, 50], [40, 10, 50, 50]])
    np.testing.assert_array_equal(link_boxes(np.array([0, 1, 1]), close), [0, 0, 1])
    np.testing.assert_array_equal(link_boxes(np.array([0, 1, 1]), close[[0, 2, 1]]), [0, 1, 0])


@pytest.mark.parametrize(("rate", "first"), [(25.0, 1), (30.0, 1)])
def test_a_named_frame_rate_replaces_timestamps(read, rate, first):
    found = read(openface(rate=1000.0).drop(index=0), frame_rate=rate)
    np.testing.assert_allclose(found.time, np.arange(first, 50) / rate)
    assert found.frame_rate == rate


@pytest.mark.parametrize("unit", [1.0, 1000.0])
@pytest.mark.parametrize("rate", [10.0, 25.0, 29.97, 60.0])
def test_libreface_in_either_unit(read, unit, rate):
    found = read(libreface(rate=rate, unit=unit), pose=True)
    np.testing.assert_allclose(found.time, np.arange(50) / rate, atol=1e-6)
    assert found.frame_rate == pytest.approx(rate, rel=1e-5)
    np.testing.assert_allclose(found.features[:, 12:], [[10, 20, 30]] * 50)


def test_libreface_in_neither_unit_is_refused(read):
    with pytest.raises(InputError, match=r"'frame_time_in_ms'.*2 apart.*--frame-rate"):
        read(libreface(rate=500.0))


@pytest.mark.parametrize(
    ("rows", "values"),
    [([20], [np.nan]), ([20], [0.0]), ([20], [9e9]), ([0], [np.nan]), ([49], [np.nan]), ([48, 49], [0.1, 0.2])],
)
def test_a_few_bad_timestamps_are_repaired(read, rows, values):
    table = openface()
    table.loc[rows, "timestamp"] = values
    found = read(table)
    np.testing.assert_allclose(found.time, np.arange(50) / 25, atol=1e-9)
    assert found.quality["timestamps_repaired"] == len(rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(timestamp=t["timestamp"] / 40), r"0.001 apart.*\(1-240 Hz\).*--frame-rate"),
        (lambda t: t.assign(timestamp=t["timestamp"] * 100), "4 apart.*--frame-rate"),
        (lambda t: t.assign(timestamp=0.0), "49 of 50 timestamps.*--frame-rate"),
        (lambda t: t.assign(timestamp=np.nan), "50 of 50 timestamps.*--frame-rate"),
        (lambda t: t.assign(timestamp=t["timestamp"].where(t.index % 10 > 0)), "5 of 50 timestamps.*--frame-rate"),
        (lambda t: t.assign(frame=t["frame"].where(t["frame"] != 9, 8.5)), "line 10: column 'frame'.*8.5"),
        (lambda t: t.assign(frame=t["frame"].where(t["frame"] != 9)), "line 10: column 'frame'.*nan"),
        (lambda t: t.assign(frame=t["frame"].where(t["frame"] < 30, 2)), "line 31.*frame 2 comes after 29"),
        (lambda t: t.assign(frame=t["frame"].where(t["frame"] != 9, 8)), "line 10: frame 8 is there twice"),
        (lambda t: set_cell(t, 6, "AU04_r", 55.0), "line 8: AU04: .*scale 0-5, found 55"),
        (lambda t: set_cell(t, 6, "AU04_r", -0.5), "line 8: AU04: .*found -0.5"),
        (lambda t: t.assign(success=0), "no frame has a tracked face"),
        (lambda t: t.iloc[:1], "at least two frames, found 1"),
    ],
)
def test_what_cannot_be_told_is_refused(read, change, message):
    with pytest.raises(InputError, match=rf"P1.csv.*{message}"):
        read(change(openface()))


def test_py_feat_needs_a_frame_rate(read):
    with pytest.raises(InputError, match="py-feat writes no timestamps; name the frame rate with --frame-rate"):
        read(py_feat())


def test_py_feat_counts_skipped_frames_by_their_numbers(read):
    table = py_feat(20)
    found = read(table.assign(frame=np.arange(20) * 10), frame_rate=25.0)
    np.testing.assert_allclose(found.time, np.arange(20) * 10 / 25)
    assert found.frame_rate == 2.5
    found = read(table.drop(columns="frame"), frame_rate=25.0)
    np.testing.assert_allclose(found.time, np.arange(20) / 25)


def test_pose_is_read_by_version(read):
    np.testing.assert_allclose(read(py_feat(), pose=True, frame_rate=25).features[0, 20:], [0.1, 0.2, 0.3])
    degrees = read(py_feat(width=695), pose=True, frame_rate=25).features[0, 20:]
    np.testing.assert_allclose(degrees, np.degrees([0.1, 0.2, 0.3]))


def test_degrees_where_radians_are_written_are_refused(read):
    table = set_cell(openface(), 4, "pose_Ry", 15.0)
    assert read(table).tracked.all()
    with pytest.raises(InputError, match="line 6: yaw: expected radians, found 15; leave pose out"):
        read(table, pose=True)


@settings(max_examples=25, deadline=None)
@given(
    lost=st.sets(st.integers(0, 29), max_size=20),
    failed=st.sets(st.integers(0, 29), max_size=8),
    others=st.integers(0, 3),
    face_id=st.booleans(),
)
def test_rows_are_kept_or_counted(tmp_path_factory, lost, failed, others, face_id):
    table = openface(30, face_id=face_id)
    table.loc[sorted(failed), "success"] = 0
    table = table.drop(index=sorted(lost))
    extra = [table.assign(face_id=k + 1, confidence=0.01) for k in range(others)] if face_id else []
    mixed = pd.concat([*extra, table]).sort_values("frame", kind="stable")
    file = tmp_path_factory.mktemp("frames") / "P1.csv"
    mixed.to_csv(file, index=False)
    dialect = detect_dialect(mixed.columns)
    chosen = dialect.select(tuple(mixed.columns), False, file)
    if len(table) < 2 or not (table["success"] == 1).any():
        with pytest.raises(InputError):
            read_frames(file, dialect, chosen, 25.0)
        return
    found = read_frames(file, dialect, chosen, 25.0)
    frames = np.arange(table["frame"].min(), table["frame"].max() + 1)
    values = np.where(table[["success"]] == 1, table[OPENFACE], np.nan)
    expected = pd.DataFrame(values, index=table["frame"]).reindex(frames)
    np.testing.assert_array_equal(found.features, expected.to_numpy())
    np.testing.assert_allclose(found.time, (frames - 1) / 25)
    rows = len(found.time) - found.quality["frames_without_row"]
    assert rows + found.quality["rows_of_other_faces"] == found.quality["rows"] == len(mixed)
    assert found.quality["failed_frames"] == int((table["success"] == 0).sum())
