import json

import numpy as np
import pandas as pd
import pytest
from sample_au_tables import FORBIDDEN, OPENFACE_UNITS, libreface, openface, py_feat, write_labels

from data_prep.au_folder import AuFolderSource, au_kind
from data_prep.column_map import ColumnMap
from data_prep.convert import convert
from data_prep.inspect import inspect_source
from data_prep.source import SourceOptions
from data_prep.sources import detect, open_source
from tff_affect.cohort import Cohort
from tff_affect.errors import InputError

OPENFACE = [f"AU{unit:02d}_r" for unit in OPENFACE_UNITS]
SUBJECTS = ("P101", "P102", "P103")


def put(folder, make=openface, subjects=SUBJECTS, **options):
    folder.mkdir(exist_ok=True)
    for seed, subject in enumerate(subjects):
        make(seed=seed, **options).to_csv(folder / f"{subject}.csv", index=False)
    return folder


@pytest.fixture
def folder(tmp_path):
    """Three recordings with labels and a table of subjects beside them."""
    folder = put(tmp_path / "au")
    write_labels(folder / "labels", SUBJECTS)
    rows = [("P101", "train", "female"), ("P102", "dev", "male"), ("P103", "test", "")]
    pd.DataFrame(rows, columns=["subject", "partition", "gender"]).to_csv(folder / "subjects.csv", index=False)
    return folder


def test_a_folder_becomes_a_cohort(folder, tmp_path):
    cohort = convert(folder, tmp_path / "cohort")
    manifest = cohort.manifest
    assert manifest.name == "OpenFace"
    assert manifest.features == tuple(f"AU{unit:02d}" for unit in OPENFACE_UNITS)
    assert manifest.labels == ("arousal", "valence")
    assert (manifest.feature_scale, manifest.frame_rate, manifest.synthetic) == ("0-5", 25.0, False)
    assert cohort.subjects == SUBJECTS
    for seed, subject in enumerate(SUBJECTS):
        table = cohort.load(subject)
        np.testing.assert_array_equal(table.features, openface(seed=seed)[OPENFACE].to_numpy(np.float32))
        np.testing.assert_allclose(table.labels[:, 0], np.linspace(-0.5, 0.5, 50), atol=1e-7)
        assert table.valid.all()
    assert [cohort.entry(s).partition for s in SUBJECTS] == ["train", "development", "test"]
    assert cohort.entry("P101").groups == {"gender": "female"}
    assert cohort.entry("P103").groups == {}
    quality = cohort.entry("P102").quality
    assert len(quality["source_sha256"]) == 64
    assert quality["rows"] == 50
    assert quality["failed_frames"] == 0


def test_each_tool_is_detected_and_converted(tmp_path):
    tools = {"openface": (openface, None), "py-feat": (py_feat, 25.0), "libreface": (libreface, None)}
    for kind, (make, rate) in tools.items():
        folder = put(tmp_path / kind, make)
        assert detect(folder) == detect(folder / "P101.csv") == kind
        assert au_kind(folder) == kind
        options = SourceOptions(frame_rate=rate)
        assert open_source(folder, options).kind == kind
        cohort = convert(folder, tmp_path / f"{kind}-cohort", options)
        assert cohort.manifest.labels == ()
        assert cohort.manifest.frame_rate == 25.0
        assert cohort.load("P103").valid.all()
        assert inspect_source(folder, options).problems == ()


@pytest.mark.parametrize(
    "make", [lambda **o: openface(everything=True, **o), lambda **o: py_feat(width=2183, **o), libreface]
)
@pytest.mark.parametrize("pose", [False, True])
def test_nothing_else_reaches_the_cohort(tmp_path, make, pose):
    folder = put(tmp_path / "au", make, ("P101",))
    cohort = convert(folder, tmp_path / "cohort", SourceOptions(frame_rate=25.0, pose=pose))
    table = cohort.load("P101")
    assert not (table.features == np.float32(FORBIDDEN)).any()
    content = b"".join(file.read_bytes() for file in cohort.path.rglob("*") if file.is_file())
    words = ("Identity", "mesh_", "secret_name", ".mp4", "blendshape", "gaze", "happiness", "Happiness", "lm_mp", '_c"')
    for word in (*words, "valence", "arousal", "FaceRect", "FaceScore", 'confidence"', str(FORBIDDEN), str(tmp_path)):
        assert word.encode() not in content, word
    for form in (np.float32, np.float64):
        assert form(FORBIDDEN).tobytes() not in content
    scale = "0-1" if cohort.manifest.name == "py-feat" else "0-5"
    assert cohort.manifest.feature_scale == ("arbitrary" if pose else scale)
    assert ("pitch" in cohort.manifest.features) == pose
    assert cohort.manifest.provenance["columns_left_behind"] > 10


def test_labels_of_another_rate_are_met_by_time(tmp_path):
    folder = put(tmp_path / "au", subjects=("P101",))
    table = openface(180, 29.97)
    table["timestamp"] = np.arange(180) / 29.97
    table["AU12_r"] = table["timestamp"] / 2
    table.drop(index=[60]).to_csv(folder / "P101.csv", index=False)
    write_labels(tmp_path / "elsewhere", ["P101"], frames=150)
    source = open_source(folder, SourceOptions(labels=tmp_path / "elsewhere"))
    entry, found = source.read("P101")
    assert entry.quality["frames_without_row"] == 1
    au12 = found.features[:, source.manifest.features.index("AU12")]
    hidden = (found.time > 59 / 29.97) & (found.time < 61 / 29.97)
    np.testing.assert_allclose(au12[~hidden], found.time[~hidden] / 2, atol=1e-5)
    assert np.isnan(au12[hidden]).all()
    assert hidden.any()
    np.testing.assert_array_equal(found.valid, ~hidden)


