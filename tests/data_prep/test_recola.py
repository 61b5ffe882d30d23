import itertools
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.convert import convert
from data_prep.labels.gold_standard import fuse_ccc_centred
from data_prep.layouts.recola_writer import write_recola_layout
from data_prep.recola import RecolaSource
from data_prep.recola_features import feature_name
from data_prep.recola_layout import ANNOTATION, FEATURES, PARTITION, TIMINGS
from data_prep.source import SourceOptions, read_all
from data_prep.synthetic import SyntheticConfig, generate_subject, write_synthetic_cohort
from tff_affect.errors import InputError

CONFIG = SyntheticConfig(subjects=3, seconds=6.0, seed=8, missing_fraction=0.1, bad_trackers=(1,))
FRAMES = CONFIG.frames


def hashes(cohort):
    return [entry.sha256 for entry in cohort.manifest.subjects]


@pytest.mark.parametrize(
    ("features", "rows", "blanks"), list(itertools.product(("arff", "csv"), (FRAMES + 1, FRAMES), (True, False)))
)
def test_what_the_synthesizer_writes_reads_back_bit_for_bit(tmp_path, features, rows, blanks):
    direct = write_synthetic_cohort(tmp_path / "direct", CONFIG)
    write_recola_layout(tmp_path / "recola", CONFIG, features, rows, blanks)
    header = (tmp_path / "recola" / ANNOTATION / "arousal" / "P101.csv").read_text().splitlines()
    assert header[0] == ("time;FM1 ;FM2 ;FM3 ;FF1 ;FF2 ;FF3" if blanks else "time;FM1;FM2;FM3;FF1;FF2;FF3")
    assert len(header) == rows + 1
    back = convert(tmp_path / "recola", tmp_path / "back")
    assert hashes(back) == hashes(direct)
    assert back.content_sha256 == direct.content_sha256
    assert back.manifest.synthetic
    assert "SYNTHETIC" in back.manifest.name
    assert back.manifest.feature_scale == "0-5"
    assert [e.groups for e in back.manifest.subjects] == [e.groups for e in direct.manifest.subjects]


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rate=st.sampled_from([5.0, 25.0, 30.0, 29.97]),
    seconds=st.floats(1.0, 4.0),
    features=st.sampled_from(["arff", "csv"]),
    units=st.sets(st.sampled_from(["AU01", "AU06", "AU12", "AU45"]), min_size=1),
)
def test_round_trip_at_any_rate_and_length(tmp_path_factory, seed, rate, seconds, features, units):
    place = tmp_path_factory.mktemp("round")
    config = SyntheticConfig(
        subjects=1, seconds=seconds, frame_rate=rate, seed=seed, action_units=tuple(sorted(units)), bad_trackers=(0,)
    )
    direct = write_synthetic_cohort(place / "direct", config)
    back = convert(write_recola_layout(place / "recola", config, features), place / "back")
    assert hashes(back) == hashes(direct)


def test_the_marker_says_synthetic_and_holds_the_configuration(tmp_path):
    text = (write_recola_layout(tmp_path / "r", CONFIG) / "SYNTHETIC.txt").read_text()
    assert text.startswith("SYNTHETIC")
    assert SyntheticConfig.from_json(json.loads(text.split("\n", 1)[1])) == CONFIG


def test_ccc_centred_fusion(tmp_path):
    write_recola_layout(tmp_path / "r", CONFIG)
    subjects = read_all(RecolaSource(tmp_path / "r", SourceOptions(fusion="ccc_centred")))
    subject = generate_subject(CONFIG, 0)
    # The rule sees the first annotation row too: it is part of the rater's trace and is dropped afterwards.
    whole = np.concatenate([subject.ratings[:1], subject.ratings])
    expected = fuse_ccc_centred(whole[:, 0])[1:].astype(np.float32)
    np.testing.assert_array_equal(next(subjects)[1].labels[:, 0], expected)


@pytest.mark.parametrize("header", [True, False])
def test_the_ccc_centred_package_is_read_as_distributed(tmp_path, header):
    folder = write_recola_layout(tmp_path / "r", CONFIG)
    for dimension in ("arousal", "valence"):
        place = folder / "Ratings_affective_behaviour_CCC_centred" / dimension
        place.mkdir(parents=True)
        for file in (folder / ANNOTATION / dimension).iterdir():
            frame = pd.read_csv(file, sep=";")
            pair = pd.DataFrame({"time": frame["time"], "value": frame.iloc[:, 1]})
            pair.to_csv(place / file.name, index=False, header=header)
    (folder / ANNOTATION).rename(folder / "put-aside")
    source = RecolaSource(folder, SourceOptions())
    manifest, subjects = source.manifest, read_all(source)
    np.testing.assert_allclose(next(subjects)[1].labels, generate_subject(CONFIG, 0).ratings[:, :, 0], atol=1e-7)
    assert "as distributed" in manifest.provenance["fusion"]


