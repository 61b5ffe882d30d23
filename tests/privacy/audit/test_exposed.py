"""What is given to attackers: windows of the right part of the right session."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tff_affect.cohort import SubjectTable
from tff_affect.errors import InputError
from tff_affect.privacy.audit.exposed import ANOTHER_SESSION, SAME_SESSION, Exposed, Samples, expose, gather
from tff_affect.privacy.identity_windows import AS_THEY_ARE, Session, cut_recording


def clock(frames: int, window: int, start: int = 0) -> Session:
    """Each frame holds its own number, twice."""
    return Session.of_array(np.repeat(np.arange(start, start + frames)[:, np.newaxis], 2, axis=1), window)


@given(st.integers(60, 400), st.integers(2, 12))
def test_one_session_is_divided_in_time_with_a_window_between(frames: int, window: int) -> None:
    found = expose({"A": [clock(frames, window)], "B": [clock(frames, window)]})
    if len(found.people) < 2:
        assert found.left_out
        return
    assert found.session == SAME_SESSION
    enrolment, probe = found.enrolment[0].sequences, found.probe[0].sequences
    assert enrolment is not None
    assert probe is not None
    last, first = np.nanmax(enrolment), np.nanmin(probe)
    assert first - last > window
    assert last < 0.6 * (frames + window)
    assert first >= 0.7 * frames - window


def test_windows_hold_statistics_and_the_series_itself() -> None:
    values = np.random.default_rng(0).normal(size=(100, 3))
    values[2, 1] = np.nan
    first = expose({"A": [Session.of_array(values, 10)]}).enrolment[0]
    seen = np.delete(values[:10], 2, axis=0)
    expected = [seen.mean(0), seen.std(0), *np.percentile(seen, [10, 90], axis=0)]
    assert first.vectors[0] == pytest.approx(np.concatenate(expected))
    assert first.sequences is not None
    assert first.sequences.dtype == np.float32
    assert np.array_equal(first.sequences[0], values[:10].astype(np.float32), equal_nan=True)
    assert len(first) == 6
    assert expose({"A": [Session.of_array(values, 10)]}, sequences=False).enrolment[0].sequences is None


def test_windows_seen_for_less_than_half_are_left_out() -> None:
    values = np.random.default_rng(0).normal(size=(100, 3))
    values[0:5, 0] = np.nan
    values[10:16, 1] = np.nan
    first = expose({"A": [Session.of_array(values, 10)]}).enrolment[0]
    assert len(first) == 5
    assert first.vectors[1, :3] == pytest.approx(values[20:30].mean(axis=0))


def test_steps_are_taken_as_they_are() -> None:
    values = np.random.default_rng(0).normal(size=(20, 3))
    found = expose({"A": [Session.of_array(values, 1)]})
    assert found.enrolment[0].vectors == pytest.approx(values[:12])
    assert found.probe[0].vectors == pytest.approx(values[14:])
    assert found.enrolment[0].sequences is None


def test_a_table_gives_the_windows_that_the_probe_of_a_source_takes() -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(97, 4)).astype(np.float32)
    features[rng.random(97) < 0.1, 2] = np.nan
    time = np.delete(np.arange(110) / 5.0, np.arange(30, 43))
    valid = rng.random(97) < 0.9
    table = SubjectTable(time, features, np.zeros((97, 1), np.float32), valid & np.isfinite(features).all(axis=1))
    found = expose({"A": [Session.of_table(table, 5.0, 10)]})
    cut = cut_recording(table, 5.0, 10)
    assert np.array_equal(found.enrolment[0].vectors, cut.train[AS_THEY_ARE])
    assert np.array_equal(found.probe[0].vectors, cut.test[AS_THEY_ARE])
    assert len(found.probe[0])


def test_of_several_sessions_the_last_is_the_probe() -> None:
    sessions = [clock(20, 10), clock(30, 10, 1000), clock(20, 10, 5000)]
    found = expose({"A": sessions, "B": sessions[:2], "C": [clock(100, 10)]})
    assert found.session == ANOTHER_SESSION
    assert found.people == ("A", "B")
    assert found.left_out == {"C": "only one session"}
    assert found.enrolment[0].vectors[:, 0].tolist() == [4.5, 14.5, 1004.5, 1014.5, 1024.5]
    assert found.probe[0].vectors[:, 0].tolist() == [5004.5, 5014.5]
    assert found.probe[1].vectors[:, 0].tolist() == [1004.5, 1014.5, 1024.5]


def test_few_people_with_several_sessions_do_not_drive_out_the_others() -> None:
    found = expose({"A": [clock(100, 10), clock(100, 10, 1000)], "B": [clock(100, 10)], "C": [clock(100, 10)]})
    assert found.session == SAME_SESSION
    assert found.people == ("A", "B", "C")
    assert found.probe[0].vectors[:, 0].max() < 100


def test_whom_too_little_is_seen_of_is_left_out_and_named() -> None:
    absent = Session.of_array(np.full((99, 2), np.nan), 10)
    found = expose({"A": [clock(100, 10)], "brief": [clock(18, 10)], "absent": [absent]})
    assert found.people == ("A",)
    assert found.left_out == {
        "brief": "1 usable windows in its first part and 0 in its last",
        "absent": "0 usable windows in its first part and 0 in its last",
    }


def test_what_makes_no_attack_is_refused() -> None:
    with pytest.raises(InputError, match="found none of B"):
        expose({"A": [clock(100, 10)], "B": []})
    with pytest.raises(InputError, match=r"\[frames, channel\]"):
        Session.of_array(np.zeros(5), 2)
    one, wide = Samples(np.zeros((2, 3))), Samples(np.zeros((2, 4)))
    with pytest.raises(InputError, match="one width"):
        gather({"A": (one, one), "B": (wide, wide)})
    with pytest.raises(InputError, match="enrolment and probe of each person"):
        Exposed(("A",), (one,), ())


def test_some_of_the_people_come_with_their_own_samples() -> None:
    exposed = Exposed(
        ("A", "B", "C"), *(tuple(Samples(np.full((2, 1), 10.0 * part + n)) for n in range(3)) for part in (1, 2))
    )
    some = exposed.of([2, 0])
    assert some.people == ("C", "A")
    assert [samples.vectors[0, 0] for samples in (*some.enrolment, *some.probe)] == [12, 10, 22, 20]
    assert exposed.of([]).people == ()
