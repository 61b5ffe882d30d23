from dataclasses import replace

import audmetric
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.labels.annotation_delay import DELAY_GRID, DelaySearch, lag_hint, search_delay, shift_back, shift_forward
from data_prep.synthetic import SyntheticConfig, generate_subject
from tff_affect.cohort import SubjectTable
from tff_affect.errors import InputError

LABELS = ("arousal", "valence")


def planted(seed, lag, subjects=9, seconds=120.0, **changed):
    """A noisy SYNTHETIC cohort whose raters all lag ``lag`` seconds and whose faces do not: training, development."""
    config = SyntheticConfig(
        subjects=subjects, seconds=seconds, seed=seed, rater_lag_seconds=(lag, lag), max_expression_lag=0.0, **changed
    )
    tables = {f"S{i}": generate_subject(config, i).table for i in range(subjects)}
    return dict(list(tables.items())[:-3]), dict(list(tables.items())[-3:])


def test_the_grid_is_the_one_of_the_challenges():
    assert (DELAY_GRID[0], DELAY_GRID[1], DELAY_GRID[-1], len(DELAY_GRID)) == (0.0, 0.4, 9.6, 25)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(0, 40), st.booleans())
def test_forward_undoes_back_where_nothing_was_lost(frames, shift, wide):
    labels = np.random.default_rng(0).normal(size=(frames, 2) if wide else frames)
    there_and_back = shift_forward(shift_back(labels, shift), shift)
    np.testing.assert_array_equal(there_and_back[shift:], labels[shift:])
    assert np.isnan(there_and_back[:shift]).all()
    kept = max(0, frames - shift)
    np.testing.assert_array_equal(shift_back(shift_forward(labels, shift), shift)[:kept], labels[:kept])


def test_shifts_by_hand():
    np.testing.assert_array_equal(shift_back(np.arange(4.0), 1), [1, 2, 3, np.nan])
    np.testing.assert_array_equal(shift_forward(np.arange(4.0), 1), [np.nan, 0, 1, 2])
    np.testing.assert_array_equal(shift_back(np.arange(4.0), 0), np.arange(4.0))
    with pytest.raises(InputError, match="0 frames or more"):
        shift_back(np.zeros(3), -1)


@pytest.mark.slow
def test_a_planted_lag_is_recovered_on_noisy_cohorts():
    found = [search_delay(*planted(seed, 2.4, seconds=240.0, feature_noise=0.6), 25.0, LABELS) for seed in range(10)]
    # Twice the usual noise of the tracker, and one development subject whose tracker is bad.
    for chosen in (
        [search.joint for search in found],
        [search.best["arousal"] for search in found],
        [search.best["valence"] for search in found],
    ):
        assert sum(abs(delay - 2.4) <= 0.4 + 1e-9 for delay in chosen) >= 9, chosen


@pytest.mark.parametrize("lag", [0.0, 5.2])
def test_other_lags_are_told_from_it(lag):
    search = search_delay(*planted(3, lag), 25.0, LABELS)
    assert search.joint == pytest.approx(lag, abs=0.4 + 1e-9)
    assert search.best == pytest.approx(dict.fromkeys(LABELS, lag), abs=0.4 + 1e-9)


def small(seed=0, frames=300, rate=5.0):
    """One feature that the label follows 2 s later."""
    rng = np.random.default_rng(seed)
    x = np.convolve(rng.normal(size=frames + 40), np.ones(10) / 3, "same")
    lag = round(2 * rate)
    features = np.stack([x[40:], rng.normal(size=frames)], axis=1).astype(np.float32)
    labels = (0.2 * x[40 - lag : 40 - lag + frames, None] + 0.02 * rng.normal(size=(frames, 1))).astype(np.float32)
    return SubjectTable(np.arange(frames) / rate, features, labels, np.ones(frames, bool))


def test_the_scores_are_those_of_a_plain_ridge_regression():
    train, development = {"A": small(0), "B": small(1)}, {"C": small(2), "D": small(3)}
    found = search_delay(train, development, 5.0, ("arousal",), grid=(0.0, 1.2, 2.0))
    for i, shift in enumerate((0, 6, 10)):
        x = np.concatenate([t.features[: 300 - shift] for t in train.values()]).astype(np.float64)
        y = np.concatenate([t.labels[shift:, 0] for t in train.values()]).astype(np.float64)
        mean, deviation = x.mean(axis=0), x.std(axis=0)
        z = (x - mean) / deviation
        weights = np.linalg.solve(z.T @ z + np.eye(2), z.T @ (y - y.mean()))
        pairs = [
            (t.labels[10:, 0], ((t.features[10 - shift : 300 - shift] - mean) / deviation) @ weights + y.mean())
            for t in development.values()
        ]
        each = np.mean([audmetric.concordance_cc(g, p) for g, p in pairs])
        together = audmetric.concordance_cc(*(np.concatenate(side) for side in zip(*pairs, strict=True)))
        assert found.per_recording["arousal"][i] == pytest.approx(each, abs=1e-5)
        assert found.pooled["arousal"][i] == pytest.approx(together, abs=1e-5)
    assert found.best == {"arousal": 2.0}