def test_columns_of_other_modalities_and_raters_never_pass():
    for column in (
        "ComParE13_LLD_25Hz_F0",
        "ECG_54_LLD_HR",
        "EDA_62_LLD_SCL",
        "FM1 _x",
        "FF3 _y",
        "AU01_path",
        "x_AU1",
    ):
        assert feature_name(column) is None
    assert feature_name("VIDEO_40_LLD_AU1") == "AU01"
    assert feature_name("VIDEO_40_LLD_AU12_delta") == "AU12_delta"
    assert feature_name("VIDEO_40_LLD_Yaw") == "yaw"
    assert feature_name("VIDEO_40_LLD_Opt_mean_delta") == "opt_mean_delta"
    assert feature_name("Face_detection_probability") is None


def _edit_features(folder, change):
    for file in (folder / FEATURES).glob("*.csv"):
        change(pd.read_csv(file)).to_csv(file, index=False, na_rep="NaN")


def test_merged_tables_give_face_columns_only_and_deltas_on_request(tmp_path):
    folder = write_recola_layout(tmp_path / "r", CONFIG, "csv")
    extra = {"VIDEO_40_LLD_AU1_delta": 0.1, "VIDEO_40_LLD_Yaw": 0.2, "ECG_54_LLD_HR": 70.0, "FM1 _x": 0.5}
    _edit_features(folder, lambda frame: frame.assign(**extra))
    plain = RecolaSource(folder, SourceOptions()).manifest
    source = RecolaSource(folder, SourceOptions(deltas=True))
    rich, subjects = source.manifest, read_all(source)
    assert plain.features == (*CONFIG.action_units, "yaw")
    assert rich.features == (*CONFIG.action_units, "AU01_delta", "yaw")
    assert next(subjects)[1].features.shape[1] == 19


def test_a_frame_without_a_face_is_missing_never_zero(tmp_path):
    folder = write_recola_layout(tmp_path / "r", replace(CONFIG, missing_fraction=0.0), "csv")

    def lose(frame):
        frame.loc[3:5, "Face_detection_probability"] = 0.0
        frame.loc[4, frame.columns[:-1]] = 0.0
        return frame

    _edit_features(folder, lose)
    table = next(read_all(RecolaSource(folder, SourceOptions())))[1]
    assert np.isnan(table.features[3:6]).all()
    assert list(np.flatnonzero(~table.valid)) == [3, 4, 5]


def test_features_are_aligned_by_their_times(tmp_path):
    """Frame times one frame early: every annotation gets the feature row of its own time, the last gets none."""
    config = replace(CONFIG, missing_fraction=0.0)
    folder = write_recola_layout(tmp_path / "r", config)
    for file in (folder / TIMINGS).iterdir():
        file.write_text("time in seconds\n" + "".join(f"{k / 25!r}\n" for k in range(FRAMES)))
    table = next(read_all(RecolaSource(folder, SourceOptions())))[1]
    expected = generate_subject(config, 0).table.features
    np.testing.assert_array_equal(table.features[:-1], expected[1:])
    assert not table.valid[-1]


def test_published_partition_for_real_identifiers_only(tmp_path):
    folder = write_recola_layout(tmp_path / "r", replace(CONFIG, subjects=2))
    renamed = {"P101": "P16", "P102": "P65"}
    for file in sorted(folder.rglob("P1*.*")):
        file.rename(file.with_name(renamed[file.stem] + file.suffix))
    users = folder / "RECOLA-Metadata" / "recola_user_info.csv"
    users.write_text(users.read_text().replace("P101", "16").replace("P102", "65"))
    (folder / "SYNTHETIC.txt").unlink()
    cohort = convert(folder, tmp_path / "c")
    assert [e.partition for e in cohort.manifest.subjects] == ["train", "development"]
    assert not cohort.manifest.synthetic
    assert cohort.manifest.feature_scale == "arbitrary"
    assert pd.Series(PARTITION).value_counts().to_dict() == {"train": 16, "development": 15, "test": 15}


@pytest.mark.parametrize(
    "options",
    [{"features": "xlsx"}, {"rows": 10}, {"config": replace(CONFIG, raters=4)}],
    ids=["features", "rows", "raters"],
)
def test_writer_refuses_wrong_options(tmp_path, options):
    with pytest.raises(InputError):
        write_recola_layout(tmp_path / "r", **{"config": CONFIG, **options})
    assert not list(tmp_path.iterdir())