def test_without_labels_missing_rows_are_missing_frames(tmp_path):
    folder = put(tmp_path / "au", subjects=("P101",), frames=300, rate=30000 / 1001)
    table = pd.read_csv(folder / "P101.csv").drop(index=[7, 8])
    table.to_csv(folder / "P101.csv", index=False)
    source = open_source(folder)
    _, found = source.read("P101")
    assert found.frames == 300
    np.testing.assert_array_equal(np.flatnonzero(~found.valid), [7, 8])
    np.testing.assert_array_equal(found.features[found.valid], table[OPENFACE].to_numpy(np.float32))
    assert source.manifest.frame_rate == pytest.approx(29.97, rel=1e-4)


def test_a_folder_per_subject_and_a_single_file(folder, tmp_path):
    nested = tmp_path / "nested"
    for subject in SUBJECTS:
        (nested / subject).mkdir(parents=True)
        (folder / f"{subject}.csv").rename(nested / subject / "openface_out.csv")
    (folder / "labels").rename(nested / "labels")
    (nested / "P101_aligned").mkdir()
    source = open_source(nested)
    assert source.subjects == SUBJECTS
    assert source.manifest.labels == ("arousal", "valence")
    (nested / "P102" / "openface_out.csv").rename(nested / "P102.csv")
    source = open_source(nested / "P102.csv")
    assert source.subjects == ("P102",)
    assert source.read("P102")[1].labels.shape == (50, 2)


def test_synthetic_is_said_wherever_the_mark_is(folder):
    assert not open_source(folder).manifest.synthetic
    for place in (folder, folder / "labels"):
        (place / "SYNTHETIC.txt").write_text("SYNTHETIC\n")
        for path in (folder, folder / "P101.csv"):
            manifest = open_source(path).manifest
            assert manifest.synthetic
            assert manifest.name == "SYNTHETIC OpenFace"
        (place / "SYNTHETIC.txt").unlink()


def test_several_raters_are_fused_as_asked(folder):
    noise = np.random.default_rng(0).normal(0, 0.3, 50)
    for subject in SUBJECTS:
        file = folder / "labels" / "arousal" / f"{subject}.csv"
        time, value = pd.read_csv(file).to_numpy().T
        table = pd.DataFrame({"time": time, "A": value, "B": value + 0.3, "C": value + noise})
        table.to_csv(file, index=False)
    source = open_source(folder)
    mean = source.read("P101")[1].labels[:, 0]
    np.testing.assert_allclose(mean, np.linspace(-0.5, 0.5, 50) + (0.3 + noise) / 3, atol=1e-6)
    assert source.manifest.provenance["fusion"] == "mean"
    weighted = open_source(folder, SourceOptions(fusion="ewe"))
    assert weighted.manifest.provenance["fusion"] == "ewe"
    assert np.abs(weighted.read("P101")[1].labels[:, 0] - mean).max() > 0.001


def test_a_column_map_makes_it_a_table(folder):
    file = folder / "P101.csv"
    pd.read_csv(file).assign(subject="P101", valence=0.5).to_csv(file, index=False)
    features = ["AU01_r", "AU12_r"]
    content = {"name": "mine", "subject": "subject", "features": features, "feature_scale": "0-5"}
    content |= {"labels": {"valence": "valence"}, "order": "timestamp", "frame_rate": 25.0}
    column_map = ColumnMap(**content)
    assert open_source(file, SourceOptions(column_map=column_map)).kind == "table"


def test_foreign_folders_are_left_to_others(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "a.csv").symlink_to("a.csv")
    (tmp_path / "loop" / "b").symlink_to("b")
    other = tmp_path / "other"
    (other / "deep" / "deeper").mkdir(parents=True)
    (other / "table.csv").write_text("subject;AU01;valence\nP1;1;2\n")
    (other / "binary.csv").write_bytes(bytes(range(256)))
    (other / "folder.csv").mkdir()
    openface().to_csv(other / "deep" / "deeper" / "P1.csv")
    for path in (tmp_path / "empty", tmp_path / "loop", other, other / "table.csv", tmp_path / "nothing"):
        assert au_kind(path) is None
    assert detect(other / "table.csv") == "table"


def test_what_is_left_out_is_noted(folder):
    assert open_source(folder).notes == ()
    put(folder / "earlier", subjects=("P101",))
    with open(folder / "subjects.csv", "a") as stream:
        stream.write("P104,test,male\n")
    notes = open_source(folder).notes
    assert len(notes) == 2
    assert "earlier" in notes[0]
    assert "P104" in notes[1]
    assert open_source(folder).subjects == SUBJECTS


def test_options_that_mean_nothing_are_refused(folder):
    with pytest.raises(InputError, match="deltas are for RECOLA's features"):
        open_source(folder, SourceOptions(deltas=True))
    (folder / "labels").rename(folder.parent / "away")
    with pytest.raises(InputError, match="a fusion needs labels"):
        open_source(folder, SourceOptions(fusion="mean"))


def test_two_conversions_are_alike_to_the_byte(folder, tmp_path):
    first, second = convert(folder, tmp_path / "a"), convert(folder, tmp_path / "b")
    assert first.content_sha256 == second.content_sha256
    assert json.loads((first.path / "cohort.json").read_text()) == json.loads((second.path / "cohort.json").read_text())
    assert Cohort.open(first.path).subjects == SUBJECTS
    assert AuFolderSource(folder, SourceOptions()).kind == "openface"
