"""Every malformed table is one clear `InputError` that says where and leaves nothing behind, or a counted gap."""

import shutil

import numpy as np
import pandas as pd
import pytest
from sample_au_tables import libreface, openface, py_feat, write_labels

from data_prep.convert import convert
from data_prep.inspect import inspect_source
from data_prep.source import SourceOptions
from tff_affect.errors import InputError

SUBJECTS = ("P101", "P102", "P103")
FILE = "P102.csv"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A folder of OpenFace tables with labels; one of py-feat and one of LibreFace without."""
    root = tmp_path_factory.mktemp("pristine")
    for kind, make in (("openface", openface), ("py-feat", py_feat), ("libreface", libreface)):
        (root / kind).mkdir()
        for seed, subject in enumerate(SUBJECTS):
            make(seed=seed).to_csv(root / kind / f"{subject}.csv", index=False)
    write_labels(root / "openface" / "labels", SUBJECTS)
    return root


@pytest.fixture
def root(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "root")


def content(change):
    """Changes a file's bytes."""
    return lambda file: file.write_bytes(change(file.read_bytes()))


def lines(change):
    """Changes a file's list of lines."""
    return lambda file: file.write_text("\n".join(change(file.read_text().splitlines())) + "\n")


def table(change):
    """Changes a file's data frame."""
    return lambda file: change(pd.read_csv(file)).to_csv(file, index=False)


def cell(row, column, value):
    """Puts one cell of text; ``row`` counts from the first row of data."""

    def change(frame):
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value
        return frame

    return table(change)


def still_images(file):
    frame = pd.read_csv(file).drop(columns=["frame", "face_id", "timestamp", "success"])
    frame.insert(0, "face", 0)
    frame.to_csv(file, index=False)


def link_out(file):
    file.rename(file.parent.parent / "outside.csv")
    file.symlink_to(file.parent.parent / "outside.csv")


def loop(file):
    file.unlink()
    file.symlink_to(file.name)


def beside(name):
    return lambda file: shutil.copy(file, file.with_name(name))


def labels(change):
    return lambda file: change(file.parent / "labels")


def shifted(folder):
    for file in folder.rglob("*.csv"):
        frame = pd.read_csv(file)
        frame.assign(time=frame["time"] + 100).to_csv(file, index=False)


