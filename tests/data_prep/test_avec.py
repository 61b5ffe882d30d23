import shutil
from dataclasses import replace

import arff
import numpy as np
import pandas as pd
import pytest

from data_prep.avec import AvecSource
from data_prep.avec_layout import in_order, is_avec2016, is_avec2018
from data_prep.convert import convert
from data_prep.inspect import inspect_source
from data_prep.labels.gold_standard import fuse_ccc_centred
from data_prep.layouts.registry import LAYOUTS, layout_recordings, layout_subjects, write_layout
from data_prep.source import SourceOptions, read_all
from data_prep.synthetic import SyntheticConfig
from tff_affect.errors import InputError

CONFIG = SyntheticConfig(subjects=4, seconds=4.0, seed=8, missing_fraction=0.1, bad_trackers=(1,))
EDITIONS = ("avec2016", "avec2018")
GEOMETRIC = "features_video_geometric"


@pytest.fixture(params=EDITIONS)
def edition(request):
    return request.param


@pytest.fixture
def folder(edition, tmp_path):
    return write_layout(edition, tmp_path / "package", CONFIG)


@pytest.fixture
def folder2016(tmp_path):
    return write_layout("avec2016", tmp_path / "package", CONFIG)


@pytest.fixture
def folder2018(tmp_path):
    return write_layout("avec2018", tmp_path / "package", CONFIG)


def beside_the_truth(edition, source):
    """(entry, table) of the truth and of what the source reads, subject by subject."""
    return zip(layout_subjects(LAYOUTS[edition], CONFIG), read_all(source), strict=True)


def test_partitions_names_and_notes(edition, folder):
    source = AvecSource(folder, SourceOptions())
    assert source.kind == edition
    assert source.subjects == ("train_1", "train_2", "dev_1")
    assert [entry.partition for entry, _ in read_all(source)] == ["train", "train", "development"]
    assert "1 test subjects have no labels" in source.notes[0]
    assert any("identity to leak" in note for note in source.notes) == (edition == "avec2016")
    assert source.manifest.feature_scale == "arbitrary"
    assert source.manifest.frame_rate == 25.0
    assert source.manifest.provenance["fusion"] == "as distributed"
    assert source.manifest.provenance["feature_set"] == (
        "video_geometric/arousal" if edition == "avec2016" else "AU/4.0_0.04"
    )


def test_a_package_that_says_nothing_of_synthesis_is_real(folder):
    (folder / "SYNTHETIC.txt").unlink()
    manifest = AvecSource(folder, SourceOptions()).manifest
    assert not manifest.synthetic
    assert "SYNTHETIC" not in manifest.name


def test_metadata_columns_are_never_features(edition, folder):
    source = AvecSource(folder, SourceOptions())
    assert source.manifest.features == CONFIG.action_units
    for name in ("name", "class", "frameTime", "timeStamp", "Instance_name"):
        assert name not in source.manifest.features


def test_fusion_uses_the_individual_ratings(edition, folder):
    generated = {subject.subject: subject for subject in layout_recordings(LAYOUTS[edition], CONFIG)}
    source = AvecSource(folder, SourceOptions(fusion="ccc_centred"))
    for entry, table in read_all(source):
        ratings = generated[entry.subject].ratings
        expected = np.stack([fuse_ccc_centred(ratings[:, d]) for d in (0, 1)], axis=1).astype(np.float32)
        np.testing.assert_array_equal(table.labels, expected)
    assert source.manifest.provenance["fusion"] == "ccc_centred"
    for (_, direct), (_, fused) in beside_the_truth(edition, AvecSource(folder, SourceOptions(fusion="mean"))):
        np.testing.assert_array_equal(fused.labels, direct.labels)


def test_the_gold_standard_alone_is_enough(edition, folder, tmp_path):
    shutil.rmtree(folder / ("ratings_individual" if edition == "avec2016" else "labels/individual"))
    cohort = convert(folder, tmp_path / "c")
    assert cohort.subjects == ("train_1", "train_2", "dev_1")


