import audmetric
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data_prep.labels.rater_agreement import (
    agreement_table,
    concordance,
    mean_squares,
    rater_agreement,
    rater_concordance,
)
from tff_affect.errors import InputError

RATINGS = np.random.default_rng(3).normal(size=(200, 1)) * 0.3 + np.random.default_rng(4).normal(size=(200, 6)) * 0.2
# Shrout and Fleiss (1979), table 2: six targets, four judges.
SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])


def test_concordance_equals_audmetric():
    for other in range(1, 6):
        found = concordance(RATINGS[:, 0], RATINGS[:, other])
        assert found == pytest.approx(audmetric.concordance_cc(RATINGS[:, 0], RATINGS[:, other]), abs=1e-9)


def test_agreement_is_the_mean_over_pairs():
    pairs = [audmetric.concordance_cc(RATINGS[:, i], RATINGS[:, j]) for i in range(6) for j in range(i)]
    assert rater_agreement(RATINGS) == pytest.approx(np.mean(pairs), abs=1e-9)


def test_the_published_example_of_intraclass_correlation():
    squares = mean_squares(SHROUT_FLEISS)
    # Their table 3: between targets 11.24, between judges 32.49, residual 1.02.
    assert squares.between_frames == pytest.approx(11.24, abs=5e-3)
    assert squares.between_raters == pytest.approx(32.49, abs=5e-3)
    assert squares.residual == pytest.approx(1.02, abs=5e-3)
    # Their table 4; alpha is ICC(3,k).
    assert squares.icc_2_1 == pytest.approx(0.29, abs=5e-3)
    assert squares.icc_2_k == pytest.approx(0.62, abs=5e-3)
    assert squares.cronbach_alpha == pytest.approx(0.91, abs=5e-3)


@settings(max_examples=25, deadline=None)
@given(arrays(np.float64, (12, 3), elements=st.integers(-100, 100).map(lambda v: v / 100)))
def test_the_mean_squares_are_those_of_an_analysis_of_variance_by_regression(x):
    n, k = x.shape
    frame, rater = np.repeat(np.eye(n), k, axis=0), np.tile(np.eye(k), (n, 1))

    def left_over(*parts):
        design = np.concatenate(parts, axis=1)
        return float(((x.ravel() - design @ np.linalg.lstsq(design, x.ravel(), rcond=None)[0]) ** 2).sum())

    full = left_over(frame, rater)
    squares = mean_squares(x)
    assert squares.residual == pytest.approx(full / ((n - 1) * (k - 1)), abs=1e-9)
    assert squares.between_frames == pytest.approx((left_over(rater) - full) / (n - 1), abs=1e-9)
    assert squares.between_raters == pytest.approx((left_over(frame) - full) / (k - 1), abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(arrays(np.float64, (15, 4), elements=st.integers(-100, 100).map(lambda v: v / 100)))
def test_alpha_is_the_textbook_formula(x):
    total = x.sum(axis=1).var(ddof=1)
    if total < 1e-6:
        return
    expected = 4 / 3 * (1 - x.var(axis=0, ddof=1).sum() / total)
    assert mean_squares(x).cronbach_alpha == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_a_shifted_rater_is_consistent_and_does_not_agree():
    trace = np.random.default_rng(0).normal(size=300)
    squares = mean_squares(np.stack([trace, trace + 2.0], axis=1))
    assert squares.cronbach_alpha == pytest.approx(1.0)
    assert squares.icc_2_1 == pytest.approx(trace.var(ddof=1) / (trace.var(ddof=1) + 2.0), rel=1e-9)


def test_the_table_names_raters_and_leaves_silent_frames_out():
    ratings = RATINGS[:, :3].copy()
    ratings[:20, 1] = np.nan
    table = agreement_table(ratings, ("FM1", "FM2", "FF1"))
    assert (table["frames"], table["raters"]) == (180, 3)
    squares = mean_squares(ratings[20:])
    assert (table["icc_2_1"], table["icc_2_k"]) == (squares.icc_2_1, squares.icc_2_k)
    others = [
        audmetric.concordance_cc(ratings[20:, 0], ratings[20:, 1]),
        audmetric.concordance_cc(ratings[:, 0], ratings[:, 2]),
    ]
    assert table["ccc FM1"] == pytest.approx(np.mean(others), abs=1e-9)
    assert table["ccc"] == pytest.approx(np.mean([table[f"ccc {name}"] for name in ("FM1", "FM2", "FF1")]))


@pytest.mark.parametrize(
    "ratings",
    [
        np.full((9, 3), 0.1),
        np.array([[0.1, np.nan], [np.nan, 0.2], [0.3, 0.3]]),
        np.array([[0.1, np.nan], [np.nan, 0.2], [0.3, np.nan]]),
    ],
)
def test_what_is_undefined_is_zero(ratings):
    table = agreement_table(ratings)
    assert [table[name] for name in ("ccc", "icc_2_1", "icc_2_k", "cronbach_alpha")] == [0.0] * 4


def test_bad_input_is_named():
    for measure in (rater_concordance, mean_squares, agreement_table):
        with pytest.raises(InputError, match="two raters"):
            measure(np.zeros((5, 1)))
    with pytest.raises(InputError, match=r"\[frames, raters\]"):
        mean_squares(np.zeros(5))
    with pytest.raises(InputError, match="name for each of 2"):
        agreement_table(np.zeros((5, 2)), ("FM1",))
