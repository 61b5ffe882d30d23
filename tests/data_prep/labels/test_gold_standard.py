import math

import audmetric
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data_prep.labels.gold_standard import (
    FUSIONS,
    check_fusion,
    ewe_weights,
    fuse_ccc_centred,
    fuse_dba,
    fuse_ewe,
    fuse_mean,
    fusion_named,
    smooth,
)
from data_prep.synthetic import SyntheticConfig, generate_subject
from tff_affect.errors import InputError

RATINGS = np.random.default_rng(3).normal(size=(200, 1)) * 0.3 + np.random.default_rng(4).normal(size=(200, 6)) * 0.2
# Two decimals, as RECOLA's raters have; None is a rater who is silent.
CELLS = st.one_of(st.integers(-100, 100).map(lambda v: v / 100), st.just(math.nan))
HOLED = arrays(np.float64, (12, 4), elements=CELLS).filter(lambda x: np.isfinite(x).any(axis=0).all())


def mean_of(values):
    there = [v for v in values if not math.isnan(v)]
    return math.fsum(there) / len(there) if there else math.nan


def moments(x, y):
    """Means, variances and covariance over the frames that both have, in plain Python."""
    pairs = [(a, b) for a, b in zip(x, y, strict=True) if not (math.isnan(a) or math.isnan(b))]
    if len(pairs) < 2:
        return None
    mx, my = math.fsum(a for a, _ in pairs) / len(pairs), math.fsum(b for _, b in pairs) / len(pairs)
    vx = math.fsum((a - mx) ** 2 for a, _ in pairs) / len(pairs)
    vy = math.fsum((b - my) ** 2 for _, b in pairs) / len(pairs)
    return mx, my, vx, vy, math.fsum((a - mx) * (b - my) for a, b in pairs) / len(pairs)


def correlation(x, y):
    found = moments(x, y)
    if found is None or min(found[2], found[3]) < 1e-20:
        return 0.0
    return found[4] / math.sqrt(found[2] * found[3])


def ccc(x, y):
    found = moments(x, y)
    if found is None or (spread := found[2] + found[3] + (found[0] - found[1]) ** 2) < 1e-20:
        return 0.0
    return 2 * found[4] / spread


def test_mean_leaves_silent_raters_out():
    ratings = np.array([[0.1, np.nan, 0.5], [np.nan] * 3, [0.2, 0.2, 0.2]])
    np.testing.assert_allclose(fuse_mean(ratings), [0.3, np.nan, 0.2])


@settings(max_examples=50, deadline=None)
@given(HOLED)
def test_the_mean_equals_plain_python(ratings):
    np.testing.assert_allclose(fuse_mean(ratings), [mean_of(row) for row in ratings], atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(HOLED)
def test_the_evaluator_weighted_estimator_equals_plain_python(ratings):
    plain = [mean_of(row) for row in ratings]
    weights = [max(0.0, correlation(trace, plain)) for trace in ratings.T]
    expected = []
    for row in ratings:
        said = [(w, v) for w, v in zip(weights, row, strict=True) if not math.isnan(v)]
        total = math.fsum(w for w, _ in said)
        expected.append(math.fsum(w * v for w, v in said) / total if total > 0 else math.nan)
    if not any(weights):
        expected = plain
    np.testing.assert_allclose(ewe_weights(ratings), weights, atol=1e-9)
    np.testing.assert_allclose(fuse_ewe(ratings), expected, atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(HOLED)
def test_ccc_centred_equals_plain_python(ratings):
    traces = [list(trace) for trace in ratings.T]
    others = range(len(traces))
    agreement = [max(0.0, mean_of([ccc(x, traces[j]) for j in others if j != i])) for i, x in enumerate(traces)]
    means = [mean_of(trace) for trace in traces]
    weights = agreement if math.fsum(agreement) > 0 else [1.0] * len(traces)
    level = math.fsum(w * m for w, m in zip(weights, means, strict=True)) / math.fsum(weights)
    expected = [mean_of([v - m + level for v, m in zip(row, means, strict=True)]) for row in ratings]
    np.testing.assert_allclose(fuse_ccc_centred(ratings), expected, atol=1e-9)


def test_the_evaluator_weighted_estimator_by_hand():
    # Raters (1, 2, 3), (2, 4, 6), (3, 3, 0): means (2, 3, 3), which deviate by (-2/3, 1/3, 1/3).
    # Rater 1: covariance 1/3, deviations sqrt(2/3) and sqrt(2)/3: w = sqrt(3)/2. Rater 2 is twice rater 1: the same.
    # Rater 3: deviations (1, 1, -2), covariance (-2/3 + 1/3 - 2/3)/3 = -1/3, sqrt(2) * sqrt(2)/3 = 2/3: -1/2, so 0.
    ratings = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 3.0], [3.0, 6.0, 0.0]])
    np.testing.assert_allclose(ewe_weights(ratings), [math.sqrt(3) / 2, math.sqrt(3) / 2, 0.0], atol=1e-12)
    np.testing.assert_allclose(fuse_ewe(ratings), [1.5, 3.0, 4.5], atol=1e-12)


