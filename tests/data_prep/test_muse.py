import shutil

import numpy as np
import pandas as pd
import pytest

from data_prep.convert import convert
from data_prep.layouts.registry import LAYOUTS, layout_subjects, write_layout
from data_prep.muse import MuseSource, is_muse, unit_columns
from data_prep.source import SourceOptions, read_all
from data_prep.synthetic import SyntheticConfig
from tff_affect.errors import InputError

CONFIG = SyntheticConfig(subjects=5, seconds=4.0, seed=8, missing_fraction=0.1, bad_trackers=(1,))
UNITS = "features/fau_intensity"


@pytest.fixture
def folder(tmp_path):
    return write_layout("muse", tmp_path / "package", CONFIG)


def rewrite(folder, pattern, change):
    for file in folder.glob(pattern):
        change(pd.read_csv(file)).to_csv(file, index=False)


def is_the_truth(source):
    for (entry, direct), (found_entry, found) in zip(
        layout_subjects(LAYOUTS["muse"], CONFIG), read_all(source), strict=True
    ):
        assert (entry.subject, entry.partition) == (found_entry.subject, found_entry.partition)
        np.testing.assert_array_equal(found.features, direct.features)
        np.testing.assert_array_equal(found.labels, direct.labels)
        np.testing.assert_allclose(found.time, direct.time, rtol=0, atol=1e-12)
    return True


def test_partitions_scale_and_notes(folder):
    source = MuseSource(folder, SourceOptions())
    assert source.subjects == ("1", "2", "3", "4")
    assert [e.partition for e, _ in read_all(source)] == ["train", "train", "development", "development"]
    assert source.notes == ("1 test subjects have no labels and are left out: 5.",)
    assert source.manifest.feature_scale == "0-5"
    assert source.manifest.features == CONFIG.action_units
    assert source.manifest.provenance["feature_set"] == "fau_intensity"
    assert source.manifest.provenance["columns_left_behind"] == 2 + 17
    assert source.manifest.frame_rate == 25.0


def test_only_intensities_of_units_pass():
    columns = ["timestamp", "segment_id", "AU1_r", "AU12", "AU_20", "AU06_c", "AU45_path", "x_AU2", "facenet_3", "aus"]
    assert unit_columns(columns, "f") == {"AU01": "AU1_r", "AU12": "AU12", "AU20": "AU_20"}
    with pytest.raises(InputError, match="both AU01"):
        unit_columns(["AU01_r", "AU1"], "f")


def test_a_set_of_embeddings_is_refused_by_name(folder, tmp_path):
    with pytest.raises(InputError, match=r"'facenet' holds no action-unit column.*identify"):
        convert(folder, tmp_path / "c", SourceOptions(feature_set="facenet"))
    with pytest.raises(InputError, match=r"no feature set 'egemaps'; found facenet, fau_intensity"):
        convert(folder, tmp_path / "c", SourceOptions(feature_set="egemaps"))
    assert not (tmp_path / "c").exists()


def test_the_set_that_holds_units_is_found(folder):
    shutil.copytree(folder / UNITS, folder / "features" / "au_copy")
    with pytest.raises(InputError, match="several sets hold action units; name one: au_copy, fau_intensity"):
        MuseSource(folder, SourceOptions())
    assert is_the_truth(MuseSource(folder, SourceOptions(feature_set="au_copy")))


def test_units_without_the_suffix_have_no_known_scale(folder):
    rewrite(folder, f"{UNITS}/*.csv", lambda f: f.rename(columns=lambda c: c.removesuffix("_r")))
    source = MuseSource(folder, SourceOptions())
    assert source.manifest.feature_scale == "arbitrary"
    assert is_the_truth(source)


def test_names_may_differ_between_files(folder):
    rewrite(folder, f"{UNITS}/2.csv", lambda f: f.rename(columns=lambda c: c.replace("AU0", "AU")))
    assert is_the_truth(MuseSource(folder, SourceOptions()))


def test_seconds_and_milliseconds(folder):
    def in_seconds(frame):
        return frame.assign(timestamp=frame["timestamp"] / 1000)

    rewrite(folder, f"{UNITS}/*.csv", in_seconds)
    assert is_the_truth(MuseSource(folder, SourceOptions()))
    rewrite(folder, "labels/*/*.csv", in_seconds)
    assert is_the_truth(MuseSource(folder, SourceOptions()))