REFUSED = {
    "truncated last row": (content(lambda b: b[: b.rindex(b",") - 20]), "P102.csv, line 51: expected"),
    "truncated after the header": (lines(lambda rows: rows[:1]), "P102.csv: .*no rows"),
    "empty": (content(lambda b: b""), "P102.csv: the file is empty"),
    "binary": (content(lambda b: bytes(range(256)) * 40), "P102.csv: .*binary"),
    "UTF-16": (content(lambda b: b.decode().encode("utf-16")), "P102.csv: .*UTF-16"),
    "latin-1 header": (content(lambda b: b.replace(b"gaze_0_x", b"gaz\xe9", 1)), "P102.csv, line 1: expected UTF-8"),
    "latin-1 number": (content(lambda b: b.replace(b"0.98", b"0.98\xb0", 1)), "P102.csv, line 2: expected UTF-8"),
    "two headers": (lines(lambda rows: [rows[0], *rows]), "P102.csv, line 2: column 'frame'"),
    "a second header inside": (lines(lambda rows: [*rows[:20], rows[0], *rows[20:]]), "P102.csv, line 21"),
    "ragged row": (lines(lambda rows: [*rows[:9], rows[9] + ",1", *rows[10:]]), "P102.csv, line 10: expected"),
    "text in a number": (cell(4, "AU12_r", "smile"), "P102.csv, line 6: column 'AU12_r'.*smile"),
    "an infinite number": (cell(4, "AU12_r", "inf"), "P102.csv, line 6: column 'AU12_r'.*inf"),
    "decimal commas": (content(lambda b: b.replace(b",", b";").replace(b".", b",")), "P102.csv, line 2"),
    "an intensity of 55": (cell(4, "AU12_r", 55), "P102.csv, line 6: AU12: .*scale 0-5, found 55"),
    "a negative intensity": (cell(4, "AU12_r", -1), "P102.csv, line 6: AU12: .*found -1"),
    "a column twice": (lines(lambda rows: [rows[0].replace("x_1", "x_0"), *rows[1:]]), "P102.csv, line 1: .*'x_0'"),
    "a unit is missing": (table(lambda t: t.drop(columns="AU12_r")), "P102.csv, line 1: the feature 'AU12'"),
    "no units": (table(lambda t: t[[c for c in t if "_r" not in c]]), "P102.csv, line 1: no column of action-unit"),
    "no timestamps": (table(lambda t: t.drop(columns="timestamp")), "P102.csv, line 1: expected the columns"),
    "another table": (content(lambda b: b"a,b\n1,2\n"), r"P102.csv, line 1: expected the columns.*found a, b"),
    "another tool": (lambda f: py_feat().to_csv(f), "P102.csv, line 1: this is a table of py-feat"),
    "an older OpenFace": (lambda f: openface(face_id=False).to_csv(f), "P102.csv, line 1: .*1.0 or earlier"),
    "still images": (still_images, "P102.csv, line 1: this is a table of OpenFace, still images"),
    "every frame failed": (table(lambda t: t.assign(success=0)), "P102.csv: no frame has a tracked face"),
    "frames going back": (table(lambda t: pd.concat([t, t])), "P102.csv, line 52: .*frame 1 comes after 50"),
    "a frame twice": (table(lambda t: t.iloc[[0, *range(50)]]), "P102.csv, line 3: frame 1 is there twice"),
    "half a frame": (cell(5, "frame", 6.5), "P102.csv, line 7: column 'frame': .*6.5"),
    "timestamps by .001 s": (
        table(lambda t: t.assign(timestamp=t["timestamp"] / 40)),
        "P102.csv: column 'timestamp': .*--frame-rate",
    ),
    "timestamps all zero": (table(lambda t: t.assign(timestamp=0)), "P102.csv: .*49 of 50 timestamps.*--frame-rate"),
    "one row": (table(lambda t: t.iloc[:1]), "P102.csv: expected at least two frames, found 1"),
    "labels of another time": (labels(shifted), "P101.*0 % of the labels.*--frame-rate"),
    "labels without recording": (lambda f: f.unlink(), "subject P102: .*labels and no recording"),
    "recording without labels": (beside("P999.csv"), "subject P999: the recording has no labels"),
    "labels missing": (labels(lambda d: (d / "valence" / FILE).unlink()), "valence/P102.csv.*missing"),
    "labels are a file": (
        lambda f: (shutil.rmtree(f.parent / "labels" / "arousal"), shutil.rmtree(f.parent / "labels" / "valence")),
        "labels: expected folders of labels",
    ),
    "two spellings": (beside("p102.CSV"), "p102.CSV.*'P102.csv' is there too"),
    "no subject's name": (lambda f: f.rename(f.with_name("P 102!.csv")), "subject P 102!"),
    "a link out of the folder": (link_out, "P102.csv: a link leads out of the folder"),
    "a link to itself": (loop, "P102.csv|cannot read|cannot be followed"),
    "a folder for a file": (lambda f: (f.unlink(), f.mkdir()), "P102.csv: cannot read the file"),
    "subjects.csv lacks one": (
        lambda f: (f.parent / "subjects.csv").write_text("subject,partition\nP101,train\n"),
        "subject P102: the recording has no row in subjects.csv",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(root, tmp_path, case):
    change, message = REFUSED[case]
    change(root / "openface" / FILE)
    with pytest.raises(InputError, match=message):
        convert(root / "openface", tmp_path / "cohort")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["root"]
    assert inspect_source(root / "openface").problems


OTHER_TOOLS = {
    "py-feat without a frame rate": ("py-feat", lambda f: None, None, "P101.csv: py-feat writes no timestamps"),
    "py-feat beyond its scale": ("py-feat", cell(3, "AU12", 1.5), 25.0, "P102.csv, line 5: AU12: .*scale 0-1"),
    "py-feat all empty": ("py-feat", table(lambda t: t.assign(FaceScore=0)), 25.0, "P102.csv: no frame has a tracked"),
    "py-feat with fewer units": (
        "py-feat",
        table(lambda t: t.drop(columns="AU11")),
        25.0,
        "P102.csv, line 1: the feature 'AU11'",
    ),
    "LibreFace by 2": (
        "libreface",
        table(lambda t: t.assign(frame_time_in_ms=t["frame_idx"] * 2.0)),
        None,
        "P102.csv: column 'frame_time_in_ms': .*--frame-rate",
    ),
    "LibreFace beyond its scale": ("libreface", cell(3, "au_12_intensity", 9), None, "P102.csv, line 5: AU12"),
}


@pytest.mark.parametrize("case", OTHER_TOOLS)
def test_refused_of_other_tools(root, tmp_path, case):
    kind, change, rate, message = OTHER_TOOLS[case]
    change(root / kind / FILE)
    with pytest.raises(InputError, match=message):
        convert(root / kind, tmp_path / "cohort", SourceOptions(frame_rate=rate))
    assert not (tmp_path / "cohort").exists()


GAPS = {
    "negative confidence": (table(lambda t: t.assign(confidence=t["confidence"].where(t.index != 7, -1))), [7]),
    "failed rows of zeros": (
        table(lambda t: t.mask(np.outer(t.index == 7, t.columns.str.endswith(("_r", "success"))), 0)),
        [7],
    ),
    "failed rows with stale values": (table(lambda t: t.assign(success=(t.index > 8).astype(int))), range(9)),
    "failed rows beyond the scale": (
        table(lambda t: t.assign(success=(t.index != 7).astype(int), AU12_r=t["AU12_r"].where(t.index != 7, 99.0))),
        [7],
    ),
    "rows missing": (table(lambda t: t.drop(index=[7, 8, 30])), [7, 8, 30]),
    "the end missing": (table(lambda t: t.iloc[:40]), range(40, 50)),
    "a cell missing": (cell(7, "AU12_r", "-nan(ind)"), [7]),
    "timestamps missing": (table(lambda t: t.assign(timestamp=t["timestamp"].where(t.index != 7))), []),
    "a face of someone else": (table(lambda t: pd.concat([t.assign(face_id=1).iloc[:1], t])), []),
    "blank lines and a mark": (content(lambda b: b"\xef\xbb\xbf" + b.replace(b"\n", b"\r\n\r\n")), []),
    "comma and space": (content(lambda b: b.replace(b",", b", ")), []),
}


@pytest.mark.parametrize("case", GAPS)
def test_gaps_are_missing_and_never_zero(root, tmp_path, case):
    change, missing = GAPS[case]
    intact = convert(root / "openface", tmp_path / "intact").load("P102")
    change(root / "openface" / FILE)
    cohort = convert(root / "openface", tmp_path / "cohort")
    found = cohort.load("P102")
    hidden = np.isin(np.arange(50), list(missing))
    np.testing.assert_array_equal(found.valid, ~hidden)
    np.testing.assert_array_equal(found.features[~hidden], intact.features[~hidden])
    assert np.isnan(found.features[hidden]).any(axis=1).all()
    assert not (found.features == 0).any()
    np.testing.assert_array_equal(found.labels, intact.labels)


def test_first_file_broken_is_named_too(root, tmp_path):
    still_images(root / "openface" / "P101.csv")
    with pytest.raises(InputError, match=r"P101.csv, line 1: this is OpenFace's still-image output"):
        convert(root / "openface", tmp_path / "cohort")
    (root / "openface" / "P101.csv").write_bytes(b"\0\1\2")
    with pytest.raises(InputError, match=r"P101.csv: .*binary"):
        convert(root / "openface", tmp_path / "cohort")