def test_ccc_centred_equals_the_published_rule():
    x = RATINGS + np.linspace(-0.2, 0.3, 6)
    a = np.array([np.mean([audmetric.concordance_cc(x[:, r], x[:, q]) for q in range(6) if q != r]) for r in range(6)])
    reference = (x.mean(0) * a).sum() / a.sum()
    np.testing.assert_allclose(fuse_ccc_centred(x), (x - x.mean(0) + reference).mean(axis=1), atol=1e-12)


def test_a_rater_who_disagrees_has_no_say_in_the_level():
    wave = np.sin(np.arange(100))
    x = np.stack([wave, wave, 5 - wave], axis=1)
    assert fuse_ccc_centred(x).mean() == pytest.approx(wave.mean(), abs=1e-9)
    contrary = np.stack([wave, 1 - wave], axis=1)
    np.testing.assert_allclose(fuse_ccc_centred(contrary), contrary.mean(axis=1))


def bump(centre, frames=300, width=12.0):
    return np.exp(-(((np.arange(frames) - centre) / width) ** 2))


@pytest.mark.parametrize("apart", [8, 12, 14])
def test_the_barycentre_of_shifted_copies_keeps_the_height_of_the_peak(apart):
    ratings = np.stack([bump(130), bump(130 + apart)], axis=1)
    fused = fuse_dba(ratings)
    assert 130 < int(fused.argmax()) < 130 + apart
    assert fused.max() > 0.95
    assert fuse_mean(ratings).max() < fused.max() - 0.05
    # One rise above half of the height and one fall below: one peak, not two.
    assert np.abs(np.diff((fused > 0.5).astype(int))).sum() == 2


def test_a_window_of_no_shift_is_the_mean_and_a_narrow_one_cannot_join_distant_peaks():
    ratings = np.stack([bump(130), bump(144)], axis=1)
    np.testing.assert_allclose(fuse_dba(ratings, window=0), fuse_mean(ratings), atol=1e-12)
    assert fuse_dba(ratings, window=2).max() < 0.9 < fuse_dba(ratings).max()
    np.testing.assert_array_equal(fusion_named("dba", 0.5)(ratings), fuse_dba(ratings, window=2))


def test_the_barycentre_leaves_out_open_ends_and_crosses_gaps():
    ratings = np.stack([bump(130), bump(140)], axis=1)
    ratings[:20, 0] = ratings[280:, 1] = np.nan
    ratings[100:110, 1] = np.nan
    ratings[200:205] = np.nan
    fused = fuse_dba(ratings)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(fused)), [*range(20), *range(200, 205), *range(280, 300)])
    with pytest.raises(InputError, match="no stretch"):
        fuse_dba(np.array([[0.1, np.nan], [0.2, np.nan], [np.nan, 0.3], [np.nan, 0.1]]))


def test_the_barycentre_of_a_whole_recording_is_the_same_every_time():
    ratings = generate_subject(SyntheticConfig(), 0).ratings[:, 0]
    fused = fuse_dba(ratings)
    assert len(fused) == 7500
    np.testing.assert_array_equal(fused, fuse_dba(ratings))


@settings(max_examples=25, deadline=None)
@given(arrays(np.float64, (20, 4), elements=st.integers(-100, 100).map(lambda v: v / 100)))
def test_fusions_stay_within_the_ratings_and_identical_raters_are_their_own_fusion(ratings):
    for name in ("mean", "ewe", "dba"):
        fused = FUSIONS[name](ratings)
        assert (fused >= ratings.min() - 1e-9).all()
        assert (fused <= ratings.max() + 1e-9).all()
    assert np.isfinite(fuse_ccc_centred(ratings)).all()
    same = np.repeat(ratings[:, :1], 3, axis=1)
    for fuse in FUSIONS.values():
        np.testing.assert_allclose(fuse(same), ratings[:, 0], atol=1e-12)


