import json
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import inspect
from data_prep.column_map import ColumnMap
from data_prep.inspect import (
    STRIP_BINS,
    Inspection,
    OpenedSource,
    gap_lengths,
    inspect_source,
    quality_strip,
    tracked_spans,
)
from data_prep.labels.annotation_delay import lag_hint
from data_prep.layouts.recola_writer import write_recola_layout
from data_prep.recola_layout import ANNOTATION, FEATURES
from data_prep.source import SourceOptions
from data_prep.sources import detect
from data_prep.synthetic import SyntheticConfig, generate_subject, write_synthetic_cohort
from tff_affect.cohort import CohortManifest, SubjectEntry, SubjectTable, write_cohort
from tff_affect.errors import InputError

CONFIG = SyntheticConfig(subjects=2, seconds=8.0, missing_fraction=0.2, bad_trackers=())
RATE = 10.0


def manifest(**changes: object) -> CohortManifest:
    made = CohortManifest("SYNTHETIC tests", ("AU01", "AU12"), "0-5", RATE, ("arousal",), synthetic=True)
    return replace(made, **changes)


def make_table(frames: int = 300, untracked: slice = slice(0, 0)) -> SubjectTable:
    rng = np.random.default_rng(frames)
    features = rng.uniform(0, 5, (frames, 2)).astype(np.float32)
    features[untracked] = np.nan
    labels = rng.uniform(-1, 1, (frames, 1)).astype(np.float32)
    return SubjectTable(np.arange(frames) / RATE, features, labels, np.isfinite(features).all(axis=1))


def looked_at(*tables: SubjectTable, quality: dict[str, object] | None = None, **changes: object) -> Inspection:
    """Inspects tables as a reader would give them, unchecked."""
    entries = [SubjectEntry(f"P{i}", quality=quality or {}) for i in range(len(tables))]
    found = dict(zip((entry.subject for entry in entries), zip(entries, tables, strict=True), strict=True))
    return inspect._inspect(OpenedSource("test", manifest(**changes), tuple(found), ("a note",), found.__getitem__))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_gaps_are_the_groups_of_untracked_frames(flags):
    tracked = np.array(flags)
    spans = tracked_spans(5 + np.arange(len(flags)) / RATE, tracked, 1 / RATE)
    groups = [len(list(group)) / RATE for flag, group in groupby(flags) if not flag]
    assert gap_lengths(spans, len(flags) / RATE, 1 / RATE) == pytest.approx(groups)
    assert (spans[:, 1] - spans[:, 0]).sum() == pytest.approx(tracked.sum() / RATE)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=90))
def test_a_strip_of_whole_frames_is_their_mean(flags):
    """Three frames a part, and a longest recording of thirty parts."""
    tracked = np.array(flags)
    strip = quality_strip(tracked_spans(np.arange(len(flags)) / RATE, tracked, 1 / RATE), len(flags) / RATE, 9.0, 30)
    expected = [np.mean(flags[i : i + 3]) if flags[i : i + 3] else None for i in range(0, 90, 3)]
    assert [share is None for share in strip] == [share is None for share in expected]
    assert [s for s in strip if s is not None] == pytest.approx([e for e in expected if e is not None], abs=1e-5)


def test_rows_that_are_not_there_are_a_gap():
    table = make_table()
    kept = np.concatenate([np.arange(100), np.arange(250, 300)])
    table = SubjectTable(table.time[kept], table.features[kept], table.labels[kept], table.valid[kept])
    found = looked_at(table)
    assert found.subjects[0].tracked_percent == 100
    assert found.subjects[0].gaps == 1
    assert found.subjects[0].longest_gap == pytest.approx(15)
    assert found.subjects[0].strip[20:50] == (0.0,) * 30
    assert found.subjects[0].strip[:20] + found.subjects[0].strip[50:] == (1.0,) * 30
    assert "no tracked frame for 15.0 s" in found.problems[0]


def test_the_strips_share_the_longest_recording():
    found = looked_at(make_table(600), make_table(300, untracked=slice(0, 30)))
    assert found.span == pytest.approx(60)
    assert found.subjects[0].strip == (1.0,) * STRIP_BINS
    assert found.subjects[1].strip == (0.0,) * 3 + (1.0,) * 27 + (None,) * 30
    assert found.notes == ("a note",)
    json.dumps(found.to_json(), allow_nan=False)