def test_test_subjects_with_labels_come_along(folder, edition):
    gold = folder / ("ratings_gold_standard" if edition == "avec2016" else "labels/gs_1")
    for dimension in ("arousal", "valence"):
        file = next((gold / dimension).glob("dev_1.*"))
        (gold / dimension / f"test_1{file.suffix}").write_text(file.read_text())
    source = AvecSource(folder, SourceOptions())
    assert source.subjects[-1] == "test_1"
    assert source.read("test_1")[0].partition == "test"
    assert not any("no labels" in note for note in source.notes)


def test_features_come_by_time_and_not_by_row(folder2018):
    """A feature file that starts and ends later than the labels."""
    source = AvecSource(folder2018, SourceOptions())
    file = folder2018 / "features/video/AU/train_1_4.0_0.04.csv"
    frame = pd.read_csv(file, sep=";")
    ramp = np.arange(0.0, 5.0, 0.04) + 1.0
    late = pd.DataFrame({"name": "train_1", "timeStamp": ramp, **dict.fromkeys(frame.columns[2:], ramp / 2)})
    late.to_csv(file, sep=";", index=False)
    _, table = source.read("train_1")
    inside = table.time >= 1.0 - 1e-9
    np.testing.assert_allclose(table.features[inside, 0], table.time[inside] / 2, atol=1e-6)
    assert np.isnan(table.features[~inside]).all()
    assert not table.valid[~inside].any()


def test_a_feature_step_longer_than_the_labels_is_interpolated(folder2018):
    file = folder2018 / "features/video/AU/train_1_4.0_0.04.csv"
    time = np.arange(0.0, 4.2, 0.1)
    units = dict.fromkeys(CONFIG.action_units, time)
    pd.DataFrame({"name": "train_1", "timeStamp": time, **units}).to_csv(file, sep=";", index=False)
    _, table = AvecSource(folder2018, SourceOptions()).read("train_1")
    np.testing.assert_allclose(table.features[:, 3], table.time, atol=1e-6)


def test_sets_differ_by_dimension_folder(folder2016):
    for file in (folder2016 / GEOMETRIC / "valence").iterdir():
        file.write_text(file.read_text().replace("@ATTRIBUTE AU45", "@ATTRIBUTE chin"))
    assert "AU45" in AvecSource(folder2016, SourceOptions()).manifest.features
    other = AvecSource(folder2016, SourceOptions(feature_set="video_geometric/valence"))
    assert "chin" in other.manifest.features
    assert other.manifest.provenance["feature_set"] == "video_geometric/valence"


def test_the_default_set_among_several(folder2016):
    (folder2016 / GEOMETRIC).rename(folder2016 / "features_video_appearance")
    only = AvecSource(folder2016, SourceOptions())
    assert only.manifest.provenance["feature_set"] == "video_appearance/arousal"
    assert "texture" in only.notes[1]
    (folder2016 / "features_audio").mkdir()
    assert AvecSource(folder2016, SourceOptions()).manifest.provenance["feature_set"] == "video_appearance/arousal"
    shutil.copytree(folder2016 / "features_video_appearance", folder2016 / "features_video_shape")
    with pytest.raises(InputError, match=r"several feature sets.*video_appearance/arousal.*video_shape/valence"):
        AvecSource(folder2016, SourceOptions())
    shutil.copytree(folder2016 / "features_video_appearance", folder2016 / GEOMETRIC)
    assert AvecSource(folder2016, SourceOptions()).manifest.provenance["feature_set"] == "video_geometric/arousal"
    chosen = AvecSource(folder2016, SourceOptions(feature_set="video_shape/valence"))
    assert chosen.manifest.provenance["feature_set"] == "video_shape/valence"


