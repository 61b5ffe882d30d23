import arff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.files.arff_tables import open_table, read_arff
from data_prep.files.timed_tables import clock, features_at, joined_labels, seconds, stacked, value_columns
from tff_affect.errors import InputError


def write_csv(place, step, rows=50, unit="timestamp"):
    file = place / "a.csv"
    body = "".join(f"{k * step!r},{k}\n" for k in range(rows))
    file.write_text(f"{unit},AU01\n{body}")
    return open_table(file)


@pytest.mark.parametrize(
    ("step", "rows", "rate"),
    [(0.04, 50, 25.0), (1.0, 50, 1.0), (0.5, 50, 2.0), (40, 2200, 25.0), (500, 200, 2.0), (10, 9000, 100.0)],
)
def test_the_unit_of_the_clock_follows_its_step_and_length(step, rows, rate, tmp_path):
    table = write_csv(tmp_path, step, rows)
    assert 1 / np.median(np.diff(seconds(table, "a"))) == pytest.approx(rate)
    found = clock(table, "a")
    assert (found.column, found.in_milliseconds, found.rate) == ("timestamp", step >= 10, rate)


@pytest.mark.parametrize(
    ("step", "rows"),
    [
        (15, 240),  # a label every 15 s for an hour
        (40, 2160),  # 86.4 s of milliseconds, or a day of seconds
        (500, 20),
        (33.37, 6000),  # no whole numbers
    ],
)
@pytest.mark.parametrize("name", ["time", "timestamp", "frameTime"])
def test_slow_clocks_are_never_divided_on_a_guess(step, rows, name, tmp_path):
    with pytest.raises(InputError, match=r"seconds or milliseconds\?; call it 'time in seconds' or 'time in milliseco"):
        seconds(write_csv(tmp_path, step, rows, name), "a")


@pytest.mark.parametrize("step", [0.04, 5, 15, 40, 500.5])
def test_a_clock_that_names_its_unit_is_believed(step, tmp_path):
    expected = np.arange(50) * step
    np.testing.assert_allclose(seconds(write_csv(tmp_path, step, unit="time in seconds"), "a"), expected)
    np.testing.assert_allclose(seconds(write_csv(tmp_path, step, unit="Time in Milliseconds"), "a"), expected / 1000)


def test_the_clock_of_muse_is_known_by_its_columns(tmp_path):
    (tmp_path / "1.csv").write_text("timestamp,value,segment_id\n0,0.1,1\n250,0.2,1\n500,0.2,1\n")
    np.testing.assert_array_equal(seconds(open_table(tmp_path / "1.csv"), "1"), [0, 0.25, 0.5])


@pytest.mark.parametrize("step", ["1e-300", "1e-7", "1e6", "1e300"])
def test_clocks_of_no_recording_are_refused(step, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text(f"time in seconds,value\n0,0.1\n{step},0.2\n")
    with pytest.raises(InputError, match="between a microsecond and a day"):
        seconds(open_table(file), "a")


@pytest.mark.parametrize("step", [1.5, 2.0, 9.9])
def test_a_doubtful_unit_is_refused(step, tmp_path):
    with pytest.raises(InputError, match="too slow for seconds and too fast for milliseconds"):
        seconds(write_csv(tmp_path, step), "a")


@pytest.mark.parametrize("name", ["frameTime", "frametime", "timeStamp", "TimeStamp", "timestamp", "time"])
def test_clocks_by_any_of_their_names_are_never_values(name, tmp_path):
    table = write_csv(tmp_path, 0.04, unit=name)
    assert value_columns(table) == ("AU01",)
    assert len(seconds(table, "a")) == 50


@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=2, max_size=20),
    comments=st.integers(0, 40),
)
def test_arff_gives_what_was_written_and_where(tmp_path_factory, values, comments):
    file = tmp_path_factory.mktemp("arff") / "a.arff"
    attributes = [("Instance_name", "STRING"), ("x", "NUMERIC")]
    text = arff.dumps({"relation": "R", "attributes": attributes, "data": [["it's, me", value] for value in values]})
    file.write_text("% a comment\n" * comments + text.replace("@DATA", "@data\n% one more\n"))
    table = read_arff(file)
    expected = [np.nan if value is None else value for value in values]
    np.testing.assert_array_equal(table.numbers("x"), expected)
    rows = file.read_text().split("\n")
    for line, value in zip(table.lines, values, strict=True):
        assert rows[line - 1].endswith("?" if value is None else str(value))
    with pytest.raises(InputError, match=r"Instance_name.*expected numbers") as raised:
        table.numbers("Instance_name")
    assert raised.value.line == table.lines[0]
    with pytest.raises(InputError, match="'y' is missing"):
        table.numbers("y")


def test_features_meet_labels_by_time(tmp_path):
    """Row k is the time k / 25: an own row at a known time, between two the mean of both."""
    table = write_csv(tmp_path, 0.04)
    found = features_at(table, ["AU01"], np.array([0.4, 0.42, 1.96, 1.99]), "a")
    np.testing.assert_allclose(found[:3, 0], [10, 10.5, 49], atol=1e-5)
    assert np.isnan(found[3, 0])
    assert found.dtype == np.float32
    with pytest.raises(InputError, match="only 25 %"):
        features_at(table, ["AU01"], np.array([1.0, 3.0, 4.0, 5.0]), "a")
    with pytest.raises(InputError, match="'AU12', which the first subject has"):
        stacked(table, ["AU12"], "a")


def test_dimensions_must_share_their_times(tmp_path):
    time, files = np.arange(3.0), {"arousal": tmp_path / "a", "valence": tmp_path / "v"}
    near = {"arousal": (time, np.ones(3)), "valence": (time + 5e-4, np.zeros(3))}
    found, labels = joined_labels(near, files, "s")
    np.testing.assert_array_equal(found, time)
    np.testing.assert_array_equal(labels, np.array([[1, 0]] * 3, np.float32))
    with pytest.raises(InputError, match="different times") as raised:
        joined_labels(near | {"valence": (time + 5e-3, np.zeros(3))}, files, "s")
    assert raised.value.file == str(tmp_path / "v")