def test_cohort_and_recola_say_the_same(tmp_path):
    write_synthetic_cohort(tmp_path / "c", CONFIG)
    write_recola_layout(tmp_path / "r", CONFIG)
    cohort, recola = inspect_source(tmp_path / "c"), inspect_source(tmp_path / "r")
    assert (cohort.kind, recola.kind) == ("cohort", "recola")
    assert cohort.subjects == recola.subjects
    assert cohort.synthetic
    assert recola.synthetic
    assert not cohort.problems
    table = generate_subject(CONFIG, 0).table
    row = cohort.subjects[0]
    assert row.frames == 200
    assert row.rate == pytest.approx(25)
    assert row.valid_percent == pytest.approx(100 * table.valid.mean())
    assert row.tracked_percent == pytest.approx(100 * np.isfinite(table.features).all(axis=1).mean())
    assert row.nan_percent == pytest.approx(100 * np.isnan(table.features).mean())
    assert row.label_span["valence"] == pytest.approx((table.labels[:, 1].min(), table.labels[:, 1].max()))
    json.dumps(cohort.to_json(), allow_nan=False)


def test_the_lag_hint_is_for_seconds_and_labels_alone():
    table = make_table(1200)
    hint = lag_hint(table, RATE)
    assert hint is not None
    assert looked_at(table).subjects[0].lag_hint == hint
    unlabelled = SubjectTable(table.time, table.features, table.labels[:, :0], table.valid)
    assert looked_at(unlabelled, labels=()).subjects[0].lag_hint is None
    steps = SubjectTable(table.time * RATE, table.features, table.labels, table.valid)
    assert looked_at(steps, time_unit="step", frame_rate=1.0).subjects[0].lag_hint is None


def test_all_broken_subjects_are_listed(tmp_path):
    folder = write_recola_layout(tmp_path / "r", SyntheticConfig(subjects=4, seconds=4.0))
    (folder / FEATURES / "P102.arff").write_text("junk")
    (folder / ANNOTATION / "valence" / "P104.csv").write_text("")
    found = inspect_source(folder)
    assert [row.subject for row in found.subjects] == ["P101", "P103"]
    assert len(found.problems) == 2
    assert "P102.arff" in found.problems[0]
    assert "P104.csv" in found.problems[1]
    (folder / FEATURES / "P101.arff").unlink()
    assert "P101" in inspect_source(folder).problems[0]


def test_sound_recordings_have_no_problems():
    assert looked_at(make_table(), make_table(200, untracked=slice(0, 90))).problems == ()


def test_poor_tracking_is_a_problem():
    found = looked_at(make_table(300, untracked=slice(10, 170)), make_table(300, untracked=slice(10, 112)))
    assert found.problems == (
        "subject P0: only 47 % of the frames are tracked",
        "subject P0: no tracked frame for 16.0 s",
        "subject P1: no tracked frame for 10.2 s",
    )


def test_steps_have_no_gap_in_seconds():
    table = make_table(30, untracked=slice(10, 22))
    table = SubjectTable(np.arange(30.0), table.features, table.labels, table.valid)
    found = looked_at(table, time_unit="step", frame_rate=1.0)
    assert found.subjects[0].longest_gap == 12
    assert found.problems == ()


@pytest.mark.parametrize(("rate", "wrong"), [(9.6, False), (10.4, False), (9.4, True), (10.6, True), (30.0, True)])
def test_a_rate_off_by_more_than_five_per_cent_is_a_problem(rate, wrong):
    problems = looked_at(make_table(), frame_rate=rate).problems
    assert len(problems) == wrong
    assert not wrong or "subject P0: 10 frames per second" in problems[0]


def test_what_never_changes_is_a_problem():
    table = make_table()
    table.labels[:] = 0.25
    table.features[:, 1] = 0
    table.features[5, 1] = np.nan
    assert looked_at(table).problems == (
        "subject P0: arousal never changes: its CCC is 0 whatever is predicted",
        "subject P0: AU12 never changes; check that it was measured",
    )


