"""Bounds of the gate: their confidence, and what is made of them."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

from tff_affect.errors import InputError
from tff_affect.privacy.audit.epsilon_bound import (
    Evidence,
    Stated,
    epsilon_finding,
    mean_shift_bound,
    noncentrality_bound,
    share_bound,
)

STATED = Stated(epsilon=4.2, delta=0.005, unit="subject", accounted=4.2, rounds=20)
EVIDENCE = Evidence(mu=0.3, share=1.0, epsilon=3.4, group=9, rounds=60, strongest="all tensors")


@pytest.mark.parametrize(("statistic", "freedom"), [(5.0, 3), (3.0, 218), (40.0, 218), (70.0, 3000), (900.0, 2400)])
def test_the_bound_solves_an_integral_over_the_deviation(statistic: float, freedom: int) -> None:
    """P(T > t) is that of a normal variable above t S, S being chi over the root of its degrees of freedom."""
    bound = noncentrality_bound(statistic, freedom, 0.99)
    root = math.sqrt(freedom)
    low, high = stats.chi.ppf([1e-13, 1 - 1e-13], freedom)

    def density(chi: float) -> float:
        return stats.norm.sf(statistic * chi / root - bound) * stats.chi.pdf(chi, freedom)

    found = integrate.quad(density, low, high, epsabs=1e-10, limit=500, points=[root * bound / statistic])[0]
    assert 0 < bound < statistic
    assert found == pytest.approx(0.01, rel=1e-3)


def test_the_bound_is_too_large_as_often_as_is_claimed() -> None:
    generator = np.random.default_rng(0)
    for freedom, noncentrality in ((3, 5.0), (200, 10.0)):
        scale = np.sqrt(generator.chisquare(freedom, 1000) / freedom)
        found = (generator.normal(noncentrality, 1, 1000)) / scale
        share = np.mean([noncentrality_bound(t, freedom, 0.95) > noncentrality for t in found])
        assert share == pytest.approx(0.05, abs=0.02)


def test_small_statistics_show_nothing_and_no_noise_shows_much() -> None:
    assert noncentrality_bound(-3.0, 50, 0.99) == noncentrality_bound(1.0, 50, 0.99) == 0
    assert 1000 < noncentrality_bound(math.inf, 2000, 0.99) < 2000
    still, moved = np.zeros(50), np.ones(50)
    assert mean_shift_bound(moved, still) > 100
    assert mean_shift_bound(still, still) == 0


def test_a_mean_shift_is_bounded_by_a_noncentral_t_distribution() -> None:
    """The bound is above mu exactly where the statistic is above that distribution's quantile."""
    generator, n, mu = np.random.default_rng(3), 100, 0.8
    refuted = []
    for _ in range(300):
        moved, still = generator.normal(mu, 1, n), generator.normal(0, 1, n)
        statistic = stats.ttest_ind(moved, still).statistic
        refuted.append(mean_shift_bound(moved, still, 0.95) > mu)
        assert refuted[-1] == (statistic > stats.nct.ppf(0.95, 2 * n - 2, math.sqrt(n / 2) * mu))
    assert np.mean(refuted) == pytest.approx(0.05, abs=0.03)


def test_groups_of_unequal_size_are_weighed() -> None:
    generator = np.random.default_rng(4)
    shares = [mean_shift_bound(generator.normal(1, 2, 40), generator.normal(0, 2, 160), 0.9) > 0.5 for _ in range(1000)]
    assert np.mean(shares) == pytest.approx(0.1, abs=0.03)
    with pytest.raises(InputError, match="at least 2"):
        mean_shift_bound(np.ones(1), np.ones(5))


def test_the_share_is_that_of_clopper_and_pearson() -> None:
    for hits, draws in ((0, 10), (1, 10), (400, 4000), (10, 10)):
        two_sided = stats.binomtest(hits, draws).proportion_ci(0.98, "exact").low
        assert share_bound(hits, draws, 0.99) == pytest.approx(two_sided, abs=1e-12)
    with pytest.raises(InputError, match="hits"):
        share_bound(5, 4, 0.99)


def test_a_claim_above_the_bound_stands() -> None:
    found = epsilon_finding(STATED, EVIDENCE, "federated + DP", "model")
    assert not found.refuted
    assert (found.value, found.chance, found.best, found.level) == (3.4, 0.0, math.inf, 0.99)
    assert found.sentence == (
        "claimed epsilon 4.2 at delta 0.005 for one subject; canaries show at least 3.4 (99 % confidence): not refuted"
    )
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("stated", "evidence", "reason"),
    [
        ({}, {"epsilon": 4.21}, "protects less than claimed"),
        ({"accounted": 4.9}, {}, "its own records amount to 4.9"),
        ({"contradictions": ("it states delta 1",)}, {}, "it states delta 1"),
    ],
)
def test_what_contradicts_a_claim_refutes_it(stated: dict, evidence: dict, reason: str) -> None:
    found = epsilon_finding(replace(STATED, **stated), replace(EVIDENCE, **evidence), "federated + DP", "model")
    assert found.refuted
    assert found.sentence.startswith("REFUTED: claimed epsilon 4.2")
    assert reason in found.sentence
    assert found.details["reasons"] == [reason] or reason in found.details["reasons"][0]


def test_what_accountants_differ_by_refutes_nothing() -> None:
    close = replace(EVIDENCE, epsilon=4.2 * (1 + 9e-4))
    assert not epsilon_finding(replace(STATED, accounted=4.2 * (1 + 9e-4)), close, "", "model").refuted
    assert epsilon_finding(replace(STATED, accounted=4.2 * (1 + 2e-3)), close, "", "model").refuted
