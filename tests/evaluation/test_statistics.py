from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tff_affect.evaluation.statistics import (
    bootstrap_interval,
    expanded_confidence,
    gain,
    holm,
    paired_wilcoxon,
    rank_biserial,
    worst_clients_mean,
)

P_VALUES = st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.01, 0.02, 0.5, 1.0])), min_size=1, max_size=8)


def test_interval_is_close_to_the_normal_one_and_repeats() -> None:
    values = np.random.default_rng(0).normal(0.4, 0.2, size=200)
    low, high = bootstrap_interval(values)
    expected = stats.norm.interval(0.95, loc=values.mean(), scale=values.std(ddof=1) / np.sqrt(200))
    assert (low, high) == pytest.approx(expected, abs=0.005)
    assert bootstrap_interval(values) == (low, high)
    assert bootstrap_interval(values, seed=1) != (low, high)


@pytest.mark.parametrize(
    ("draw", "truth"),
    [
        (lambda rng: rng.normal(0.5, 0.15, 27), 0.5),
        (lambda rng: 1 - rng.beta(2, 5, 27), 1 - 2 / 7),
        (lambda rng: 1 - rng.beta(0.7, 4, 27), 1 - 0.7 / 4.7),
    ],
    ids=["normal", "like CCC", "skewed"],
)
def test_intervals_cover_the_true_mean_of_cohorts_of_27(
    draw: Callable[[np.random.Generator], np.ndarray], truth: float
) -> None:
    cohorts = [draw(np.random.default_rng([1, cohort])) for cohort in range(500)]
    ends = [bootstrap_interval(cohort, resamples=1499) for cohort in cohorts]
    assert 0.92 <= np.mean([low <= truth <= high for low, high in ends]) <= 0.98


def test_plain_intervals_of_few_clients_cover_too_seldom_and_expanded_ones_make_up_for_most() -> None:
    cohorts = np.random.default_rng(2).normal(size=(400, 7))
    plain, expanded = (
        np.mean([low <= 0 <= high for low, high in (bootstrap_interval(c, resamples=999, expanded=e) for c in cohorts)])
        for e in (False, True)
    )
    assert plain < 0.91 < expanded < 0.97


def test_the_expanded_level_gives_normal_quantiles_the_width_of_students() -> None:
    for clients, confidence in ((3, 0.9), (7, 0.95), (27, 0.95), (500, 0.99)):
        level = expanded_confidence(confidence, clients)
        # The bootstrap's standard error has the divisor n, Student's n - 1.
        width = stats.norm.ppf((1 + level) / 2) * np.sqrt((clients - 1) / clients)
        assert width == pytest.approx(stats.t.ppf((1 + confidence) / 2, clients - 1))
    assert expanded_confidence(0.95, 100_000) == pytest.approx(0.95, abs=1e-4)


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


def test_wilcoxon_equals_the_enumeration_of_all_signs() -> None:
    difference = np.array([0.3, -0.1, 0.25, 0.4, -0.05, 0.6, 0.15, -0.2])
    ranks = stats.rankdata(np.abs(difference))
    sums = np.array([ranks[np.array(signs)].sum() for signs in product([False, True], repeat=len(ranks))])
    middle, found = ranks.sum() / 2, ranks[difference > 0].sum()
    expected = np.mean(np.abs(sums - middle) >= abs(found - middle))
    assert paired_wilcoxon(difference, np.zeros(8)).p_value == pytest.approx(expected)


def test_the_effect_size_by_hand_and_its_sign() -> None:
    # Ranks of 1, -2, 3, 4: 8 of 10 favour the first.
    assert rank_biserial([0.1, -0.2, 0.3, 0.4]) == pytest.approx((8 - 2) / 10)
    # Equal sizes share the rank 1.5, a zero has none.
    assert rank_biserial([0.1, -0.1, 0.0, 0.3]) == pytest.approx((1.5 + 3 - 1.5) / 6)
    assert paired_wilcoxon([2.0, 3.0, 4.0], [1.0, 1.0, 1.0]).rank_biserial == 1
    assert paired_wilcoxon([1.0, 1.0, 1.0], [2.0, 3.0, 4.0]).rank_biserial == -1
    assert paired_wilcoxon([1.0, 1.0], [1.0, 1.0]).rank_biserial == 0


def test_the_effect_size_follows_from_wilcoxons_statistic() -> None:
    difference = np.random.default_rng(4).normal(0.3, 1, 19)
    smaller = stats.wilcoxon(difference).statistic
    assert abs(rank_biserial(difference)) == pytest.approx(1 - 2 * smaller / (19 * 20 / 2))


def test_holm_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 by 4, 3, 2, 1: 0.02, 0.03, 0.06, and 0.04 raised to 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []
    found = holm([0.02, float("nan"), 0.03])
    assert np.isnan(found[1])
    assert (found[0], found[2]) == pytest.approx((0.04, 0.04))


@given(P_VALUES, st.floats(0.001, 0.999))
def test_holm_rejects_what_the_definition_does(p_values: list[float], level: float) -> None:
    """Holm 1979: from the smallest on, as long as the k-th of m is at most level / (m - k + 1)."""
    corrected = holm(p_values)
    rejected, m = set(), len(p_values)
    for k, place in enumerate(sorted(range(m), key=lambda i: p_values[i]), start=1):
        if p_values[place] * (m - k + 1) > level:
            break
        rejected.add(place)
    assert {i for i, p in enumerate(corrected) if p <= level} == rejected
    assert all(p <= q <= 1 for p, q in zip(p_values, corrected, strict=True))


def test_the_worst_tenth_is_rounded_up() -> None:
    values = np.arange(30)[::-1] / 10
    assert worst_clients_mean(values) == pytest.approx(0.1)
    assert worst_clients_mean(values[:11]) == pytest.approx(np.mean([1.9, 2.0]))
    assert worst_clients_mean([0.4, np.nan, 0.3]) == 0.3
    assert worst_clients_mean([0.4, 0.2], share=1) == pytest.approx(0.3)
    assert np.isnan(worst_clients_mean([]))
    with pytest.raises(ValueError, match="share"):
        worst_clients_mean([0.1], share=10)


def test_a_gain_counts_who_loses() -> None:
    before, after = [0.1, 0.2, 0.3, 0.4, np.nan], [0.3, 0.1, 0.5, 0.4, 0.9]
    found = gain(before, after)
    assert (found.clients, found.losers) == (4, 1)
    assert found.mean == pytest.approx(0.3 / 4)
    assert found.low <= found.mean <= found.high
    assert (found.low, found.high) == bootstrap_interval([0.2, -0.1, 0.2, 0.0])
    assert found.test == paired_wilcoxon(after, before)
    assert np.isnan(gain([], []).mean)


def test_intervals_do_not_follow_the_order_of_the_clients() -> None:
    values = np.random.default_rng(0).normal(size=7)
    expected = bootstrap_interval(values)
    assert bootstrap_interval(values[::-1]) == expected
    assert bootstrap_interval(np.append(np.nan, values[[3, 1, 2, 0, 6, 5, 4]])) == expected


def test_clients_without_a_difference_leave_the_test_exact() -> None:
    """By all ways to give signs to the five that differ: 2 of 32 are as extreme."""
    found = paired_wilcoxon([0, 0, 1, 2, 3, 4, 5], np.zeros(7))
    assert (found.p_value, found.n) == (pytest.approx(2 / 32), 7)