def test_untrusted_frames_and_missing_labels_are_masked():
    tables = [small(seed) for seed in range(4)]
    spoilt = []
    for table in tables:
        features, labels, valid = table.features.copy(), table.labels.copy(), table.valid.copy()
        features[50:60], valid[50:60] = 1e6, False
        features[100:105, 0], valid[100:105] = np.nan, False
        labels[200:210], valid[200:210] = np.nan, False
        spoilt.append(replace(table, features=features, labels=labels, valid=valid))
    for group in (tables, spoilt):
        found = search_delay(dict(enumerate(group[:2])), dict(enumerate(group[2:], 2)), 5.0, ("arousal",))
        assert found.best == {"arousal": 2.0}
        assert found.per_recording["arousal"][5] > 0.9


def test_the_joint_delay_is_the_best_mean_and_ties_go_to_the_shortest():
    search = DelaySearch(
        (0.0, 0.4, 0.8), {"arousal": (0.1, 0.5, 0.4), "valence": (0.3, 0.1, 0.3)}, {"arousal": (), "valence": ()}
    )
    assert search.best == {"arousal": 0.4, "valence": 0.0}
    assert search.joint == 0.8


def test_bad_input_is_named():
    a, b = {"A": small(0)}, {"B": small(1)}
    with pytest.raises(InputError, match="subject A: the subject is among"):
        search_delay(a, {"A": small(1)}, 5.0, ("arousal",))
    with pytest.raises(InputError, match="subject B: the recording is too short"):
        search_delay(a, {"B": small(1, frames=60)}, 5.0, ("arousal",))
    with pytest.raises(InputError, match="expected training subjects"):
        search_delay({}, b, 5.0, ("arousal",))
    unrated = replace(small(1), labels=np.full((300, 1), np.nan, np.float32), valid=np.zeros(300, bool))
    with pytest.raises(InputError, match="training subjects have no frame with features and arousal"):
        search_delay({"A": unrated}, b, 5.0, ("arousal",))
    with pytest.raises(InputError, match="subject B: no frame with features and arousal is left"):
        search_delay(a, {"B": unrated}, 5.0, ("arousal",))


def test_the_hint_of_one_subject_is_near_the_planted_lag():
    tables = [*planted(5, 2.4, subjects=4, seconds=300.0)[0].values()]
    tables += planted(6, 2.4, subjects=4, seconds=300.0)[1].values()
    hints = [lag_hint(table, 25.0) for table in tables]
    assert sum(hint is not None and abs(hint - 2.4) <= 0.4 + 1e-9 for hint in hints) >= len(hints) - 1, hints


def test_no_hint_where_there_is_nothing_to_tell():
    table = small()
    assert lag_hint(table, 5.0) == 2.0
    assert lag_hint(replace(table, labels=np.empty((300, 0), np.float32)), 5.0) is None
    assert lag_hint(replace(table, labels=np.full((300, 1), 0.1, np.float32)), 5.0) is None
    assert lag_hint(replace(table, labels=np.full((300, 1), np.nan, np.float32)), 5.0) is None
    assert lag_hint(small(frames=55), 5.0) is None
    assert lag_hint(table, 1.0) is None


def with_holes(table, every, length=6):
    features, valid = table.features.copy(), table.valid.copy()
    for start in range(60, len(features), every):
        features[start : start + length], valid[start : start + length] = np.nan, False
    return replace(table, features=features, valid=valid)


def test_every_delay_is_scored_on_the_same_frames_around_holes():
    """As if the frames that any delay misses had no label; with the last frames there, that changes nothing else."""
    grid, shifts = (0.0, 1.2, 2.0), (0, 6, 10)
    train, holed = {"A": small(0), "B": small(1)}, with_holes(small(2), 90)
    found = search_delay(train, {"C": holed}, 5.0, ("arousal",), grid=grid)
    hole = np.isnan(holed.features).any(axis=1)
    missed = np.any([np.concatenate([np.zeros(s, bool), hole[: len(hole) - s]]) for s in shifts], axis=0)
    labels = np.where(missed[:, None], np.nan, holed.labels)
    expected = search_delay(train, {"C": replace(holed, labels=labels)}, 5.0, ("arousal",), grid=grid)
    assert found.same_frames
    assert missed.sum() > hole.sum()
    assert found.pooled == expected.pooled
    assert found.per_recording == expected.per_recording


def test_with_too_many_holes_each_delay_has_frames_of_its_own_and_it_is_said():
    found = search_delay({"A": small(0)}, {"C": with_holes(small(2), 20)}, 5.0, ("arousal",))
    assert not found.same_frames
    assert found.best == {"arousal": 2.0}


def test_a_poor_tracker_among_good_ones_is_scored_and_counts_no_zero():
    """In one of three recordings no frame has a prediction at every delay."""
    poor = small(4)
    gone = np.random.default_rng(0).random(poor.frames) < 0.4
    features = poor.features.copy()
    features[gone] = np.nan
    poor = replace(poor, features=features, valid=poor.valid & ~gone)
    train, good = {"A": small(0), "B": small(1)}, {"C": small(2), "D": small(3)}
    found = search_delay(train, {**good, "E": poor}, 5.0, ("arousal",))
    without = search_delay(train, good, 5.0, ("arousal",))
    assert without.same_frames
    assert not found.same_frames
    assert max(found.per_recording["arousal"]) > 0.9 * max(without.per_recording["arousal"])
