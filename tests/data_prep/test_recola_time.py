"""RECOLA's labels and features meet by time; which row is left out depends on its time, never on a count alone."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from data_prep.layouts.recola_writer import write_recola_layout
from data_prep.recola import RecolaSource
from data_prep.recola_layout import ANNOTATION, FEATURES, TIMINGS
from data_prep.source import SourceOptions, read_all
from data_prep.synthetic import SyntheticConfig, generate_subject
from tff_affect.errors import InputError

CONFIG = SyntheticConfig(subjects=1, seconds=4.0, seed=8, missing_fraction=0.0, bad_trackers=())
N = CONFIG.frames


@pytest.fixture
def folder(tmp_path):
    """Without frame times: rows of features have no clock."""
    place = write_recola_layout(tmp_path / "r", CONFIG, "csv")
    shutil.rmtree(place / TIMINGS)
    return place


def annotations(folder, change):
    for file in (folder / ANNOTATION).rglob("*.csv"):
        change(pd.read_csv(file, sep=";")).to_csv(file, sep=";", index=False)


def read(folder, **options):
    return next(read_all(RecolaSource(folder, SourceOptions(**options))))[1]


def test_the_annotation_at_time_zero_is_left_out(folder):
    table, expected = read(folder), generate_subject(CONFIG, 0).table
    np.testing.assert_array_equal(table.features, expected.features)
    np.testing.assert_allclose(table.time, np.arange(1, N + 1) / 25)


def test_one_annotation_more_that_is_not_at_time_zero_is_refused_without_frame_times(folder):
    annotations(folder, lambda f: f.assign(time=(f["time"] + 0.04).round(2)))
    with pytest.raises(InputError, match=rf"P101.*feature rows .{N}., found {N + 1} from 0.04 s"):
        read(folder)


def test_one_annotation_more_is_kept_without_features_where_frames_have_times(tmp_path):
    place = write_recola_layout(tmp_path / "r", CONFIG)
    annotations(place, lambda f: f.assign(time=(f["time"] + 0.04).round(2)))
    table, expected = read(place), generate_subject(CONFIG, 0)
    assert table.frames == N + 1
    np.testing.assert_array_equal(table.features[:-1], expected.table.features)
    assert list(np.flatnonzero(~table.valid)) == [N]


def test_as_many_annotations_from_time_zero_as_features_are_in_doubt(folder):
    """The features' own, or one frame off: without a clock nobody can tell."""
    annotations(folder, lambda f: f.iloc[:-1])
    with pytest.raises(InputError, match=f"feature rows .{N}., found {N} from 0 s; supply the frames' times"):
        read(folder)


def test_a_recording_cut_out_of_the_middle_keeps_its_rows(folder):
    """Annotations from 2 s on, features as many: the first row belongs to the first annotation."""
    annotations(folder, lambda f: f[f["time"] > 1.99].assign(time=lambda part: part["time"] + 60.0))
    kept = int((generate_subject(CONFIG, 0).table.time > 1.99).sum())
    for file in (folder / FEATURES).iterdir():
        pd.read_csv(file).iloc[-kept:].to_csv(file, index=False, na_rep="NaN")
    table, expected = read(folder), generate_subject(CONFIG, 0)
    np.testing.assert_array_equal(table.features, expected.table.features[-kept:])
    assert table.time[0] > 61.9


def test_annotations_rounded_to_milliseconds_keep_their_rows(tmp_path):
    config = replace(CONFIG, frame_rate=29.97)
    place = write_recola_layout(tmp_path / "r", config, "csv")
    shutil.rmtree(place / TIMINGS)
    annotations(place, lambda f: f.assign(time=f["time"].round(3)))
    np.testing.assert_array_equal(read(place).features, generate_subject(config, 0).table.features)


@pytest.mark.parametrize("surplus", [-1, 2])
def test_other_counts_are_refused_by_both_numbers(folder, surplus):
    extra = N + 1 + np.arange(max(surplus - 1, 0))

    def change(frame):
        longer = pd.concat([frame, *[frame.iloc[-1:].assign(time=k / 25) for k in extra]])
        return longer.iloc[: N + surplus]

    annotations(folder, change)
    with pytest.raises(InputError, match=rf"P101.*feature rows .{N}., found {N + surplus} from 0 s"):
        read(folder)


def test_a_blank_row_of_features_without_frame_times_is_refused_with_its_line(folder):
    file = folder / FEATURES / "P101.csv"
    lines = file.read_text().splitlines()
    lines[11:11] = ["," * lines[0].count(",")]
    file.write_text("\n".join(lines[:-1]) + "\n\n\n")
    with pytest.raises(InputError, match=r"P101.csv, line 12.*blank"):
        read(folder)


def test_frame_times_between_the_annotations_are_interpolated(tmp_path):
    place = write_recola_layout(tmp_path / "r", CONFIG)
    for file in (place / TIMINGS).iterdir():
        file.write_text("time in seconds\n" + "".join(f"{(k + 0.5) / 25!r}\n" for k in range(1, N + 1)))
    table, features = read(place), generate_subject(CONFIG, 0).table.features
    np.testing.assert_allclose(table.features[1:], (features[:-1] + features[1:]) / 2, atol=1e-5)
    assert not table.valid[0]


def centred(folder, header):
    for dimension in ("arousal", "valence"):
        place = folder / "Ratings_affective_behaviour_CCC_centred" / dimension
        place.mkdir(parents=True)
        for file in (folder / ANNOTATION / dimension).iterdir():
            frame = pd.read_csv(file, sep=";")
            pair = pd.DataFrame({"time": frame["time"], "value": frame.iloc[:, 1]})
            pair.to_csv(place / file.name, index=False, header=header)
            if not header:
                rows = (place / file.name).read_text().splitlines()
                (place / file.name).write_text("\n".join(["0.0,0.0", *rows[1:]]) + "\n")
    shutil.rmtree(folder / ANNOTATION)


def test_a_fused_package_and_a_fusion_contradict_each_other(folder):
    centred(folder, header=True)
    with pytest.raises(InputError, match=r"Ratings_affective_behaviour_CCC_centred is fused already.*--fusion"):
        read(folder, fusion="ewe")


def test_a_headerless_package_may_begin_with_equal_numbers(folder):
    centred(folder, header=False)
    np.testing.assert_array_equal(read(folder).features, generate_subject(CONFIG, 0).table.features)


def test_links_out_of_the_folder_are_not_followed(folder, tmp_path):
    file = folder / FEATURES / "P101.csv"
    file.rename(tmp_path / "outside.csv")
    file.symlink_to(tmp_path / "outside.csv")
    with pytest.raises(InputError, match=r"P101.csv.*leads out of the folder"):
        read(folder)
