import numpy as np
import pytest
from scipy import stats

from tff_affect.evaluation.statistics import bootstrap_interval, paired_wilcoxon


def test_interval_is_close_to_the_normal_one_and_repeats() -> None:
    values = np.random.default_rng(0).normal(0.4, 0.2, size=200)
    low, high = bootstrap_interval(values)
    expected = stats.norm.interval(0.95, loc=values.mean(), scale=values.std(ddof=1) / np.sqrt(200))
    assert (low, high) == pytest.approx(expected, abs=0.005)
    assert bootstrap_interval(values) == (low, high)
    assert bootstrap_interval(values, seed=1) != (low, high)


def test_interval_covers_the_true_mean_about_as_often_as_asked() -> None:
    rng = np.random.default_rng(1)
    ends = [bootstrap_interval(rng.normal(size=23), resamples=499) for _ in range(200)]
    covered = np.mean([low <= 0 <= high for low, high in ends])
    assert 0.88 <= covered <= 0.99


def test_a_wider_confidence_gives_a_wider_interval() -> None:
    values = np.random.default_rng(2).normal(size=20)
    narrow, wide = bootstrap_interval(values, 0.8), bootstrap_interval(values, 0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    with pytest.raises(ValueError, match="between 0 and 1"):
        bootstrap_interval(values, 95)


def test_degenerate_intervals() -> None:
    assert np.isnan(bootstrap_interval([0.1, 0.2])).all()
    assert np.isnan(bootstrap_interval([])).all()
    assert np.isnan(bootstrap_interval([0.1, 0.2, np.nan])).all()
    assert bootstrap_interval([0.3] * 5) == (0.3, 0.3)
    low, high = bootstrap_interval([0, 0, 0, 0, 1.0])
    assert 0 <= low <= 0.2 <= high <= 1


def test_wilcoxon_equals_scipy_on_untied_pairs() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(0.5, 1, 15), rng.normal(size=15)
    found, expected = paired_wilcoxon(a, b), stats.wilcoxon(a, b)
    assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.median_difference == pytest.approx(np.median(a - b))
    assert found.n == 15


def test_wilcoxon_by_hand() -> None:
    found = paired_wilcoxon([1.0, 2.0, 3.0, 4.0, 5.0], [0.0] * 5)
    assert found.statistic == 0
    assert found.p_value == pytest.approx(2 / 2**5)


def test_wilcoxon_without_differences_or_pairs() -> None:
    same = paired_wilcoxon([0.1, 0.2], [0.1, 0.2])
    assert (same.statistic, same.p_value, same.median_difference, same.n) == (0.0, 1.0, 0.0, 2)
    assert np.isnan(paired_wilcoxon([], []).p_value)
    assert paired_wilcoxon([0.1, np.nan, 0.5], [0.0, 0.1, 0.1]).n == 2
    with pytest.raises(ValueError, match="one length"):
        paired_wilcoxon([1.0], [1.0, 2.0])
