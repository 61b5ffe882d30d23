"""For every layout: what is written reads back as the truth, bit for bit."""

import io
import itertools
import json
import shlex
import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from data_prep.convert import convert
from data_prep.layouts.au_writer import PY_FEAT_UNITS, openface_frame
from data_prep.layouts.registry import (
    LAYOUTS,
    how_to_convert,
    layout_cohort,
    layout_named,
    layout_recordings,
    layout_source,
    layout_subjects,
    write_layout,
)
from data_prep.source import SourceOptions
from data_prep.sources import detect, open_source
from data_prep.synthetic import SyntheticConfig, generate_subject
from data_prep.synthetic_model import LOADINGS, rater_panel
from tff_affect.commands.data import data_app
from tff_affect.errors import InputError

CONFIG = SyntheticConfig(subjects=4, seconds=6.0, seed=8, missing_fraction=0.1, bad_trackers=(1,))
KINDS = {name: name.split("-")[0] if name.startswith("openface") else name for name in LAYOUTS} | {"generic": "table"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    place = tmp_path_factory.mktemp("layouts")
    return {name: write_layout(name, place / name, CONFIG) for name in LAYOUTS}


def read_back(name, folder, destination, config=CONFIG):
    path, options = layout_source(name, folder, config)
    return convert(path, destination, options)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_reads_back_as_its_truth(name, written, tmp_path):
    truth = layout_cohort(name, tmp_path / "truth", CONFIG)
    back = read_back(name, written[name], tmp_path / "back")
    assert back.content_sha256 == truth.content_sha256
    assert back.manifest.synthetic
    assert "SYNTHETIC" in back.manifest.name
    for field in ("features", "labels", "frame_rate", "time_unit", "feature_scale"):
        assert getattr(back.manifest, field) == getattr(truth.manifest, field)
    facts = [[(e.subject, e.partition, dict(e.groups)) for e in c.manifest.subjects] for c in (back, truth)]
    assert facts[0] == facts[1]
    lost = sum(np.isnan(table.features).any(axis=1).sum() for _, table in layout_subjects(LAYOUTS[name], CONFIG))
    assert lost > 10, "the round trip must cover frames without a face"


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_known_for_what_it_is(name, written):
    path, options = layout_source(name, written[name], CONFIG)
    assert detect(path) == KINDS[name]
    assert open_source(path, options).kind == KINDS[name]
    text = (written[name] / "SYNTHETIC.txt").read_text()
    assert text.startswith("SYNTHETIC")
    units = LAYOUTS[name].action_units or CONFIG.action_units
    assert SyntheticConfig.from_json(json.loads(text.split("\n", 1)[1])) == replace(CONFIG, action_units=units)


@settings(max_examples=12, deadline=None)
@given(
    name=st.sampled_from(sorted(LAYOUTS)),
    seed=st.integers(0, 10_000),
    rate=st.sampled_from([5.0, 25.0, 30.0, 29.97]),
    seconds=st.floats(2.0, 4.0),
    subjects=st.integers(1, 3),
)
def test_round_trip_at_any_rate_and_length(tmp_path_factory, name, seed, rate, seconds, subjects):
    place = tmp_path_factory.mktemp("round")
    config = SyntheticConfig(
        subjects=subjects, seconds=seconds, frame_rate=rate, seed=seed, bad_trackers=(0,), missing_fraction=0.02
    )
    truth = layout_cohort(name, place / "truth", config)
    back = read_back(name, write_layout(name, place / "layout", config), place / "back", config)
    assert back.content_sha256 == truth.content_sha256


def test_the_truth_is_the_synthetic_cohort_in_the_layouts_own_terms():
    plain = generate_subject(CONFIG, 0)
    tables = {name: next(iter(layout_subjects(LAYOUTS[name], CONFIG)))[1] for name in LAYOUTS}
    for name in ("openface-2", "muse", "avec2016", "recola", "generic"):
        np.testing.assert_array_equal(tables[name].features, plain.table.features)
    units = generate_subject(replace(CONFIG, action_units=PY_FEAT_UNITS), 0).table.features
    np.testing.assert_allclose(5 * tables["py-feat"].features, units, atol=5e-5)
    assert tables["py-feat"].features.shape[1] == 20
    assert tables["libreface"].features.shape[1] == 12
    for name, table in tables.items():
        np.testing.assert_array_equal(table.labels, plain.table.labels, err_msg=name)
        np.testing.assert_allclose(table.time, plain.table.time, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("subjects", "expected"), [(1, "1 0 0"), (2, "1 1 0"), (3, "1 1 1"), (5, "2 2 1"), (27, "9 9 9")]
)
def test_thirds_of_the_subjects_train_develop_and_test(subjects, expected):
    config = replace(CONFIG, subjects=subjects, seconds=1.0)
    entries = [subject.entry for subject in layout_recordings(LAYOUTS["avec2016"], config)]
    names = [entry.subject for entry in entries]
    counts = [sum(name.startswith(part) for name in names) for part in ("train_", "dev_", "test_")]
    assert " ".join(map(str, counts)) == expected
    assert len(set(names)) == subjects
    withheld = {entry.subject for entry, _ in layout_subjects(LAYOUTS["avec2016"], config)} ^ set(names)
    assert withheld == {name for name in names if name.startswith("test_")}


@pytest.mark.parametrize(
    ("name", "columns"),
    [("openface-0", 4 + 6 + 6 + 14 + 6), ("openface-1", 4 + 8 + 6 + 35), ("openface-2", 5 + 8 + 6 + 35)],
)
def test_openface_headers(name, columns, written):
    header = (written[name] / "P101.csv").read_text().splitlines()[0].split(",")
    assert len(header) == columns
    assert ("face_id" in {cell.strip() for cell in header}) == name.startswith("openface-2")


def test_openface_with_landmarks_has_all_its_714_columns():
    subject = next(layout_recordings(LAYOUTS["openface-2"], replace(CONFIG, seconds=1.0)))
    frame = openface_frame(subject, landmarks=True)
    assert frame.shape == (26, 714)
    assert frame.columns.is_unique
    assert list(frame.columns[:5]) == ["frame", "face_id", "timestamp", "confidence", "success"]
    narrow = openface_frame(subject)
    intensities = [name for name in frame if name.endswith("_r")]
    pd.testing.assert_frame_equal(frame[intensities], narrow[intensities])


def test_openface_2_0_separates_by_comma_and_blank(written):
    lines = (written["openface-2.0"] / "P101.csv").read_text().splitlines()
    assert lines[0].startswith("frame, face_id, timestamp, ")
    assert all(line.count(", ") == line.count(",") for line in lines)
    assert ", " not in (written["openface-2"] / "P101.csv").read_text()


def test_frames_without_a_face_look_as_the_tools_leave_them(written):
    openface = pd.read_csv(written["openface-2"] / "P102.csv")
    units = [name for name in openface if name.endswith("_r")]
    lost = openface[openface["success"] == 0]
    assert (lost["confidence"] == 0).all()
    zero = (lost[units] == 0).all(axis=1)
    assert zero.any()
    assert (~zero).any(), "some must be stale"
    for row in lost.index[~zero]:
        before = openface.loc[: row - 1]
        last = before[before["success"] == 1].index[-1]
        np.testing.assert_array_equal(openface.loc[row, units].astype(float), openface.loc[last, units].astype(float))
    for name, prefix in (("py-feat", "AU"), ("libreface", "au_")):
        frame = pd.read_csv(written[name] / "P102.csv")
        empty = frame[[column for column in frame if column.startswith(prefix)]].isna()
        np.testing.assert_array_equal(empty.all(axis=1), empty.any(axis=1))
        assert empty.all(axis=1).sum() > 10


def test_py_feat_writes_what_must_be_left_behind(written, tmp_path):
    header = (written["py-feat"] / "P101.csv").read_text().splitlines()[0].split(",")
    decoys = {"valence", "arousal", "input", "approx_time", "happiness", "x_0", *(f"Identity_{i}" for i in range(1, 9))}
    assert decoys < set(header)
    back = read_back("py-feat", written["py-feat"], tmp_path / "back")
    assert back.manifest.features == PY_FEAT_UNITS
    stored = pq.read_schema(tmp_path / "back" / "subjects" / "P101.parquet").names
    assert stored == ["time", *PY_FEAT_UNITS, "arousal", "valence", "valid"]
    assert b"Identity" not in b"".join(file.read_bytes() for file in (tmp_path / "back").rglob("*.*"))


def test_a_tools_own_noise_is_the_same_twice_and_differs_between_people():
    layout = LAYOUTS["openface-2"]
    first, second = ([openface_frame(subject) for subject in layout_recordings(layout, CONFIG)] for _ in range(2))
    pd.testing.assert_frame_equal(first[0], second[0])
    assert not np.allclose(first[0]["pose_Rx"], first[1]["pose_Rx"])


def test_muse_clock_is_in_milliseconds(written):
    text = (written["muse"] / "labels" / "arousal" / "1.csv").read_text().splitlines()
    assert text[0] == "timestamp,value,segment_id"
    assert [line.split(",")[0] for line in text[1:4]] == ["40.0", "80.0", "120.0"]


@pytest.mark.parametrize("name", ["openface-2", "avec2016", "generic"])
def test_subjects_stream(name, tmp_path):
    """Memory must not grow with the number of subjects."""
    peaks = []
    for subjects in (2, 8):
        tracemalloc.start()
        write_layout(name, tmp_path / f"{name}{subjects}", replace(CONFIG, subjects=subjects, seconds=8.0))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_a_planted_lag_is_every_raters():
    planted = replace(CONFIG, rater_lag_seconds=(2.4, 2.4))
    assert set(rater_panel(planted).lag) == {60}
    default, panel = rater_panel(CONFIG), rater_panel(planted)
    np.testing.assert_array_equal(panel.bias, default.bias)
    np.testing.assert_array_equal(panel.gain, default.gain)
    assert default.lag.min() >= 25
    assert default.lag.max() <= 100
    still = generate_subject(planted, 0).table.features
    np.testing.assert_array_equal(still.shape, generate_subject(CONFIG, 0).table.features.shape)


@pytest.mark.parametrize("wrong", [(4.0, 1.0), (1.0,), (-1.0, 2.0), (0.0, 11.0), 2.4])
def test_a_wrong_lag_is_refused(wrong):
    with pytest.raises(InputError, match="synthetic rater_lag_seconds"):
        SyntheticConfig(rater_lag_seconds=wrong)


def test_the_default_units_are_openfaces_and_others_must_be_asked_for():
    assert SyntheticConfig().action_units == tuple(LOADINGS)
    more = SyntheticConfig(subjects=1, seconds=2.0, action_units=("AU11", "AU24", "AU28", "AU43"))
    assert generate_subject(more, 0).table.features.shape == (50, 4)


def test_an_unknown_layout_lists_the_known(tmp_path):
    for call in (lambda: layout_named("avec"), lambda: write_layout("avec", tmp_path / "a", CONFIG)):
        with pytest.raises(InputError, match=r"openface-0, .*recola, generic, found 'avec'"):
            call()
    assert not list(tmp_path.iterdir())


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    real = generate_subject
    count = itertools.count()

    def fail_late(config, index):
        if next(count) == 2:
            raise InputError("enough")
        return real(config, index)

    monkeypatch.setattr("data_prep.layouts.registry.generate_subject", fail_late)
    with pytest.raises(InputError, match="enough"):
        write_layout("avec2018", tmp_path / "a", CONFIG)
    assert not list(tmp_path.iterdir())


def test_how_to_convert_names_what_the_layout_needs(tmp_path):
    told = {name: how_to_convert(name, tmp_path / "x", CONFIG) for name in LAYOUTS}
    assert all(command.startswith("tff-affect data convert ") for command in told.values())
    assert "--frame-rate 25" in told["py-feat"]
    assert "frames.csv" in told["generic"]
    assert "--map" in told["generic"]
    assert told["muse"].endswith("x COHORT")


def test_py_feat_without_a_frame_rate_is_refused(written, tmp_path):
    with pytest.raises(InputError, match="frame-rate"):
        convert(written["py-feat"], tmp_path / "c", SourceOptions())
    assert not list(tmp_path.iterdir())


def test_the_generic_table_is_one_file(written):
    frame = pd.read_csv(io.StringIO((written["generic"] / "frames.csv").read_text()))
    assert sorted(set(frame["participant"])) == ["P101", "P102", "P103", "P104"]
    assert len(frame) == 4 * CONFIG.frames


@pytest.mark.parametrize("name", ["openface-2.0", "py-feat", "avec2018", "generic"])
def test_the_command_writes_a_layout_and_says_how_to_read_it(name, tmp_path):
    arguments = ["synthesize", str(tmp_path / "x"), "--layout", name, "--subjects", "3", "--seconds", "2"]
    done = CliRunner().invoke(data_app, arguments)
    assert done.exit_code == 0
    first, second = done.stdout.splitlines()
    assert first.startswith(f"SYNTHETIC {name} layout of 3 subjects")
    command = shlex.split(second.removeprefix("To a cohort: tff-affect data "))
    converted = CliRunner().invoke(data_app, [str(tmp_path / "c") if word == "COHORT" else word for word in command])
    assert converted.exit_code == 0
    assert "SYNTHETIC" in converted.stdout


def test_the_command_lists_the_layouts_and_never_overwrites_files(tmp_path):
    wrong = CliRunner().invoke(data_app, ["synthesize", str(tmp_path / "x"), "--layout", "openface"])
    assert isinstance(wrong.exception, InputError)
    assert all(name in str(wrong.exception) for name in LAYOUTS)
    more = CliRunner().invoke(data_app, ["synthesize", str(tmp_path / "x"), "--layout", "muse", "--overwrite"])
    assert isinstance(more.exception, InputError)
    assert not list(tmp_path.iterdir())