@pytest.mark.parametrize(
    ("quality", "words"),
    [
        ({"rows": 1000, "rows_of_other_faces": 101}, "10 % of the rows are of other faces"),
        ({"rows": 1000, "rows_of_other_faces": 99}, None),
        ({"rows_of_other_faces": 31}, "10 % of the rows are of other faces"),
        ({"timestamps_repaired": 3}, "3 timestamps were repaired"),
        ({"timestamps_repaired": 0}, None),
        (
            {"fraction_turned": 0.31},
            "the head is 15 degrees or more from its usual pose in 31 % of the frames, which moves the landmarks",
        ),
        ({"fraction_turned": 0.02}, None),
        ({"face_jumps": 3}, "the face that was followed jumped 3 times; look whether it is always the subject's"),
        (
            {"frames": 80, "frames_not_decoded": 20},
            "20 of 100 frames could not be decoded: the video is damaged or cut off",
        ),
        ({"frames": 1000, "frames_not_decoded": 2}, None),
        ({"neutral_uncertain": True}, "the neutral face is uncertain"),
        ({"neutral_uncertain": False}, None),
        ({"fraction_turned": "much", "rows": None, "failed_frames": 12}, None),
        ({"fraction_turned": float("nan")}, None),
    ],
)
def test_what_the_reader_counted_is_judged_and_kept(quality, words):
    found = looked_at(make_table(), quality=quality)
    assert len(found.problems) == (words is not None)
    assert words is None or words in found.problems[0]
    assert found.subjects[0].quality.keys() == quality.keys()
    json.dumps(found.to_json(), allow_nan=False)


def test_a_cohort_keeps_what_its_reader_counted(tmp_path):
    entry = SubjectEntry("P1", quality={"timestamps_repaired": 2})
    write_cohort(tmp_path / "c", manifest(), [(entry, make_table())])
    found = inspect_source(tmp_path / "c")
    assert found.subjects[0].quality == {"timestamps_repaired": 2}
    assert len(found.problems) == 1


def test_a_cohort_takes_no_options(tmp_path):
    write_cohort(tmp_path / "c", manifest(), [(SubjectEntry("P1"), make_table())])
    assert "takes no frame rate" in inspect_source(tmp_path / "c", SourceOptions(frame_rate=25.0)).problems[0]


def test_subjects_are_read_one_at_a_time():
    alive: list[str] = []

    def read(subject: str) -> tuple[SubjectEntry, SubjectTable]:
        alive.append(subject)
        if subject == "P1":
            raise InputError("broken", subject=subject)
        return SubjectEntry(subject), make_table()

    problems: list[str] = []
    stream = OpenedSource("test", manifest(), ("P0", "P1", "P2"), (), read).readable(problems)
    assert next(stream)[0].subject == "P0"
    assert alive == ["P0"]
    assert [entry.subject for entry, _ in stream] == ["P2"]
    assert problems == ["subject P1: broken"]


def test_tables_with_and_without_a_map(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("who,AU01,v\na,1,0\na,2,1\nb,x,1\n")
    assert detect(file) == "table"
    bare = inspect_source(file)
    assert bare.features == ("who", "AU01", "v")
    assert "column map" in bare.problems[0]
    mapped = inspect_source(file, SourceOptions(ColumnMap(subject="who", features=("AU01",), labels={"valence": "v"})))
    assert "line 4" in mapped.problems[0]
    file.write_text("who,AU01,v\na,1,0\na,2,1\nb,3,1\n")
    mapped = inspect_source(file, SourceOptions(ColumnMap(subject="who", features=("AU01",), labels={"valence": "v"})))
    assert [row.frames for row in mapped.subjects] == [2, 1]
    assert [row.rate for row in mapped.subjects] == [1.0, None]
    assert mapped.subjects[1].strip == (1.0,) * 30 + (None,) * 30
    assert not mapped.problems
    json.dumps(mapped.to_json(), allow_nan=False)


def test_what_cannot_be_measured_is_none_and_valid_json():
    labels = np.array([[np.nan, 0.5]], np.float32)
    table = SubjectTable(np.zeros(1), np.ones((1, 2), np.float32), labels, np.zeros(1, bool))
    found = looked_at(table, labels=("arousal", "valence"))
    assert found.subjects[0].rate is None
    assert found.subjects[0].label_span == {"arousal": None, "valence": (0.5, 0.5)}
    written = json.dumps(found.to_json(), allow_nan=False)
    assert json.loads(written)["subjects"][0]["label_span"]["arousal"] is None
