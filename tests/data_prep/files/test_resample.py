import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d

from data_prep.files.resample import regular_times, to_times, without_jitter

LABELS = np.arange(100) / 25


def column(values):
    return np.asarray(values, dtype=np.float64)[:, None]


def test_the_same_times_give_the_same_floats():
    values = np.random.default_rng(0).normal(size=(100, 3))
    values[7] = np.nan
    np.testing.assert_array_equal(to_times(values, LABELS, LABELS), values)
    np.testing.assert_array_equal(to_times(values, LABELS + 4e-7, LABELS), values)


def test_a_coincidence_is_exact_among_interpolations():
    own = np.array([0.0, 0.035, 0.08, 0.1])
    found = to_times(column([0.1, 0.7, 0.3, 0.9]), own, np.array([0.0, 0.04, 0.08]))[:, 0]
    assert found[0] == 0.1
    assert found[2] == 0.3
    assert found[1] == pytest.approx(np.interp(0.04, own, [0.1, 0.7, 0.3, 0.9]))


@pytest.mark.parametrize("rate", [15.0, 24.0, 29.97, 30.0, 37.0])
def test_interpolation_equals_scipy(rate):
    own = np.arange(int(4.2 * rate)) / rate
    values = np.random.default_rng(1).uniform(0, 5, (len(own), 4))
    oracle = interp1d(own, values, axis=0)(LABELS)
    np.testing.assert_allclose(to_times(values, own, LABELS), oracle, atol=1e-9)


def test_rows_say_nothing_of_time():
    own = np.concatenate([np.arange(50) / 25, 10 + np.arange(50) / 25])
    found = to_times(column(own), own, np.arange(301) / 25)[:, 0]
    np.testing.assert_allclose(found[[25, 125, 260]], [1.0, np.nan, 10.4])


@pytest.mark.parametrize("rate", [50.0, 60.0, 100.0])
def test_averaging_leaves_no_pattern_in_noise_and_no_shift(rate):
    own = np.arange(round(400 * rate)) / rate
    times = np.arange(1, 9_999) / 25
    noise = to_times(column(np.random.default_rng(0).normal(size=len(own))), own, times)[:, 0]
    by_phase = [noise[phase::5].std() for phase in range(5)]
    assert max(by_phase) / min(by_phase) < 1.35
    np.testing.assert_allclose(to_times(column(own), own, times)[:, 0], times, atol=1e-3)


def test_a_camera_of_variable_rate_has_no_gaps_where_they_are_bridged():
    own = np.concatenate([np.arange(60) * 0.04, 2.4 + np.arange(60) * 0.08])
    times = np.arange(1, 170) / 25
    assert np.isnan(to_times(column(own), own, times)).mean() > 0.25
    np.testing.assert_allclose(to_times(column(own), own, times, longest_gap=0.2)[:, 0], times, atol=1e-9)
    slower = np.arange(1, 68) / 10
    averaged = to_times(column(own), own, slower, longest_gap=0.2)[:, 0]
    np.testing.assert_allclose(averaged, slower, atol=0.02)


@settings(max_examples=40, deadline=None)
@given(rate=st.sampled_from([29.97, 30.0, 24.0, 30000 / 1001]), offset=st.floats(0, 0.5), slope=st.floats(-5, 5))
def test_a_ramp_is_reproduced(rate, offset, slope):
    own = offset + np.arange(200) / rate
    found = to_times(column(slope * own), own, LABELS)[:, 0]
    inside = (own[0] <= LABELS) & (own[-1] >= LABELS)
    np.testing.assert_allclose(found[inside], slope * LABELS[inside], atol=1e-5)
    assert np.isnan(found[own[0] - 1e-6 > LABELS]).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), lost=st.integers(1, 40))
def test_gaps_become_missing_and_nothing_else_does(seed, lost):
    rng = np.random.default_rng(seed)
    own = np.arange(140) / 29.97
    kept = np.sort(rng.choice(len(own), len(own) - lost, replace=False))
    found = to_times(column(own[kept]), own[kept], LABELS)[:, 0]
    present = np.isin(np.arange(len(own)), kept)
    for time, value in zip(LABELS, found, strict=True):
        nearest = int(np.round(time * 29.97))
        below = int(np.floor(time * 29.97))
        same = abs(nearest / 29.97 - time) <= 1e-6
        expected = present[nearest] if same else present[below] and present[below + 1]
        assert np.isfinite(value) == expected
        assert not expected or value == pytest.approx(time, abs=1e-9)


def test_missing_values_stay_missing():
    own = np.arange(120) / 29.97
    values = column(own)
    values[60] = np.nan
    found = to_times(values, own, LABELS)[:, 0]
    touched = (own[59] < LABELS) & (own[61] > LABELS)
    assert touched.sum() >= 1
    assert np.isnan(found[touched]).all()
    assert np.isfinite(found[~touched]).all()


def test_fast_recordings_are_averaged():
    own = 0.004 + np.arange(600) / 120
    values = np.random.default_rng(2).normal(size=(600, 2))
    values[100:112] = np.nan
    found = to_times(values, own, LABELS)
    nearest = interp1d(own, values, kind="nearest", axis=0, bounds_error=False, fill_value=np.nan)
    for position, time in enumerate(LABELS[1:-2], start=1):
        window = nearest(time + 0.02 * (np.arange(4000) + 0.5 - 2000) / 2000)
        finite = np.isfinite(window[:, 0])
        if abs(finite.mean() - 0.5) < 0.01:
            continue
        expected = window[finite].mean(axis=0) if finite.mean() > 0.5 else np.nan
        np.testing.assert_allclose(found[position], np.broadcast_to(expected, 2), atol=2e-3)
    assert np.isnan(found[0]).all()
    assert np.isnan(found).any()
    assert np.isfinite(found).mean() > 0.9


def test_lost_rows_of_fast_recordings_count_as_missing():
    own = 0.003 + np.arange(600) / 120
    kept = np.ones(600, dtype=bool)
    kept[200:223] = False
    found = to_times(column(own[kept]), own[kept], LABELS)[:, 0]
    hidden = np.array([kept[np.abs(own - time) <= 0.02].mean() < 0.4 for time in LABELS])
    assert hidden.sum() >= 3
    assert np.isnan(found[hidden]).all()
    assert np.isfinite(found[1:][~hidden[1:]]).mean() > 0.97


def test_fast_ramps_keep_their_place():
    own = np.arange(500) / 100
    found = to_times(column(own), own + 0.0, LABELS + 0.005)[:, 0]
    np.testing.assert_allclose(found[1:], LABELS[1:] + 0.005, atol=0.005 + 1e-9)
    assert abs(float(np.mean(found[1:] - LABELS[1:] - 0.005))) <= 0.005


@pytest.mark.parametrize("own", [np.array([0.0]), np.array([0.0, 0.04])])
def test_short_recordings(own):
    found = to_times(column(np.ones(len(own))), own, LABELS)[:, 0]
    np.testing.assert_array_equal(np.isfinite(found), np.isin(np.arange(100), np.arange(len(own))))


def test_regular_times_and_jitter():
    own = (np.arange(3000) / (30000 / 1001)).round(3)
    grid = regular_times(own, 29.97003)
    assert len(grid) == 3000
    moved = without_jitter(own, 29.97003)
    np.testing.assert_allclose(moved, grid, atol=1e-12)
    values = np.random.default_rng(3).normal(size=(3000, 1))
    np.testing.assert_array_equal(to_times(values, moved, grid), values)
    shifted = own + 0.4 / 29.97003
    np.testing.assert_array_equal(without_jitter(shifted, 29.97003), shifted)