@pytest.mark.parametrize("name", FUSIONS)
def test_constant_raters_fuse_to_a_constant(name):
    fused = FUSIONS[name](np.tile([0.1, 0.2, 0.6], (50, 1)))
    np.testing.assert_allclose(fused, 0.3, atol=1e-9)


def test_smoothing_equals_numpy_and_leaves_missing_frames_missing():
    values = np.random.default_rng(5).normal(size=(60, 2))
    values[10:13, 0] = np.nan
    for kind, over in (("median", np.nanmedian), ("mean", np.nanmean)):
        found = smooth(values, 10.0, 0.7, kind)
        expected = np.array([over(values[max(0, t - 3) : t + 4], axis=0) for t in range(60)])
        expected[np.isnan(values)] = np.nan
        np.testing.assert_allclose(found, expected, atol=1e-12)
        np.testing.assert_allclose(smooth(values[:, 0], 10.0, 0.7, kind), expected[:, 0], atol=1e-12)
    np.testing.assert_array_equal(smooth(values, 10.0, 0.0), values)


def test_smoothing_delays_nothing():
    assert smooth(bump(150), 25.0, 1.0, "mean").argmax() == 150
    step = (np.arange(100) >= 50).astype(float)
    np.testing.assert_array_equal(smooth(step, 25.0, 1.0), step)


def test_bad_input_is_named():
    with pytest.raises(InputError, match=r"\[frames, raters\]"):
        fuse_mean(np.zeros(5))
    for fuse in (fuse_ccc_centred, fuse_ewe, fuse_dba):
        with pytest.raises(InputError, match="rater 2 of 2"):
            fuse(np.array([[0.1, np.nan], [0.2, np.nan]]))
    with pytest.raises(InputError, match="fusion among mean, ewe, ccc_centred, dba"):
        fusion_named("median", 25.0)
    with pytest.raises(InputError, match="0 frames or more"):
        fuse_dba(np.zeros((5, 2)), window=-1)
    for arguments in ((25.0, -1.0), (25.0, math.nan), (25.0, 1.0, "spline")):
        with pytest.raises(InputError, match="smooth"):
            smooth(np.zeros(5), *arguments)


@pytest.mark.parametrize(("gain", "level"), [(1.0, 0.3), (1.0, -0.9), (2.5, 0.0), (0.3, 0.6)])
def test_levels_and_gains_are_not_warped_into_time(gain, level):
    trace = np.random.default_rng(2).normal(size=400).cumsum() / 20
    ratings = np.stack([trace, gain * trace + level], axis=1)
    np.testing.assert_allclose(fuse_dba(ratings), fuse_mean(ratings), rtol=0, atol=1e-12)


def test_a_level_does_not_change_how_lagging_raters_are_aligned():
    ratings = np.stack([bump(130), bump(142), bump(136)], axis=1)
    raised = ratings + np.array([0.0, 0.7, -0.4])
    np.testing.assert_allclose(fuse_dba(raised), fuse_dba(ratings) + 0.1, atol=1e-9)


def test_the_window_of_the_barycentre_needs_a_frame_rate():
    with pytest.raises(TypeError):
        fusion_named("dba")
    for rate in (0.0, -1.0, 1000.5, 1e300, math.nan):
        with pytest.raises(InputError, match="per second"):
            fusion_named("dba", rate)
    check_fusion("dba")
    with pytest.raises(InputError, match="fusion among"):
        check_fusion("median")


@pytest.mark.parametrize(
    ("seconds", "width"),
    [(0.0, 1), (0.04, 1), (0.079, 1), (0.08, 3), (0.12, 3), (0.159, 3), (0.16, 5), (0.28, 7), (1.0, 25)],
)
def test_smoothing_takes_the_nearest_odd_number_of_frames(seconds, width):
    impulse = (np.arange(101) == 50).astype(float)
    found = smooth(impulse, 25.0, seconds, "mean")
    assert (np.count_nonzero(found > 1e-9), found[50]) == (width, pytest.approx(1 / width))


@pytest.mark.parametrize("seconds", [4.1, 1e18, 1e300])
def test_nobody_smooths_over_more_than_the_recording(seconds):
    assert smooth(np.arange(100.0), 25.0, 4.0).shape == (100,)
    with pytest.raises(InputError, match="no more than the recording of 4 s"):
        smooth(np.arange(100.0), 25.0, seconds)