def test_labels_slower_than_features_are_met_by_time(folder):
    """MuSe's own case: labels at 2.5 Hz, action units at 25: the mean of the frames around each label."""
    rewrite(folder, "labels/*/*.csv", lambda f: f[f["timestamp"] % 400 == 0])
    rewrite(folder, f"{UNITS}/*.csv", lambda f: f.assign(AU01_r=f["timestamp"] / 1000))
    source = MuseSource(folder, SourceOptions())
    assert source.manifest.frame_rate == 2.5
    _, table = source.read("1")
    np.testing.assert_allclose(table.time, np.arange(0.4, 4.01, 0.4))
    np.testing.assert_allclose(table.features[:-1, 0], table.time[:-1], atol=1e-6)


def test_all_dimensions_become_labels(folder):
    shutil.copytree(folder / "labels/arousal", folder / "labels/physio-arousal")
    source = MuseSource(folder, SourceOptions())
    assert source.manifest.labels == ("arousal", "physio-arousal", "valence")
    _, table = source.read("1")
    np.testing.assert_array_equal(table.labels[:, 0], table.labels[:, 1])


@pytest.mark.parametrize("where", ["features", "labels"])
def test_segment_folders(folder, where):
    (folder / where).rename(folder / {"features": "feature_segments", "labels": "label_segments"}[where])
    assert is_muse(folder)
    assert is_the_truth(MuseSource(folder, SourceOptions()))


def test_partition_in_the_metadata_folder_and_in_other_case(folder):
    (folder / "metadata").mkdir()
    text = (folder / "partition.csv").read_text().replace("Id,Proposal", "id,proposal").replace("devel", "Devel")
    (folder / "partition.csv").unlink()
    (folder / "metadata" / "partition.csv").write_text(text)
    assert is_muse(folder)
    assert is_the_truth(MuseSource(folder, SourceOptions()))


def test_test_labels_that_are_there_and_empty_are_no_labels(folder):
    for dimension in ("arousal", "valence"):
        frame = pd.read_csv(folder / "labels" / dimension / "4.csv").assign(value=np.nan)
        frame.to_csv(folder / "labels" / dimension / "5.csv", index=False)
    source = MuseSource(folder, SourceOptions())
    assert source.subjects == ("1", "2", "3", "4")
    assert "left out: 5." in source.notes[0]


def test_test_labels_that_are_there_come_along(folder):
    for dimension in ("arousal", "valence"):
        shutil.copy(folder / "labels" / dimension / "4.csv", folder / "labels" / dimension / "5.csv")
    source = MuseSource(folder, SourceOptions())
    assert source.read("5")[0].partition == "test"
    assert source.notes == ()


def test_detection(folder, tmp_path):
    assert is_muse(folder)
    (folder / "partition.csv").unlink()
    assert not is_muse(folder)
    assert not is_muse(tmp_path)


def test_frames_without_a_face_are_missing_where_the_set_says_so(folder):
    def fail(frame):
        frame = frame.assign(success=1, confidence=0.9).astype({"confidence": float})
        units = [name for name in frame.columns if name.endswith("_r")]
        frame.loc[3, "success"] = 0
        frame.loc[7, "confidence"] = -1.0
        frame.loc[[3, 7], units] = 0.0
        return frame

    rewrite(folder, f"{UNITS}/*.csv", fail)
    source = MuseSource(folder, SourceOptions())
    assert source.manifest.features == CONFIG.action_units
    assert not any("frames_of_zeros" in note for note in source.notes)
    entry, table = source.read("1")
    assert np.isnan(table.features[[3, 7]]).all()
    assert not table.valid[[3, 7]].any()
    assert entry.quality["failed_frames"] == 2
    assert entry.quality["confidence_out_of_range"] == 1


def test_rows_of_zeros_are_counted_and_noted_where_the_set_does_not_say(folder):
    def zero(frame):
        frame.loc[[3, 7], [name for name in frame.columns if name.endswith("_r")]] = 0.0
        return frame

    assert not any("frames_of_zeros" in note for note in MuseSource(folder, SourceOptions()).notes)
    rewrite(folder, f"{UNITS}/3.csv", zero)
    source = MuseSource(folder, SourceOptions())
    assert any("frames_of_zeros" in note and "fau_intensity" in note for note in source.notes)
    assert source.read("3")[0].quality["frames_of_zeros"] == 2
    assert source.read("1")[0].quality["frames_of_zeros"] == 0
    assert source.read("3")[1].valid[[3, 7]].all()