def test_windows_in_names_choose_the_variant(folder2018):
    place = folder2018 / "features/video/AU"
    for file in list(place.iterdir()):
        file.with_name(file.name.replace("4.0_0.04", "8_0.4")).write_text(file.read_text().replace("AU45", "lid"))
    with pytest.raises(InputError, match=r"several windows; name one: AU/4.0_0.04, AU/8_0.4"):
        AvecSource(folder2018, SourceOptions())
    chosen = AvecSource(folder2018, SourceOptions(feature_set="AU/8_0.4"))
    assert "lid" in chosen.manifest.features
    place.rename(place.with_name("AU_x"))
    assert AvecSource(folder2018, SourceOptions(feature_set="AU_x/4.0_0.04")).manifest.features[-1] == "AU45"


def test_other_spellings_of_subjects_and_columns(folder2018):
    for file in list((folder2018 / "features/video/AU").iterdir()):
        text = file.read_text().replace("name;timeStamp", "Instance_name;frametime;class", 1)
        head, *rows = text.splitlines()
        rows = [";".join([*row.split(";")[:2], "none", *row.split(";")[2:]]) for row in rows]
        file.write_text("\n".join([head, *rows]))
        name = file.name.replace("dev", "Devel").replace("train_1", "Train_01").replace("_4.0_0.04", "")
        file.rename(file.with_name(name))
    source = AvecSource(folder2018, SourceOptions())
    assert source.subjects == ("train_1", "train_2", "dev_1")
    assert source.manifest.features == CONFIG.action_units
    for (_, direct), (_, found) in beside_the_truth("avec2018", source):
        np.testing.assert_array_equal(found.features, direct.features)


def test_the_header_of_an_arff_may_have_any_length(folder2016):
    file = folder2016 / GEOMETRIC / "arousal" / "train_1.arff"
    file.write_text("% a comment\n" * 37 + "\n" + file.read_text().replace("@DATA", "% more\n\n@data"))
    for (_, direct), (_, found) in beside_the_truth("avec2016", AvecSource(folder2016, SourceOptions())):
        np.testing.assert_array_equal(found.features, direct.features)


def test_arff_is_read_as_liac_wrote_it(folder2016):
    content = arff.loads((folder2016 / "ratings_gold_standard/arousal/dev_1.arff").read_text())
    assert content["relation"] == "GOLDSTANDARD"
    assert [name for name, _ in content["attributes"]] == ["Instance_name", "frameTime", "GoldStandard"]
    _, table = AvecSource(folder2016, SourceOptions()).read("dev_1")
    np.testing.assert_array_equal(table.labels[:, 0], np.array([r[2] for r in content["data"]], np.float32))


def test_a_missing_label_is_masked_and_never_zero(folder2016):
    file = folder2016 / "ratings_gold_standard/valence/dev_1.arff"
    lines = file.read_text().splitlines()
    at = lines.index("@DATA") + 5
    lines[at] = lines[at].rsplit(",", 1)[0] + ",?"
    file.write_text("\n".join(lines))
    _, table = AvecSource(folder2016, SourceOptions()).read("dev_1")
    assert np.flatnonzero(np.isnan(table.labels[:, 1])).tolist() == [4]
    assert not table.valid[4]


def test_quality_counts_frames_without_features(edition, folder):
    for (_, table), (entry, _) in beside_the_truth(edition, AvecSource(folder, SourceOptions())):
        assert entry.quality["frames_without_features"] == int(np.isnan(table.features).any(axis=1).sum())
        assert len(entry.quality["source_sha256"]) == 64


def test_inspection_shows_it(edition, folder):
    found = inspect_source(folder)
    assert found.kind == edition
    assert found.synthetic
    assert len(found.subjects) == 3


