import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.column_map import ColumnMap
from data_prep.inspect import Inspection, _row, inspect_source, longest_run
from data_prep.recola_layout import ANNOTATION, FEATURES
from data_prep.recola_writer import write_recola_layout
from data_prep.source import SourceOptions
from data_prep.sources import detect
from data_prep.synthetic import SyntheticConfig, generate_subject, write_synthetic_cohort
from tff_affect.cohort import SubjectTable

CONFIG = SyntheticConfig(subjects=2, seconds=8.0, missing_fraction=0.2, bad_trackers=())


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), max_size=30))
def test_longest_run_is_the_longest_group_of_ones(flags):
    text = "".join("1" if flag else "0" for flag in flags)
    assert longest_run(np.array(flags, dtype=bool)) == max(map(len, text.split("0")))


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
    assert row.nan_percent == pytest.approx(100 * np.isnan(table.features).mean())
    assert row.label_span["valence"] == pytest.approx((table.labels[:, 1].min(), table.labels[:, 1].max()))
    json.dumps(cohort.to_json())


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
    assert not mapped.problems
    json.dumps(mapped.to_json(), allow_nan=False)


def test_what_cannot_be_measured_is_none_and_valid_json():
    labels = np.array([[np.nan, 0.5]], np.float32)
    table = SubjectTable(np.zeros(1), np.ones((1, 2), np.float32), labels, np.zeros(1, bool))
    row = _row("a", table, ("arousal", "valence"))
    assert row.rate is None
    assert row.label_span == {"arousal": None, "valence": (0.5, 0.5)}
    written = json.dumps(Inspection("table", False, ("AU01", "AU02"), (row,), ()).to_json(), allow_nan=False)
    assert json.loads(written)["subjects"][0]["label_span"]["arousal"] is None