def test_options_that_mean_nothing_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match="deltas are for RECOLA"):
        convert(folder, tmp_path / "c", SourceOptions(deltas=True))
    with pytest.raises(InputError, match="expected a fusion among"):
        convert(folder, tmp_path / "c", SourceOptions(fusion="median"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["package"]


def test_no_path_of_the_source_is_in_the_cohort(folder, tmp_path):
    convert(folder, tmp_path / "cohort")
    content = b"".join(file.read_bytes() for file in (tmp_path / "cohort").rglob("*") if file.is_file())
    assert str(tmp_path).encode() not in content
    assert b"package" not in content


def test_detection(folder, edition, tmp_path):
    assert (is_avec2016(folder), is_avec2018(folder)) == (edition == "avec2016", edition == "avec2018")
    assert not is_avec2016(tmp_path)
    with pytest.raises(InputError, match="neither the layout"):
        AvecSource(tmp_path, SourceOptions())


def test_order():
    assert in_order({"test_1", "dev_10", "dev_9", "train_2"}) == ["train_2", "dev_9", "dev_10", "test_1"]


def test_one_subject_makes_a_cohort(tmp_path):
    write_layout("avec2016", tmp_path / "one", replace(CONFIG, subjects=1))
    source = AvecSource(tmp_path / "one", SourceOptions())
    assert source.subjects == ("train_1",)
    assert len(source.notes) == 1


def add_columns(folder2018, **columns):
    for file in (folder2018 / "features/video/AU").iterdir():
        pd.read_csv(file, sep=";").assign(**columns).to_csv(file, sep=";", index=False)


ANSWERS = ("Identity_1", "GoldStandard", "gold", "mean_arousal", "Valence_pred", "FM1", "FF3 _y")
TRACKING = ("success", "confidence", "face_id", "x_12", "Y_3", "z_0", "p_rx", "p_3", "eye_lmk_x_0", "gaze_0_x")


def test_answers_identity_and_tracking_are_left_behind_and_counted(folder2018):
    before = AvecSource(folder2018, SourceOptions()).manifest
    values = dict.fromkeys((*ANSWERS, *TRACKING), 0.25) | {"success": 1}
    add_columns(folder2018, **values, AU12_r_stddev=0.5)
    source = AvecSource(folder2018, SourceOptions())
    assert source.manifest.features == (*before.features, "AU12_r_stddev")
    added = source.manifest.provenance["columns_left_behind"] - before.provenance["columns_left_behind"]
    assert added == len(ANSWERS) + len(TRACKING)
    _, table = source.read("train_1")
    assert not (table.features == np.float32(0.25)).any()


def test_failed_frames_are_missing_whatever_stands_in_them(folder2018):
    file = next(iter(sorted((folder2018 / "features/video/AU").glob("train_1*"))))
    frame = pd.read_csv(file, sep=";")
    frame["success"] = 1
    frame.loc[10:19, frame.columns.str.startswith("AU")] = 0.0
    frame.loc[10:19, "success"] = 0
    frame.to_csv(file, sep=";", index=False)
    entry, table = AvecSource(folder2018, SourceOptions()).read("train_1")
    assert entry.quality["failed_frames"] == 10
    assert not (table.features == 0).all(axis=1).any()
    assert np.isnan(table.features[12:18]).all()


def test_a_set_of_nothing_else_is_refused(folder2018):
    for file in (folder2018 / "features/video/AU").iterdir():
        frame = pd.read_csv(file, sep=";")
        frame[["timeStamp"]].assign(x_0=0.1, Identity_1=0.2).to_csv(file, sep=";", index=False)
    with pytest.raises(InputError, match=r"line 1: expected features, found x_0, Identity_1: .*left behind"):
        AvecSource(folder2018, SourceOptions())


def test_other_folders_do_not_matter_to_a_set_that_is_named(folder2018):
    (folder2018 / "features/video/cnn").mkdir()
    (folder2018 / "features/video/cnn/readme.txt").write_text("weights")
    assert AvecSource(folder2018, SourceOptions(feature_set="AU")).manifest.features == CONFIG.action_units
